"""A limit on the length of an answer, for what can't limit itself."""

from __future__ import annotations

from collections.abc import AsyncIterator

from polyport.events import Finish, TextDelta
from polyport_gateway.call import CallEvent, Chat
from polyport_gateway.catalog import Capability
from polyport_gateway.tokens import split_pieces

__all__ = ["CUT_HERE", "LIMITED_HERE", "cut_to", "token_limit"]

CUT_HERE = ("function", "pipeline", "knowledge")
"""Kinds that know no limit of their own."""

LIMITED_HERE = frozenset({"max_tokens", "max_completion_tokens"})
"""What is honoured for them, by cutting their text."""


def token_limit(capability: Capability, given: object) -> int | None:
    """Return how many tokens the answer of something that knows no limit may have; None for no limit."""
    if not isinstance(given, Chat) or capability.kind not in CUT_HERE:
        return None
    return given.request.max_completion_tokens or given.request.max_tokens


async def cut_to(limit: int, events: AsyncIterator[CallEvent]) -> AsyncIterator[CallEvent]:
    """Pass events on until their text has `limit` tokens by the rule of `polyport_gateway.tokens`.

    What is cut off ends with the reason ``length``, and whatever still made it is stopped.
    """
    left = limit
    try:
        async for event in events:
            if not isinstance(event, TextDelta):
                yield event
                continue
            kept: list[str] = []
            for piece in split_pieces(event.text):
                left -= not piece.isspace()  # a space belongs to the word that the next event begins with
                if left < 0:
                    break
                kept.append(piece)
            if left >= 0:
                yield event
                continue
            if kept:
                yield TextDelta("".join(kept))
            yield Finish("length")
            return
    finally:
        close = getattr(events, "aclose", None)
        if close is not None:
            await close()
