"""Calls of the code interpreter: their items while they are made, as they are kept, and as they are shown."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from polyport.events import ServerToolResult
from polyport.types.responses import CodeInterpreterCallItem, OutputItem
from polyport_gateway.agents.interpreter import CODE_INTERPRETER, CodeOutput, read_code
from polyport_gateway.wires.openai.responses.open_items import ItemEvents, OpenItem

__all__ = ["OUTPUTS", "OpenCodeCall", "answer_of", "as_function_call", "keep", "show", "show_item"]

OUTPUTS = "code_interpreter_call.outputs"
"""What ``include`` calls the outputs."""

_KEPT = "kept"
_NOT_KEPT = "[The output of this call was not kept.]"


class OpenCodeCall(OpenItem):
    """Code that the gateway runs.

    Args:
        id: The item's.
        container: The container in which it runs.
        arguments: The call's, as the model wrote them.
        outputs: Whether the caller asked for its outputs.
    """

    item: CodeInterpreterCallItem

    def __init__(self, id: str, *, container: str, arguments: str, outputs: bool) -> None:  # noqa: A002
        self.item = CodeInterpreterCallItem(id=id, container_id=container)
        self._outputs = outputs
        try:
            self._code = read_code(arguments)
        except ValueError:
            self._code = arguments

    def begin(self) -> ItemEvents:
        """Say that it runs, and what."""
        yield self._added()
        yield self._event("response.code_interpreter_call.in_progress")
        self.item.code = self._code
        yield self._event("response.code_interpreter_call_code.delta", delta=self._code)
        yield self._event("response.code_interpreter_call_code.done", code=self._code)
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

    def close(self, status: Any) -> ItemEvents:
        """End it without a result."""
        yield self._done("incomplete" if status == "completed" else status)


def keep(body: dict[str, Any], output: Collection[OutputItem]) -> dict[str, Any]:
    """Return a response as it is kept: with what later turns need of its calls and its caller is not shown."""
    items = [
        {**shown, _KEPT: item.kept} if isinstance(item, CodeInterpreterCallItem) and item.kept else shown
        for shown, item in zip(body["output"], output, strict=True)
    ]
    return {**body, "output": items}


def show(body: Mapping[str, Any], include: Collection[str] = ()) -> dict[str, Any]:
    """Return a response that was kept as its caller sees it."""
    return {**body, "output": [show_item(item, include) for item in body.get("output", ())]}


def show_item(item: Mapping[str, Any], include: Collection[str] = ()) -> dict[str, Any]:
    """Return an item that was kept as its caller sees it."""
    shown = dict(item)
    kept = shown.pop(_KEPT, None)
    if kept and OUTPUTS in include and shown.get("outputs") is None:
        shown["outputs"] = kept.get("outputs")
    return shown


def as_function_call(item: Mapping[str, Any]) -> dict[str, Any]:
    """Return the call as the model made it."""
    return {"name": CODE_INTERPRETER, "arguments": json.dumps({"code": item.get("code") or ""}, ensure_ascii=False)}


def answer_of(item: Mapping[str, Any]) -> str:
    """Return what the model was told, or as much of it as is known."""
    kept = item.get(_KEPT) or {}
    if isinstance(kept.get("told"), str):
        return str(kept["told"])
    return "\n".join(_texts(item.get("outputs") or ())) or _NOT_KEPT


def _texts(outputs: Collection[Mapping[str, Any]]) -> Iterator[str]:
    for output in outputs:
        if output.get("type") == "logs":
            yield str(output.get("logs", ""))
        elif output.get("type") == "image":
            yield "[A picture was shown to the user.]"
