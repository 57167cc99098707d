"""A request's code interpreter: which container it runs in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from polyport.errors import NotFoundError, UnsupportedOperationError
from polyport.types.responses import CodeInterpreterTool
from polyport_gateway.agents.interpreter import CodeInterpreter
from polyport_gateway.call import Caller
from polyport_gateway.sandboxes.containers import ContainerFile, Containers
from polyport_gateway.wires.openai.container_forms import read_spec

if TYPE_CHECKING:
    from polyport_sandbox.session import Session

__all__ = ["Interpreter", "plan_interpreter"]


@dataclass(frozen=True, slots=True)
class Interpreter:
    """A request's code interpreter.

    Attributes:
        tool: For the model.
        files: What the code has written in earlier turns, to be cited where the model names it.
    """

    tool: CodeInterpreter
    files: tuple[ContainerFile, ...] = ()


async def plan_interpreter(
    asked: CodeInterpreterTool,
    where: str,
    earlier: Iterable[Mapping[str, Any]],
    containers: Containers | None,
    caller: Caller,
) -> Interpreter:
    """Find the container that a request names, or the one of the turns before it.

    Args:
        asked: The tool as it was given.
        where: Its place in the request.
        earlier: The conversation's items so far, oldest first.
        containers: Where containers are; None for a gateway without a sandbox.
        caller: Who asks.

    Raises:
        UnsupportedOperationError: This gateway has no sandbox.
        NotFoundError: The caller may not run code, or has no such container.
        BadRequestError: A container of its own can't be given as asked.
        SandboxUnavailableError: The sandbox can't be opened.
    """
    if containers is None:
        raise UnsupportedOperationError(
            "This gateway has no sandbox for the code_interpreter to run in.", code="sandbox_disabled", param=where
        )
    await containers.check(caller, param=where)
    if isinstance(asked.container, str):
        session = await containers.running(asked.container, caller)
        return await _in(session, containers, caller)
    spec = read_spec(asked.container, f"{where}.container.")
    containers.check_spec(spec, f"{where}.container.")
    brought = await containers.brought(spec, caller, f"{where}.container.")
    used = [str(item["container_id"]) for item in earlier if item.get("type") == "code_interpreter_call"]
    last = await _still_there(used[-1], containers, caller) if used else None
    if last is not None and containers.matches(last, spec):
        await containers.bring(last, brought)
        return await _in(last, containers, caller, spec=spec)
    expected = [
        ContainerFile("", "", name, file.bytes, file.created_at // 1000, "user") for name, file in brought.items()
    ]
    return Interpreter(CodeInterpreter(containers, caller, spec=spec, files=expected, renewed=bool(used)))


async def _still_there(container_id: str, containers: Containers, caller: Caller) -> Session | None:
    try:
        return await containers.running(container_id, caller)
    except NotFoundError:
        return None


async def _in(session: Session, containers: Containers, caller: Caller, **options: Any) -> Interpreter:
    files: Sequence[ContainerFile] = await containers.files(session)
    written = tuple(file for file in files if file.source == "assistant")
    return Interpreter(CodeInterpreter(containers, caller, session=session, files=files, **options), written)
