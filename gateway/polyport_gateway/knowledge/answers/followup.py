"""A question of a conversation, put so that it stands by itself.

With a model, the model does it. Without one, rules for what such questions mostly are: pronouns and left-out topics
(Elgohary, Peskov and Boyd-Graber, "Can you unpack that? Learning to rewrite questions-in-context", EMNLP 2019):

* another value in the place of one of the last question: "And in 2024?", "What about Microsoft?", 那微软呢？
* a pronoun for what was talked of: "When was he born?", 它的总部在哪里？
* a bare piece: "And the second one?", "Why?", 为什么？

What a pronoun means is a guess, so wherever one was made, the question as it was asked is searched as well, and nothing
is lost by a wrong one.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .facts import facts_of
from .followup_chinese import rewrite_chinese
from .followup_english import rewrite_english
from .language import is_chinese, language_of
from .prompts import Prompts, defused

__all__ = ["FollowUp", "Turn", "Write", "standalone", "turns_of"]

_log = logging.getLogger("polyport.knowledge")

Write = Callable[[str], str]
"""Asks a model; may block."""

_LABEL = re.compile(r"(?i)^(?:question|standalone question|rewritten question|问题|改写后的问题)\s*[:：]\s*")
_MOST_TURNS = 6
_LONGEST_TURN = 1500
_LONGEST_QUESTION = 400


@dataclass(frozen=True, slots=True)
class Turn:
    """What one side said.

    Args:
        role: ``user`` or ``assistant``.
        text: It.
    """

    role: str
    text: str


@dataclass(frozen=True, slots=True)
class FollowUp:
    """A question that stands by itself.

    Args:
        question: It.
        asked: As it was put.
        queries: What is to be searched for: the question, and the one that was put where the two may differ.
        by: ``model``, ``rules``, or nothing where it stands as it was put.
    """

    question: str
    asked: str
    queries: tuple[str, ...]
    by: str = ""


def turns_of(messages: Sequence[Mapping[str, Any]]) -> list[Turn]:
    """Return what was said in a conversation as OpenAI's chat has it; only text counts, of user and assistant."""
    found: list[Turn] = []
    for message in messages:
        role, content = message.get("role"), message.get("content")
        if isinstance(content, list):
            parts = [part.get("text") for part in content if isinstance(part, Mapping)]
            content = "\n".join(part for part in parts if isinstance(part, str))
        if role in {"user", "assistant"} and isinstance(content, str) and content.strip():
            found.append(Turn(role, content.strip()))
    return found


def standalone(
    messages: Sequence[Mapping[str, Any]] | Sequence[Turn],
    *,
    model: Write | None = None,
    prompts: Prompts | None = None,
) -> FollowUp:
    """Return the last question of a conversation so that it stands by itself.

    Args:
        messages: The conversation; what comes after the last question is left out.
        model: Rewrites; the rules do where it fails or gives something that is no question.
        prompts: Has the template ``rewrite``.
    """
    turns = _turns(messages)
    place = next((at for at in range(len(turns) - 1, -1, -1) if turns[at].role == "user"), None)
    if place is None:
        return FollowUp("", "", ())
    asked = turns[place].text
    earlier = turns[:place]
    if not any(turn.role == "user" for turn in earlier):
        return FollowUp(asked, asked, (asked,))
    if model is not None:
        written = _written(asked, earlier, model, prompts or Prompts())
        if written is not None:
            return _with_asked(written, asked, "model")
    return _by_rules(asked, earlier)


def _turns(messages: Sequence[Mapping[str, Any]] | Sequence[Turn]) -> list[Turn]:
    turns = [message for message in messages if isinstance(message, Turn)]
    return turns or turns_of([message for message in messages if isinstance(message, Mapping)])


def _by_rules(asked: str, earlier: Sequence[Turn]) -> FollowUp:
    if len(asked) > _LONGEST_QUESTION:
        return FollowUp(asked, asked, (asked,))
    questions = [turn.text[:_LONGEST_TURN] for turn in earlier if turn.role == "user"]
    last_answer = earlier[-1].text if earlier[-1].role == "assistant" else ""
    rewrite = (
        rewrite_chinese
        if is_chinese(language_of(asked, default="")) or _chinese_before(asked, questions)
        else rewrite_english
    )
    question = asked
    # The one before may itself have been a follow-up, so that each is put in the light of those before it.
    topic = questions[0]
    for number, follow in enumerate([*questions[1:], asked]):
        final = number == len(questions) - 1
        answer = last_answer if final else _answer_after(earlier, number)
        question = rewrite(follow, topic, answer)
        topic = question
    return _with_asked(question, asked, "rules")


def _answer_after(earlier: Sequence[Turn], number: int) -> str:
    """Return the answer to the question of a number."""
    seen = -1
    for turn in earlier:
        if turn.role == "user":
            seen += 1
        elif seen == number:
            return turn.text[:_LONGEST_TURN]
    return ""


def _chinese_before(asked: str, questions: Sequence[str]) -> bool:
    """Tell whether a bare "GPT-5?" follows Chinese questions."""
    return len(asked) < 12 and is_chinese(language_of(questions[-1])) and len(re.findall(r"[a-z]{3,}", asked)) < 3


def _with_asked(question: str, asked: str, by: str) -> FollowUp:
    question = " ".join(question.split())
    if not question or question == " ".join(asked.split()):
        return FollowUp(asked, asked, (asked,))
    queries = (question, asked) if facts_of(asked, question=True).weight else (question,)
    return FollowUp(question, asked, queries, by)


def _written(asked: str, earlier: Sequence[Turn], model: Write, prompts: Prompts) -> str | None:
    language = language_of(asked)
    conversation = "\n".join(f"{turn.role}: {defused(turn.text[:_LONGEST_TURN])}" for turn in earlier[-_MOST_TURNS:])
    prompt = prompts.fill("rewrite", language, conversation=conversation, question=defused(asked[:_LONGEST_TURN]))
    try:
        written = model(prompt)
    except Exception as error:  # noqa: BLE001  # any model, from anywhere: the rules are there for that
        _log.warning("A model failed to rewrite a question, and the rules did: %s: %s", type(error).__name__, error)
        return None
    lines = [line.strip() for line in written.strip().splitlines() if line.strip()]
    if len(lines) != 1 or len(lines[0]) > 2 * _LONGEST_QUESTION + len(asked):
        return None  # an answer, or a lecture
    return _LABEL.sub("", lines[0]).strip('"“”` ') or None
