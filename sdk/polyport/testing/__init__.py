"""For users' own tests: a scripted engine, and a real gateway on a free port."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from polyport.testing.engine import ScriptedEngine, ScriptExhaustedError, ToolCall
    from polyport.testing.server import gateway

__all__ = ["ScriptExhaustedError", "ScriptedEngine", "ToolCall", "gateway"]

_HOME_OF = {"ScriptExhaustedError": "engine", "ScriptedEngine": "engine", "ToolCall": "engine", "gateway": "server"}


def __getattr__(name: str) -> Any:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module 'polyport.testing' has no attribute {name!r}")
    return getattr(import_module(f"polyport.testing.{home}"), name)
