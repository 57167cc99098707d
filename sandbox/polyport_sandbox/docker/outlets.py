"""What a run is given that leads out of its container: the proxy to the hosts it may reach, and the host's tools."""

from __future__ import annotations

from polyport_sandbox.inside.sources import tools_module
from polyport_sandbox.types import RunRequest, SessionRequest

from .channels import ContainerChannel, Handler
from .protocol import Openings

__all__ = ["handler_for", "openings_for"]

PROXY = "http://127.0.0.1:3128"  # where `inside.channels` listens


def openings_for(request: RunRequest | SessionRequest) -> Openings:
    """What is to be offered inside."""
    listen: tuple[str, ...] = ()
    env: dict[str, str] = {}
    module: str | None = None
    if request.allow_hosts:
        listen += ("proxy",)
        env = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), PROXY)
    if request.tools is not None:
        listen += ("tools",)
        module = tools_module()
    return Openings(listen, env, module)


def handler_for(request: RunRequest | SessionRequest) -> Handler:
    """What serves the connections that come out."""

    async def serve(kind: str, channel: ContainerChannel) -> None:
        if kind == "proxy":
            from polyport_sandbox.network.egress import serve_proxy  # only where a proxy is given

            await serve_proxy(channel, request.allow_hosts)
        elif request.tools is not None:
            from polyport_sandbox.toolbox import serve_tools

            await serve_tools(channel, request.tools)

    return serve
