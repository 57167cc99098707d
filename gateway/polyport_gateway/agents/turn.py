"""What one turn of a model said."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from polyport.events import FinishReason, ToolCallDelta
from polyport_gateway.agents.tools import ToolRequest, ToolTable
from polyport_gateway.call import RequestTool

__all__ = ["OwnPiece", "Turn"]


@dataclass(slots=True)
class _Pending:
    """A tool call while its pieces arrive; `client_index` is its place among those the client makes.

    `given` counts the pieces that `Turn.own_piece` has given.
    """

    id: str
    name: str = ""
    pieces: list[str] = field(default_factory=list)
    client_index: int | None = None
    given: int = 0


@dataclass(frozen=True, slots=True)
class OwnPiece:
    """A piece of a call of a request's own tool; `place` is the call's among the gateway's of this turn."""

    tool: RequestTool
    id: str
    arguments: str
    place: int


class Turn:
    """Gathers a turn; pieces of calls that the client makes are given back at once, to be sent on."""

    def __init__(self, table: ToolTable) -> None:
        self.text: list[str] = []
        self.reason: FinishReason = "stop"
        self._table = table
        self._pending: dict[int, _Pending] = {}
        self._client_calls = 0

    def add(self, delta: ToolCallDelta) -> Iterator[ToolCallDelta]:
        """Take a piece of a tool call; yield it if it is the client's, numbered among the client's."""
        pending = self._pending.get(delta.index)
        if pending is None:
            pending = self._pending[delta.index] = _Pending(delta.id or f"call_{uuid.uuid4().hex[:24]}")
        if delta.name and not pending.name:
            pending.name = delta.name
        pending.pieces.append(delta.arguments)
        if pending.client_index is not None:
            yield ToolCallDelta(index=pending.client_index, arguments=delta.arguments)
        elif self._table.is_client(pending.name):
            pending.client_index = self._client_calls
            self._client_calls += 1
            yield ToolCallDelta(
                index=pending.client_index, id=pending.id, name=pending.name, arguments="".join(pending.pieces)
            )

    def own_piece(self, delta: ToolCallDelta) -> OwnPiece | None:
        """Return what has come, with a piece that was taken, of a call of the request's own tool."""
        pending = self._pending[delta.index]
        tool = self._table.own(self._table.resolve(pending.name))
        if tool is None:
            return None
        text, pending.given = "".join(pending.pieces[pending.given :]), len(pending.pieces)
        ours = [index for index, call in self._pending.items() if call.client_index is None]
        return OwnPiece(tool, pending.id, text, sum(index < delta.index for index in ours))

    @property
    def has_client_calls(self) -> bool:
        """Whether the client has calls to make before the conversation can go on."""
        return self._client_calls > 0

    @property
    def requests(self) -> list[ToolRequest]:
        """The calls left to the gateway, in the model's order."""
        return [
            ToolRequest(pending.id, self._table.resolve(pending.name), "".join(pending.pieces))
            for _, pending in sorted(self._pending.items())
            if pending.client_index is None
        ]

    def message(self) -> dict[str, Any]:
        """Return the turn as the message that later turns see."""
        calls = [
            {
                "id": pending.id,
                "type": "function",
                "function": {"name": pending.name, "arguments": "".join(pending.pieces) or "{}"},
            }
            for _, pending in sorted(self._pending.items())
        ]
        return {"role": "assistant", "content": "".join(self.text) or None, "tool_calls": calls}
