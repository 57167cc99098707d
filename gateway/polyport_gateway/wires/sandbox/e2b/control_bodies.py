"""What E2B's control plane takes."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from polyport.errors import NotFoundError
from polyport_gateway.wires.sandbox.e2b.environment import check_envs
from polyport_gateway.wires.sandbox.e2b.errors import NotOfferedError
from polyport_gateway.wires.sandbox.e2b.sandboxes import DEFAULT_TEMPLATE, LONGEST_S

__all__ = ["Connecting", "NewSandbox", "Timeout"]

_TEMPLATES = frozenset({DEFAULT_TEMPLATE, "base"})
_ALL_TRAFFIC = "0.0.0.0/0"


class NewSandbox(BaseModel):
    """The body that makes a sandbox."""

    model_config = ConfigDict(populate_by_name=True, extra="ignore")

    template: str = Field(default=DEFAULT_TEMPLATE, alias="templateID")
    timeout: float | None = Field(default=None, gt=0, le=LONGEST_S)
    metadata: dict[str, str] = Field(default_factory=dict, max_length=64)
    envs: dict[str, str] = Field(default_factory=dict, alias="envVars", max_length=256)
    auto_pause: bool = Field(default=False, alias="autoPause")
    allow_internet_access: bool | None = None
    network: dict[str, Any] | None = None
    mcp: dict[str, Any] | None = None
    iam: dict[str, Any] | None = None
    volume_mounts: list[Any] = Field(default_factory=list, alias="volumeMounts")

    def allow_hosts(self) -> tuple[str, ...]:
        """Return the hosts it may reach.

        Raises:
            NotOfferedError: It asks for more than a list of hosts.
        """
        network = self.network or {}
        allowed = network.get("allowOut") or []
        if self.allow_internet_access or _ALL_TRAFFIC in allowed:
            raise NotOfferedError(
                "A sandbox of this gateway has no access to the whole internet. Leave allow_internet_access out, or "
                'name the hosts: network={"allow_out": ["example.org"]}.'
            )
        other = sorted(key for key, value in network.items() if value and key not in ("allowOut", "denyOut"))
        if other or not all(isinstance(host, str) for host in allowed):
            raise NotOfferedError(f"Of network, only allow_out with names of hosts is offered, not {other or 'this'}.")
        return tuple(allowed)

    def check(self) -> None:
        """Refuse what there isn't.

        Raises:
            NotFoundError: The template.
            NotOfferedError: Anything else.
        """
        if self.template not in _TEMPLATES:
            raise NotFoundError(
                f"There is no template {self.template[:80]!r}; there are {', '.join(sorted(_TEMPLATES))}, both this "
                "gateway's own sandbox image.",
                param="templateID",
            )
        wanted = {
            "pausing when the time is over": self.auto_pause,
            "an MCP gateway in the sandbox": self.mcp,
            "workload identity": self.iam,
            "volumes": self.volume_mounts,
        }
        check_envs(self.envs)
        for what, value in wanted.items():
            if value:
                raise NotOfferedError(f"This gateway's sandboxes do not offer {what}; leave it out.")


class Timeout(BaseModel):
    """The body that sets a timeout."""

    timeout: float = Field(gt=0, le=LONGEST_S)


class Connecting(BaseModel):
    """The body that connects."""

    timeout: float | None = Field(default=None, gt=0, le=LONGEST_S)
