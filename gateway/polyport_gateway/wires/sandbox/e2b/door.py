"""Who may enter: keys on the control plane, a sandbox's own tokens and signed URLs on the data plane."""

from __future__ import annotations

import base64
import hashlib
import re
import time
from collections.abc import Callable
from functools import partial
from hmac import compare_digest

from polyport.errors import AuthenticationError, BadRequestError, NotFoundError
from polyport_gateway.call import Caller
from polyport_gateway.sandboxes.service import SandboxService
from polyport_gateway.wires.access import SANDBOX_LABEL, Access
from polyport_gateway.wires.http import Scope, Send
from polyport_gateway.wires.sandbox.e2b.errors import SandboxGoneError, send_refusal
from polyport_gateway.wires.sandbox.e2b.sandboxes import E2BSandbox, E2BSandboxes, Renew
from polyport_gateway.wires.sandbox.endpoint import bearer_of, caller_of, headers_of, query_of

__all__ = ["PREFIX", "E2BDoor", "renewal_of", "sandbox_of"]

PREFIX = "/v1/sandbox/e2b"

_DATA = ("/files", "/health", "/metrics", "/execute", "/contexts", "/filesystem.Filesystem/", "/process.Process/")
_INTERPRETER = ("/execute", "/contexts")
_TIME = re.compile(r"[0-9]{1,15}")
_PORTS = {"49983": "files and commands", "49999": "the code interpreter"}


def sandbox_of(scope: Scope) -> E2BSandbox:
    """Return the sandbox that a request of the data plane is for."""
    sandbox: E2BSandbox = scope["polyport.e2b.sandbox"]
    return sandbox


def renewal_of(scope: Scope) -> Renew:
    """Return what checks the key of a request of the control plane once more."""
    renew: Renew = scope["polyport.e2b.renew"]
    return renew


class E2BDoor:
    """Takes E2B's requests, and finds out who asks.

    A request of the data plane names its sandbox by the Host header (``49983-cntr_….gateway.example``), by the headers
    that E2B's clients send to a fixed URL, or, if it is a signed URL, by its signature.

    Args:
        service: Knows who may run code.
        sandboxes: Knows the tokens.
    """

    def __init__(self, service: SandboxService, sandboxes: E2BSandboxes) -> None:
        self._service = service
        self._sandboxes = sandboxes

    def takes(self, scope: Scope, host: str | None) -> bool:
        """Whether a request is E2B's; one that names a sandbox by its Host gets the path it has here."""
        path: str = scope["path"]
        label = SANDBOX_LABEL.match(host) if host is not None else None
        if label is not None:
            scope["polyport.e2b.named"] = (label[2], label[1])
            scope["path"] = PREFIX + path
            return True
        # Clients make signed URLs from the host alone, so that of a fixed URL its path is lost.
        if path == "/files" and b"signature=v1_" in scope.get("query_string", b""):
            scope["path"] = f"{PREFIX}/files"
            return True
        return path.startswith(f"{PREFIX}/")

    async def admit(self, scope: Scope, access: Access) -> Caller:
        """Return who asks.

        Raises:
            AuthenticationError: The key or token is missing or wrong.
            SandboxGoneError: The sandbox has ended.
        """
        headers = headers_of(scope)
        path = scope["path"].removeprefix(PREFIX)
        if path.startswith(_DATA) or "polyport.e2b.named" in scope:
            caller = await self._admit_data(scope, headers, path)
        else:
            renew = partial(caller_of, bearer_of(headers), access, local=bool(scope.get("polyport.local")))
            caller = await renew()
            scope["polyport.e2b.renew"] = partial(_again, renew, caller)
        self._service.check(caller)
        return caller

    async def refuse(self, scope: Scope, send: Send, error: BaseException, request_id: str) -> None:
        """Answer as E2B does."""
        del scope
        await send_refusal(send, error, request_id)

    async def _admit_data(self, scope: Scope, headers: dict[str, str], path: str) -> Caller:
        named = scope.get("polyport.e2b.named") or (headers.get("e2b-sandbox-id"), headers.get("e2b-sandbox-port"))
        identity, port = named
        if not path.startswith(_DATA):
            raise NotFoundError(f"A sandbox serves nothing at {path[:200]}; sandboxes are managed at {PREFIX}.")
        if port is not None and port not in _PORTS:
            offered = " and ".join(f"{number} ({what})" for number, what in _PORTS.items())
            raise BadRequestError(
                f"Port {port[:5]} of a sandbox can't be reached from outside; there are {offered}.",
                code="port_not_offered",
            )
        signed = _signature(scope, path)
        if identity is not None:
            sandbox = self._sandboxes.find(identity)
            if sandbox is None:
                raise SandboxGoneError(identity)
            if not (_has_token(sandbox, headers, path) or (signed is not None and signed(sandbox.envd_token))):
                raise AuthenticationError("The access token of this sandbox is missing or wrong; connect to it again.")
        elif signed is not None:
            found = self._sandboxes.signed(signed)
            if found is None:
                raise AuthenticationError("The signature of this URL is not valid, or its sandbox has ended.")
            sandbox = found
        else:
            raise BadRequestError("The request names no sandbox: the header E2b-Sandbox-Id is missing.")
        scope["polyport.e2b.sandbox"] = sandbox
        return await sandbox.renew()


async def _again(renew: Renew, caller: Caller) -> Caller:
    now = await renew()
    if now.id != caller.id:
        raise AuthenticationError("The key this sandbox was opened with is another's now; connect to it again.")
    return now


def _has_token(sandbox: E2BSandbox, headers: dict[str, str], path: str) -> bool:
    if _same(headers.get("x-access-token", ""), sandbox.envd_token):
        return True
    interpreter = path.startswith(_INTERPRETER)
    return interpreter and _same(headers.get("e2b-traffic-access-token", ""), sandbox.traffic_token)


def _same(given: str, token: str) -> bool:
    return compare_digest(given.encode("utf-8", "replace"), token.encode())


def _signature(scope: Scope, path: str) -> Callable[[str], bool] | None:
    """Return what tells whether a URL was signed with a token; None where it isn't signed, or no longer good."""
    if path != "/files":
        return None
    query = query_of(scope)
    given, until = query.get("signature"), query.get("signature_expiration")
    if given is None:
        return None
    if until is not None and not (_TIME.fullmatch(until) and int(until) >= time.time()):
        raise AuthenticationError("The signature of this URL has expired.")
    operation = "write" if scope["method"] == "POST" else "read"
    parts = [query.get("path", ""), operation, query.get("username", "")]

    def matches(token: str) -> bool:
        raw = ":".join([*parts, token] if until is None else [*parts, token, until])
        digest = hashlib.sha256(raw.encode("utf-8", "surrogatepass")).digest()
        return _same(given, "v1_" + base64.b64encode(digest).rstrip(b"=").decode("ascii"))

    return matches
