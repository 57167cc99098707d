"""Cut texts with other libraries' splitters, in an environment of their own.

``python chunking_peer.py VOCABULARY_FOLDER`` reads one request a line and answers each with a line of JSON:
``{"kind", "tokens"}`` with the names of the splitters that are installed; with ``"corpus"`` (a JSON file of texts) and
``"splitter"`` too, with the seconds it took and, where ``"pieces"`` is asked for, the place or text of each chunk.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import time
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

Split = Callable[[str], list[Any]]
"""Gives the chunks, as the library's own objects: to say where they stand is no part of what is timed."""

Place = Callable[[list[Any]], list[Any]]


def chonkie(kind: str, tokens: int, encoding: Any) -> dict[str, tuple[Split, Place]]:
    """Chonkie's, with its tokens counted by tiktoken."""
    import chonkie as c  # type: ignore[import-not-found,unused-ignore]

    def place(chunks: list[Any]) -> list[Any]:
        return [[chunk.start_index, chunk.end_index] * 2 for chunk in chunks]

    if kind == "table":
        made = c.TableChunker(tokenizer=encoding, chunk_size=tokens)
        return {"Chonkie table": (made.chunk, lambda chunks: [chunk.text for chunk in chunks])}
    if kind != "text":
        return {}  # its code chunker downloads its grammars
    return {
        "Chonkie recursive": (c.RecursiveChunker(tokenizer=encoding, chunk_size=tokens).chunk, place),
        "Chonkie sentence": (c.SentenceChunker(tokenizer=encoding, chunk_size=tokens, chunk_overlap=0).chunk, place),
        "Chonkie token": (c.TokenChunker(tokenizer=encoding, chunk_size=tokens, chunk_overlap=0).chunk, place),
        "Chonkie characters": (
            c.TokenChunker(tokenizer="character", chunk_size=tokens * 4, chunk_overlap=0).chunk,
            place,
        ),
    }


def langchain(kind: str, tokens: int, _: Any) -> dict[str, tuple[Split, Place]]:
    """LangChain's, likewise."""
    import langchain_text_splitters as lc  # type: ignore[import-not-found,unused-ignore]

    def place(found: list[Any]) -> list[Any]:
        starts = [d.metadata.get("start_index", -1) for d in found]
        return [
            [start, start + len(d.page_content)] * 2 if start >= 0 else d.page_content
            for start, d in zip(starts, found, strict=True)
        ]

    def by_tokens(cls: Any, **options: Any) -> tuple[Split, Place]:
        settings = {"chunk_size": tokens, "chunk_overlap": 0, "add_start_index": True}
        made = cls.from_tiktoken_encoder("cl100k_base", **settings, **options)
        return lambda text: made.create_documents([text]), place

    if kind == "markdown":
        headers = lc.MarkdownHeaderTextSplitter([("#" * n, str(n)) for n in range(1, 7)], strip_headers=False)
        return {"LangChain Markdown headers": (headers.split_text, place)}
    if kind == "code":
        made = lc.RecursiveCharacterTextSplitter
        separators = made.get_separators_for_language(lc.Language.PYTHON)
        return {"LangChain Python": by_tokens(made, separators=separators, is_separator_regex=True)}
    if kind != "text":
        return {}
    token = lc.TokenTextSplitter(
        encoding_name="cl100k_base", chunk_size=tokens, chunk_overlap=0, add_start_index=True, disallowed_special=()
    )
    characters = lc.RecursiveCharacterTextSplitter(chunk_size=tokens * 4, chunk_overlap=0, add_start_index=True)
    return {
        "LangChain recursive": by_tokens(lc.RecursiveCharacterTextSplitter),
        "LangChain character": by_tokens(lc.CharacterTextSplitter),
        "LangChain token": (lambda text: token.create_documents([text]), place),
        "LangChain characters": (lambda text: characters.create_documents([text]), place),
    }


def llama_index(kind: str, tokens: int, encoding: Any) -> dict[str, tuple[Split, Place]]:
    """LlamaIndex's, likewise."""
    from llama_index.core import Document  # type: ignore[import-not-found,unused-ignore]
    from llama_index.core import node_parser as li

    count = encoding.encode_ordinary

    def place(nodes: list[Any]) -> list[Any]:
        return [
            node.text if node.start_char_idx is None else [node.start_char_idx, node.end_char_idx] * 2 for node in nodes
        ]

    def place_window(nodes: list[Any]) -> list[Any]:
        found = []
        for index, node in enumerate(nodes):
            first, last = nodes[max(0, index - 3)], nodes[min(len(nodes) - 1, index + 3)]
            found.append([node.start_char_idx, node.end_char_idx, first.start_char_idx, last.end_char_idx])
        return found

    def place_leaves(nodes: list[Any]) -> list[Any]:
        known = {node.node_id: node for node in nodes}
        found = []
        for node in nodes:
            parent = known.get(node.parent_node.node_id) if node.parent_node is not None else None
            if parent is not None:
                read = [parent.start_char_idx, parent.end_char_idx]
                found.append(
                    [parent.start_char_idx + node.start_char_idx, parent.start_char_idx + node.end_char_idx, *read]
                )
        return found

    def of(made: Any, where: Place = place) -> tuple[Split, Place]:
        return lambda text: made.get_nodes_from_documents([Document(text=text)]), where

    if kind == "markdown":
        return {"LlamaIndex Markdown": of(li.MarkdownNodeParser())}
    if kind == "code":
        import tree_sitter  # type: ignore[import-not-found,unused-ignore]
        import tree_sitter_python  # type: ignore[import-not-found,unused-ignore]

        parser = tree_sitter.Parser(tree_sitter.Language(tree_sitter_python.language()))
        options = {"parser": parser, "count_mode": "token", "max_tokens": tokens, "tokenizer": count}
        return {"LlamaIndex code": of(li.CodeSplitter(language="python", **options))}
    if kind != "text":
        return {}
    sentences = li.SentenceSplitter(chunk_size=tokens, chunk_overlap=0, tokenizer=count)
    small = li.SentenceSplitter(chunk_size=tokens // 4, chunk_overlap=0, tokenizer=count)
    levels = {"large": sentences, "small": small}
    return {
        "LlamaIndex sentence": of(sentences),
        "LlamaIndex token": of(li.TokenTextSplitter(chunk_size=tokens, chunk_overlap=0, tokenizer=count)),
        "LlamaIndex sentence window": of(li.SentenceWindowNodeParser(window_size=3), place_window),
        "LlamaIndex hierarchical": of(
            li.HierarchicalNodeParser(node_parser_ids=[*levels], node_parser_map=levels), place_leaves
        ),
    }


def semantic(kind: str, tokens: int, encoding: Any) -> dict[str, tuple[Split, Place]]:
    """Chonkie's and LlamaIndex's splitters by meaning, with the vectors of our built-in embedder."""
    if kind != "text":
        return {}
    import chonkie as c
    import numpy as np  # type: ignore[import-not-found,unused-ignore]
    from chonkie.embeddings import BaseEmbeddings  # type: ignore[import-not-found,unused-ignore]
    from llama_index.core import Document
    from llama_index.core.embeddings import BaseEmbedding  # type: ignore[import-not-found,unused-ignore]
    from llama_index.core.node_parser import SemanticSplitterNodeParser  # type: ignore[import-not-found,unused-ignore]

    from polyport_gateway.knowledge.chunkers.models.hashed import HashedEmbedder

    hashed = HashedEmbedder()

    class ForChonkie(BaseEmbeddings):  # type: ignore[misc,unused-ignore]
        dimension = hashed.dimensions

        def embed(self, text: str) -> Any:
            return self.embed_batch([text])[0]

        def embed_batch(self, texts: list[str]) -> list[Any]:
            return [np.array(vector, dtype=np.float32) for vector in hashed.embed(texts)]

        def get_tokenizer(self) -> Any:
            return encoding

    class ForLlamaIndex(BaseEmbedding):  # type: ignore[misc,unused-ignore]
        def _get_text_embedding(self, text: str) -> list[float]:
            return hashed.embed([text])[0]

        def _get_query_embedding(self, query: str) -> list[float]:
            return self._get_text_embedding(query)

        async def _aget_query_embedding(self, query: str) -> list[float]:
            return self._get_text_embedding(query)

    chonkies = c.SemanticChunker(embedding_model=ForChonkie(), chunk_size=tokens)
    parser = SemanticSplitterNodeParser(embed_model=ForLlamaIndex(), breakpoint_percentile_threshold=70)
    return {
        "Chonkie semantic": (
            chonkies.chunk,
            lambda chunks: [[chunk.start_index, chunk.end_index] * 2 for chunk in chunks],
        ),
        "LlamaIndex semantic": (
            lambda text: parser.get_nodes_from_documents([Document(text=text)]),
            lambda nodes: [
                node.text if node.start_char_idx is None else [node.start_char_idx, node.end_char_idx] * 2
                for node in nodes
            ],
        ),
    }


@lru_cache(maxsize=1)
def _texts(file: str) -> list[str]:
    found: list[str] = json.loads(Path(file).read_text(encoding="utf-8"))
    return found


def main(vocabulary: str) -> None:
    """Answer requests."""
    os.environ["TIKTOKEN_CACHE_DIR"] = vocabulary
    import tiktoken

    encoding = tiktoken.get_encoding("cl100k_base")

    @lru_cache(maxsize=1)
    def splitters(kind: str, tokens: int) -> dict[str, tuple[Split, Place]]:
        found: dict[str, tuple[Split, Place]] = {}
        for family in (chonkie, langchain, llama_index, semantic):
            try:
                found |= family(kind, tokens, encoding)
            except ImportError as error:
                print(f"{family.__name__}: {error}", file=sys.stderr)
        return found

    answers, sys.stdout = sys.stdout, sys.stderr  # some of them print what they think of their settings
    for line in sys.stdin:
        request = json.loads(line)
        found = splitters(request["kind"], request["tokens"])
        if "splitter" not in request:
            answer: Any = list(found)
        else:
            split, place = found[request["splitter"]]
            texts = _texts(request["corpus"])
            gc.collect()
            began, used = time.perf_counter(), time.process_time()
            chunks = [split(text) for text in texts]
            answer = {"seconds": time.perf_counter() - began, "processor": time.process_time() - used}
            answer["pieces"] = [place(each) for each in chunks] if request["pieces"] else None
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
