"""Models of the gateway from worker threads, and vectors that are made once."""

from __future__ import annotations

from .cache import EmbeddingCache
from .embedder import Embed, Embedder, Role
from .models import GatewayModels

__all__ = ["Embed", "Embedder", "EmbeddingCache", "GatewayModels", "Role"]
