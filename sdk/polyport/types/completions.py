"""OpenAI's (legacy) text completions."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from polyport.types.base import RequestModel, WireModel
from polyport.types.chat import CompletionUsage, StreamOptions

__all__ = ["Completion", "CompletionChoice", "CompletionRequest"]


class CompletionRequest(RequestModel):
    """The body of ``POST /v1/completions``; `prompt` is text, texts, tokens, or lists of tokens."""

    model: str = Field(min_length=1)
    prompt: str | list[str] | list[int] | list[list[int]] = "<|endoftext|>"
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    echo: bool | None = None
    logprobs: int | None = Field(default=None, ge=0, le=5)
    n: int | None = Field(default=None, ge=1, le=128)
    best_of: int | None = Field(default=None, ge=0, le=20)
    max_tokens: int | None = Field(default=None, ge=0)
    stop: str | list[str] | None = None
    seed: int | None = None
    suffix: str | None = None
    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = Field(default=None, ge=0, le=1)
    frequency_penalty: float | None = Field(default=None, ge=-2, le=2)
    presence_penalty: float | None = Field(default=None, ge=-2, le=2)
    logit_bias: dict[str, float] | None = None
    user: str | None = None


class CompletionChoice(WireModel):
    """One continuation."""

    index: int = 0
    text: str
    finish_reason: str | None = None
    logprobs: dict[str, Any] | None = None


class Completion(WireModel):
    """The answer of ``POST /v1/completions``."""

    id: str
    object: Literal["text_completion"] = "text_completion"
    created: int
    model: str
    choices: list[CompletionChoice]
    usage: CompletionUsage | None = None

    @property
    def text(self) -> str:
        """The first continuation; empty where there is none."""
        return self.choices[0].text if self.choices else ""
