"""The HTTP of E2B: making and killing sandboxes, running code in one, and its files.

Shapes as the published clients ``e2b`` and ``e2b-code-interpreter`` speak them: a REST API for sandboxes, and, on
hosts of each sandbox's own, the code interpreter on port 49999 (NDJSON) and ``envd`` on port 49983 (files by HTTP,
folders by Connect's JSON).
"""

from __future__ import annotations

import contextlib
import json
import re
import uuid
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import quote

from polyport_sandbox.errors import (
    InvalidRunError,
    SandboxError,
    SandboxFileNotFoundError,
    SandboxUnavailableError,
    SessionClosedError,
)
from polyport_sandbox.files import name_problem
from polyport_sandbox.types import FileInfo

from .service import Answer, Service, read_lines

__all__ = ["E2BApi", "E2BBox"]

CODE_PORT = 49999
ENVD_PORT = 49983
DEPTH = 8
HOST = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:\d+)?", re.IGNORECASE)
IDENTITY = re.compile(r"[a-zA-Z0-9_-]{1,128}")


@dataclass(frozen=True)
class E2BBox:
    """One sandbox of theirs. Its tokens are kept out of its representation."""

    id: str
    domain: str
    default_user: bool
    envd_token: str | None = field(default=None, repr=False)
    traffic_token: str | None = field(default=None, repr=False)


class E2BApi:
    """The calls there are.

    Args:
        service: The REST API, with the key.
        boxes: The sandboxes' own hosts, without it: where code runs that is not trusted, the key has no business.
        domain: Under which sandboxes' hosts are, where the API names no other.
        sandbox_url: The address of a sandbox's ports instead, with ``{port}`` and ``{sandbox_id}`` filled in.
        folder: The working folder inside.
    """

    def __init__(self, service: Service, boxes: Service, *, domain: str, sandbox_url: str | None, folder: str) -> None:
        self._service = service
        self._boxes = boxes
        self._domain = domain
        self._sandbox_url = sandbox_url
        self._folder = folder

    async def check(self) -> None:
        """Ask for the sandboxes there are, by which a bad key is found."""
        await self._service.call("GET", "/v2/sandboxes", params={"limit": 1}, accept=(404, 405))

    async def create(self, template: str, *, timeout_s: int, allow_hosts: tuple[str, ...]) -> E2BBox:
        """Make a sandbox that ends by itself after `timeout_s`, with a network of only these hosts."""
        body: dict[str, Any] = {"templateID": template, "timeout": timeout_s, "autoPause": False}
        if allow_hosts:
            body["network"] = {"allowOut": list(allow_hosts), "denyOut": ["0.0.0.0/0"]}
        else:
            body["allow_internet_access"] = False
        answer = await self._service.call(
            "POST",
            "/v2/sandboxes",
            json=body,
            headers={"idempotency-key": str(uuid.uuid4())},
            total_s=120.0,
            repeatable=True,  # by that key
        )
        value = answer.json()
        try:
            identity, domain = str(value["sandboxID"]), str(value.get("domain") or self._domain)
            version = tuple(int(part) for part in str(value["envdVersion"]).split(".")[:2])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise SandboxError(f"E2B's new sandbox can't be read: {type(error).__name__}: {error}") from error
        if not IDENTITY.fullmatch(identity) or not HOST.fullmatch(domain):
            raise SandboxError(f"E2B named a sandbox {identity[:40]!r} at {domain[:80]!r}, which is no host")
        return E2BBox(
            identity, domain, version >= (0, 4), value.get("envdAccessToken"), value.get("trafficAccessToken")
        )

    async def kill(self, box: E2BBox) -> None:
        """End a sandbox; one that has ended already is no failure."""
        await self._service.call("DELETE", f"/sandboxes/{box.id}", accept=(404,))

    async def alive(self, box: E2BBox) -> bool:
        """Whether the API still knows the sandbox."""
        return (await self._service.call("GET", f"/sandboxes/{box.id}", accept=(404,))).status != 404

    async def create_context(self, box: E2BBox, language: str) -> str:
        """Start a kernel in the working folder and return its id."""
        body = {"language": language, "cwd": self._folder}
        value = (await self._code(box, "POST", "/contexts", json=body, total_s=60.0)).json()
        identity = value.get("id") if isinstance(value, dict) else None
        if not isinstance(identity, str) or not identity:
            raise SandboxError("E2B's new context has no id")
        return identity

    async def restart_context(self, box: E2BBox, context: str) -> None:
        """Start a kernel anew."""
        await self._code(box, "POST", f"/contexts/{quote(context, safe='')}/restart", total_s=60.0, repeatable=True)

    @contextlib.asynccontextmanager
    async def execute(
        self, box: E2BBox, code: str, *, context: str | None, language: str | None, max_line: int
    ) -> AsyncGenerator[AsyncGenerator[dict[str, Any]]]:
        """Run code and give what it tells, as it comes; leaving early interrupts it."""
        body = {"code": code, "context_id": context, "language": language, "env_vars": None}
        url = f"{self._url(box, CODE_PORT)}/execute"
        async with (
            # Keep-alives come every few seconds, however long the code takes.
            self._boxes.open("POST", url, json=body, headers=self._headers(box, CODE_PORT), read_s=60.0) as response,
            contextlib.aclosing(read_lines(response, max_bytes=max_line, service="E2B")) as lines,
            contextlib.aclosing(_messages(lines)) as messages,
        ):
            yield messages

    async def upload(self, box: E2BBox, name: str, content: bytes) -> None:
        """Write a file, and the folders it is in."""
        path = f"{self._folder}/{name}"
        await self._envd(
            box,
            "POST",
            "/files",
            params={"path": path, **self._user(box)},
            files={"file": (path, content)},
            total_s=120.0,
            repeatable=True,
        )

    async def download(self, box: E2BBox, name: str, *, max_bytes: int) -> bytes:
        """Read a regular file."""
        info = await self.stat(box, name)
        if info is None or info.is_folder:
            raise SandboxFileNotFoundError(f"there is no regular file {name!r}", param="name")
        if info.size > max_bytes:
            raise InvalidRunError(f"{name!r} has {info.size} bytes, more than the {max_bytes} asked for")
        params = {"path": f"{self._folder}/{name}", **self._user(box)}
        answer = await self._envd(
            box, "GET", "/files", params=params, accept=(404,), max_bytes=max_bytes, total_s=120.0
        )
        if answer.status == 404:
            raise SandboxFileNotFoundError(f"there is no regular file {name!r}", param="name")
        return answer.body

    async def stat(self, box: E2BBox, name: str) -> FileInfo | None:
        """Look at one file or folder; None where there is none, and for a link or a device."""
        answer = await self._connect(box, "Stat", {"path": f"{self._folder}/{name}"})
        if answer.status == 404:
            return None
        return self._entry(answer.json().get("entry"))

    async def list(self, box: E2BBox, folder: str = "") -> list[FileInfo]:
        """List a folder with those in it."""
        path = f"{self._folder}/{folder}" if folder else self._folder
        answer = await self._connect(box, "ListDir", {"path": path, "depth": DEPTH})
        if answer.status == 404:
            raise SandboxFileNotFoundError(f"there is no folder {folder!r}", param="folder")
        value = answer.json()
        if not isinstance(value, dict) or not isinstance(value.get("entries", []), list):
            raise SandboxError("E2B's list of files is none")
        found = (self._entry(entry) for entry in value.get("entries", []))
        return sorted((info for info in found if info is not None), key=lambda info: info.name)

    async def remove(self, box: E2BBox, name: str) -> None:
        """Delete a file or a folder."""
        # It removes what is not there, too, and says nothing.
        stat = await self._connect(box, "Stat", {"path": f"{self._folder}/{name}"})
        if stat.status == 404:
            raise SandboxFileNotFoundError(f"there is no {name!r}", param="name")
        await self._connect(box, "Remove", {"path": f"{self._folder}/{name}"})

    def _entry(self, entry: Any) -> FileInfo | None:
        try:
            kind, path = entry["type"], str(entry["path"])
            if kind not in ("FILE_TYPE_FILE", "FILE_TYPE_DIRECTORY"):
                return None
            if entry.get("symlinkTarget") or entry.get("isSymlink"):
                return None
            name = path.removeprefix(f"{self._folder}/")
            if name_problem(name) is not None or name == path:
                return None
            folder = kind == "FILE_TYPE_DIRECTORY"
            size = 0 if folder else int(entry.get("size") or 0)
            return FileInfo(name, size, _seconds(entry.get("modifiedTime")), folder)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise SandboxError(f"E2B's file can't be read: {type(error).__name__}: {error}") from error

    async def _connect(self, box: E2BBox, procedure: str, message: Mapping[str, Any]) -> Answer:
        headers = {"connect-protocol-version": "1"}
        if not box.default_user:
            headers["authorization"] = "Basic dXNlcjo="  # user, with no password: whose files they are
        return await self._envd(
            box,
            "POST",
            f"/filesystem.Filesystem/{procedure}",
            json=message,
            headers=headers,
            accept=(404,),
            max_bytes=16 << 20,
            total_s=60.0,
            repeatable=True,
        )

    async def _code(self, box: E2BBox, method: str, path: str, **request: Any) -> Answer:
        return await self._at(box, CODE_PORT, method, path, **request)

    async def _envd(self, box: E2BBox, method: str, path: str, **request: Any) -> Answer:
        return await self._at(box, ENVD_PORT, method, path, **request)

    async def _at(self, box: E2BBox, port: int, method: str, path: str, **request: Any) -> Answer:
        headers = {**self._headers(box, port), **request.pop("headers", {})}
        try:
            return await self._boxes.call(method, f"{self._url(box, port)}{path}", headers=headers, **request)
        except SandboxUnavailableError as error:
            if "The sandbox was not found" in error.message:  # says the proxy before them, with status 502
                raise SessionClosedError("the sandbox is gone: it was killed, or its lifetime ended") from error
            raise

    def _url(self, box: E2BBox, port: int) -> str:
        if self._sandbox_url is not None:
            return self._sandbox_url.replace("{port}", str(port)).replace("{sandbox_id}", box.id)
        return f"https://{port}-{box.id}.{box.domain}"

    def _headers(self, box: E2BBox, port: int) -> dict[str, str]:
        headers = {"e2b-sandbox-id": box.id, "e2b-sandbox-port": str(port)}
        if box.envd_token:
            headers["x-access-token"] = box.envd_token
        if box.traffic_token:
            headers["e2b-traffic-access-token"] = box.traffic_token
        return headers

    def _user(self, box: E2BBox) -> dict[str, str]:
        return {} if box.default_user else {"username": "user"}


async def _messages(lines: AsyncGenerator[bytes]) -> AsyncGenerator[dict[str, Any]]:
    async for line in lines:
        if not line.strip():
            continue
        try:
            message = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise SandboxError(f"E2B sent a line that is not JSON: {line[:60].decode('utf-8', 'replace')!r}") from error
        if not isinstance(message, dict):
            raise SandboxError("E2B sent a line that is no object")
        yield message


def _seconds(value: Any) -> float:
    if not isinstance(value, str) or not value:
        return 0.0
    # Nanoseconds, of which Python reads six digits.
    text = re.sub(r"(\.\d{6})\d+", r"\1", value).replace("Z", "+00:00")
    return datetime.fromisoformat(text).timestamp()
