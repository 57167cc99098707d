"""The few calls of Docker's Engine API that a sandbox needs, over its socket, on httpx.

The `docker` package was not taken: it is synchronous, a thread for each attached container, and httpx is here anyway.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterable, Mapping
from typing import Any, cast

import httpx

from polyport_sandbox.errors import SandboxError, SandboxUnavailableError

from .attachment import Attachment, RefusedError, attach

__all__ = ["API_VERSION", "DEFAULT_SOCKET", "USUAL_SOCKET", "Engine", "EngineError", "default_socket"]

CLOSE_S = 5.0
API_VERSION = "1.41"  # Docker 20.10, the first with private cgroup namespaces and seccomp's own error numbers

USUAL_SOCKET = "/var/run/docker.sock"


def default_socket(docker_host: str | None) -> str:
    """The socket that Docker's own client would use; an address that is no Unix socket is given back as it is."""
    return docker_host.removeprefix("unix://") if docker_host else USUAL_SOCKET


DEFAULT_SOCKET = default_socket(os.environ.get("DOCKER_HOST"))


class EngineError(SandboxError):
    """Docker refused a request; `status` is its HTTP status."""


class Engine:
    """A Docker daemon.

    Args:
        socket: The path of its Unix socket.
    """

    def __init__(self, socket: str = DEFAULT_SOCKET) -> None:
        self.socket = socket
        transport = httpx.AsyncHTTPTransport(
            uds=socket, limits=httpx.Limits(max_connections=None, max_keepalive_connections=8)
        )
        self._http = httpx.AsyncClient(
            transport=transport, base_url=f"http://docker/v{API_VERSION}", timeout=60, trust_env=False
        )
        self._asking: set[asyncio.Task[httpx.Response]] = set()

    async def aclose(self) -> None:
        """See out what was asked, and close the connections."""
        if self._asking:
            await asyncio.wait(set(self._asking), timeout=CLOSE_S)
        await self._http.aclose()

    async def info(self) -> dict[str, Any]:
        """What the daemon says about itself."""
        return cast(dict[str, Any], await self._json("GET", "/info"))

    async def version(self) -> dict[str, Any]:
        """Which versions of the API the daemon speaks; asked without naming one, so that an old daemon answers."""
        return cast(dict[str, Any], await self._json("GET", "http://docker/version"))

    async def image(self, name: str) -> dict[str, Any] | None:
        """Inspect an image; None if there is none of that name."""
        try:
            return cast(dict[str, Any], await self._json("GET", f"/images/{name}/json"))
        except EngineError as error:
            if error.status == 404:
                return None
            raise

    async def import_image(self, archive: AsyncIterable[bytes], *, changes: list[str]) -> str:
        """Make a nameless image of one layer out of a tar of its root file system; return its id."""
        params: list[tuple[str, str]] = [("fromSrc", "-"), *(("changes", change) for change in changes)]
        response = await self._send("POST", "/images/create", params=params, content=archive, timeout=600)
        last = ""
        for line in response.text.splitlines():
            message = json.loads(line)
            if "error" in message:
                raise EngineError(f"Docker could not import the image: {message['error']}")
            last = str(message.get("status", last))
        if not last.startswith("sha256:"):
            raise EngineError(f"Docker imported the image and did not say its id, but {last!r}")
        return last

    async def tag_image(self, image: str, *, repository: str, tag: str) -> None:
        """Give an image a name, taking it from the one that has it."""
        await self._send("POST", f"/images/{image}/tag", params={"repo": repository, "tag": tag})

    async def images(self, **filters: list[str]) -> list[dict[str, Any]]:
        """The images that pass Docker's filters, such as ``label=[…]``."""
        params = {"filters": json.dumps(filters)}
        return cast(list[dict[str, Any]], await self._json("GET", "/images/json", params=params))

    async def remove_image(self, image: str) -> None:
        """Remove an image that has no other name and no container."""
        await self._send("DELETE", f"/images/{image}")

    async def create(self, settings: Mapping[str, Any], *, name: str) -> str:
        """Create a container and return its id."""
        answer = await self._json("POST", "/containers/create", params={"name": name}, json=settings)
        return str(answer["Id"])

    async def attach(self, container: str) -> Attachment:
        """Connect to a container's three streams."""
        path = f"/v{API_VERSION}/containers/{container}/attach?stream=1&stdin=1&stdout=1&stderr=1"
        try:
            return await attach(self.socket, path)
        except RefusedError as error:
            refusal = httpx.Response(error.status, content=error.body)
            raise EngineError(f"Docker would not attach: {_message(refusal)}", status=error.status) from None
        except OSError as error:
            raise self._unreachable(error) from error

    async def start(self, container: str) -> None:
        """Start a created container."""
        await self._send("POST", f"/containers/{container}/start")

    async def update(self, container: str, resources: Mapping[str, int]) -> None:
        """Change a running container's limits."""
        await self._send("POST", f"/containers/{container}/update", json=dict(resources))

    async def inspect(self, container: str) -> dict[str, Any]:
        """Everything about a container."""
        return cast(dict[str, Any], await self._json("GET", f"/containers/{container}/json"))

    async def labelled(self, label: str) -> list[dict[str, Any]]:
        """The containers with a label, ended ones too."""
        params = {"all": "1", "filters": json.dumps({"label": [label]})}
        return cast(list[dict[str, Any]], await self._json("GET", "/containers/json", params=params))

    async def remove(self, container: str) -> None:
        """Kill and remove a container; one that is gone, or going, is fine."""
        try:
            await self._send("DELETE", f"/containers/{container}", params={"force": 1, "v": 1})
        except EngineError as error:
            if error.status not in (404, 409):
                raise

    async def _json(self, method: str, path: str, **options: Any) -> Any:
        return (await self._send(method, path, **options)).json()

    async def _send(self, method: str, path: str, **options: Any) -> httpx.Response:
        # In a task of its own: what was asked of Docker happens in any case, and a cancellation that met httpx's wait
        # as the answer comes would end in an InvalidStateError of anyio's (see `attachment`). An upload is cut short.
        asking = asyncio.create_task(self._http.request(method, path, **options))
        self._asking.add(asking)
        asking.add_done_callback(self._answered)
        try:
            response = await (asking if "content" in options else asyncio.shield(asking))
        except (httpx.HTTPError, RuntimeError) as error:  # the latter of a client that was closed
            raise self._unreachable(error) from error
        if response.status_code >= 400:
            raise EngineError(
                f"Docker answered {response.status_code} to {method} {path}: {_message(response)}",
                status=response.status_code,
            )
        return response

    def _answered(self, asking: asyncio.Task[httpx.Response]) -> None:
        self._asking.discard(asking)
        if not asking.cancelled():
            asking.exception()  # which whoever asked may not have waited for

    def _unreachable(self, error: Exception) -> SandboxUnavailableError:
        return SandboxUnavailableError(
            f"Docker does not answer on {self.socket}: {error or type(error).__name__}.",
            mend="python -m polyport_sandbox doctor",
        )


def _message(response: httpx.Response) -> str:
    try:
        return str(response.json()["message"])
    except (ValueError, KeyError, TypeError):
        return response.text[:200]
