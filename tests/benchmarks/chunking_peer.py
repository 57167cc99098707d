"""Cut texts with other libraries' splitters, in an environment of their own; prints JSON.

``python chunking_peer.py VOCABULARY_FOLDER TOKENS ROUNDS FILE…``: for each splitter that is installed, the seconds of
each round and
the place of each chunk in each file.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

Split = Callable[[str], list[tuple[int, int]]]


def chonkie(tokens: int, encoding: Any) -> dict[str, Split]:
    """Chonkie's, with its tokens counted by tiktoken."""
    from chonkie import RecursiveChunker, SentenceChunker, TokenChunker  # type: ignore[import-not-found,unused-ignore]

    def splitter(chunker: Any) -> Split:
        return lambda text: [(chunk.start_index, chunk.end_index) for chunk in chunker.chunk(text)]

    return {
        "Chonkie recursive": splitter(RecursiveChunker(tokenizer=encoding, chunk_size=tokens)),
        "Chonkie sentence": splitter(SentenceChunker(tokenizer=encoding, chunk_size=tokens, chunk_overlap=0)),
        "Chonkie token": splitter(TokenChunker(tokenizer=encoding, chunk_size=tokens, chunk_overlap=0)),
    }


def langchain(tokens: int, _: Any) -> dict[str, Split]:
    """LangChain's, likewise."""
    from langchain_text_splitters import (  # type: ignore[import-not-found,unused-ignore]
        RecursiveCharacterTextSplitter,
    )

    made = RecursiveCharacterTextSplitter.from_tiktoken_encoder(
        "cl100k_base", chunk_size=tokens, chunk_overlap=0, add_start_index=True
    )

    def split(text: str) -> list[tuple[int, int]]:
        found = made.create_documents([text])
        return [(d.metadata["start_index"], d.metadata["start_index"] + len(d.page_content)) for d in found]

    return {"LangChain recursive": split}


def llama_index(tokens: int, encoding: Any) -> dict[str, Split]:
    """LlamaIndex's, likewise."""
    from llama_index.core import Document  # type: ignore[import-not-found,unused-ignore]
    from llama_index.core.node_parser import SentenceSplitter  # type: ignore[import-not-found,unused-ignore]

    made = SentenceSplitter(chunk_size=tokens, chunk_overlap=0, tokenizer=encoding.encode_ordinary)

    def split(text: str) -> list[tuple[int, int]]:
        nodes = made.get_nodes_from_documents([Document(text=text)])
        return [(node.start_char_idx, node.end_char_idx) for node in nodes if node.start_char_idx is not None]

    return {"LlamaIndex sentence": split}


def main(vocabulary: str, tokens: int, rounds: int, files: list[str]) -> None:
    """Measure."""
    os.environ["TIKTOKEN_CACHE_DIR"] = vocabulary
    import tiktoken

    encoding = tiktoken.get_encoding("cl100k_base")
    texts = [Path(file).read_text(encoding="utf-8") for file in files]
    answer: dict[str, Any] = {}
    for family in (chonkie, langchain, llama_index):
        try:
            splitters = family(tokens, encoding)
        except ImportError as error:
            print(f"{family.__name__}: {error}", file=sys.stderr)
            continue
        for name, split in splitters.items():
            split(texts[0][:2000])
            seconds, processor = [], []
            for _ in range(rounds):
                began, used = time.perf_counter(), time.process_time()
                spans = [split(text) for text in texts]
                seconds.append(time.perf_counter() - began)
                processor.append(time.process_time() - used)
            answer[name] = {"seconds": seconds, "processor": processor, "spans": spans}
    print(json.dumps(answer))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:])
