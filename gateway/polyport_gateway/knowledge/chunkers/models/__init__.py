"""What steps may ask for: text written by a language model, and vectors of texts."""

from __future__ import annotations

from .adapters import CallableEmbedder, CallableModel, ClientEmbedder, ClientModel
from .asking import ModelAnswerError
from .base import Embedder, TextModel
from .hashed import HashedEmbedder

__all__ = [
    "CallableEmbedder",
    "CallableModel",
    "ClientEmbedder",
    "ClientModel",
    "Embedder",
    "HashedEmbedder",
    "ModelAnswerError",
    "TextModel",
]
