"""What the app declared of its sandbox, and what the operator's settings make of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from polyport.declarations import SandboxDeclaration
from polyport_gateway.settings import Settings

__all__ = ["SandboxPlan", "make_plan"]

_MIB = 1 << 20

_MOST: Mapping[str, float] = {
    "cpus": 2.0,
    "pids": 256,
    "output_bytes": 8 * _MIB,
    "input_files": 1024,
    "input_bytes": 32 * _MIB,
    "output_files": 1024,
    "output_file_bytes": 64 * _MIB,
    "displays": 256,
    "display_bytes": 64 * _MIB,
}
"""What a run may ask for at most where nothing else is said; time and memory are settings."""


@dataclass(frozen=True, slots=True)
class SandboxPlan:
    """How the gateway's sandbox is made and what its callers may ask for.

    Attributes:
        provider: The provider's name, or a provider.
        options: The provider's own.
        tools: Whether its tools are shown to callers.
        code_mode: Whether there is `run_code_with_tools`.
        allow_hosts: What callers may at most ask to reach.
        limits: What a run gets unasked, by name of limit.
        max_limits: What it may ask for at most.
        max_sessions: Sessions at once.
        max_sessions_per_caller: One caller's of these.
    """

    provider: str | Any = "docker"
    options: Mapping[str, Any] = field(default_factory=dict)
    tools: bool = True
    code_mode: bool = False
    allow_hosts: tuple[str, ...] = ()
    limits: Mapping[str, float] = field(default_factory=dict)
    max_limits: Mapping[str, float] = field(default_factory=dict)
    max_sessions: int = 64
    max_sessions_per_caller: int = 16


def make_plan(declared: SandboxDeclaration | None, settings: Settings) -> SandboxPlan | None:
    """Lay the settings over the declaration; None where there is to be no sandbox.

    A setting that was given wins; what neither says is the setting's default. Another provider than the declared one
    does not get the declared one's options.
    """
    if settings.sandbox == "none" or (settings.sandbox is None and declared is None):
        return None
    found = declared or SandboxDeclaration()
    options = dict(found.options)
    provider = found.provider
    if settings.sandbox is not None and settings.sandbox != provider:
        provider, options = settings.sandbox, {}
    if settings.sandbox_image is not None:
        options["image"] = settings.sandbox_image
    return SandboxPlan(
        provider=provider,
        options=options,
        tools=_chosen(settings, "sandbox_tools", found.tools),
        code_mode=_chosen(settings, "sandbox_code_mode", found.code_mode),
        allow_hosts=_chosen(settings, "sandbox_allow_hosts", found.allow_hosts),
        limits=_limits(settings, found.limits, "sandbox_timeout_s", "sandbox_memory_mb"),
        max_limits={
            **_MOST,
            **_limits(settings, found.max_limits, "sandbox_max_timeout_s", "sandbox_max_memory_mb"),
        },
        max_sessions=settings.sandbox_max_sessions,
        max_sessions_per_caller=settings.sandbox_max_sessions_per_caller,
    )


def _chosen(settings: Settings, name: str, declared: Any) -> Any:
    if declared is None or name in settings.model_fields_set:
        return getattr(settings, name)
    return declared


def _limits(settings: Settings, declared: Mapping[str, float], time: str, memory: str) -> dict[str, float]:
    return {
        **declared,
        "wall_s": _chosen(settings, time, declared.get("wall_s")),
        "memory_mb": _chosen(settings, memory, declared.get("memory_mb")),
    }
