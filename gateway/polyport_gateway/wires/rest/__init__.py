"""Polyport's own endpoints: functions, health, the OpenAPI document."""
