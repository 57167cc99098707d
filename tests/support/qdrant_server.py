"""Qdrant's REST interface over its client's own stand-in, with the failures that a server can have.

No Qdrant server comes from a package registry, so that this is what ``qdrant`` is tested with by URL: the requests and
answers are the real ones, what finds is the client's. Each request is served as ``mode`` says:

    well     as a server does
    error    500, with a text
    busy     503
    locked   401
    slow     not until the server is stopped
    drip     headers at once, then a byte now and then
    half     less than Content-Length says
    garbage  200, and what is no JSON
    cut      the connection is closed without a word

``fail_next`` has so many requests fail by ``mode``, and the rest go well.
"""

from __future__ import annotations

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from pydantic import BaseModel
from qdrant_client import QdrantClient, models


class QdrantServer:
    """A server on a free port; a context manager."""

    def __init__(self) -> None:
        self.client = QdrantClient(":memory:")
        self.lock = threading.RLock()
        self.mode = "well"
        self.fail_next: int | None = None
        self.seen: list[str] = []
        self.stopped = threading.Event()
        self.requests = 0
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"world": self}))
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,))

    def __enter__(self) -> QdrantServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopped.set()
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()
        self.client.close()

    def mode_now(self) -> str:
        """How the next request is served."""
        with self.lock:
            self.requests += 1
            if self.mode == "well" or self.fail_next is None:
                return self.mode
            if self.fail_next == 0:
                return "well"
            self.fail_next -= 1
            return self.mode

    def answer(self, method: str, path: str, body: Any) -> Any:
        """Return the result of one request."""
        if (method, path) == ("GET", "/aliases"):
            return self.client.get_aliases()
        if (method, path) == ("POST", "/collections/aliases"):
            changes = models.ChangeAliasesOperation(**body)
            return self.client.update_collection_aliases(changes.actions)
        found = re.fullmatch(r"/collections/([^/]+)(/.*)?", path)
        assert found is not None, path
        return self.of_collection(found[1], method, found[2] or "", body)

    def of_collection(self, name: str, method: str, path: str, body: Any) -> Any:
        """Return the result of a request on one collection."""
        client = self.client
        match method, path:
            case "GET", "":
                return client.get_collection(name)
            case "PUT", "":
                made = models.CreateCollection(**body)
                return client.create_collection(
                    name, vectors_config=made.vectors or {}, sparse_vectors_config=made.sparse_vectors
                )
            case "PUT", "/index":
                return models.UpdateResult(operation_id=0, status=models.UpdateStatus.COMPLETED)
            case "PUT", "/points":
                return client.upsert(name, models.PointsList(**body).points)
            case "POST", "/points/delete":
                return client.delete(name, models.FilterSelector(**body))
            case "POST", "/points/query/batch":
                asked = models.QueryRequestBatch(**body).searches
                for one in asked:
                    one.params = None  # the stand-in is always exact, and warns
                return client.query_batch_points(name, asked)
            case "POST", "/points/query":
                one = models.QueryRequest(**body)
                return client.query_points(
                    name, query=one.query, limit=one.limit or 10, query_filter=one.filter, with_vectors=one.with_vector
                )
            case "POST", "/points/scroll":
                page = models.ScrollRequest(**body)
                points, after = client.scroll(
                    name, page.filter, limit=page.limit or 10, offset=page.offset, with_payload=page.with_payload
                )
                return models.ScrollResult(points=points, next_page_offset=after)
            case "POST", "/points/count":
                return client.count(name, models.CountRequest(**body).filter)
            case "POST", "/points":
                return client.retrieve(name, models.PointRequest(**body).ids, with_payload=True)
        raise AssertionError(f"{method} {path}")


class _Handler(BaseHTTPRequestHandler):
    world: QdrantServer
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        self.serve()

    do_PUT = do_POST = do_DELETE = do_GET  # noqa: N815

    def serve(self) -> None:
        """Answer one request."""
        world = self.world
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = self.path.partition("?")[0]
        world.seen.append(f"{self.command} {path}")
        mode = world.mode_now()
        if mode == "well":
            with world.lock:
                result = world.answer(self.command, path, json.loads(body) if body else None)
            self.give(200, json.dumps({"result": _plain(result), "status": "ok", "time": 0.0}).encode())
        elif mode in ("error", "busy", "locked"):
            status = {"error": 500, "busy": 503, "locked": 401}[mode]
            self.give(status, json.dumps({"status": {"error": f"it is {mode}"}}).encode())
        elif mode == "slow":
            world.stopped.wait(60)
        elif mode == "drip":
            self.head(200, 10_000)
            while not world.stopped.wait(0.2):
                try:
                    self.wfile.write(b" ")
                    self.wfile.flush()
                except OSError:
                    break
        elif mode == "half":
            self.head(200, 10_000)
            self.wfile.write(b'{"result": {"al')
        elif mode == "garbage":
            self.give(200, b"<html>It works!</html>")
        if mode not in ("well", "error", "busy", "locked", "garbage"):
            self.close_connection = True

    def head(self, status: int, length: int) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(length))
        self.end_headers()

    def give(self, status: int, body: bytes) -> None:
        self.head(status, len(body))
        self.wfile.write(body)


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", exclude_none=True)
    return [_plain(one) for one in value] if isinstance(value, list) else value
