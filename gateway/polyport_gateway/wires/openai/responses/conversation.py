"""Items to chat messages: what was said, called and answered, over all turns of a conversation."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from polyport.errors import BadRequestError, UnsupportedParameterError
from polyport_gateway.wires.openai.responses import code_calls, search_calls
from polyport_gateway.wires.openai.responses.items import ItemBody

__all__ = ["Conversation"]

_NOT_MADE = "This call was not made: it was not approved."
_REFUSED = "The user refused this call."


@dataclass(slots=True)
class _Turn:
    """What the model said in one message, and what its calls gave."""

    text: list[str] = field(default_factory=list)
    refusal: list[str] = field(default_factory=list)
    calls: dict[str, ItemBody] = field(default_factory=dict)
    answers: dict[str, Any] = field(default_factory=dict)

    def messages(self) -> list[dict[str, Any]]:
        message: dict[str, Any] = {"role": "assistant", "content": "".join(self.text) or None}
        if self.refusal:
            message["refusal"] = "".join(self.refusal)
        if self.calls:
            message["tool_calls"] = [
                {
                    "id": id_,
                    "type": "function",
                    "function": {"name": call["name"], "arguments": call["arguments"] or "{}"},
                }
                for id_, call in self.calls.items()
            ]
        elif not self.refusal:
            message["content"] = "".join(self.text)
        answers = [
            {"role": "tool", "tool_call_id": id_, "content": self.answers[id_]}
            for id_ in self.calls
            if id_ in self.answers
        ]
        return [message, *answers]


class Conversation:
    """Gathers items, oldest first, and gives the messages of a chat.

    The model's reasoning is left out: chat completions don't take it back. A call that waits for approval
    stays unanswered if `server_names` has its tool, and is then left to the tool loop; `approved` tells the
    loop what the caller decided.

    Args:
        server_names: Tools of this gateway that the model may call in this turn.
    """

    def __init__(self, server_names: Iterable[str] = ()) -> None:
        self._server_names = frozenset(server_names)
        self._entries: list[_Turn | dict[str, Any]] = []
        self._turn_of: dict[str, _Turn] = {}
        self._waiting: dict[str, str] = {}
        self.listed: set[str] = set()
        self.approved: dict[str, bool] = {}

    @property
    def requested(self) -> frozenset[str]:
        """Ids of the approval requests that still wait."""
        return frozenset(self._waiting)

    def add(self, item: ItemBody) -> None:
        """Take the next item.

        Raises:
            BadRequestError: It answers a call that nobody made.
            UnsupportedParameterError: A chat can't carry it.
        """
        match item["type"]:
            case "message":
                self._message(item)
            case "function_call":
                self._open(item["call_id"], item)
            case "function_call_output":
                self._output(item)
            case "mcp_call":
                self._mcp_call(item)
            case "code_interpreter_call":
                self._made(item, code_calls.as_function_call(item), code_calls.answer_of(item))
            case "file_search_call":
                self._made(item, search_calls.as_function_call(item), search_calls.passages_of(item))
            case "mcp_approval_request":
                self._request(item)
            case "mcp_approval_response":
                self._decision(item)
            case "mcp_list_tools":
                self.listed.add(item["server_label"])
            case _:
                pass

    def messages(self) -> list[dict[str, Any]]:
        """Return the messages of the chat.

        Raises:
            BadRequestError: A call of the client's has no output, or an approval comes without its tool.
        """
        self._settle_waiting()
        found: list[dict[str, Any]] = []
        for entry in self._entries:
            if isinstance(entry, _Turn):
                self._check_answered(entry)
                found.extend(entry.messages())
            else:
                found.append(entry)
        return found

    def _message(self, item: ItemBody) -> None:
        if item["role"] != "assistant":
            self._entries.append({"role": item["role"], "content": _chat_content(item["content"])})
            return
        turn = self._turn(new=True)
        for part in item["content"]:
            if part["type"] == "refusal":
                turn.refusal.append(part["refusal"])
            elif part["type"] in ("output_text", "input_text"):
                turn.text.append(part["text"])
            else:
                raise UnsupportedParameterError(
                    f"An assistant's message can't hold content of type {part['type']!r}.", param="input"
                )

    def _last_turn(self) -> _Turn | None:
        last = self._entries[-1] if self._entries else None
        return last if isinstance(last, _Turn) else None

    def _turn(self, *, new: bool = False) -> _Turn:
        turn = self._last_turn()
        if turn is None or new:
            turn = _Turn()
            self._entries.append(turn)
        return turn

    def _open(self, id_: str, item: ItemBody) -> _Turn:
        known = self._turn_of.get(id_)
        if known is not None:
            return known
        last = self._last_turn()
        turn = self._turn(new=bool(last and last.answers))
        turn.calls[id_] = item
        self._turn_of[id_] = turn
        return turn

    def _made(self, item: ItemBody, call: ItemBody, answer: str) -> None:
        """Take a call that the gateway made, and its answer."""
        self._open(item["id"], call).answers[item["id"]] = answer

    def _output(self, item: ItemBody) -> None:
        id_ = item["call_id"]
        turn = self._turn_of.get(id_)
        if turn is None:
            raise BadRequestError(f"No tool call found for function call output with call_id {id_}.", param="input")
        output = item["output"]
        turn.answers[id_] = output if isinstance(output, str) else _chat_content(output)

    def _mcp_call(self, item: ItemBody) -> None:
        id_ = item.get("approval_request_id") or item["id"]
        self._waiting.pop(id_, None)
        self.approved.pop(id_, None)
        turn = self._open(id_, item)
        turn.answers[id_] = _mcp_answer(item)

    def _request(self, item: ItemBody) -> None:
        self._open(item["id"], item)
        self._waiting[item["id"]] = item["name"]

    def _decision(self, item: ItemBody) -> None:
        id_ = item["approval_request_id"]
        if id_ not in self._turn_of:
            raise BadRequestError(
                f"No approval request found for the approval response with approval_request_id {id_}; "
                "give previous_response_id, or the mcp_approval_request item itself.",
                param="input",
            )
        if id_ in self._waiting:
            self.approved[id_] = item["approve"]

    def _settle_waiting(self) -> None:
        for id_, name in self._waiting.items():
            if name in self._server_names:
                continue
            if self.approved.get(id_):
                raise BadRequestError(
                    f"The approved call of {name!r} can't be made: give its tool (type mcp) in tools again.",
                    param="tools",
                )
            refused = self.approved.pop(id_, None) is False
            self._turn_of[id_].answers[id_] = _REFUSED if refused else _NOT_MADE

    def _check_answered(self, turn: _Turn) -> None:
        for id_ in turn.calls:
            if id_ not in turn.answers and id_ not in self._waiting:
                raise BadRequestError(f"No tool output found for function call {id_}.", param="input")


def _mcp_answer(item: ItemBody) -> str:
    error = item.get("error")
    if error is None:
        return item.get("output") or ("This call was interrupted." if item.get("status") == "incomplete" else "")
    if isinstance(error, str):
        return error
    if isinstance(content := error.get("content"), list):
        return "\n".join(part.get("text", "") for part in content if isinstance(part, dict))
    return str(error.get("message") or json.dumps(error))


def _chat_content(parts: Iterable[Mapping[str, Any]]) -> str | list[dict[str, Any]]:
    """Return a message's parts as a chat has them; a single text as a string."""
    found = [_chat_part(part) for part in parts]
    if len(found) == 1 and found[0]["type"] == "text":
        text: str = found[0]["text"]
        return text
    return found


def _chat_part(part: Mapping[str, Any]) -> dict[str, Any]:
    match part["type"]:
        case "input_text" | "output_text":
            return {"type": "text", "text": part["text"]}
        case "input_image":
            return _image(part)
        case "input_file":
            return _file(part)
        case kind:
            raise UnsupportedParameterError(f"A message can't hold content of type {kind!r} here.", param="input")


def _image(part: Mapping[str, Any]) -> dict[str, Any]:
    url, file_id = part.get("image_url"), part.get("file_id")
    if url is None and file_id is None:
        raise UnsupportedParameterError(
            "input_image needs image_url (an address or a data URL), or the file_id of a file of yours.", param="input"
        )
    # A file's id is not the chat's to carry: `Attachments` puts the picture itself there.
    image = {"url": url} if url is not None else {"file_id": file_id}
    if part.get("detail", "auto") != "auto":
        image["detail"] = part["detail"]
    return {"type": "image_url", "image_url": image}


def _file(part: Mapping[str, Any]) -> dict[str, Any]:
    if part.get("file_url") is not None:
        raise UnsupportedParameterError("input_file by file_url is not supported; send file_data.", param="input")
    members = {key: part[key] for key in ("file_id", "filename", "file_data") if part.get(key) is not None}
    if "file_id" not in members and "file_data" not in members:
        raise BadRequestError("input_file needs file_data (in base64) or file_id.", param="input")
    return {"type": "file", "file": members}
