"""How fast the catalogue is filled, asked and cleared.

    python tests/benchmarks/catalogue.py [--bases 100] [--documents 200] [--chunks 5] [--url postgresql://…]

Each base has so many documents of so many chunks of 700 characters. Wall time and, since a machine is seldom idle, the
processor's time of this process are told; of PostgreSQL, the latter leaves out the server's.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median, quantiles
from typing import Any

if __package__ in {None, ""}:
    sys.path.insert(0, str(Path(__file__).parents[2]))

from polyport_gateway.knowledge.catalogue import BaseRow, Catalogue, NewChunk, NewDocument
from polyport_gateway.storage.database import Database

BATCH = 64
ROUNDS = 100
WORDS = ["the", "quick", "brown", "fox", "jumps", "over", "lazy", "dogs", "年假", "手册", "规定", "审批"]


def filled(catalogue: Catalogue, args: argparse.Namespace, found: dict[str, float]) -> tuple[list[BaseRow], list[int]]:
    """Make the bases; return them and the numbers of all chunks."""
    chance = random.Random(0)
    bases = [catalogue.create(f"base{number}", {}, shelf="main") for number in range(args.bases)]
    numbers: list[int] = []
    seconds = processor = 0.0
    for base in bases:
        for start in range(0, args.documents, BATCH):
            items = [
                document(chance, number, args.chunks) for number in range(start, min(start + BATCH, args.documents))
            ]
            began, used = time.perf_counter(), time.process_time()
            staged = catalogue.stage(base.id, 1, items)
            catalogue.publish(base.id, 1, staged)
            seconds += time.perf_counter() - began
            processor += time.process_time() - used
            numbers += [chunk for one in staged for chunk in one.chunks]
    found["filled, chunks/s"] = len(numbers) / seconds
    found["filled, processor µs a chunk"] = processor / len(numbers) * 1e6
    return bases, numbers


def document(chance: random.Random, number: int, chunks: int) -> tuple[NewDocument, list[NewChunk]]:
    """A document and its chunks."""
    new = NewDocument(
        key=f"docs/{number:06}.md", title=f"Document {number}", sha256="0" * 64, metadata={"year": 2000 + number % 25}
    )
    texts = [" ".join(chance.choices(WORDS, k=140)) for _ in range(chunks)]
    return new, [NewChunk(text, (0, 700), 150, heading_path=("One", "Two"), pages=(1,)) for text in texts]


def times(name: str, call: Callable[[], Any], found: dict[str, float], rounds: int = ROUNDS) -> None:
    """Measure a call, after one to warm up."""
    call()
    used, seconds = time.process_time(), []
    for _ in range(rounds):
        began = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - began)
    found[f"{name}: p50 ms"] = median(seconds) * 1e3
    found[f"{name}: p95 ms"] = quantiles(seconds, n=20)[-1] * 1e3
    found[f"{name}: processor ms"] = (time.process_time() - used) / rounds * 1e3


def measured(url: str, args: argparse.Namespace) -> dict[str, float]:
    """Fill, ask and clear."""
    found: dict[str, float] = {}
    chance = random.Random(1)
    database = Database(url)
    asyncio.run(database.open())
    catalogue = Catalogue(database)
    bases, numbers = filled(catalogue, args, found)
    some = numbers[: args.documents * args.chunks]
    ten = numbers[: 10 * args.documents * args.chunks]
    rows = list(catalogue.live(chance.sample(some, 10)).values())
    times("live, 100 chunks of one base", lambda: catalogue.live(chance.sample(some, 100)), found)
    times("live, 100 of ten bases", lambda: catalogue.live(chance.sample(ten, 100)), found)
    times("live, 100 of all", lambda: catalogue.live(chance.sample(numbers, 100)), found)
    times("neighbours of 10", lambda: catalogue.neighbours(rows, 1, 1), found)
    times("a page of 50 documents", lambda: catalogue.documents(bases[0].id, limit=50), found)
    times("counts of all", catalogue.counts, found, 10)
    times("no garbage", catalogue.garbage, found)
    catalogue.drop(bases[-1].id)
    began, cleared = time.perf_counter(), 0
    while garbage := catalogue.garbage():
        for one in garbage:
            catalogue.forget(one.chunks)
            cleared += len(one.chunks)
    found["cleared, chunks/s"] = cleared / (time.perf_counter() - began)
    asyncio.run(database.close())
    return found


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bases", type=int, default=100)
    parser.add_argument("--documents", type=int, default=200)
    parser.add_argument("--chunks", type=int, default=5)
    parser.add_argument("--url", help="of an empty database; SQLite in a fresh folder when left out")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = measured(args.url or f"sqlite:///{folder}/records.sqlite3", args)
    load = os.getloadavg()[0]
    print(
        f"{args.bases} bases of {args.documents} documents of {args.chunks} chunks; load {load:.1f}\n\n| | |\n|---|---|"
    )
    for name, value in found.items():
        print(f"| {name} | {value:,.2f} |")
    if args.json:
        args.json.write_text(json.dumps({**found, "load": load}, indent=2))


if __name__ == "__main__":
    main()
