"""What is seen: logs without secrets, names of requests and traces."""

from polyport_gateway.telemetry.logging import configure_logging
from polyport_gateway.telemetry.redact import redact
from polyport_gateway.telemetry.trace import new_request_id, parse_traceparent

__all__ = ["configure_logging", "new_request_id", "parse_traceparent", "redact"]
