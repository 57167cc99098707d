"""Writes to an index until it is killed; a line on standard output for each batch that was acknowledged."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from polyport_gateway.knowledge.indexes import Entry, Schema, open_index
from polyport_gateway.knowledge.retrieval import SparseVector

BATCH = 40


def batch(number: int, version: int = 0) -> list[Entry]:
    """The chunks of a batch, the same each time."""
    chance = np.random.default_rng((number, version))
    terms = np.sort(chance.choice(1000, 12, replace=False)).astype(np.uint32)
    return [
        Entry(
            number * BATCH + place,
            f"document-{number}",
            {"small": chance.normal(size=32).astype(np.float32)},
            SparseVector(terms, np.ones(12, np.float32)),
            {"batch": number, "version": version},
        )
        for place in range(BATCH)
    ]


def main() -> None:
    """Write batches from a number on; remove each third one again, and replace each of the fifth ones left."""
    kind, folder, first = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    index = open_index(kind, Schema({"small": 32}, {"batch": "integer"}), folder=folder)
    print("open", flush=True)
    for number in range(first, first + 10_000):
        index.upsert(batch(number))
        print(f"+{number}", flush=True)
        if number % 3 == 0:
            index.delete_documents([f"document-{number}"])
            print(f"-{number}", flush=True)
        elif number % 5 == 0:
            index.upsert(batch(number, 1))
            print(f"*{number}", flush=True)
        if number % 20 == 19:
            index.optimize()


if __name__ == "__main__":
    main()
