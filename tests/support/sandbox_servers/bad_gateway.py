"""A gateway that is only there to fail: everything it answers is a fault, but for the list asked for at the start."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from .server import SandboxServer


class BadGateway(SandboxServer):
    """The server; the real gateway is what the rest is tested with."""

    def routes(self) -> list[BaseRoute]:
        return [Route("/v1/sandbox/sessions", self._list)]

    async def _list(self, _: Request) -> Response:
        return JSONResponse({"object": "list", "data": []})
