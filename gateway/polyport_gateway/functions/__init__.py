"""Registered functions, pipelines, resources and prompts."""
