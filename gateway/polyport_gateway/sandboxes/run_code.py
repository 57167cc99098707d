"""`run_code`: the capability through which all code runs, whichever wire it came in on."""

from __future__ import annotations

import base64
import binascii
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, ConfigDict, Field

from polyport.declarations import Annotations
from polyport.errors import InvalidArgumentsError
from polyport.events import Finish, Result
from polyport.types.sandbox import CodeOutcome
from polyport_gateway.call import Call, CallEvent, CodeEvent, CodeRun, Operation, SandboxWork
from polyport_gateway.functions.tool import Work
from polyport_gateway.sandboxes.outcome import make_outcome, outcome_content, outcome_text
from polyport_gateway.sandboxes.plan import SandboxPlan
from polyport_gateway.sandboxes.progress import OutputReporter
from polyport_gateway.sandboxes.service import RUN_CODE, SandboxService
from polyport_gateway.sandboxes.tool import SandboxTool

if TYPE_CHECKING:
    from polyport_sandbox import RunResult

__all__ = ["FILES", "FileContent", "RunCode", "file_bytes", "run_and_tell"]

ANNOTATIONS = Annotations(title="Run code", read_only=False, destructive=False, idempotent=False, open_world=False)


class FileContent(BaseModel):
    """A file that is not text."""

    model_config = ConfigDict(extra="forbid")

    base64: str = Field(description="Its bytes in base64.")


FILES = Annotated[
    dict[str, str | FileContent] | None,
    Field(description='Content by file name: text, or {"base64": "…"} for what is not text.'),
]


def file_bytes(files: Mapping[str, str | FileContent] | None) -> dict[str, bytes]:
    """Return files as bytes.

    Raises:
        InvalidArgumentsError: One is no base64, or no Unicode.
    """
    found: dict[str, bytes] = {}
    for name, content in (files or {}).items():
        try:
            found[name] = (
                content.encode() if isinstance(content, str) else base64.b64decode(content.base64, validate=True)
            )
        except (ValueError, binascii.Error) as error:
            raise InvalidArgumentsError(f"the file {name[:80]!r} can't be read: {error}", param="files") from error
    return found


class RunCode(SandboxTool):
    """Runs code for every wire: as a tool (`Arguments`), and as it is (`CodeRun`).

    Whoever may run code may do all else in the sandbox too, and so that comes in under its name (`SandboxWork`).

    Args:
        service: The gateway's sandbox.
    """

    operations = frozenset({Operation.TOOL, Operation.CODE, Operation.SANDBOX})

    def __init__(self, service: SandboxService) -> None:
        self._service = service
        super().__init__(
            self.run_code,
            name=RUN_CODE,
            description=describe_place(service, languages=service.languages),
            annotations=ANNOTATIONS,
            choices={"language": service.languages},
        )

    async def invoke(self, call: Call) -> AsyncGenerator[CallEvent, None]:
        """Run the code; a `CodeRun` is answered with `CodeEvent`."""
        if isinstance(call.input, SandboxWork):
            yield Result(await call.input.do(), "")
            yield Finish()
            return
        if not isinstance(call.input, CodeRun):
            async with aclosing(super().invoke(call)) as told:
                async for event in told:
                    yield event
            return
        async with aclosing(self._service.stream(call.input, call.caller)) as events:
            async for given in events:
                yield CodeEvent(given)
        yield Finish()

    async def run_code(
        self,
        work: Work,
        code: str,
        language: str = "python",
        session: str | None = None,
        files: FILES = None,
        stdin: str = "",
        timeout_s: float | None = None,
        memory_mb: int | None = None,
        allow_hosts: list[str] | None = None,
    ) -> CodeOutcome:
        """Run code in an isolated sandbox and return what it wrote, its last expression's value, pictures and files.

        Args:
            work: The call it serves.
            code: The whole program. In Python the value of the last expression comes back too.
            language: What it is written in.
            session: The id of a session from create_code_session, in which variables and files live on; without one
                the code runs in a fresh place that is gone afterwards.
            files: Put into the working folder first.
            stdin: What the program can read from its standard input.
            timeout_s: Seconds after which it is killed.
            memory_mb: MiB that it may use; in a session the session's own hold.
            allow_hosts: Hosts that it needs to reach; only those that this server allows. In a session the session's
                own hold.
        """
        run = CodeRun(
            code=code,
            language=language,
            files=file_bytes(files),
            stdin=stdin.encode(),
            limits=_limits(session, timeout_s, memory_mb),
            allow_hosts=tuple(allow_hosts or ()),
            session=session,
        )
        return await run_and_tell(self._service, run, work)


def _limits(session: str | None, timeout_s: float | None, memory_mb: int | None) -> dict[str, float] | None:
    if session is not None and memory_mb is not None:
        raise InvalidArgumentsError(
            "memory_mb is the session's own, chosen when it was created; leave it out", param="memory_mb"
        )
    asked = {"wall_s": timeout_s, "memory_mb": memory_mb}
    return {name: value for name, value in asked.items() if value is not None} or None


async def run_and_tell(service: SandboxService, run: CodeRun, work: Work) -> CodeOutcome:
    """Run code, report its output as progress, and tell its result."""
    from polyport_sandbox import EndEvent, OutputEvent, SandboxError

    result: RunResult | None = None
    reporter = OutputReporter(work.report)
    try:
        async with aclosing(service.stream(run, work.call.caller)) as events:
            async for event in events:
                if isinstance(event, OutputEvent):
                    reporter.add(event.type, event.data)
                elif isinstance(event, EndEvent):
                    result = event.result
    finally:
        reporter.close()
    if result is None:
        raise SandboxError("The run ended without a result.")
    outcome = make_outcome(result, session=run.session)
    work.text = outcome_text(outcome)
    work.content = outcome_content(work.text, result)
    return outcome


def describe_place(service: SandboxService, *, languages: Sequence[str] = (), time_s: float | None = None) -> str:
    """Say what code finds where it runs."""
    plan = service.plan
    network = f"only to {', '.join(plan.allow_hosts)}, when asked for with allow_hosts" if plan.allow_hosts else "none"
    time = time_s or plan.limits.get("wall_s", 10)
    memory = plan.limits.get("memory_mb", 256)
    most_time, most_memory = plan.max_limits.get("wall_s", time), plan.max_limits.get("memory_mb", memory)
    spoken = f"Languages: {', '.join(languages)}. " if languages else ""
    return (
        f"{spoken}The working folder is /work: files given arrive there, and files left there come back. "
        f"Python has {_libraries(plan)}. "
        f"Network: {network}. Limits: {time:g} s and {memory:g} MiB unless asked otherwise, at most {most_time:g} s "
        f"and {most_memory:g} MiB. Print what you want to see."
    )


def _libraries(plan: SandboxPlan) -> str:
    from polyport_sandbox.images.recipe import DATA_IMAGE, RECIPES

    if plan.provider == "docker" and plan.options.get("image") == DATA_IMAGE:
        return f"its standard library, {', '.join(RECIPES['data'].python)}; nothing can be installed"
    return "its standard library and what the image adds; try an import to see"
