"""Token counting: OpenAI's vocabularies, any ``tokenizer.json``, or an estimate that needs nothing."""

from __future__ import annotations

import importlib.util
from functools import lru_cache

from .base import Measure, Tokenizer, TokenMeasure
from .estimate import EstimateTokenizer
from .huggingface import HuggingFaceTokenizer
from .seams import SeamMeasure
from .tiktoken import TiktokenTokenizer, find_vocabulary

__all__ = [
    "EstimateTokenizer",
    "HuggingFaceTokenizer",
    "Measure",
    "SeamMeasure",
    "TiktokenTokenizer",
    "TokenMeasure",
    "Tokenizer",
    "find_vocabulary",
    "get_tokenizer",
]


@lru_cache(maxsize=16)
def get_tokenizer(name: str = "auto") -> Tokenizer:
    """Return a tokenizer by name.

    Args:
        name: ``estimate``; ``cl100k_base`` or ``o200k_base``; the path of a ``tokenizer.json`` or of its folder; or
        ``auto``,
            which is cl100k_base where its vocabulary is on this machine, and the estimate elsewhere.

    Raises:
        LookupError: What it needs is not on this machine.
    """
    if name == "auto":
        there = importlib.util.find_spec("tiktoken") is not None and find_vocabulary("cl100k_base") is not None
        return TiktokenTokenizer() if there else EstimateTokenizer()
    if name == "estimate":
        return EstimateTokenizer()
    if name in {"cl100k_base", "o200k_base"}:
        return TiktokenTokenizer(name)
    return HuggingFaceTokenizer(name)
