"""What the chunkers are measured on."""

from __future__ import annotations

import csv
import json
import re
import sysconfig
from dataclasses import dataclass, field
from pathlib import Path

_WORD = re.compile(r"[\u3400-\u9fff]+|[^\W\u3400-\u9fff]+")


@dataclass(frozen=True)
class Question:
    """A question, and where its answer stands: in which text, and from where to where."""

    words: tuple[str, ...]
    text: int
    evidence: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Corpus:
    """Texts of one kind, and questions about them if there are any."""

    name: str
    texts: tuple[str, ...]
    questions: tuple[Question, ...] = field(default=())

    @property
    def megabytes(self) -> float:
        """Of UTF-8."""
        return sum(len(text.encode()) for text in self.texts) / 1e6


def words_of(text: str) -> list[str]:
    """Return the words that a search goes by; of Chinese, each two characters that stand together."""
    found: list[str] = []
    for word in _WORD.findall(text.lower()):
        if "\u3400" <= word[0] <= "\u9fff" and len(word) > 1:
            found += [word[index : index + 2] for index in range(len(word) - 1)]
        else:
            found.append(word)
    return found


def english(folder: Path) -> Corpus:
    """Read the texts and questions of ``chunking/``, and see that the evidence stands where it is said to."""
    files = sorted(folder.glob("*.md"))
    texts = tuple(file.read_text(encoding="utf-8") for file in files)
    names = [file.stem for file in files]
    questions = []
    with (folder / "questions.csv").open(newline="", encoding="utf-8") as lines:
        for row in csv.DictReader(lines):
            text = names.index(row["corpus_id"])
            found = json.loads(row["references"])
            spans = tuple((item["start_index"], item["end_index"]) for item in found)
            if any(texts[text][a:b] != item["content"] for (a, b), item in zip(spans, found, strict=True)):
                raise SystemExit(f"The evidence of {row['question']!r} does not stand where questions.csv says.")
            questions.append(Question(tuple(words_of(row["question"])), text, spans))
    return Corpus("english", texts, tuple(questions))


def chinese(folder: Path, together: int = 40) -> Corpus:
    """Put the passages of ``zh_retrieval/`` together, so many to a text; the evidence is the passage of a question."""
    passages = json.loads((folder / "passages.json").read_text(encoding="utf-8"))
    texts, places = [], {}
    for first in range(0, len(passages), together):
        text = ""
        for passage in passages[first : first + together]:
            text += f"{passage['title']}\n\n"
            places[passage["id"]] = (len(texts), len(text), len(text) + len(passage["text"]))
            text += passage["text"] + "\n\n"
        texts.append(text.rstrip("\n"))
    questions = []
    for row in json.loads((folder / "questions.json").read_text(encoding="utf-8")):
        text, start, end = places[row["passage_id"]]
        questions.append(Question(tuple(words_of(row["question"])), text, ((start, end),)))
    return Corpus("chinese", tuple(texts), tuple(questions))


def code(most: int = 1_500_000) -> Corpus:
    """Read Python's own library, module by module, up to so many characters."""
    texts: list[str] = []
    left = most
    for file in sorted(Path(sysconfig.get_path("stdlib")).glob("*.py")):
        text = file.read_text(encoding="utf-8", errors="replace")
        if 0 < len(text) <= left:
            texts.append(text)
            left -= len(text)
    return Corpus("code", tuple(texts))


def markdown(most: int = 30) -> Corpus:
    """Read the pages of this project's own documentation, each as often as gives enough to time."""
    pages = sorted((Path(__file__).parents[2] / "docs").rglob("*.md"))
    texts = [page.read_text(encoding="utf-8") for page in pages[:most]]
    return Corpus("markdown", tuple("\n\n".join(texts[at:] + texts[:at]) for at in range(min(4, len(texts)))))


def table(rows: int) -> Corpus:
    """Make a table in Markdown of so many rows."""
    lines = ["| id | name | city | amount | date | note |", "| --- | --- | --- | --- | --- | --- |"]
    cities = ("Lyon", "Leeds", "Osaka", "Hangzhou", "Quito")
    for n in range(rows):
        amount, day = f"{n * 37 % 100_000 / 100:.2f}", f"2026-{n % 12 + 1:02}-{n % 28 + 1:02}"
        lines.append(
            f"| {n} | Person {n * 7919 % 10_007} | {cities[n % 5]} | {amount} | {day} | paid in part {n % 9} |"
        )
    return Corpus("table", ("\n".join(lines) + "\n",))
