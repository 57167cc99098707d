"""OpenAI's vocabularies, where they are on this machine."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import tempfile
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from .seams import SeamMeasure
from .words import WordCounts

if TYPE_CHECKING:
    import tiktoken

__all__ = ["TiktokenTokenizer", "find_vocabulary"]

_FILES = {
    "cl100k_base": "https://openaipublic.blob.core.windows.net/encodings/cl100k_base.tiktoken",
    "o200k_base": "https://openaipublic.blob.core.windows.net/encodings/o200k_base.tiktoken",
}
_BUNDLED = (("litellm", "litellm_core_utils/tokenizers"), ("llama_index.core", "_static/tiktoken_cache"))
"""Packages that carry vocabularies as tiktoken's cache names them."""

# Where cl100k_base and o200k_base cut whatever stands further off: before a blank after a character that is none,
# after a line break before one that is none (nor a slash, which o200k_base joins to it), and between a letter or digit
# and Chinese punctuation.
_SEAM = re.compile(r"(?<=\S)(?=[ \t])|(?<=\n)(?=[^\s/])|(?<=[^\W_])(?=[，。！？；：、])")

_BLOCK = 32
_SHORT = 128
"""Characters up to which encoding is as fast as looking the words up."""

_lock = Lock()


class TiktokenTokenizer:
    """Counts as OpenAI's models do.

    Args:
        encoding: ``cl100k_base`` or ``o200k_base``.
        folder: Where the vocabulary lies, in a file named as tiktoken's cache names it; found by itself when it is in
            tiktoken's cache or comes with an installed package. It is never downloaded.

    Raises:
        LookupError: tiktoken is not installed, or the vocabulary is not on this machine.
    """

    def __init__(self, encoding: str = "cl100k_base", *, folder: Path | None = None) -> None:
        self.name = f"tiktoken-{encoding}"
        self._encoding = _load(encoding, folder)
        self._words = WordCounts(self._encoding.encode_ordinary, _begins(self._encoding))

    def count(self, text: str) -> int:
        """Return how many tokens a text has; what looks like a special token is text."""
        return self._words.count(text) if len(text) > _SHORT else len(self._encoding.encode_ordinary(text))

    def measure(self, text: str) -> SeamMeasure:
        """Look the words of a text up, and encode once what is not known."""
        return SeamMeasure(self.count, text, _SEAM, _BLOCK, self._words)


def find_vocabulary(encoding: str, folder: Path | None = None) -> Path | None:
    """Return the folder on this machine that has an encoding's vocabulary, or None."""
    url = _FILES.get(encoding)
    if url is None:
        raise ValueError(f"No tiktoken encoding is called {encoding!r}; there are {', '.join(sorted(_FILES))}.")
    name = hashlib.sha1(url.encode(), usedforsecurity=False).hexdigest()
    return next((place for place in _places(folder) if (place / name).is_file()), None)


def _places(folder: Path | None) -> list[Path]:
    if folder is not None:
        return [folder]
    # tiktoken's own setting, read because tiktoken would download what is not there.
    cache = os.environ.get("TIKTOKEN_CACHE_DIR") or os.environ.get("DATA_GYM_CACHE_DIR")
    places = [Path(cache) if cache else Path(tempfile.gettempdir()) / "data-gym-cache"]
    for package, inside in _BUNDLED:
        root = importlib.util.find_spec(package.partition(".")[0])
        locations = (root.submodule_search_locations or []) if root is not None else []
        places += [Path(location, *package.split(".")[1:], inside) for location in locations]
    return places


def _begins(encoding: tiktoken.Encoding) -> bytes:
    # For each token, whether it begins with a blank.
    table = bytearray(encoding.n_vocab)
    for token in encoding.token_byte_values():
        if token[:1] == b" ":
            table[encoding.encode_single_token(token)] = 1
    return bytes(table)


def _load(encoding: str, folder: Path | None) -> tiktoken.Encoding:
    if importlib.util.find_spec("tiktoken") is None:
        raise LookupError('tiktoken is not installed: pip install tiktoken, or use tokenizer="estimate".')
    found = find_vocabulary(encoding, folder)
    if found is None:
        raise LookupError(
            f"The vocabulary of {encoding} is not on this machine. Set TIKTOKEN_CACHE_DIR to a folder that has it, "
            'or use tokenizer="estimate".'
        )
    import tiktoken

    with _lock:
        before = os.environ.get("TIKTOKEN_CACHE_DIR")
        os.environ["TIKTOKEN_CACHE_DIR"] = str(found)
        try:
            return tiktoken.get_encoding(encoding)
        finally:
            if before is None:
                del os.environ["TIKTOKEN_CACHE_DIR"]
            else:
                os.environ["TIKTOKEN_CACHE_DIR"] = before
