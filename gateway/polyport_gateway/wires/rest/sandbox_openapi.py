"""The sandbox's endpoints, for the OpenAPI document."""

from __future__ import annotations

from polyport.types.sandbox import (
    CodeResult,
    RunCodeRequest,
    SandboxDeleted,
    SandboxFile,
    SandboxFileList,
    SandboxInterrupted,
    SandboxRestart,
    SandboxRestarted,
    SandboxSession,
    SandboxSessionList,
    SandboxSessionRequest,
)
from polyport_gateway.wires.rest.openapi import EndpointDescription

__all__ = ["SANDBOX"]

_GROUP = "Sandbox"
_ALL = "/v1/sandbox/sessions"
_ONE = f"{_ALL}/{{session_id}}"
_FILE = f"{_ONE}/files/{{path}}"

SANDBOX = (
    EndpointDescription(
        "post", "/v1/sandbox/run", "Run code once", RunCodeRequest, CodeResult, CodeResult, group=_GROUP
    ),
    EndpointDescription("get", _ALL, "List your sessions", response=SandboxSessionList, group=_GROUP),
    EndpointDescription("post", _ALL, "Open a session", SandboxSessionRequest, SandboxSession, group=_GROUP),
    EndpointDescription("get", _ONE, "Show a session", response=SandboxSession, group=_GROUP),
    EndpointDescription("delete", _ONE, "Close a session", response=SandboxDeleted, group=_GROUP),
    EndpointDescription(
        "post", f"{_ONE}/run", "Run code in a session", RunCodeRequest, CodeResult, CodeResult, group=_GROUP
    ),
    EndpointDescription(
        "post", f"{_ONE}/interrupt", "End what runs in a session", response=SandboxInterrupted, group=_GROUP
    ),
    EndpointDescription(
        "post", f"{_ONE}/restart", "Start a session's kernels anew", SandboxRestart, SandboxRestarted, group=_GROUP
    ),
    EndpointDescription(
        "get",
        f"{_ONE}/files",
        "List a session's files",
        response=SandboxFileList,
        query={"folder": {"type": "string", "default": ""}},
        group=_GROUP,
    ),
    EndpointDescription(
        "get",
        _FILE,
        "Read a file",
        query={"max_bytes": {"type": "integer", "minimum": 0}},
        group=_GROUP,
        gives_bytes=True,
    ),
    EndpointDescription("put", _FILE, "Write a file", response=SandboxFile, group=_GROUP, takes_bytes=True),
    EndpointDescription("delete", _FILE, "Delete a file or folder", response=SandboxDeleted, group=_GROUP),
)
