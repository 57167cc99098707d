"""A stored response as the stream that would have made it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["replay"]

_Event = dict[str, Any]


def replay(body: Mapping[str, Any], *, after: int = -1) -> Iterator[_Event]:
    """Give the events of a finished response, each text in one piece, numbered from 0.

    The numbers are not those of the stream that made it, whose pieces were finer. So the last event is given
    whatever `after` says: a reader that saw more of the original still learns how it ended.

    Args:
        body: The response object.
        after: The last number that the reader has seen.
    """
    begun = {**body, "status": "in_progress", "output": [], "completed_at": None, "error": None}
    begun["incomplete_details"] = None
    events: list[_Event] = [
        {"type": "response.created", "response": begun},
        {"type": "response.in_progress", "response": begun},
    ]
    for index, item in enumerate(body.get("output", ())):
        events += _item(index, item)
    status = body["status"]
    if status in ("completed", "incomplete", "failed"):
        events.append({"type": f"response.{status}", "response": dict(body)})
    last = len(events) - 1
    for number, event in enumerate(events):
        if number > after:
            yield _numbered(event, number)
        elif number == last:
            yield _numbered(event, after + 1)


def _numbered(event: _Event, number: int) -> _Event:
    return {"type": event["type"], "sequence_number": number, **event}


def _item(index: int, item: Mapping[str, Any]) -> Iterator[_Event]:
    empty = {**item}
    if "status" in item:
        empty["status"] = "in_progress"
    where = {"output_index": index, "item_id": item["id"]}
    inner: list[_Event] = []
    match item["type"]:
        case "message":
            empty["content"] = []
            for position, part in enumerate(item["content"]):
                inner += _part({**where, "content_index": position}, part)
        case "reasoning":
            empty |= {"content": [], "summary": []}
            inner += _reasoning(where, item)
        case "function_call":
            empty["arguments"] = ""
            inner += _arguments("function_call_arguments", where, item, name=item["name"])
        case "mcp_call":
            empty |= {"arguments": "", "output": None, "error": None}
            ended = "failed" if item.get("error") else "completed"
            inner.append({"type": "response.mcp_call.in_progress", **where})
            inner += _arguments("mcp_call_arguments", where, item)
            inner.append({"type": f"response.mcp_call.{ended}", **where})
        case "code_interpreter_call":
            empty |= {"code": None, "outputs": None}
            inner += _code(where, item)
        case "file_search_call":
            empty |= {"queries": [], "results": None}
            inner += _search(where, item)
        case "mcp_list_tools":
            empty["tools"] = []
            inner += [{"type": f"response.mcp_list_tools.{state}", **where} for state in ("in_progress", "completed")]
    yield {"type": "response.output_item.added", "output_index": index, "item": empty}
    yield from inner
    yield {"type": "response.output_item.done", "output_index": index, "item": dict(item)}


def _code(where: _Event, item: Mapping[str, Any]) -> Iterator[_Event]:
    code = item.get("code") or ""
    yield {"type": "response.code_interpreter_call.in_progress", **where}
    yield {"type": "response.code_interpreter_call_code.delta", **where, "delta": code}
    yield {"type": "response.code_interpreter_call_code.done", **where, "code": code}
    yield {"type": "response.code_interpreter_call.interpreting", **where}
    if item["status"] == "completed":
        yield {"type": "response.code_interpreter_call.completed", **where}


def _search(where: _Event, item: Mapping[str, Any]) -> Iterator[_Event]:
    for state in ("in_progress", "searching", *(["completed"] if item["status"] == "completed" else [])):
        yield {"type": f"response.file_search_call.{state}", **where}


def _part(where: _Event, part: Mapping[str, Any]) -> Iterator[_Event]:
    if part["type"] == "refusal":
        yield {"type": "response.content_part.added", **where, "part": {**part, "refusal": ""}}
        yield {"type": "response.refusal.delta", **where, "delta": part["refusal"]}
        yield {"type": "response.refusal.done", **where, "refusal": part["refusal"]}
    else:
        text = {"logprobs": part["logprobs"]}
        yield {
            "type": "response.content_part.added",
            **where,
            "part": {**part, "text": "", "annotations": [], "logprobs": []},
        }
        yield {"type": "response.output_text.delta", **where, "delta": part["text"], **text}
        for position, annotation in enumerate(part["annotations"]):
            yield {
                "type": "response.output_text.annotation.added",
                **where,
                "annotation_index": position,
                "annotation": annotation,
            }
        yield {"type": "response.output_text.done", **where, "text": part["text"], **text}
    yield {"type": "response.content_part.done", **where, "part": dict(part)}


def _reasoning(where: _Event, item: Mapping[str, Any]) -> Iterator[_Event]:
    forms = (
        ("content", "content_index", "content_part", "reasoning_text"),
        ("summary", "summary_index", "reasoning_summary_part", "reasoning_summary_text"),
    )
    for member, index, whole, text in forms:
        for position, part in enumerate(item.get(member) or ()):
            here = {**where, index: position}
            yield {"type": f"response.{whole}.added", **here, "part": {**part, "text": ""}}
            yield {"type": f"response.{text}.delta", **here, "delta": part["text"]}
            yield {"type": f"response.{text}.done", **here, "text": part["text"]}
            yield {"type": f"response.{whole}.done", **here, "part": dict(part)}


def _arguments(kind: str, where: _Event, item: Mapping[str, Any], **more: Any) -> Iterator[_Event]:
    yield {"type": f"response.{kind}.delta", **where, "delta": item["arguments"]}
    yield {"type": f"response.{kind}.done", **where, "arguments": item["arguments"], **more}
