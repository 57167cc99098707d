"""``@app.function(sandboxed=True)``: a registered function whose every call runs in a place of its own."""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
from collections.abc import AsyncGenerator
from contextlib import aclosing
from importlib.resources import files as package_files
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError
from pydantic_core import to_jsonable_python

from polyport.annotations import resolve_annotation
from polyport.declarations import FunctionDeclaration
from polyport.errors import (
    CallError,
    ConfigurationError,
    DeadlineExceededError,
    DeclarationError,
    FunctionError,
    InternalServerError,
    InvalidOutputError,
)
from polyport.events import Finish
from polyport.sandboxed import check_plain
from polyport_gateway.call import Arguments, Call, CallEvent, CodeEvent, CodeRun
from polyport_gateway.catalog.event_queue import EventQueue, merge_events
from polyport_gateway.errors import invalid_arguments
from polyport_gateway.functions.function import FunctionCapability
from polyport_gateway.sandboxes.progress import OutputReporter
from polyport_gateway.sandboxes.service import RUN_CODE, SandboxService

if TYPE_CHECKING:
    from polyport_sandbox import Limits, RunResult

__all__ = ["SandboxedFunction"]

_log = logging.getLogger("polyport.functions")

_HARNESS = "function_harness.py"


class SandboxedFunction(FunctionCapability):
    """A function under a name, run in the sandbox: what it works on may be anybody's.

    Each call is a run of `run_code`, which the declaration opens to every caller who may use the function. What it
    prints is told as progress.

    Args:
        declaration: What was registered.
        service: The gateway's sandbox.
        expose_errors: Whether callers see the message of any exception.

    Raises:
        ConfigurationError: The gateway has no sandbox; it is never run outside one.
        DeclarationError: It takes a context, or what is no plain JSON; or wants what the sandbox doesn't give.
    """

    def __init__(
        self, declaration: FunctionDeclaration, service: SandboxService | None, *, expose_errors: bool = False
    ) -> None:
        super().__init__(declaration, expose_errors=expose_errors)
        assert declaration.sandboxed is not None  # noqa: S101 - chosen by it
        if service is None or not service.enabled:
            raise ConfigurationError(
                f"function {self.name!r} is sandboxed and this gateway has no sandbox; "
                'declare one with app.sandbox("docker"), or set POLYPORT_SANDBOX=docker'
            )
        if self.signature.context_parameter is not None:
            raise DeclarationError(
                f"function {self.name!r} takes the context, which a sandbox doesn't have; leave the parameter out"
            )
        check_plain(self._function, _hints(self._function))
        self._sandboxed = declaration.sandboxed
        self._limits = self._checked(service)
        self._program = package_files(__package__).joinpath(_HARNESS).read_bytes()

    def _checked(self, service: SandboxService) -> Limits:
        try:
            service.hosts(self._sandboxed.allow_hosts)
            return service.limits(self._sandboxed.limits)
        except CallError as error:
            raise DeclarationError(f"function {self.name!r} can't be sandboxed so: {error.message}") from error

    async def invoke(self, call: Call) -> AsyncGenerator[CallEvent, None]:
        """Validate the arguments, run the function in the sandbox and give its `Result`."""
        assert isinstance(call.input, Arguments)  # noqa: S101 - adapted by the dispatcher
        self._extra.check(call.input.values)
        try:
            values = self.signature.validate(call.input.values)
        except ValidationError as error:
            raise invalid_arguments(self.name, error) from error
        answer = f"answer-{secrets.token_hex(16)}.json"
        queue = EventQueue()
        task = asyncio.ensure_future(self._in_sandbox(call, values, answer, queue))
        async with aclosing(merge_events(queue, task)) as events:
            async for event in events:
                yield event
        yield self._result(call, self._returned(call, task.result(), answer))
        yield Finish()

    async def _in_sandbox(self, call: Call, values: dict[str, Any], answer: str, queue: EventQueue) -> RunResult:
        from polyport_sandbox import EndEvent, OutputEvent

        run = CodeRun(
            code=self._program,
            files=self._sandboxed.files,
            stdin=self._asked(values, answer),
            limits=self._limits,
            allow_hosts=self._sandboxed.allow_hosts,
        )
        child = call.child(RUN_CODE, run, granted=frozenset({RUN_CODE}))
        reporter = OutputReporter(queue.report)
        try:
            async with aclosing(child.run()) as events:
                async for event in events:
                    match event:
                        case CodeEvent(event=OutputEvent() as output):
                            reporter.add(output.type, output.data)
                        case CodeEvent(event=EndEvent() as end):
                            return end.result
        finally:
            reporter.close()
        raise InternalServerError("The run ended without a result.")

    def _asked(self, values: dict[str, Any], answer: str) -> bytes:
        positional, named = self.signature.bind(to_jsonable_python(values))
        return json.dumps(
            {
                "source": self._sandboxed.source,
                "function": self._function.__name__,
                "positional": positional,
                "named": named,
                "answer": answer,
            }
        ).encode()

    def _returned(self, call: Call, result: RunResult, answer: str) -> Any:
        """Return what the function returned, or raise what became of it."""
        written = result.files.get(answer)
        if written is None or result.status != "ok":
            raise self._ended(call, result)
        try:
            told = json.loads(written)
        except ValueError as error:
            raise self._ended(call, result) from error
        if "value" in told:
            return told["value"]
        if "unsendable" in told:
            raise InvalidOutputError(
                f"Function {self.name!r} returned a value of type {told['unsendable']}, which can't be sent as JSON."
            )
        if told.get("meant"):
            raise FunctionError(str(told.get("message")))
        raised = str(told.get("raised"))
        _log.error("sandboxed function %r raised %s in line %s of its source", self.name, raised, told.get("line"),
                   extra={"request_id": call.request_id})  # fmt: skip
        if self._expose_errors:
            raise FunctionError(f"Function {self.name!r} raised {raised}: {told.get('message')}")
        raise FunctionError(
            f"Function {self.name!r} raised {raised}; the gateway's log says more under this request's id."
        )

    def _ended(self, call: Call, result: RunResult) -> CallError:
        _log.error("sandboxed function %r ended as %s (exit code %s)", self.name, result.status, result.exit_code,
                   extra={"request_id": call.request_id})  # fmt: skip
        limits = self._limits
        match result.status:
            case "timeout":
                return DeadlineExceededError(
                    f"Function {self.name!r} was still running after {limits.wall_s:g} s, its limit in the sandbox, "
                    "and was ended."
                )
            case "out_of_memory":
                return FunctionError(f"Function {self.name!r} needed more than its {limits.memory_mb} MiB of memory.")
            case "output_limit":
                return FunctionError(f"Function {self.name!r} printed more than its {limits.output_bytes} bytes.")
            case "sandbox_error":
                return InternalServerError(f"The sandbox of function {self.name!r} failed; try again.")
            case _:
                code = "" if result.exit_code is None else f" (exit code {result.exit_code})"
                return FunctionError(f"Function {self.name!r} ended without returning{code}.")


def _hints(function: Any) -> dict[str, Any]:
    return {name: resolve_annotation(hint, function) for name, hint in function.__annotations__.items()}
