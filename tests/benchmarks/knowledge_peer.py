"""LlamaIndex on the texts, vectors and questions that `knowledge_scale` hands over; run by an interpreter that has it.

    python knowledge_peer.py FOLDER

Each base is a `VectorStoreIndex` in memory and a `BM25Retriever`, joined by a `QueryFusionRetriever` (reciprocal
ranks), its own way without a model that writes. Several bases are joined likewise, and routed by an
`EmbeddingSingleSelector` over descriptions. Prints JSON.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from llama_index.core import Settings, VectorStoreIndex  # type: ignore[import-not-found,unused-ignore]
from llama_index.core.base.embeddings.base import BaseEmbedding  # type: ignore[import-not-found,unused-ignore]
from llama_index.core.llms import MockLLM  # type: ignore[import-not-found,unused-ignore]
from llama_index.core.retrievers import QueryFusionRetriever  # type: ignore[import-not-found,unused-ignore]
from llama_index.core.schema import TextNode  # type: ignore[import-not-found,unused-ignore]
from llama_index.core.selectors import EmbeddingSingleSelector  # type: ignore[import-not-found,unused-ignore]
from llama_index.core.tools import ToolMetadata  # type: ignore[import-not-found,unused-ignore]
from llama_index.retrievers.bm25 import BM25Retriever  # type: ignore[import-not-found,unused-ignore]


class Given(BaseEmbedding):  # type: ignore[misc,unused-ignore]
    """Vectors that were made before: that of a model is not what is measured."""

    known: dict[str, list[float]] = {}  # noqa: RUF012  # a field, as pydantic has it

    def _get_text_embedding(self, text: str) -> list[float]:
        return self.known[text]

    def _get_query_embedding(self, query: str) -> list[float]:
        return self.known[query]

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return self.known[query]


def percentiles(calls: Sequence[Callable[[], Any]]) -> dict[str, float]:
    """Return milliseconds, and those of the processor."""
    calls[0]()
    wall, cpu = [], []
    for call in calls:
        began, worked = time.perf_counter(), time.process_time()
        call()
        cpu.append((time.process_time() - worked) * 1000)
        wall.append((time.perf_counter() - began) * 1000)
    p50, p95 = np.percentile(wall, [50, 95])
    return {"p50 ms": float(p50), "p95 ms": float(p95), "of the processor, p95 ms": float(np.percentile(cpu, 95))}


def fused(retrievers: list[Any]) -> Any:
    """Return retrievers as one, without a model that writes other questions."""
    return QueryFusionRetriever(
        retrievers, similarity_top_k=10, num_queries=1, mode="reciprocal_rerank", use_async=False
    )


def main(folder: Path) -> None:
    """Fill, ask and route."""
    given = json.loads((folder / "given.json").read_text())
    with np.load(folder / "vectors.npz") as kept:
        vectors, questioned, described = kept["texts"], kept["questions"], kept["descriptions"]
    asked = given["questions"]
    known = {question["text"]: vector.tolist() for question, vector in zip(asked, questioned, strict=True)}
    known |= dict(zip(given["descriptions"], described.tolist(), strict=True))
    Settings.llm, Settings.embed_model = MockLLM(), Given(known=known)
    nodes: list[list[Any]] = [[] for _ in given["bases"]]
    for number, (text, vector) in enumerate(zip(given["texts"], vectors, strict=True)):
        node = TextNode(id_=str(number), text=f"{text['title']}\n{text['text']}", embedding=vector.tolist())
        nodes[text["base"]].append(node)
    began = time.perf_counter()
    bases = []
    for own in nodes:
        index = VectorStoreIndex(own)
        words = BM25Retriever.from_defaults(nodes=own, similarity_top_k=min(10, len(own)))
        bases.append(fused([index.as_retriever(similarity_top_k=10), words]))
    filling = time.perf_counter() - began
    chance = np.random.default_rng(0)
    told: dict[str, Any] = {"documents": len(given["texts"]), "filled, texts/s": len(given["texts"]) / filling}
    for count in sorted({1, min(10, len(bases)), len(bases)}):
        some = asked if count < len(bases) else asked[:20]
        calls = []
        for question in some:
            chosen = sorted({question["topic"], *chance.permutation(len(bases))[: count - 1].tolist()})
            retriever = bases[chosen[0]] if count == 1 else fused([bases[base] for base in chosen])
            calls.append(lambda retriever=retriever, text=question["text"]: retriever.retrieve(text))
        told[f"hybrid, {count} bases"] = percentiles(calls)
    selector = EmbeddingSingleSelector.from_defaults()
    choices = [
        ToolMetadata(name=name, description=text)
        for name, text in zip(given["bases"], given["descriptions"], strict=True)
    ]
    right = [selector.select(choices, question["text"]).selections[0].index == question["topic"] for question in asked]
    told["right base first"] = float(np.mean(right))
    print(json.dumps(told))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
