"""Any model's own tokenizer, from its ``tokenizer.json``."""

from __future__ import annotations

import hashlib
import importlib.util
from array import array
from pathlib import Path

from .base import TokenMeasure

__all__ = ["HuggingFaceTokenizer"]

_BLOCK = 1 << 16


class HuggingFaceTokenizer:
    """Counts as the model does that a ``tokenizer.json`` comes with.

    Args:
        path: The file, or the folder that it is in.

    Raises:
        LookupError: The package tokenizers is not installed, or there is no such file.
    """

    def __init__(self, path: str | Path) -> None:
        file = Path(path)
        file = file / "tokenizer.json" if file.is_dir() else file
        if importlib.util.find_spec("tokenizers") is None:
            raise LookupError('The package tokenizers is not installed: pip install tokenizers, or use "estimate".')
        if not file.is_file():
            raise LookupError(f"{file} does not exist. Name a tokenizer.json, or the folder that has one.")
        from tokenizers import Tokenizer

        content = file.read_bytes()
        self.name = f"huggingface-{hashlib.sha256(content).hexdigest()[:12]}"
        self._tokenizer = Tokenizer.from_buffer(content)
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()

    def count(self, text: str) -> int:
        """Return how many tokens a text has, without special tokens."""
        return len(self._tokenizer.encode(text, add_special_tokens=False))

    def measure(self, text: str) -> TokenMeasure:
        """Encode a text block by block; where a part is cut, it is counted by itself."""
        ends = array("I")
        starts = range(0, len(text), _BLOCK)
        blocks = [text[start : start + _BLOCK] for start in starts]
        for start, encoding in zip(starts, self._tokenizer.encode_batch(blocks, add_special_tokens=False), strict=True):
            last = ends[-1] if ends else 0
            for _, end in encoding.offsets:
                last = max(last, start + end)
                ends.append(last)
        return TokenMeasure(self.count, text, ends)
