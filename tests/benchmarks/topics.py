"""How well chunkers find where the topic changes, beside LlamaIndex's semantic splitter with the very same vectors.

    python tests/benchmarks/topics.py DATA_FOLDER [--peer PYTHON] [--documents 24] [--json FILE]

Ten passages strung together are a document (after Choi 2000), and each passage is a topic: MuSiQue's for English
(``multihop/musique_corpus.json``), CMRC 2018's for Chinese (``zh_retrieval/passages.json``). Pk (Beeferman et al. 1999)
is the share of pairs of sentences, half a passage apart, of which a chunker says wrongly whether they are of one topic:
lower is better, and a half is chance. The peer runs in the environment of ``--peer``.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import time
from bisect import bisect_left
from pathlib import Path

if __package__ in {None, ""}:
    sys.path.insert(0, str(Path(__file__).parents[2]))

from polyport_gateway.knowledge.chunkers import Recursive, SemanticBreakpoints, SemanticClusters, Step, TopicSegments
from polyport_gateway.knowledge.chunkers.boundaries import SENTENCES, ends_of
from polyport_gateway.knowledge.documents.blocks import Paragraph
from polyport_gateway.knowledge.documents.builder import DocumentBuilder, source_of

ROOT = Path(__file__).parents[2]
PEER = """
import json, sys
from llama_index.core import Document
from llama_index.core.embeddings import BaseEmbedding
from llama_index.core.node_parser import SemanticSplitterNodeParser
from polyport_gateway.knowledge.chunkers.models.hashed import HashedEmbedder

class Hashed(BaseEmbedding):
    def _get_text_embedding(self, text): return HashedEmbedder().embed([text])[0]
    def _get_query_embedding(self, query): return self._get_text_embedding(query)
    async def _aget_query_embedding(self, query): return self._get_text_embedding(query)

answer = {}
texts = json.load(sys.stdin)
for amount in (70, 95):
    parser = SemanticSplitterNodeParser(embed_model=Hashed(), breakpoint_percentile_threshold=amount)
    found = [parser.get_nodes_from_documents([Document(text=text)]) for text in texts]
    answer[f"LlamaIndex semantic, percentile {amount}"] = [[node.start_char_idx for node in nodes] for nodes in found]
json.dump(answer, sys.stdout)
"""


def load(folder: Path, documents: int) -> dict[str, list[tuple[str, list[int]]]]:
    """Return documents by language, each with the places where a passage begins."""
    english = [item["text"] for item in json.loads((folder / "multihop/musique_corpus.json").read_text("utf-8"))]
    chinese = [item["text"][:400] for item in json.loads((folder / "zh_retrieval/passages.json").read_text("utf-8"))]
    return {
        "English": strung(english, documents, " "),
        "Chinese": strung([text.rpartition("。")[0] + "。" for text in chinese], documents, ""),
    }


def strung(passages: list[str], documents: int, between: str) -> list[tuple[str, list[int]]]:
    """String passages together, ten by ten, the same ones each time."""
    chance = random.Random(7)
    usable = [" ".join(text.split()) for text in passages if 120 < len(text) < 1500]
    made = []
    for _ in range(documents):
        text, starts = "", list[int]()
        for passage in chance.sample(usable, 10):
            starts.append(len(text))
            text += passage + between
        made.append((text, starts[1:]))
    return made


def pk(text: str, topics: list[int], chunks: list[int]) -> float:
    """Return the share of pairs of sentences that are told wrongly."""
    ends = ends_of(SENTENCES, text, 0, len(text))
    of_topic = [bisect_left(topics, end) for end in ends]
    of_chunk = [bisect_left(chunks, end) for end in ends]
    apart = max(2, round(len(ends) / (len(topics) + 1) / 2))
    pairs = range(len(ends) - apart)
    wrong = sum((of_topic[i] == of_topic[i + apart]) != (of_chunk[i] == of_chunk[i + apart]) for i in pairs)
    return wrong / len(pairs)


def starts_of(step: Step, text: str) -> list[int]:
    """Return where a chunker's chunks begin."""
    builder = DocumentBuilder(source_of(text.encode(), "a.txt", "text/plain"))
    builder.add(Paragraph(text=text))
    return [chunk.span.start for chunk in step.chunk(builder.build()) if chunk.span is not None]


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--peer", help="Python of an environment with llama-index-core (make chunking-peer-venv)")
    parser.add_argument("--documents", type=int, default=24)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    steps: dict[str, Step] = {
        "TopicSegments": TopicSegments(4096, tokenizer="estimate"),
        "SemanticClusters(512)": SemanticClusters(512, tokenizer="estimate"),
        "SemanticBreakpoints, percentile": SemanticBreakpoints(4096, tokenizer="estimate"),
        "SemanticBreakpoints, standard deviation": SemanticBreakpoints(
            4096, threshold="standard_deviation", tokenizer="estimate"
        ),
        "SemanticBreakpoints, gradient": SemanticBreakpoints(4096, threshold="gradient", tokenizer="estimate"),
        "Recursive(256)": Recursive(256, "estimate"),
    }
    results: dict[str, dict[str, float]] = {}
    for language, documents in load(options.folder, options.documents).items():
        texts = [text for text, _ in documents]
        found: dict[str, list[list[int]]] = {}
        for name, step in steps.items():
            began = time.process_time()
            found[name] = [starts_of(step, text) for text in texts]
            seconds = time.process_time() - began
            results.setdefault(name, {})[f"{language} MB/s"] = sum(len(text.encode()) for text in texts) / 1e6 / seconds
        if options.peer:
            paths = f"{ROOT / 'gateway'}:{ROOT / 'sdk'}"
            done = subprocess.run(
                [options.peer, "-c", PEER], input=json.dumps(texts), stdout=subprocess.PIPE, check=True, timeout=600,
                text=True, env={"PYTHONPATH": paths},
            )  # fmt: skip
            found |= json.loads(done.stdout)
        for name, starts in found.items():
            scores = [
                pk(text, topics, [s for s in own if s]) for (text, topics), own in zip(documents, starts, strict=True)
            ]
            results.setdefault(name, {})[f"{language} Pk"] = sum(scores) / len(scores)
    for name, row in results.items():
        print(f"{name:42}", "  ".join(f"{key} {value:.2f}" for key, value in sorted(row.items())))
    if options.json:
        options.json.write_text(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
