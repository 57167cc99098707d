"""``/v1/containers``: the sandbox's sessions and their files, as OpenAI describes them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ValidationError

from polyport.errors import CallError, NotFoundError
from polyport.types.containers import (
    ContainerDeleted,
    ContainerFileDeleted,
    ContainerFileList,
    ContainerList,
    ContainerRequest,
)
from polyport_gateway.call import Dispatch
from polyport_gateway.errors import invalid_request
from polyport_gateway.sandboxes.containers import ContainerFile, Containers
from polyport_gateway.settings import Settings
from polyport_gateway.wires.http import (
    Receive,
    Scope,
    Send,
    info_of,
    read_json,
    run_until_disconnect,
    send_bytes,
    send_json,
)
from polyport_gateway.wires.openai.container_forms import container_body, file_body, read_spec
from polyport_gateway.wires.openai.container_paths import PATHS
from polyport_gateway.wires.openai.queries import cut_page, read_number, read_order, read_query
from polyport_gateway.wires.openai.uploads import read_upload
from polyport_gateway.wires.router import Route
from polyport_gateway.wires.sandbox_calls import in_sandbox

if TYPE_CHECKING:
    from polyport_sandbox.session import Session

__all__ = ["ContainersWire"]

_MOST_ITEMS = 100
_MOST_CONTENT = 64 * 1024 * 1024

# The bytes are of untrusted code's making: no browser may take them for a page of this gateway's.
_CONTENT_HEADERS = (
    (b"content-type", b"application/octet-stream"),
    (b"content-disposition", b"attachment"),
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"sandbox; default-src 'none'"),
)

Endpoint = Callable[[Scope, Receive, Send], Awaitable[None]]
Handler = Callable[[Scope, Send], Coroutine[Any, Any, None]]
Item = TypeVar("Item", bound=BaseModel)
Value = TypeVar("Value")


class ContainersWire:
    """Everything under ``/v1/containers``.

    A container belongs to the caller that made it; to all others it does not exist. It is the same as a session of
    the sandbox, so one that was opened on another wire is here too.

    Args:
        containers: Where they are.
        dispatch: The one way through.
        settings: Limits.

    Attributes:
        routes: Each path, method and endpoint.
    """

    def __init__(self, containers: Containers, dispatch: Dispatch, settings: Settings) -> None:
        self._containers = containers
        self._dispatch = dispatch
        self._settings = settings
        endpoints: list[Endpoint] = [
            self.create,
            self._without_body(self.list),
            self._without_body(self.retrieve),
            self._without_body(self.delete),
            self.add_file,
            self._without_body(self.list_files),
            self._without_body(self.retrieve_file),
            self._without_body(self.file_content),
            self._without_body(self.delete_file),
        ]
        self.routes = [Route(*place, endpoint) for place, endpoint in zip(PATHS, endpoints, strict=True)]

    def _without_body(self, handler: Handler) -> Endpoint:
        async def endpoint(scope: Scope, receive: Receive, send: Send) -> None:
            await self._containers.check(info_of(scope).caller)
            await run_until_disconnect(receive, handler(scope, send))

        return endpoint

    # Containers.

    async def create(self, scope: Scope, receive: Receive, send: Send) -> None:
        """``POST /v1/containers``."""
        caller = info_of(scope).caller
        body = await read_json(scope, receive, settings=self._settings)
        await self._containers.check(caller)
        try:
            spec = read_spec(ContainerRequest.model_validate(body))
        except ValidationError as error:
            raise invalid_request(error) from error
        creating = self._do(scope, lambda: self._containers.create(caller, spec))
        session = await run_until_disconnect(receive, creating)
        await send_json(send, container_body(session))

    async def list(self, scope: Scope, send: Send) -> None:
        """``GET /v1/containers``, the newest first unless asked otherwise."""
        query = read_query(scope)
        sessions = await self._containers.of(info_of(scope).caller)
        named = [s for s in sessions if "name" not in query or s.name == query["name"]]
        items, ends = _page(scope, [container_body(session) for session in named], of="a container of yours")
        await send_json(send, ContainerList(data=items, **ends))

    async def retrieve(self, scope: Scope, send: Send) -> None:
        """``GET /v1/containers/{container_id}``."""
        await send_json(send, container_body(await self._containers.find(_id(scope), info_of(scope).caller)))

    async def delete(self, scope: Scope, send: Send) -> None:
        """``DELETE /v1/containers/{container_id}``."""
        await self._containers.delete(_id(scope), info_of(scope).caller)
        await send_json(send, ContainerDeleted(id=_id(scope)))

    # Files.

    async def add_file(self, scope: Scope, receive: Receive, send: Send) -> None:
        """``POST /v1/containers/{container_id}/files``."""
        await self._containers.check(info_of(scope).caller)
        session = await self._running(scope)
        given = await read_upload(scope, receive, self._settings)
        caller = info_of(scope).caller

        async def add() -> ContainerFile:
            if isinstance(given, str):
                return await self._containers.bring_one(session, given, caller)
            return await self._containers.add_file(session, *given)

        file = await run_until_disconnect(receive, self._do(scope, add, session))
        await send_json(send, file_body(file))

    async def list_files(self, scope: Scope, send: Send) -> None:
        """``GET /v1/containers/{container_id}/files``, the newest first unless asked otherwise."""
        session = await self._running(scope)
        found = await self._do(scope, lambda: self._containers.files(session), session)
        files = [file_body(file) for file in found]
        items, ends = _page(scope, files, of="a file of this container")
        await send_json(send, ContainerFileList(data=items, **ends))

    async def retrieve_file(self, scope: Scope, send: Send) -> None:
        """``GET /v1/containers/{container_id}/files/{file_id}``."""
        session = await self._running(scope)
        file = await self._do(scope, lambda: self._containers.file(session, _file_id(scope)), session)
        await send_json(send, file_body(file))

    async def file_content(self, scope: Scope, send: Send) -> None:
        """``GET /v1/containers/{container_id}/files/{file_id}/content``."""
        session = await self._running(scope)

        async def content() -> bytes:
            file = await self._containers.file(session, _file_id(scope))
            return await session.download(file.name, max_bytes=_MOST_CONTENT)

        await send_bytes(send, await self._do(scope, content, session), headers=_CONTENT_HEADERS)

    async def delete_file(self, scope: Scope, send: Send) -> None:
        """``DELETE /v1/containers/{container_id}/files/{file_id}``."""
        session = await self._running(scope)

        async def deleted() -> str:
            file = await self._containers.file(session, _file_id(scope))
            await session.delete(file.name)
            return file.id

        await send_json(send, ContainerFileDeleted(id=await self._do(scope, deleted, session)))

    async def _do(self, scope: Scope, do: Callable[[], Awaitable[Value]], session: Session | None = None) -> Value:
        """Do it as a call, and say in this wire's words if the container it is in ended meanwhile."""
        try:
            return await in_sandbox(self._dispatch, info_of(scope), do, wire="openai")
        except CallError as error:
            if session is None or not session.closed:
                raise
            raise NotFoundError(
                f"Container {session.id!r} has expired, and its files are gone; create a new one.",
                param="container_id",
                code="container_expired",
            ) from error

    async def _running(self, scope: Scope) -> Session:
        return await self._containers.running(_id(scope), info_of(scope).caller)


def _id(scope: Scope) -> str:
    found: str = scope["path_params"]["container_id"]
    return found


def _file_id(scope: Scope) -> str:
    found: str = scope["path_params"]["file_id"]
    return found


def _page(scope: Scope, items: Sequence[Item], *, of: str) -> tuple[list[Item], dict[str, Any]]:
    """Return the page of a list, oldest first, that a query asks for, and the members that say where it stands."""
    query = read_query(scope)
    limit = read_number(query, "limit", 20, least=1, most=_MOST_ITEMS)
    ordered = list(reversed(items)) if read_order(query) else list(items)
    chosen, more = cut_page(
        ordered, limit, after=query.get("after"), id_of=lambda item: str(getattr(item, "id", "")), of=of
    )
    ids = [str(getattr(item, "id", "")) for item in chosen]
    ends = {"first_id": ids[0] if ids else "", "last_id": ids[-1] if ids else "", "has_more": more}
    return list(chosen), ends
