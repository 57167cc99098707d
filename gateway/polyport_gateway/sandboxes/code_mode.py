"""`run_code_with_tools`: sandboxed Python that calls, as plain functions, what its caller may call."""

from __future__ import annotations

import copy
import itertools
import json
import keyword
import re
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from polyport.declarations import Annotations
from polyport.errors import BadRequestError, CallError, InternalServerError, NotFoundError
from polyport.events import Result, ServerToolCall, ServerToolResult
from polyport.types.sandbox import CodeOutcome
from polyport_gateway.call import Arguments, Caller, CodeRun, Operation
from polyport_gateway.catalog import Capability, Catalog
from polyport_gateway.catalog.capability import SeenByCaller
from polyport_gateway.functions.tool import Work
from polyport_gateway.sandboxes.run_code import FILES, describe_place, file_bytes, run_and_tell
from polyport_gateway.sandboxes.service import SandboxService
from polyport_gateway.sandboxes.tool import SandboxTool

if TYPE_CHECKING:
    from polyport_sandbox import ToolDescription

__all__ = ["RUN_CODE_WITH_TOOLS", "GatewayTools", "RunCodeWithTools", "signature_line"]

RUN_CODE_WITH_TOOLS = "run_code_with_tools"

_TIMEOUT_S = 60.0
_MAX_DEPTH = 4
_LONGEST_LIST = 6000
_NOT_IN_A_NAME = re.compile(r"\W", re.ASCII)
_TYPES = {"integer": "int", "number": "float", "boolean": "bool", "string": "str", "array": "list", "object": "dict"}


class GatewayTools:
    """The host's end of code mode: every call is a child of the call that runs the code.

    So it has the same caller, the same allow-list, limits, deadline and trace. Code can't start code again.

    Args:
        work: The call that runs the code.
        catalog: What there is.
    """

    def __init__(self, work: Work, catalog: Catalog) -> None:
        self._work = work
        self._tools = {tool.name: tool for tool in callable_tools(catalog, work.call.caller)}
        self._ids = itertools.count(1)

    def describe(self) -> Sequence[ToolDescription]:
        """The tools there are."""
        from polyport_sandbox import ToolDescription

        return [ToolDescription(name, tool.description, tool.tool.input) for name, tool in self._tools.items()]

    async def call(self, name: str, arguments: Mapping[str, Any]) -> Any:
        """Call one and return its JSON result.

        Raises:
            CallError: There is none, or it failed.
        """
        if name not in self._tools:
            raise NotFoundError(f"There is no tool {name[:80]!r}; polyport_tools.tools() lists them.")
        identity = f"code_{next(self._ids)}"
        self._work.report(ServerToolCall(identity, name, _json(dict(arguments))))
        try:
            value, text = await self._called(name, dict(arguments))
        except CallError as error:
            self._work.report(ServerToolResult(identity, name, error.message, error=True))
            raise
        self._work.report(ServerToolResult(identity, name, text))
        return value

    async def _called(self, name: str, arguments: dict[str, Any]) -> tuple[Any, str]:
        call = self._work.call.child(name, Arguments(arguments))
        call.ask = None  # a question would unwind the call, and the code with it
        result: Result | None = None
        async with aclosing(call.run()) as events:
            async for event in events:
                if isinstance(event, Result):
                    result = event
        if result is None:
            raise InternalServerError(f"{name!r} ended without a result.")
        return (result.text if result.value is None and result.content else result.value), result.text


class RunCodeWithTools(SandboxTool, SeenByCaller):
    """Runs Python that may call the gateway's tools.

    Args:
        service: The gateway's sandbox.
        catalog: What there is to call.
    """

    def __init__(self, service: SandboxService, catalog: Catalog) -> None:
        self._service = service
        self._catalog = catalog
        self._time_s = min(_TIMEOUT_S, float(service.plan.max_limits.get("wall_s", _TIMEOUT_S)))
        super().__init__(
            self.run_code_with_tools,
            name=RUN_CODE_WITH_TOOLS,
            description=describe_place(service, time_s=self._time_s),
            annotations=Annotations(title="Run code with tools", read_only=False, destructive=True, open_world=True),
        )

    def seen_by(self, caller: Caller) -> Capability:
        """Return it with the signatures of what this caller's code may call."""
        seen = copy.copy(self)
        seen.description = f"{self.description}\n\n{list_tools(callable_tools(self._catalog, caller))}"
        return seen

    async def run_code_with_tools(
        self,
        work: Work,
        code: str,
        files: FILES = None,
        timeout_s: float | None = None,
        memory_mb: int | None = None,
    ) -> CodeOutcome:
        """Run Python in an isolated sandbox, where it may call this server's tools as plain functions.

        Use it instead of many single tool calls: loop, filter and combine in code, and print only what matters.
        Import the tools from polyport_tools, such as `from polyport_tools import add`; call them with keyword
        arguments; each returns its JSON result, or raises polyport_tools.ToolError with the reason.
        polyport_tools.tools() lists them with their arguments. Each run is in a place of its own: sessions have
        no tools.

        Args:
            work: The call it serves.
            code: The whole program. The value of the last expression comes back too.
            files: Put into the working folder first.
            timeout_s: Seconds after which it is killed, the tools' time included.
            memory_mb: MiB that it may use.
        """
        if work.call.depth >= _MAX_DEPTH:
            raise BadRequestError(f"Code that calls tools may be started {_MAX_DEPTH} calls deep; this is deeper.")
        limits: dict[str, float] = {"wall_s": self._time_s if timeout_s is None else timeout_s}
        if memory_mb is not None:
            limits["memory_mb"] = memory_mb
        tools = GatewayTools(work, self._catalog)
        return await run_and_tell(
            self._service, CodeRun(code=code, files=file_bytes(files), limits=limits, tools=tools), work
        )


def callable_tools(catalog: Catalog, caller: Caller) -> list[Capability]:
    """Return what a caller's code may call: all that the caller may, but the sandbox itself."""
    return [
        capability
        for capability in catalog.listed(caller)
        if not isinstance(capability, SandboxTool) and capability.operations & {Operation.TOOL, Operation.CHAT}
    ]


def list_tools(capabilities: Sequence[Capability]) -> str:
    """Say in a line each what can be called; what would make the list too long is only counted."""
    if not capabilities:
        return "There is no tool that your code may call."
    lines, size = ["The tools that your code may call:"], 0
    for capability in capabilities:
        line = signature_line(capability)
        size += len(line)
        if size > _LONGEST_LIST:
            lines.append(f"… and {len(capabilities) - len(lines) + 1} more: polyport_tools.tools() lists them all.")
            break
        lines.append(line)
    return "\n".join(lines)


def signature_line(capability: Capability) -> str:
    """Write a tool as a line of Python: ``add(a: int, b: int = 1) -> int  # Add two integers.``.

    One whose name Python doesn't take is ``kb_search`` for ``kb.search``, or as a last way ``call("1st", …)``.
    """
    name = _NOT_IN_A_NAME.sub("_", capability.name)
    opening = f"{name}(" if name.isidentifier() and not keyword.iskeyword(name) else f'call("{capability.name}", '
    schema = capability.tool.input
    required = set(schema.get("required") or ())
    arguments = []
    for parameter, described in (schema.get("properties") or {}).items():
        text = f"{parameter}: {_type(described)}"
        if parameter not in required:
            known = isinstance(described, Mapping) and "default" in described
            text += f" = {described['default']!r}" if known else " = …"
        arguments.append(text)
    result = "" if capability.tool.output is None else f" -> {_type(capability.tool.output)}"
    summary = (capability.description or "").strip().partition("\n")[0]
    return f"{opening}{', '.join(arguments)}){result}" + (f"  # {summary}" if summary else "")


def _type(schema: Any) -> str:
    if not isinstance(schema, Mapping):
        return "Any"
    if "enum" in schema:
        return "|".join(repr(value) for value in schema["enum"])
    if options := schema.get("anyOf"):
        return "|".join(dict.fromkeys(_type(option) for option in options))
    kind = schema.get("type")
    if kind == "null":
        return "None"
    if kind == "array" and isinstance(schema.get("items"), Mapping):
        return f"list[{_type(schema['items'])}]"
    return _TYPES.get(str(kind), "dict" if "$ref" in schema else "Any")


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)
