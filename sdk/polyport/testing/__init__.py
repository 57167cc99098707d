"""For users' own tests: a scripted engine and a gateway in this process."""

from polyport.testing.engine import ScriptedEngine, ScriptExhaustedError, ToolCall

__all__ = ["ScriptExhaustedError", "ScriptedEngine", "ToolCall"]
