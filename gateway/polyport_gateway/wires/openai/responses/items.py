"""Input items in full: as they are stored, listed, and read back into a conversation."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeAlias

from polyport.errors import BadRequestError, UnsupportedParameterError
from polyport.types.responses import (
    ApprovalResponseItem,
    CodeInterpreterCallInputItem,
    FileSearchCallInputItem,
    FunctionCallItem,
    FunctionCallOutputItem,
    InputItem,
    InputPart,
    ItemReference,
    MessageItem,
    OtherItem,
    ReasoningInputItem,
)
from polyport_gateway.wires.openai.responses.ids import ItemIds

__all__ = ["ItemBody", "complete_items"]

ItemBody: TypeAlias = dict[str, Any]
"""An item as JSON, with every member that OpenAI's description asks for."""

_PART_KINDS = frozenset({"input_text", "input_image", "input_file", "output_text", "refusal"})


async def complete_items(
    given: str | Sequence[InputItem], ids: ItemIds, lookup: Callable[[str], Awaitable[ItemBody]]
) -> list[ItemBody]:
    """Write out an input: short forms in full, ids given, references replaced by what they name.

    Args:
        given: The request's input.
        ids: Names those that have no id.
        lookup: Finds a stored item.

    Raises:
        UnsupportedParameterError: An item or a part is of a kind that the gateway doesn't know.
        NotFoundError: A reference names nothing that this caller stored.
    """
    if isinstance(given, str):
        return [_message(MessageItem(role="user", content=given), ids, "input")]
    bodies = []
    for position, item in enumerate(given):
        if isinstance(item, ItemReference):
            bodies.append(await lookup(item.id))
        else:
            bodies.append(_complete(item, ids, f"input.{position}"))
    return bodies


def _complete(item: InputItem, ids: ItemIds, where: str) -> ItemBody:
    match item:
        case MessageItem():
            return _message(item, ids, where)
        case FunctionCallItem():
            return {**_plain(item), "id": item.id or ids.new("fc"), "status": item.status or "completed"}
        case FunctionCallOutputItem():
            body = {**_plain(item), "id": item.id or ids.new("fco"), "status": item.status or "completed"}
            if not isinstance(item.output, str):
                body["output"] = [_part(part, f"{where}.output") for part in item.output]
            return body
        case ReasoningInputItem():
            body = {**_plain(item), "id": item.id or ids.new("rs")}
            body.setdefault("summary", [])
            return body
        case ApprovalResponseItem():
            # OpenAI's description requires request_id besides, without saying what it is.
            named = {"id": item.id or ids.new("mcprr"), "request_id": item.approval_request_id}
            return {**_plain(item), **named}
        case CodeInterpreterCallInputItem() | FileSearchCallInputItem():
            members = item.model_dump(exclude=set(item.unknown))
            return {**members, "status": item.status or "completed"}
        case OtherItem():
            raise UnsupportedParameterError(
                f"{where}: items of type {item.type!r} are not supported by this gateway.", param=where
            )
        case _:
            return _plain(item)


def _plain(item: InputItem) -> ItemBody:
    return item.model_dump(exclude_none=True)


def _message(item: MessageItem, ids: ItemIds, where: str) -> ItemBody:
    kind = "output_text" if item.role == "assistant" else "input_text"
    parts = [InputPart(type=kind, text=item.content)] if isinstance(item.content, str) else item.content
    return {
        **item.model_dump(exclude_none=True, exclude={"content"}),
        "type": "message",
        "id": item.id or ids.new("msg"),
        "status": item.status or "completed",
        "content": [_part(part, f"{where}.content.{position}") for position, part in enumerate(parts)],
    }


def _part(part: InputPart, where: str) -> ItemBody:
    if part.type not in _PART_KINDS:
        raise UnsupportedParameterError(
            f"{where}: content of type {part.type!r} is not supported by this gateway; "
            f"known are {', '.join(sorted(_PART_KINDS))}.",
            param=where,
        )
    body = part.model_dump(exclude_none=True)
    needed = {"input_text": "text", "output_text": "text", "refusal": "refusal"}.get(part.type)
    if needed is not None and getattr(part, needed) is None:
        raise BadRequestError(f"{where}: content of type {part.type!r} needs {needed!r}.", param=where)
    if part.type == "input_image":
        body.setdefault("detail", "auto")
    elif part.type == "output_text":
        body.setdefault("annotations", [])
        body.setdefault("logprobs", [])
    return body
