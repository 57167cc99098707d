"""How good answers without a model are, how well the unanswerable is told, and how precise citations are.

    python tests/benchmarks/answers.py DATA_FOLDER [--model NAME_OR_PATH] [--embeddings FOLDER] [--cmrc FILE]

DATA_FOLDER has ``multihop/``, ``chunking/`` and ``zh_retrieval/``. The Chinese questions there have no answers; with
``--cmrc`` they are taken from CMRC 2018's own ``squad-style-data/cmrc2018_dev.json``.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import json
import random
import re
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

from polyport.types.knowledge import AskRequest, KnowledgeAnswer, KnowledgeHit, KnowledgeHop, KnowledgeResults
from polyport_gateway.knowledge.answers import (
    MODEL_THRESHOLD,
    THRESHOLD,
    CitationChecker,
    Likeness,
    citation_quality,
    compose,
    coverage,
    embedding_likeness,
    extract,
)
from polyport_gateway.knowledge.chunkers import Sentences
from polyport_gateway.knowledge.links import LinkIndex, Passage
from polyport_gateway.knowledge.readers import read
from polyport_gateway.knowledge.retrieval.bm25 import BM25Index
from polyport_gateway.knowledge.retrieval.compression import sentences
from polyport_gateway.knowledge.retrieval.dense import normalized
from polyport_gateway.knowledge.retrieval.hops import MultiHop, Result
from polyport_gateway.knowledge.retrieval.hybrid import HybridRetriever
from tests.benchmarks.retrieval import Embedder

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
        show(row)
    return rows


def _overlap(gold: tuple[int, int, int], spans: set[tuple[int, int, int]]) -> int:
    number, low, high = gold
    return sum(max(0, min(high, end) - max(low, start)) for chunk, start, end in spans if chunk == number)


def _shown(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.3f}" if value < 10 else f"{value:.0f}"
    return "" if value is None else str(value)


def measure_found(sets: Sequence[Set], embed: Any, sample: int) -> list[dict[str, Any]]:
    """Tell answerable questions from those asked of the wrong documents, and of documents without what answers."""
    rows = []
    searches = {data.name: search(data) for data in sets}
    for data in sets:
        asked = random.Random(1).sample(data.asked, min(sample, len(data.asked)))
        answerable, robbed, strange = [], [], []
        for one in asked:
            gold = {number for number, _, _ in one.gold}
            results = searches[data.name](one.question, TOP + 25)
            answerable.append((one.question, [hit(data, result) for result in results[:TOP]]))
            left = [hit(data, result) for result in results if result.passage not in gold]
            robbed.append((one.question, left[:TOP]))
            for other in sets:
                if other.name != data.name and other.name != "Chinese":
                    found = searches[other.name](one.question, TOP)
                    strange.append((one.question, [hit(other, result) for result in found]))
        if data.name == "Chinese":
            strange += _of_the_other_half(data, asked)
        for name, cosines in (("words", None), ("words and cosines", embed)):
            if name != "words" and (embed is None or data.name == "Chinese"):
                continue
            yes, less, no = (
                np.array([coverage(q, hits, _cosines(q, hits, cosines)).score for q, hits in group])
                for group in (answerable, robbed, strange)
            )
            balanced = (np.mean(yes >= THRESHOLD) + np.mean(no < THRESHOLD)) / 2
            row = {
                "set": data.name,
                "by": name,
                "AUC, other documents": area(yes, no),
                "AUC, without what answers": area(yes, less),
                "found": float(np.mean(yes >= THRESHOLD)),
                "refused, other": float(np.mean(no < THRESHOLD)),
                "refused, without": float(np.mean(less < THRESHOLD)),
                "accuracy": float(balanced),
                "found by a model": float(np.mean(yes >= MODEL_THRESHOLD)),
                "refused by a model's": float(np.mean(no < MODEL_THRESHOLD)),
            }
            rows.append(row)
            show(row)
    return rows


def search(data: Set) -> Callable[[str, int], list[Result]]:
    """Return a search by BM25."""
    index, bm25 = BM25Index.of(data.texts, data.titles)
    retriever = HybridRetriever(index, bm25)

    def find(question: str, limit: int) -> list[Result]:
        ranking = retriever.search(question, limit)
        return [Result(int(n), float(s)) for n, s in zip(ranking.documents, ranking.scores, strict=True)]

    return find


def _of_the_other_half(data: Set, asked: Sequence[Asked]) -> list[tuple[str, list[KnowledgeHit]]]:
    """Ask Chinese questions of the half of the passages that has not what answers."""
    half = len(data.texts) // 2
    found = []
    for keep, low in ((range(half), 0), (range(half, len(data.texts)), half)):
        part = Set("Chinese", [data.titles[n] for n in keep], [data.texts[n] for n in keep], [])
        find_in = search(part)
        for one in asked:
            if (one.gold[0][0] >= half) == (low == 0):
                results = find_in(one.question, TOP)
                found.append((one.question, [hit(part, result) for result in results]))
    return found


def _cosines(question: str, hits: Sequence[KnowledgeHit], embed: Any) -> list[float] | None:
    if embed is None or not hits:
        return None
    vectors = normalized(embed([question, *(f"{one.title}\n{one.text}"[:1500] for one in hits)]))
    return [float(value) for value in vectors[1:] @ vectors[0]]


def area(yes: np.ndarray[Any, Any], no: np.ndarray[Any, Any]) -> float:
    """Return the area under the ROC curve."""
    return float(((yes[:, None] > no[None]) + 0.5 * (yes[:, None] == no[None])).mean())


def measure_citations(folder: Path, embed: Any) -> list[dict[str, Any]]:
    """Hold statements against passages: MuSiQue's partial questions with their answers, right and wrong."""
    chance = random.Random(3)
    items = []
    for question in json.loads((folder / "multihop/musique_questions.json").read_text(encoding="utf-8")):
        answers: list[str] = []
        for step in question["question_decomposition"]:
            asked = step["question"]
            for number, answer in enumerate(answers, 1):
                asked = asked.replace(f"#{number}", answer)
            answers.append(step["answer"])
            items.append((asked, step["answer"], question["paragraphs"], step["paragraph_support_idx"]))
    likeness = embedding_likeness(embed, unlike=0.5, like=0.9) if embed is not None else None
    rows = []
    for name, ask in (("words", None), ("words and vectors", likeness)):
        if name != "words" and likeness is None:
            continue
        kept: dict[str, list[bool]] = {"its passage": [], "another passage": [], "another answer": []}
        for asked, answer, paragraphs, supports in items:
            right = next(part for part in paragraphs if part["idx"] == supports)
            wrong = chance.choice([one for _, one, _, _ in items if plain(one) not in plain(right["paragraph_text"])])
            others = chance.sample([part for part in paragraphs if part["idx"] != supports], 5)
            said = statement(asked, answer)
            kept["its passage"].append(_kept(right, asked, said, ask))
            kept["another answer"].append(_kept(right, asked, statement(asked, wrong), ask))
            kept["another passage"] += [_kept(part, asked, said, ask) for part in others]
        row: dict[str, Any] = {"by": name, **{key: fmean(values) for key, values in kept.items()}}
        # As if of three citations one were of each kind.
        row["precision of all"] = 1 / 3
        row["precision of what is kept"] = row["its passage"] / sum(fmean(values) for values in kept.values())
        rows.append(row)
        show(row)
    return rows


def _kept(part: dict[str, Any], question: str, said: str, likeness: Likeness | None) -> bool:
    passage = KnowledgeHit(
        knowledge="k", document="d", chunk=1, title=part["title"], text=part["paragraph_text"], score=1
    )
    return bool(CitationChecker([passage], question=question, likeness=likeness).check(said, [1]).kept)


def statement(question: str, answer: str) -> str:
    """Return a partial question and its answer as a sentence."""
    if ">>" in question:
        subject, relation = (part.strip() for part in question.split(">>"))
        return f"The {relation} of {subject} is {answer}."
    bare = question.strip().rstrip("?").strip()
    match = re.match(r"(?i)(?:who|what|which \w+|where|when|what \w+)\s+(is|was|are|were)\s+(.*)", bare)
    if match:
        return f"{match.group(2)[0].upper()}{match.group(2)[1:]} {match.group(1)} {answer}."
    match = re.match(r"(?i)who\s+(.*)", bare)
    if match:
        return f"{answer} {match.group(1)}."
    bare = re.sub(
        r"(?i)^(?:who|what|which|when|where|how many|how much|how)\s*(?:is|are|was|were|did|does|do)?\s*", "", bare
    )
    return f"{bare[:1].upper()}{bare[1:]}: {answer}."


def measure_whole(data: Set, found: Sequence[Asked]) -> dict[str, Any]:
    """Make whole answers without a model, and hold their citations against their sentences."""

    async def answer_all() -> tuple[list[KnowledgeAnswer], list[float]]:
        answers, seconds = [], []
        for one in found:
            results = KnowledgeResults(query=one.question, data=one.hits, mode="bm25")
            began = time.perf_counter()
            async for event in compose(AskRequest(query=one.question, threshold=0), results):
                if isinstance(event, KnowledgeAnswer):
                    answers.append(event)
            seconds.append(time.perf_counter() - began)
        return answers, seconds

    answers, seconds = asyncio.run(answer_all())
    gold = [[(data.name, str(number)) for number, _, _ in one.gold] for one in found]
    quality = citation_quality(answers, gold=gold)
    row = {
        "set": data.name,
        "answers": quality.answers,
        "citations": quality.citations,
        "precision": quality.precision,
        "recall": quality.recall,
        "misplaced": quality.misplaced,
        "of gold passages": quality.gold,
        "p50 ms": float(np.percentile(np.array(seconds) * 1000, 50)),
        "p95 ms": float(np.percentile(np.array(seconds) * 1000, 95)),
    }
    show(row)
    return row


def show(row: dict[str, Any]) -> None:
    """Print a row of a table."""
    print("| " + " | ".join(_shown(value) for value in row.values()) + " |", flush=True)


def head(title: str, columns: Sequence[str]) -> None:
    """Print the head of a table."""
    print(f"\n{title}\n\n| {' | '.join(columns)} |\n|{'---|' * len(columns)}", flush=True)


def main() -> None:
    """Measure, and print tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--cmrc", type=Path, help="CMRC 2018's cmrc2018_dev.json, for Chinese answers")
    parser.add_argument("--model", default="", help="for sentence-transformers, or a package that carries one")
    parser.add_argument("--embeddings", type=Path, help="folder to keep vectors in")
    parser.add_argument("--sample", type=int, default=200, help="questions of each set for telling the unanswerable")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    sets = load(args.folder, args.cmrc)
    embedder = Embedder(args.model, args.embeddings) if args.model else None
    found = {data.name: find(data) for data in sets}
    report: dict[str, Any] = {}
    head(
        f"Answers without a model: {MOST} sentences at most, of the best {TOP} passages",
        ["set", "way", "has the answer", "of questions", "one gold sentence", "all", "gold characters", "characters",
         "sentences", "p95 ms"],
    )  # fmt: skip
    report["extraction"] = [row for data in sets for row in measure_extraction(data, found[data.name])]
    head(
        "Their citations, by `citation_quality`",
        ["set", "answers", "citations", "precision", "recall", "misplaced", "of gold passages", "p50 ms", "p95 ms"],
    )
    report["whole"] = [measure_whole(data, found[data.name][: args.sample]) for data in sets]
    head(
        f"Not in the documents: {THRESHOLD} without a model, {MODEL_THRESHOLD} with one",
        ["set", "by", "AUC, other documents", "AUC, without what answers", "found", "refused, other",
         "refused, without", "accuracy", "found, model", "refused, model"],
    )  # fmt: skip
    report["found"] = measure_found(sets, embedder, args.sample)
    head(
        "Citations kept: statements and the passages they cite",
        ["by", "its passage", "another passage", "another answer", "precision of all", "precision of what is kept"],
    )
    report["citations"] = measure_citations(args.folder, embedder)
    if embedder is not None:
        embedder.keep()
    if args.json:
        args.json.write_text(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
