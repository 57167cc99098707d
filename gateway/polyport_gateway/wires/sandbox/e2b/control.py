"""E2B's control plane: make, find, list and end sandboxes."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, unquote

from polyport.errors import BadRequestError, NotFoundError
from polyport_gateway.call import Dispatch
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
from polyport_gateway.wires.json_bodies import to_json
from polyport_gateway.wires.router import Route
from polyport_gateway.wires.sandbox.calls import in_sandbox
from polyport_gateway.wires.sandbox.e2b.control_bodies import Connecting, NewSandbox, Timeout
from polyport_gateway.wires.sandbox.e2b.door import PREFIX, renewal_of
from polyport_gateway.wires.sandbox.e2b.errors import NotOfferedError, send_refusal
from polyport_gateway.wires.sandbox.e2b.sandboxes import E2BSandbox, E2BSandboxes
from polyport_gateway.wires.sandbox.endpoint import Endpoint, headers_of, query_of
from polyport_sandbox.errors import SessionNotFoundError

__all__ = ["ControlPlane"]

# What E2B's clients may ask of a sandbox's own daemon depends on this: streamed uploads yes, file metadata no.
ENVD_VERSION = "0.5.7"

_DISK_MB = 64
_MOST_LISTED = 100
_NOT_OFFERED = ("pause", "resume", "fork", "snapshots", "network", "logs")


class ControlPlane:
    """The endpoints that manage sandboxes.

    Args:
        sandboxes: Those there are.
        dispatch: The one way through.
        settings: Limits on bodies.
    """

    def __init__(self, sandboxes: E2BSandboxes, dispatch: Dispatch, settings: Settings) -> None:
        self._sandboxes = sandboxes
        self._dispatch = dispatch
        self._settings = settings

    def routes(self) -> list[Route]:
        """Return its paths; E2B serves most of them in two versions."""
        found: list[Route] = []
        one = "sandboxes/{id}"
        for version in ("", "v2/"):
            found += [
                self._route("POST", f"{version}sandboxes", self._create),
                self._route("GET", f"{version}sandboxes", self._list),
                self._route("POST", f"{version}{one}/connect", self._connect),
            ]
        found += [
            self._route("GET", "sandboxes/metrics", self._metrics),
            self._route("GET", one, self._get),
            self._route("DELETE", one, self._kill),
            self._route("POST", f"{one}/timeout", self._set_timeout),
            self._route("POST", f"{one}/refreshes", self._refresh),
            self._route("GET", f"{one}/metrics", self._metrics),
        ]
        found += [self._route("*", f"{version}{one}/{{what}}", self._not_offered) for version in ("", "v2/")]
        return found

    def _route(self, method: str, path: str, handler: Callable[[Scope, Receive, Send], Awaitable[None]]) -> Route:
        return Route(method, f"{PREFIX}/{path}", Endpoint(handler, send_refusal))

    async def _create(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = NewSandbox.model_validate(await read_json(scope, receive, settings=self._settings))
        body.check()
        info = info_of(scope)

        async def create() -> E2BSandbox:
            return await self._sandboxes.create(
                info.caller,
                renewal_of(scope),
                template=body.template,
                timeout_s=body.timeout,
                metadata=body.metadata,
                envs=body.envs,
                allow_hosts=body.allow_hosts(),
                idempotency_key=headers_of(scope).get("idempotency-key"),
            )

        sandbox = await run_until_disconnect(receive, in_sandbox(self._dispatch, info, create, wire="e2b"))
        await send_json(send, _opened(sandbox), status=201)

    async def _connect(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = Connecting.model_validate(await read_json(scope, receive, settings=self._settings))
        sandbox = await self._named(scope)
        # As at E2B, connecting gives a running sandbox more time, and never less.
        if body.timeout is not None and sandbox.ends_at is not None and _now() + body.timeout > sandbox.ends_at:
            self._sandboxes.set_timeout(sandbox, body.timeout)
        await send_json(send, _opened(sandbox))

    async def _get(self, scope: Scope, receive: Receive, send: Send) -> None:
        del receive
        sandbox = await self._named(scope)
        await send_json(send, {**_described(sandbox), "envdAccessToken": sandbox.envd_token})

    async def _kill(self, scope: Scope, receive: Receive, send: Send) -> None:
        del receive
        await self._sandboxes.kill(await self._named(scope))
        await send_bytes(send, b"", status=204, headers=())

    async def _set_timeout(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = Timeout.model_validate(await read_json(scope, receive, settings=self._settings))
        self._sandboxes.set_timeout(await self._named(scope), body.timeout)
        await send_bytes(send, b"", status=204, headers=())

    async def _refresh(self, scope: Scope, receive: Receive, send: Send) -> None:
        given = await read_json(scope, receive, settings=self._settings)
        body = Timeout.model_validate({"timeout": given.get("duration", 60)})
        self._sandboxes.set_timeout(await self._named(scope), body.timeout)
        await send_bytes(send, b"", status=204, headers=())

    async def _metrics(self, scope: Scope, receive: Receive, send: Send) -> None:
        del receive
        if "id" in scope.get("path_params", {}):
            await self._named(scope)
        await send_json(send, [])

    async def _list(self, scope: Scope, receive: Receive, send: Send) -> None:
        del receive
        query = query_of(scope)
        fits = _wanted(query)
        chosen = [one for one in await self._sandboxes.all_of(info_of(scope).caller, renewal_of(scope)) if fits(one)]
        chosen.sort(key=_place, reverse=query.get("order", "desc") != "asc")
        page, after = _page(chosen, query)
        headers = [(b"content-type", b"application/json")]
        if after is not None:
            headers.append((b"x-next-token", after.encode("ascii")))
        await send_bytes(send, to_json([_described(one) for one in page]), headers=headers)

    async def _not_offered(self, scope: Scope, receive: Receive, send: Send) -> None:
        del receive, send
        what = scope["path_params"]["what"]
        await self._named(scope)
        if what in _NOT_OFFERED:
            raise NotOfferedError(f"This gateway's sandboxes do not offer {what!r}: they run until they end.")
        raise NotFoundError(f"A sandbox has no {what[:80]!r}.")

    async def _named(self, scope: Scope) -> E2BSandbox:
        identity = unquote(scope["path_params"]["id"])
        try:
            return await self._sandboxes.get(identity, info_of(scope).caller, renewal_of(scope))
        except SessionNotFoundError as error:
            raise NotFoundError(f"The sandbox {identity[:80]!r} was not found.", code="sandbox_not_found") from error


def _now() -> float:
    return datetime.now(UTC).timestamp()


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


def _opened(sandbox: E2BSandbox) -> dict[str, Any]:
    return {
        "sandboxID": sandbox.id,
        "templateID": sandbox.template,
        "clientID": "polyport",
        "envdVersion": ENVD_VERSION,
        "envdAccessToken": sandbox.envd_token,
        "trafficAccessToken": sandbox.traffic_token,
    }


def _described(sandbox: E2BSandbox) -> dict[str, Any]:
    limits = sandbox.session.limits
    return {
        "sandboxID": sandbox.id,
        "templateID": sandbox.template,
        "clientID": "polyport",
        "startedAt": _time(sandbox.session.created_at),
        "endAt": _time(sandbox.end),
        "cpuCount": max(1, round(limits.cpus)),
        "memoryMB": limits.memory_mb,
        "diskSizeMB": _DISK_MB,
        "state": "running",
        "envdVersion": ENVD_VERSION,
        "metadata": dict(sandbox.metadata),
    }


def _wanted(query: dict[str, str]) -> Callable[[E2BSandbox], bool]:
    """Return what tells whether a sandbox is one of those asked for."""
    running = "running" in query.get("state", "running").split(",")
    template = query.get("template")
    # The client quotes names and values once before it makes a query of them.
    metadata = {unquote(key): unquote(value) for key, value in parse_qsl(query.get("metadata", ""))}
    after = _started_after(query)

    def fits(sandbox: E2BSandbox) -> bool:
        return (
            running
            and template in (None, sandbox.template)
            and sandbox.session.created_at > after
            and all(sandbox.metadata.get(key) == value for key, value in metadata.items())
        )

    return fits


def _started_after(query: dict[str, str]) -> float:
    if "startedAfter" not in query:
        return 0.0
    try:
        after = datetime.fromisoformat(query["startedAfter"])
        return (after if after.tzinfo else after.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError) as error:
        raise BadRequestError("startedAfter is not a time of the form 2026-01-31T12:00:00Z.") from error


def _place(sandbox: E2BSandbox) -> tuple[float, str]:
    return sandbox.session.created_at, sandbox.id


def _page(found: list[E2BSandbox], query: dict[str, str]) -> tuple[list[E2BSandbox], str | None]:
    """Return one page, and what asks for the next one."""
    limit = query.get("limit", str(_MOST_LISTED))
    if not (limit.isascii() and limit.isdigit() and len(limit) <= 3 and 1 <= int(limit) <= _MOST_LISTED):
        raise BadRequestError(f"limit must be a whole number from 1 to {_MOST_LISTED}, got {limit[:20]!r}.")
    start = 0
    if token := query.get("nextToken"):
        last = _decoded_token(token)
        order = [_place(one) for one in found]
        descending = query.get("order", "desc") != "asc"
        start = next(
            (index for index, place in enumerate(order) if (place < last if descending else place > last)), len(order)
        )
    page = found[start : start + int(limit)]
    more = start + len(page) < len(found)
    return page, _token(page[-1]) if more and page else None


def _token(sandbox: E2BSandbox) -> str:
    created, identity = _place(sandbox)
    return base64.urlsafe_b64encode(f"{created!r} {identity}".encode()).decode("ascii")


def _decoded_token(token: str) -> tuple[float, str]:
    try:
        created, _, identity = base64.urlsafe_b64decode(token.encode()).decode().partition(" ")
        return float(created), identity
    except (binascii.Error, ValueError) as error:
        raise BadRequestError("nextToken is not one that this gateway gave; start from the first page.") from error
