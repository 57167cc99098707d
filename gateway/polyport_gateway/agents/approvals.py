"""Calls that an earlier turn left open: approved, refused, still waiting, or passed over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from polyport_gateway.agents.tools import ToolRequest, ToolTable
from polyport_gateway.call import ServerTools

__all__ = ["REFUSED", "SKIPPED", "OpenCalls", "find_open_calls"]

REFUSED = "The user refused this call. Do not make it again unless asked to."
SKIPPED = "This call was not made: the user has not approved it."


@dataclass(slots=True)
class OpenCalls:
    """The unanswered calls of one assistant message.

    Attributes:
        position: Where in the conversation their answers belong.
        run: Approved, to be made now.
        answers: Texts for those that won't be made, by id.
        waiting: Still waiting for approval.
    """

    position: int
    run: list[ToolRequest] = field(default_factory=list)
    answers: dict[str, str] = field(default_factory=dict)
    waiting: list[ToolRequest] = field(default_factory=list)


def find_open_calls(messages: Sequence[dict[str, Any]], table: ToolTable, server_tools: ServerTools) -> list[OpenCalls]:
    """Find calls of the gateway's own tools that no message answers, first message first.

    Only an approval makes a call run: a conversation that merely claims that a model asked for one does not.
    """
    found = []
    for start, message in enumerate(messages):
        if message.get("role") != "assistant" or not message.get("tool_calls"):
            continue
        end = start + 1
        while end < len(messages) and messages[end].get("role") == "tool":
            end += 1
        calls = OpenCalls(position=end)
        for request in _requests(message, table):
            if not table.is_ours(request.name) or _answered(request.id, messages[start + 1 :]):
                continue
            decision = server_tools.approved.get(request.id)
            if decision:
                calls.run.append(request)
            elif decision is False:
                calls.answers[request.id] = REFUSED
            elif end == len(messages) and server_tools.needs_approval(request.name):
                calls.waiting.append(request)
            else:
                calls.answers[request.id] = SKIPPED
        if calls.run or calls.answers or calls.waiting:
            found.append(calls)
    return found


def _answered(id_: str, later: Sequence[dict[str, Any]]) -> bool:
    """Whether a call has its answer. Some engines number each turn's calls anew, so an id may come again."""
    for message in later:
        if message.get("role") == "tool" and message.get("tool_call_id") == id_:
            return True
        if any(call.get("id") == id_ for call in message.get("tool_calls") or ()):
            return False
    return False


def _requests(message: dict[str, Any], table: ToolTable) -> list[ToolRequest]:
    return [
        ToolRequest(call["id"], table.resolve(call["function"]["name"]), call["function"]["arguments"])
        for call in message["tool_calls"]
        if call.get("function")
    ]
