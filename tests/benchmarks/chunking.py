"""Speed of the chunkers, and how much of the evidence a search over their chunks finds.

    python tests/benchmarks/chunking.py DATA_FOLDER [--peer PYTHON] [--tokens 512] [--budget 1500] [--json FILE]

DATA_FOLDER holds texts (``*.md``) and ``questions.csv`` with ``question``, ``references`` (JSON: ``start_index``,
``end_index``) and ``corpus_id``.
All chunks of all texts are searched with BM25; the best are taken until the budget (in tokens) is used up. Recall is
the
share of the evidence's characters that was taken, precision the share of what was taken that is evidence, IoU the
share of both
together that is in both; each the mean over the questions. The other libraries run in the environment of ``--peer``.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import re
import subprocess
import sys
import time
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

if __package__ in {None, ""}:
    sys.path.insert(0, str(Path(__file__).parents[2]))

from polyport_gateway.knowledge.chunkers import (
    FixedTokens,
    Paragraphs,
    Recursive,
    Sentences,
    SlidingWindow,
    Step,
)
from polyport_gateway.knowledge.documents.blocks import Paragraph
from polyport_gateway.knowledge.documents.builder import DocumentBuilder, source_of
from polyport_gateway.knowledge.documents.document import Document
from polyport_gateway.knowledge.tokenizers import find_vocabulary, get_tokenizer

_WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class Question:
    """A question, and where its answer stands."""

    words: tuple[str, ...]
    corpus: int
    evidence: tuple[tuple[int, int], ...]


@dataclass
class Row:
    """What one chunker reached."""

    name: str
    seconds: list[float]
    processor: list[float]
    spans: list[list[tuple[int, int]]]
    scores: tuple[float, float, float] = (0.0, 0.0, 0.0)


def load(folder: Path) -> tuple[list[Path], list[str], list[Question]]:
    """Read texts and questions, and see that the evidence stands where it is said to."""
    files = sorted(folder.glob("*.md"))
    texts = [file.read_text(encoding="utf-8") for file in files]
    names = [file.stem for file in files]
    questions = []
    with (folder / "questions.csv").open(newline="", encoding="utf-8") as lines:
        for row in csv.DictReader(lines):
            corpus = names.index(row["corpus_id"])
            found = json.loads(row["references"])
            spans = tuple((item["start_index"], item["end_index"]) for item in found)
            if any(texts[corpus][a:b] != item["content"] for (a, b), item in zip(spans, found, strict=True)):
                raise SystemExit(f"The evidence of {row['question']!r} does not stand where questions.csv says.")
            questions.append(Question(tuple(_WORD.findall(row["question"].lower())), corpus, spans))
    return files, texts, questions


def as_document(text: str) -> Document:
    """Make a document of one paragraph, so that every chunker has the bare text to go by."""
    builder = DocumentBuilder(source_of(text.encode(), "text.txt", "text/plain"))
    builder.add(Paragraph(text=text))
    return builder.build()


def measure_ours(texts: list[str], tokens: int, rounds: int) -> list[Row]:
    """Time our chunkers."""
    name = "cl100k_base"
    steps: dict[str, Step] = {
        "Recursive": Recursive(tokens, name),
        "Recursive, estimate": Recursive(tokens, "estimate"),
        "Sentences": Sentences(tokens, 0, name),
        "Paragraphs": Paragraphs(tokens, 0, name),
        "FixedTokens": FixedTokens(tokens, 0, name),
        "SlidingWindow": SlidingWindow(tokens, tokens * 3 // 4, name),
    }
    documents = [as_document(text) for text in texts]
    rows = []
    for title, step in steps.items():
        step.chunk(as_document(texts[0][:2000]))
        row = Row(title, [], [], [])
        for _ in range(rounds):
            began, used = time.perf_counter(), time.process_time()
            chunks = [step.chunk(document) for document in documents]
            row.seconds.append(time.perf_counter() - began)
            row.processor.append(time.process_time() - used)
        row.spans = [[chunk.span for chunk in found if chunk.span is not None] for found in chunks]
        rows.append(row)
    return rows


def measure_peers(python: str, files: list[Path], tokens: int, rounds: int) -> list[Row]:
    """Time the others, in their environment."""
    vocabulary = find_vocabulary("cl100k_base")
    peer = Path(__file__).with_name("chunking_peer.py")
    command = [python, str(peer), str(vocabulary), str(tokens), str(rounds), *map(str, files)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=900, text=True)
    answer: dict[str, Any] = json.loads(done.stdout)
    return [
        Row(name, found["seconds"], found["processor"], [[(a, b) for a, b in spans] for spans in found["spans"]])
        for name, found in answer.items()
    ]


class Search:
    """BM25 (k1 1.2, b 0.75) over chunks."""

    def __init__(self, texts: list[str]) -> None:
        counts = [Counter(_WORD.findall(text.lower())) for text in texts]
        lengths = [sum(count.values()) for count in counts]
        mean = sum(lengths) / max(1, len(lengths))
        self._weights: dict[str, list[tuple[int, float]]] = defaultdict(list)
        for number, (count, length) in enumerate(zip(counts, lengths, strict=True)):
            for word, times in count.items():
                weight = times * 2.2 / (times + 1.2 * (0.25 + 0.75 * length / mean))
                self._weights[word].append((number, weight))
        self._count = len(texts)

    def best(self, words: tuple[str, ...]) -> list[int]:
        """Return the chunks that have any of the words, the best first."""
        scores: dict[int, float] = defaultdict(float)
        for word in words:
            found = self._weights.get(word, [])
            rarity = math.log(1 + (self._count - len(found) + 0.5) / (len(found) + 0.5))
            for number, weight in found:
                scores[number] += rarity * weight
        return sorted(scores, key=lambda number: (-scores[number], number))


def score(row: Row, texts: list[str], questions: list[Question], budget: int) -> tuple[float, float, float]:
    """Return recall, precision and IoU, each the mean over the questions."""
    tokenizer = get_tokenizer("cl100k_base")
    measures = [tokenizer.measure(text) for text in texts]
    places = [(corpus, start, end) for corpus, spans in enumerate(row.spans) for start, end in spans]
    search = Search([texts[corpus][start:end] for corpus, start, end in places])
    sizes = [measures[corpus].count(start, end) for corpus, start, end in places]
    totals = [0.0, 0.0, 0.0]
    for question in questions:
        taken: dict[int, set[int]] = defaultdict(set)
        left = budget
        for number in search.best(question.words):
            corpus, start, end = places[number]
            if sizes[number] > left:  # the last one is taken as far as the budget goes
                end = start + (end - start) * left // sizes[number]
            taken[corpus].update(range(start, end))
            left -= min(left, sizes[number])
            if not left:
                break
        evidence = {place for start, end in question.evidence for place in range(start, end)}
        hit = len(evidence & taken[question.corpus])
        size = sum(map(len, taken.values()))
        for index, value in enumerate((hit / len(evidence), hit / max(1, size), hit / (size + len(evidence) - hit))):
            totals[index] += value
    recall, precision, iou = (total / len(questions) for total in totals)
    return recall, precision, iou


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--peer", default="", help="Python with chonkie, langchain-text-splitters, llama-index-core")
    parser.add_argument("--tokens", type=int, default=512)
    parser.add_argument("--budget", type=int, default=1500)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    files, texts, questions = load(args.folder)
    size = sum(len(text.encode()) for text in texts) / 1e6
    rows = measure_ours(texts, args.tokens, args.rounds)
    rows += measure_peers(args.peer, files, args.tokens, args.rounds) if args.peer else []
    print(f"{size:.2f} MB, {args.tokens} tokens, {len(questions)} questions, budget {args.budget} tokens, BM25\n")
    print("| chunker | MB/s | MB/s of processor time | chunks | recall | precision | IoU |")
    print("|---|---|---|---|---|---|---|")
    for row in rows:
        row.scores = score(row, texts, questions, args.budget)
        recall, precision, iou = (f"{100 * value:.1f}" for value in row.scores)
        speeds = f"{size / min(row.seconds):.1f} | {size / min(row.processor):.1f}"
        print(f"| {row.name} | {speeds} | {sum(map(len, row.spans))} | {recall} | {precision} | {iou} |", flush=True)
    if args.json:
        found = [{**vars(row), "spans": sum(map(len, row.spans))} for row in rows]
        args.json.write_text(json.dumps({"megabytes": size, "tokens": args.tokens, "rows": found}, indent=2))


if __name__ == "__main__":
    main()
