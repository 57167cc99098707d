"""Calls of the code interpreter: their items while they are made, and what later turns see of them."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from pydantic_core import from_json

from polyport.events import ServerToolResult
from polyport.types.responses import CodeInterpreterCallItem
from polyport_gateway.agents.interpreter import CODE_INTERPRETER, CodeOutput, read_code
from polyport_gateway.wires.openai.responses.kept import kept_of
from polyport_gateway.wires.openai.responses.open_items import ItemEvents, OpenItem

__all__ = ["OpenCodeCall", "answer_of", "as_function_call"]

_LOOKS = 32
_NOT_RUN = "[This code was not run to its end.]"
_NOT_KEPT = "[The output of this call was not kept.]"


class OpenCodeCall(OpenItem):
    """Code that the gateway runs.

    Args:
        id: The item's.
        container: The container in which it runs.
        outputs: Whether the caller asked for its outputs.
    """

    item: CodeInterpreterCallItem

    def __init__(self, id: str, *, container: str, outputs: bool) -> None:  # noqa: A002
        self.item = CodeInterpreterCallItem(id=id, container_id=container)
        self._outputs = outputs
        self._arguments: list[str] = []
        self._length = self._read_at = 0
        self._told = ""
        self._whole = False

    def delta(self, arguments: str) -> ItemEvents:
        """Take a piece of the arguments, and give the code that is new in them."""
        if self.index is None:
            yield self._added()
            yield self._event("response.code_interpreter_call.in_progress")
        self._arguments.append(arguments)
        self._length += len(arguments)
        # Each look reads all from the start: ever rarer, so that long code costs no more than a few times its length.
        if self._length - self._read_at <= self._length // _LOOKS:
            return
        self._read_at = self._length
        yield from self._tell(_code_so_far("".join(self._arguments)))

    def begin(self, arguments: str, container: str) -> ItemEvents:
        """Say that it runs, and what.

        Args:
            arguments: The call's, whole.
            container: Where it runs; another than was thought if that one was lost meanwhile.
        """
        if self.index is None:
            yield from self.delta("")
        self.item.container_id = container
        try:
            code = read_code(arguments)
        except ValueError:
            code = arguments
        yield from self._tell(code)
        self.item.code, self._whole = code, True
        yield self._event("response.code_interpreter_call_code.done", code=code)
        self.item.status = "interpreting"
        yield self._event("response.code_interpreter_call.interpreting")

    def result(self, event: ServerToolResult) -> ItemEvents:
        """Say what it gave."""
        given = event.value if isinstance(event.value, CodeOutput) else None
        outputs = [dict(output) for output in given.outputs] if given else [{"type": "logs", "logs": event.output}]
        # What is only kept for later turns need not hold pictures, which the model does not see again.
        logs = [output for output in outputs if output["type"] == "logs"]
        self.item.outputs = outputs if self._outputs else None
        self.item.keep({"told": event.output, "outputs": None if self._outputs else logs})
        if not event.error:
            yield self._event("response.code_interpreter_call.completed")
        yield self._done("failed" if event.error else "completed")

    def _tell(self, code: str) -> ItemEvents:
        if len(code) > len(self._told) and code.startswith(self._told):
            new, self._told = code[len(self._told) :], code
            yield self._event("response.code_interpreter_call_code.delta", delta=new)

    def settle(self) -> None:
        """Write the code so far into the item."""
        if not self._whole and self._told:
            self.item.code = self._told

    def close(self, status: Any) -> ItemEvents:
        """End it without a result."""
        self.settle()
        yield self._done("incomplete" if status == "completed" else status)


def _code_so_far(arguments: str) -> str:
    """Return the code in arguments of which the end is still to come; nothing where they are no JSON object."""
    if not arguments.lstrip().startswith("{"):
        return ""
    try:
        values = from_json(arguments, allow_partial="trailing-strings")
    except ValueError:
        return ""
    code = values.get("code") if isinstance(values, dict) else None
    return code if isinstance(code, str) else ""


def as_function_call(item: Mapping[str, Any]) -> dict[str, Any]:
    """Return the call as the model made it."""
    return {"name": CODE_INTERPRETER, "arguments": json.dumps({"code": item.get("code") or ""}, ensure_ascii=False)}


def answer_of(item: Mapping[str, Any]) -> str:
    """Return what the model was told, or as much of it as is known."""
    kept = kept_of(item)
    if item.get("status") == "incomplete":
        return _NOT_RUN
    if isinstance(kept.get("told"), str):
        return str(kept["told"])
    return "\n".join(_texts(item.get("outputs") or ())) or _NOT_KEPT


def _texts(outputs: Collection[Mapping[str, Any]]) -> Iterator[str]:
    for output in outputs:
        if output.get("type") == "logs":
            yield str(output.get("logs", ""))
        elif output.get("type") == "image":
            yield "[A picture was shown to the user.]"
