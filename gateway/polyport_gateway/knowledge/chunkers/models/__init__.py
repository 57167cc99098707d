"""What steps may ask for: text written by a language model, and vectors of texts."""

from __future__ import annotations

from .base import Embedder, TextModel

__all__ = ["Embedder", "TextModel"]
