"""Call tools of the host from sandboxed Python, as plain functions.

::

    import polyport_tools

    polyport_tools.tools()                      # what there is
    polyport_tools.add(a=1, b=2)                # a tool as a function; so is `from polyport_tools import add`
    polyport_tools.call("files.read", name="x") # any tool, whatever its name

A tool that fails raises `ToolError` with its message. Threads may call at the same time.

This module goes into the sandbox as its source text, so it stands alone: the standard library only, Python 3.9 or
newer.
"""

from __future__ import annotations

import json
import os
import socket
import struct
import threading
from collections.abc import Callable
from typing import Any

ADDRESS = "\0polyport-tools"
OWN = ("ToolError", "call", "tools")
TYPES = {"string": str, "integer": int, "number": float, "boolean": bool, "array": list, "object": dict, "null": None}


class ToolError(Exception):
    """A tool failed, or there is none of that name; the message says why."""


class _NotGiven:
    def __repr__(self) -> str:
        return "<not given>"


NOT_GIVEN = _NotGiven()
_lock = threading.Lock()
_idle: list[socket.socket] = []
_described: list[dict[str, Any]] | None = None
_functions: dict[str, Callable[..., Any]] = {}


def tools() -> list[dict[str, Any]]:
    """List the tools there are: ``name``, ``description`` and ``input``, the JSON schema of the arguments."""
    mine: list[dict[str, Any]] = json.loads(json.dumps(_describe()))
    return mine


def call(name: str, /, **arguments: Any) -> Any:
    """Call the tool `name` and return its result.

    Raises:
        ToolError: If it fails, or there is none of that name.
    """
    return _ask({"op": "call", "name": name, "arguments": arguments})["result"]


def _describe() -> list[dict[str, Any]]:
    global _described
    if _described is None:
        _described = _ask({"op": "tools"})["tools"]
    return _described


def _ask(request: dict[str, Any]) -> dict[str, Any]:
    """Send one request over a connection of its own while it lasts, and return the answer."""
    try:
        data = json.dumps(request).encode()
    except (TypeError, ValueError) as error:
        raise ToolError(f"The arguments can't be written as JSON: {error}") from None
    connection = _connection()
    try:
        connection.sendall(struct.pack(">I", len(data)) + data)
        (length,) = struct.unpack(">I", _read(connection, 4))
        answer: dict[str, Any] = json.loads(_read(connection, length))
    except BaseException as error:
        connection.close()  # the host then ends the call too
        if isinstance(error, OSError):
            raise ToolError(f"The connection to the tools broke: {error}") from None
        raise
    with _lock:
        _idle.append(connection)
    if "error" in answer:
        raise ToolError(answer["error"])
    return answer


def _connection() -> socket.socket:
    with _lock:
        if _idle:
            return _idle.pop()
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.connect(ADDRESS)
    except OSError:
        connection.close()
        raise ToolError("There are no tools here: this run was started without any.") from None
    return connection


def _read(connection: socket.socket, count: int) -> bytes:
    parts = []
    while count:
        part = connection.recv(min(count, 1 << 20))
        if not part:
            raise ConnectionError("it was closed before the answer")
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


def _forget() -> None:
    """In a forked child: leave the parent its connections."""
    global _lock
    _lock = threading.Lock()
    while _idle:
        _idle.pop().close()


def _plain(name: str) -> str:
    """The name under which a tool is an attribute."""
    return "".join(letter if ("_" + letter).isidentifier() else "_" for letter in name)


def _function(tool: dict[str, Any]) -> Callable[..., Any]:
    """Make a function with the signature that the tool's schema says."""
    import inspect  # only who calls a tool pays for it

    name = tool["name"]
    signature = inspect.Signature(_parameters(tool["input"]))

    def function(*args: Any, **kwargs: Any) -> Any:
        bound = signature.bind(*args, **kwargs).arguments
        more = bound.pop("more", {}) if "more" in spread else {}
        return call(name, **{key: value for key, value in {**bound, **more}.items() if value is not NOT_GIVEN})

    spread = {key for key, parameter in signature.parameters.items() if parameter.kind is parameter.VAR_KEYWORD}
    function.__name__ = function.__qualname__ = _plain(name)
    function.__module__ = __name__
    function.__doc__ = _docstring(tool)
    function.__signature__ = signature  # type: ignore[attr-defined]
    function.__annotations__ = {
        key: parameter.annotation
        for key, parameter in signature.parameters.items()
        if parameter.annotation is not parameter.empty
    }
    return function


def _parameters(schema: dict[str, Any]) -> list[Any]:
    """The parameters: what is required first, each in the schema's order; the rest by name."""
    import inspect
    import keyword

    kinds = inspect.Parameter
    properties, required = schema.get("properties") or {}, schema.get("required") or []
    first, then = [], []
    odd = not properties or bool(schema.get("additionalProperties"))
    for key, about in properties.items():
        about = about if isinstance(about, dict) else {}
        if not key.isidentifier() or keyword.iskeyword(key) or key == "more":
            odd = True
            continue
        kind = about.get("type")
        annotation = TYPES.get(kind, kinds.empty) if isinstance(kind, str) else kinds.empty
        if key in required:
            first.append(kinds(key, kinds.POSITIONAL_OR_KEYWORD, annotation=annotation))
        else:
            default = about.get("default", NOT_GIVEN)
            then.append(kinds(key, kinds.POSITIONAL_OR_KEYWORD, annotation=annotation, default=default))
    return [*first, *then, *([kinds("more", kinds.VAR_KEYWORD)] if odd else [])]


def _docstring(tool: dict[str, Any]) -> str:
    lines = [tool["description"]]
    told = [
        f"    {key}: {about['description']}"
        for key, about in (tool["input"].get("properties") or {}).items()
        if isinstance(about, dict) and about.get("description")
    ]
    return "\n".join([*lines, *(["", "Args:", *told] if told else [])])


def __getattr__(name: str) -> Any:
    if name == "__all__":
        return [*OWN, *__dir__()]
    if name.startswith("__"):
        raise AttributeError(name)
    if name not in _functions:
        for tool in _describe():
            if _plain(tool["name"]) == name:
                _functions[name] = _function(tool)
                break
        else:
            known = ", ".join(__dir__()) or "none"
            raise AttributeError(f"There is no tool {name!r}; there are: {known}")
    return _functions[name]


def __dir__() -> list[str]:
    return [name for name in dict.fromkeys(_plain(tool["name"]) for tool in _describe()) if name not in OWN]


os.register_at_fork(after_in_child=_forget)
