"""OpenAI's chat and completion bodies as events; whole answers and chunks alike."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast, get_args

from polyport.content import Citation
from polyport.events import (
    CitationAdded,
    Event,
    Finish,
    FinishReason,
    ReasoningDelta,
    RefusalDelta,
    TextDelta,
    ToolCallDelta,
    Usage,
)

__all__ = ["AnswerReader", "finish_reason", "read_usage"]

_REASONS: frozenset[str] = frozenset(get_args(FinishReason))


def finish_reason(value: object) -> FinishReason:
    """Return a finish reason as OpenAI knows it; one that only this engine knows counts as ``stop``."""
    return cast("FinishReason", value) if value in _REASONS else "stop"


def read_usage(value: object) -> Usage | None:
    """Return a usage object's counts, or None where it is none."""
    if not isinstance(value, dict):
        return None
    prompt = _mapping(value.get("prompt_tokens_details"))
    completion = _mapping(value.get("completion_tokens_details"))
    return Usage(
        # Rerankers give a total alone.
        prompt_tokens=_count(value.get("prompt_tokens", value.get("total_tokens"))),
        completion_tokens=_count(value.get("completion_tokens")),
        cached_tokens=_count(prompt.get("cached_tokens")),
        reasoning_tokens=_count(completion.get("reasoning_tokens")),
    )


class AnswerReader:
    """Turns one answer, in one body or in chunks, into events.

    Tool calls get one index each and their id and name once, whatever the server repeats; every choice
    ends once; usage comes once, at the end.
    """

    def __init__(self) -> None:
        self._finished: dict[int, bool] = {}
        self._calls: dict[int, list[str | None]] = {}
        self._places: dict[int, dict[int, int]] = {}
        self._usage: Usage | None = None

    def read(self, body: Mapping[str, Any]) -> Iterator[Event]:
        """Yield what a body or a chunk holds.

        Raises:
            AttributeError, KeyError, TypeError, ValueError: It is not of the form that OpenAI describes.
        """
        usage = read_usage(body.get("usage"))
        if usage is not None:
            self._usage = usage
        for position, choice in enumerate(body.get("choices") or ()):
            index = choice.get("index", position)
            if not isinstance(index, int):
                raise TypeError(f"the index of a choice is {index!r}")
            finished = self._finished.setdefault(index, False)
            yield from self._choice(choice, index)
            reason = choice.get("finish_reason")
            if reason and not finished:
                self._finished[index] = True
                yield Finish(finish_reason(reason), index)

    def end(self) -> Iterator[Event]:
        """Yield what is left once the answer is whole.

        Raises:
            ValueError: There was no choice in it.
        """
        if not self._finished:
            raise ValueError("it has no choices")
        for index, finished in self._finished.items():
            if not finished:
                yield Finish("stop", index)
        if self._usage is not None:
            yield self._usage

    def _choice(self, choice: Mapping[str, Any], index: int) -> Iterator[Event]:
        logprobs = choice.get("logprobs")
        if "text" in choice:
            # The older endpoint's log-probabilities are one object per piece.
            if choice["text"] or logprobs:
                yield TextDelta(_text(choice["text"]), index, [logprobs] if logprobs else None)
            return
        message = choice.get("delta")
        if message is None:
            message = choice.get("message") or {}
        reasoning = message.get("reasoning_content") or message.get("reasoning")
        if reasoning and isinstance(reasoning, str):
            yield ReasoningDelta(reasoning, index)
        entries = _mapping(logprobs).get("content") or None
        if message.get("content") or entries:
            yield TextDelta(_text(message.get("content")), index, entries)
        if message.get("refusal"):
            yield RefusalDelta(_text(message["refusal"]), index)
        for citation in message.get("annotations") or ():
            yield from _citation(citation)
        for position, piece in enumerate(message.get("tool_calls") or ()):
            yield self._tool_call(piece, index, position if "delta" not in choice else None)
        legacy = message.get("function_call")
        if legacy:
            yield ToolCallDelta(0, None, legacy.get("name"), legacy.get("arguments") or "", index)

    def _tool_call(self, piece: Mapping[str, Any], choice: int, position: int | None) -> ToolCallDelta:
        identity = piece.get("id") or None
        given = piece.get("index")
        index = self._tool_index(given if isinstance(given, int) else position, identity, choice)
        first = index == len(self._calls.setdefault(choice, []))
        if first:
            self._calls[choice].append(identity)
        function = piece.get("function") or {}
        arguments = function.get("arguments") or ""
        if not isinstance(arguments, str):
            raise TypeError("the arguments of a tool call are not text")
        name = function.get("name") or None
        return ToolCallDelta(index, identity if first else None, name if first else None, arguments, choice)

    def _tool_index(self, given: int | None, identity: str | None, choice: int) -> int:
        """Return a call's position among its choice's calls.

        Servers differ: some leave the index out, some send 0 for each of several calls, some count
        pieces of text too. The id tells calls apart where there is one.
        """
        calls = self._calls.get(choice, [])
        places = self._places.setdefault(choice, {})
        index = places.get(given, len(calls)) if given is not None else max(0, len(calls) - 1)
        if identity is not None and index < len(calls) and calls[index] not in (None, identity):
            index = calls.index(identity) if identity in calls else len(calls)
        if given is not None:
            places[given] = index
        return index


def _citation(annotation: Mapping[str, Any]) -> Iterator[Event]:
    cited = annotation.get("url_citation")
    if isinstance(cited, Mapping):
        yield CitationAdded(
            Citation(
                title=str(cited.get("title") or cited.get("url") or ""),
                url=cited.get("url"),
                start=cited.get("start_index"),
                end=cited.get("end_index"),
            )
        )


def _text(value: object) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise TypeError(f"its text is {type(value).__name__}")
    return value


def _mapping(value: object) -> Mapping[str, Any]:
    # On the hot path, where asking for the abstract class costs more than the rest.
    return value if isinstance(value, dict) else {}


def _count(value: object) -> int:
    return value if isinstance(value, int) and value >= 0 else 0
