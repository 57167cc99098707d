"""How good answers without a model are, how well the unanswerable is told, and how precise citations are.

    python tests/benchmarks/answers.py DATA_FOLDER [--model NAME_OR_PATH] [--embeddings FOLDER] [--cmrc FILE]

DATA_FOLDER has ``multihop/``, ``chunking/`` and ``zh_retrieval/``. The Chinese questions there have no answers; with
``--cmrc`` they are taken from CMRC 2018's own ``squad-style-data/cmrc2018_dev.json``.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

if __package__ in {None, ""}:
    sys.path.insert(0, str(Path(__file__).parents[2]))

import numpy as np

from polyport.types.knowledge import KnowledgeHit, KnowledgeHop
from polyport_gateway.knowledge.answers.extraction import extract
from polyport_gateway.knowledge.chunkers import Sentences
from polyport_gateway.knowledge.links import LinkIndex, Passage
from polyport_gateway.knowledge.readers import read
from polyport_gateway.knowledge.retrieval.bm25 import BM25Index
from polyport_gateway.knowledge.retrieval.compression import sentences
from polyport_gateway.knowledge.retrieval.hops import MultiHop, Result
from polyport_gateway.knowledge.retrieval.hybrid import HybridRetriever

TOP = 5
MOST = 4
Way = Callable[[str, Sequence[KnowledgeHit]], list[tuple[int, int, int]]]
"""Takes a question and passages, gives parts of them: the passage's place, start and end."""


@dataclass(frozen=True)
class Asked:
    """A question, what answers it, and what was found for it."""

    question: str
    answers: list[str]
    gold: list[tuple[int, int, int]]
    """Passages and the parts of them that answer; of the length 0 where only the passage is known."""
    hits: list[KnowledgeHit] = field(default_factory=list)


@dataclass(frozen=True)
class Set:
    """Passages, and questions about them."""

    name: str
    titles: list[str]
    texts: list[str]
    asked: list[Asked]
    hops: bool = False


def load(folder: Path, cmrc: Path | None) -> list[Set]:
    """Read the sets."""

    def get(name: str) -> Any:
        return json.loads((folder / name).read_text(encoding="utf-8"))

    corpus = get("multihop/hotpotqa_corpus.json")
    titles = list(corpus)
    place = {title: number for number, title in enumerate(titles)}
    asked = []
    for item in get("multihop/hotpotqa_questions.json"):
        gold = []
        for title, number in item["supporting_facts"]:
            parts = corpus[title]
            if number < len(parts):
                start = sum(map(len, parts[:number]))
                gold.append((place[title], start, start + len(parts[number])))
        asked.append(Asked(item["question"], [item["answer"]], gold))
    sets = [Set("HotpotQA", titles, ["".join(parts) for parts in corpus.values()], asked, hops=True)]

    corpus = get("multihop/musique_corpus.json")
    at = {(item["title"], item["text"]): number for number, item in enumerate(corpus)}
    asked = [
        Asked(
            item["question"],
            [item["answer"], *item["answer_aliases"]],
            [(at[p["title"], p["paragraph_text"]], 0, 0) for p in item["paragraphs"] if p["is_supporting"]],
        )
        for item in get("multihop/musique_questions.json")
    ]
    sets.append(Set("MuSiQue", [p["title"] for p in corpus], [p["text"] for p in corpus], asked, hops=True))
    sets.append(_chunking(folder / "chunking"))
    corpus = get("zh_retrieval/passages.json")
    ids = {item["id"]: number for number, item in enumerate(corpus)}
    answers: dict[str, list[str]] = {}
    if cmrc is not None:
        for article in json.loads(cmrc.read_text(encoding="utf-8"))["data"]:
            for paragraph in article["paragraphs"]:
                for qa in paragraph["qas"]:
                    answers[qa["id"]] = [answer["text"] for answer in qa["answers"]]
    asked = [
        Asked(item["question"], answers.get(item["id"], []), [(ids[item["passage_id"]], 0, 0)])
        for item in get("zh_retrieval/questions.json")
    ]
    sets.append(Set("Chinese", [p["title"] for p in corpus], [p["text"] for p in corpus], asked))
    return sets


def _chunking(folder: Path) -> Set:
    titles, texts, starts = [], [], []
    of_corpus: dict[str, list[int]] = {}
    for path in sorted(folder.glob("*.md")):
        document = read(path.read_bytes(), path.with_suffix(".txt").name).document
        shift = 0
        raw = path.read_text(encoding="utf-8")
        for chunk in Sentences(max_tokens=256).chunk(document):
            assert chunk.span is not None
            start = raw.find(chunk.text[:80], shift)
            shift = start if start >= 0 else shift
            of_corpus.setdefault(path.stem, []).append(len(texts))
            titles.append("")
            texts.append(chunk.text)
            starts.append(start)
    asked = []
    with (folder / "questions.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            gold = []
            for reference in json.loads(row["references"]):
                for number in of_corpus[row["corpus_id"]]:
                    low = max(reference["start_index"] - starts[number], 0)
                    high = min(reference["end_index"] - starts[number], len(texts[number]))
                    if starts[number] >= 0 and high > low:
                        gold.append((number, low, high))
            asked.append(Asked(row["question"], [], gold))
    return Set("chunking", titles, texts, asked)


def find(data: Set, top: int = TOP) -> list[Asked]:
    """Return the questions with what is found for them."""
    index, bm25 = BM25Index.of(data.texts, data.titles)
    lexical = HybridRetriever(index, bm25)
    links = LinkIndex([Passage(text, title) for text, title in zip(data.texts, data.titles, strict=True)])
    hops = MultiHop(lexical, links) if data.hops else None
    found = []
    for one in data.asked:
        if hops is not None:
            results = hops.search(one.question, top)
        else:
            ranking = lexical.search(one.question, top)
            results = [Result(int(n), float(s)) for n, s in zip(ranking.documents, ranking.scores, strict=True)]
        found.append(Asked(one.question, one.answers, one.gold, [hit(data, result) for result in results]))
    return found


def hit(data: Set, result: Result) -> KnowledgeHit:
    """Return a result as the service gives it."""
    chain = [
        KnowledgeHop(
            source=hop.source,
            source_title=data.titles[hop.source],
            target=hop.target,
            target_title=data.titles[hop.target],
            clue=hop.clue,
            direction=hop.direction,
            query=hop.query,
            score=hop.score,
        )
        for hop in result.chain
    ]
    text = data.texts[result.passage]
    return KnowledgeHit(
        knowledge=data.name,
        document=str(result.passage),
        chunk=result.passage,
        title=data.titles[result.passage],
        text=text,
        score=result.score,
        span=(0, len(text)),
        chain=chain,
    )


def lead(question: str, hits: Sequence[KnowledgeHit]) -> list[tuple[int, int, int]]:
    """Take the first sentences of the best passage."""
    return [(0, *part.span) for part in sentences([hits[0].text])[:MOST]] if hits else []


def firsts(question: str, hits: Sequence[KnowledgeHit]) -> list[tuple[int, int, int]]:
    """Take the first sentence of each of the best passages."""
    return [(place, *sentences([one.text])[0].span) for place, one in enumerate(hits[:MOST]) if one.text.strip()]


def top_bm25(question: str, hits: Sequence[KnowledgeHit]) -> list[tuple[int, int, int]]:
    """Take the sentences with the highest BM25."""
    parts = sentences([one.text for one in hits])
    if not parts:
        return []
    index, bm25 = BM25Index.of([part.text for part in parts])
    best = index.search(bm25.query(question), MOST).documents.tolist()
    return [(parts[place].passage, *parts[place].span) for place in best]


def ours(question: str, hits: Sequence[KnowledgeHit]) -> list[tuple[int, int, int]]:
    """Take what the extraction takes."""
    return [(one.hit, *one.unit.span) for one in extract(question, hits, most=MOST).sentences]


WAYS: dict[str, Way] = {
    "first sentences of the best": lead,
    "first sentence of each": firsts,
    "BM25 of sentences": top_bm25,
    "extraction": ours,
}


def plain(text: str) -> str:
    """Fold what does not matter when answers are looked for."""
    return "".join(character for character in text.lower() if character.isalnum())


def measure_extraction(data: Set, found: Sequence[Asked]) -> list[dict[str, Any]]:
    """Compare the ways on a set."""
    rows = []
    for name, way in WAYS.items():
        answered, one_gold, all_gold, share, lengths, counts, seconds = [], [], [], [], [], [], []
        for one in found:
            began = time.perf_counter()
            taken = way(one.question, one.hits)
            seconds.append(time.perf_counter() - began)
            text = "\n".join(one.hits[place].text[start:end] for place, start, end in taken)
            lengths.append(len(text))
            counts.append(len(taken))
            answers = [plain(answer) for answer in one.answers if plain(answer) not in {"yes", "no", ""}]
            if answers:
                answered.append(any(answer in plain(text) for answer in answers))
            if data.name in {"HotpotQA", "chunking"}:
                spans = {(one.hits[place].chunk, start, end) for place, start, end in taken}
                covered = [_overlap(gold, spans) for gold in one.gold]
                share.append(sum(covered) / max(1, sum(high - low for _, low, high in one.gold)))
                held = [part >= 0.5 * (high - low) for part, (_, low, high) in zip(covered, one.gold, strict=True)]
                one_gold.append(any(held))
                all_gold.append(bool(held) and all(held))
        row = {
            "set": data.name,
            "way": name,
            "answer": fmean(answered) if answered else None,
            "questions": len(answered),
            "one gold": fmean(one_gold) if one_gold else None,
            "all gold": fmean(all_gold) if all_gold else None,
            "gold characters": fmean(share) if share else None,
            "characters": fmean(lengths),
            "sentences": fmean(counts),
            "p95 ms": float(np.percentile(np.array(seconds) * 1000, 95)),
        }
        rows.append(row)
        print("| " + " | ".join(_shown(value) for value in row.values()) + " |", flush=True)
    return rows


def _overlap(gold: tuple[int, int, int], spans: set[tuple[int, int, int]]) -> int:
    number, low, high = gold
    return sum(max(0, min(high, end) - max(low, start)) for chunk, start, end in spans if chunk == number)


def _shown(value: object) -> str:
    return (
        ""
        if value is None
        else f"{value:.3f}"
        if isinstance(value, float) and value < 10
        else f"{value:.0f}"
        if isinstance(value, float)
        else str(value)
    )


def main() -> None:
    """Measure, and print tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--cmrc", type=Path)
    args = parser.parse_args()
    sets = load(args.folder, args.cmrc)
    for data in sets:
        measure_extraction(data, find(data))


if __name__ == "__main__":
    main()
