"""docling's own conversion (https://docling-project.github.io/docling/), where it is asked for by name."""

from .engine import DoclingEngine

__all__ = ["DoclingEngine"]
