"""Errors in MCP's two forms: a tool's result with ``isError``, and a JSON-RPC error."""

from __future__ import annotations

from typing import Any

from mcp.shared.exceptions import MCPError
from mcp_types import INTERNAL_ERROR, INVALID_PARAMS, MISSING_REQUIRED_CLIENT_CAPABILITY

from polyport.errors import CallError, UnsupportedOperationError
from polyport_gateway.errors import mcp_error_data
from polyport_gateway.wires.mcp.content import text_block

__all__ = ["ERROR_META", "MissingClientCapabilityError", "error_result", "protocol_error"]

ERROR_META = "polyport/error"
"""The ``_meta`` member that carries an error's code, type, status and parameter."""


class MissingClientCapabilityError(UnsupportedOperationError):
    """The client did not declare a capability that a call needs.

    Args:
        message: Names the capability.
        required: The missing part of MCP's ``ClientCapabilities``.
    """

    code = "missing_client_capability"

    def __init__(self, message: str, *, required: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.required = required or {}


def error_result(error: CallError) -> dict[str, Any]:
    """Describe a tool's failure so that the model behind the client can read it."""
    return {
        "content": [text_block(error.message)],
        "isError": True,
        "_meta": {ERROR_META: {**mcp_error_data(error), "request_id": error.request_id}},
    }


def protocol_error(error: CallError) -> MCPError:
    """Describe a request's failure."""
    if isinstance(error, MissingClientCapabilityError):
        data = {"requiredCapabilities": error.required}
        return MCPError(MISSING_REQUIRED_CLIENT_CAPABILITY, error.message, data)
    code = INVALID_PARAMS if 400 <= error.status < 500 and error.status not in (408, 429, 499) else INTERNAL_ERROR
    return MCPError(code, error.message, {ERROR_META: mcp_error_data(error)})
