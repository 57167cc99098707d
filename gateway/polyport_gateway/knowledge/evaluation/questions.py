"""Sets of questions, from a file: JSON, a JSON object a line, or CSV; one's own, or as public data sets have them.

One's own, of which only ``question`` is needed for answers, and ``gold`` for search::

    {"id": "q1", "question": "…", "gold": [GOLD, …], "answer": "…", "knowledge": "handbook"}

A GOLD is the name of a document (its id, key, title, path, or the last part of that), or an object of ``document``,
``text`` (words of the passage, exactly) and ``span`` ([first character, one past the last]); what is given must all
fit. In CSV, ``gold`` holds that as JSON, or one name; ``document``, ``text``, ``start`` and ``end`` may be columns.

Read as they are, too: HotpotQA (``supporting_facts``), MuSiQue (``paragraphs`` with ``is_supporting``), the questions
of chunking_evaluation (``references``, ``corpus_id``), and ``passage_id`` with passages in ``passages.json`` beside.
"""

from __future__ import annotations

import csv
import io
import json
import re
import reprlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from polyport.errors import BadRequestError

from .gold import Gold

__all__ = ["Question", "read_questions", "read_questions_text"]

_MOST_BYTES = 256 << 20
_SHOWN = 5
"""Errors that are told at once."""
_BLANK = re.compile(r"\s*")


@dataclass(frozen=True, slots=True)
class Question:
    """A question, and what is right for it.

    Args:
        id: Tells it from the others of its set.
        text: What is asked.
        gold: Documents and passages that are right.
        answers: Any of these in the answer makes it right.
        knowledge: The knowledge base that it belongs to.
        answerable: Whether the documents say anything on it.
    """

    id: str
    text: str
    gold: tuple[Gold, ...] = ()
    answers: tuple[str, ...] = ()
    knowledge: str | None = None
    answerable: bool = True


class _WrongError(Exception):
    """What is wrong with one question."""


Item = Mapping[str, Any]
Passages = Mapping[str, Item]


def read_questions(path: Path) -> list[Question]:
    """Read a file of questions.

    Args:
        path: Its name ends in ``.csv``, ``.tsv``, ``.jsonl`` or ``.json``; what it holds decides between the latter.

    Raises:
        BadRequestError: It can't be read; says which lines are wrong, and how.
    """
    try:
        size = path.stat().st_size
        if size > _MOST_BYTES:
            raise BadRequestError(
                f"{path} has {size >> 20} MiB; a set of questions may have {_MOST_BYTES >> 20}. Split it."
            )
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise BadRequestError(f"The questions in {path} can't be read: {error.strerror or error}.") from error
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        raise BadRequestError(f"{path}, line {line}: this is not UTF-8. Save it as that.") from error
    beside = path.with_name("passages.json")
    passages = _passages(beside) if beside != path and beside.exists() else {}
    return read_questions_text(text, name=str(path), kind=path.suffix.lower(), passages=passages)


def read_questions_text(
    text: str, *, name: str = "questions", kind: str = "", passages: Passages | None = None
) -> list[Question]:
    """Read questions from a text.

    Args:
        text: Of the file.
        name: What to call it in errors.
        kind: ``.csv``, ``.tsv``, or anything else for JSON.
        passages: By their ids, for questions that name theirs.

    Raises:
        BadRequestError: It is wrong; says in which lines, and how.
    """
    items = _rows(text, "\t" if kind == ".tsv" else ",") if kind in (".csv", ".tsv") else _objects(text)
    questions: list[Question] = []
    lines: dict[str, int] = {}
    wrong: list[str] = []
    try:
        for number, (line, item) in enumerate(items, 1):
            try:
                question = _question(item, number, passages or {})
                if question.id in lines:
                    raise _WrongError(f"the id {question.id!r} is that of line {lines[question.id]} too")
            except _WrongError as error:
                wrong.append(f"line {line}: {error}")
                continue
            lines[question.id] = line
            questions.append(question)
    except _WrongError as error:
        wrong.append(str(error))
    if wrong:
        more = f"\n  and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
        raise BadRequestError(f"{name} is no set of questions:\n  " + "\n  ".join(wrong[:_SHOWN]) + more)
    if not questions:
        raise BadRequestError(f"{name} holds no question.")
    return questions


def _passages(path: Path) -> dict[str, Item]:
    try:
        found = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise BadRequestError(f"The passages in {path} can't be read: {error}.") from error
    rows = found if isinstance(found, list) else []
    return {str(row["id"]): row for row in rows if isinstance(row, dict) and "id" in row}


def _rows(text: str, delimiter: str) -> Iterator[tuple[int, Item]]:
    csv.field_size_limit(_MOST_BYTES)
    reader = csv.DictReader(io.StringIO(text.replace("\r\n", "\n").replace("\r", "\n")), delimiter=delimiter)
    try:
        if reader.fieldnames is None or "question" not in reader.fieldnames:
            columns = ", ".join(map(repr, reader.fieldnames or ())) or "none"
            raise _WrongError(f"line 1: a column 'question' is needed; there are: {columns}")
        end = reader.line_num
        for row in reader:
            line, end = end + 1, reader.line_num
            if None in row:
                yield line, {"": f"has {len(row[None])} cells more than the first line"}
            else:
                yield line, {key: value for key, value in row.items() if value}
    except csv.Error as error:
        raise _WrongError(f"line {reader.line_num}: {error}") from error


def _objects(text: str) -> Iterator[tuple[int, Item]]:
    """Yield the objects of an array, of the member ``questions`` (or ``data``) of an object, or one after another."""
    decoder = json.JSONDecoder()
    lines = _Lines(text)
    place = _skip(text, 0)
    if text[place : place + 1] == "{":
        try:
            whole, end = decoder.raw_decode(text, place)
        except (ValueError, RecursionError):
            end = -1  # whatever is wrong, is told below, where its line is known
        else:
            inner = whole.get("questions", whole.get("data"))
            if isinstance(inner, list) and end > 0 and not text[_skip(text, end) :]:
                yield from ((lines.at(place), item) for item in inner)
                return
    array = text[place : place + 1] == "["
    place = _skip(text, place + 1) if array else place
    while place < len(text) and not (array and text[place] == "]"):
        try:
            item, end = decoder.raw_decode(text, place)
        except json.JSONDecodeError as error:
            raise _WrongError(f"line {lines.at(error.pos)}: this is no JSON: {error.msg}") from error
        except RecursionError:
            raise _WrongError(f"line {lines.at(place)}: this is nested too deep") from None
        yield lines.at(place), item
        place = _skip(text, end)
        if array and text[place : place + 1] == ",":
            place = _skip(text, place + 1)
        elif array and text[place : place + 1] != "]":
            raise _WrongError(f"line {lines.at(place)}: a comma or the array's end is missing")


class _Lines:
    """Numbers of lines by places in a text, which are asked for in ascending order."""

    def __init__(self, text: str) -> None:
        self._text, self._place, self._line = text, 0, 1

    def at(self, place: int) -> int:
        if place < self._place:
            self._place, self._line = 0, 1
        self._line += self._text.count("\n", self._place, place)
        self._place = place
        return self._line


def _skip(text: str, place: int) -> int:
    found = _BLANK.match(text, place)
    return place if found is None else found.end()


def _question(item: object, number: int, passages: Passages) -> Question:
    if not isinstance(item, Mapping):
        raise _WrongError(f"an object is needed, not {reprlib.repr(item)}")
    if "" in item:
        raise _WrongError(str(item[""]))
    text = item.get("question", item.get("query"))
    if not isinstance(text, str) or not text.strip():
        raise _WrongError(f"'question' must be a text, not {reprlib.repr(text)}")
    found = item.get("id", item.get("_id"))
    gold = next((read(item, passages) for key, read in _FORMS.items() if key in item), ())
    answerable = item.get("answerable", True)
    if isinstance(answerable, str):
        answerable = answerable.strip().lower() not in ("false", "0", "no")
    knowledge = item.get("knowledge", item.get("knowledge_base"))
    return Question(
        id=str(found) if isinstance(found, str | int) and str(found) else f"q{number}",
        text=text.strip(),
        gold=tuple(dict.fromkeys(gold)),
        answers=_answers(item),
        knowledge=str(knowledge) if knowledge else None,
        answerable=bool(answerable),
    )


def _answers(item: Item) -> tuple[str, ...]:
    found: list[str] = []
    for key in ("answer", "answers", "answer_aliases"):
        value = item.get(key)
        if isinstance(value, str) and key == "answers" and value.lstrip().startswith("["):
            value = _json(value, key)
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, str | int | float) and not isinstance(one, bool) and str(one).strip():
                found.append(str(one).strip())
            elif one is not None and one != "":
                raise _WrongError(f"{key!r} must be a text or a list of texts, not {reprlib.repr(one)}")
    return tuple(dict.fromkeys(found))


def _json(value: str, key: str) -> Any:
    try:
        return json.loads(value)
    except (ValueError, RecursionError) as error:
        raise _WrongError(f"{key!r} is no JSON: {error}") from error


def _gold(item: Item, passages: Passages) -> Sequence[Gold]:
    value = item.get("gold")
    if isinstance(value, str) and value.lstrip()[:1] in ("[", "{"):
        value = _json(value, "gold")
    return [_one(one) for one in (value if isinstance(value, list) else [value])]


def _one(value: object) -> Gold:
    if isinstance(value, str) and value.strip():
        return Gold((value.strip(),))
    if not isinstance(value, Mapping):
        raise _WrongError(f"'gold' has {reprlib.repr(value)}; a document's name or an object of one is needed")
    names = [str(value[key]) for key in _NAMES if value.get(key) not in (None, "")]
    text = next((value[key] for key in ("text", "excerpt", "quote") if value.get(key)), None)
    if text is not None and not isinstance(text, str):
        raise _WrongError(f"the text of 'gold' is {reprlib.repr(text)}; words are needed")
    span = value.get("span")
    if span is None and value.get("start") is not None:
        span = [value.get("start"), value.get("end")]
    if not names and text is None:
        raise _WrongError(f"'gold' has {reprlib.repr(dict(value))}; give 'document', 'text', or both")
    return Gold(tuple(dict.fromkeys(names)), text, None if span is None else _span(span))


_NAMES = ("document", "key", "uid", "source", "title")


def _span(value: object) -> tuple[int, int]:
    try:
        start, end = (int(part) for part in value)  # type: ignore[attr-defined]  # anything may be given
    except (TypeError, ValueError):
        raise _WrongError(f"a span is [first character, one past the last], not {reprlib.repr(value)}") from None
    if not 0 <= start < end:
        raise _WrongError(f"the span {start} to {end} holds nothing")
    return start, end


def _columns(item: Item, passages: Passages) -> Sequence[Gold]:
    return [_one(item)]


def _documents(item: Item, passages: Passages) -> Sequence[Gold]:
    value = item["documents"]
    if isinstance(value, str):
        value = _json(value, "documents") if value.lstrip().startswith("[") else value.split(";")
    if not isinstance(value, list):
        raise _WrongError(f"'documents' must be a list of names, not {reprlib.repr(value)}")
    return [_one(one) for one in value]


def _hotpot(item: Item, passages: Passages) -> Sequence[Gold]:
    try:
        return [Gold((str(title),)) for title, _ in item["supporting_facts"]]
    except (TypeError, ValueError):
        raise _WrongError("'supporting_facts' must be a list of [title, sentence]") from None


def _musique(item: Item, passages: Passages) -> Sequence[Gold]:
    try:
        chosen = [row for row in item["paragraphs"] if row.get("is_supporting")]
        return [Gold((str(row["title"]),), str(row["paragraph_text"])) for row in chosen]
    except (TypeError, KeyError, AttributeError):
        raise _WrongError("'paragraphs' must be a list of objects of title, paragraph_text, is_supporting") from None


def _references(item: Item, passages: Passages) -> Sequence[Gold]:
    value = item["references"]
    rows = _json(value, "references") if isinstance(value, str) else value
    names = (str(item["corpus_id"]),) if item.get("corpus_id") else ()
    try:
        return [Gold(names, str(row["content"]), _span([row["start_index"], row["end_index"]])) for row in rows]
    except (TypeError, KeyError):
        raise _WrongError("'references' must be a list of objects of content, start_index, end_index") from None


def _passage(item: Item, passages: Passages) -> Sequence[Gold]:
    chosen = str(item["passage_id"])
    passage = passages.get(chosen)
    if passage is None:
        return [Gold((chosen,))]
    title = (str(passage["title"]),) if passage.get("title") else ()
    text = passage.get("text")
    return [Gold((chosen, *title), text if isinstance(text, str) and text.strip() else None)]


_FORMS: dict[str, Callable[[Item, Passages], Sequence[Gold]]] = {
    "gold": _gold,
    "documents": _documents,
    "supporting_facts": _hotpot,
    "paragraphs": _musique,
    "references": _references,
    "passage_id": _passage,
    "document": _columns,
    "text": _columns,
}
"""What is read as gold, by the member that tells the format."""
