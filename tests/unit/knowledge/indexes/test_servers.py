"""A server that is down, slow or broken: a clear error, soon, and no waiting for the dead."""

from __future__ import annotations

import time
from collections.abc import Iterator

import httpx
import numpy as np
import pytest

from polyport.errors import ConfigurationError, ServiceUnavailableError
from polyport_gateway.knowledge.indexes import Schema, VectorIndex, open_index
from polyport_gateway.knowledge.indexes.servers import Failure, Server, failure_of, place_of
from tests.support.index_writer import BATCH, batch

qdrant_client = pytest.importorskip("qdrant_client")
from tests.support.qdrant_server import QdrantServer  # noqa: E402

SCHEMA = Schema({"small": 32}, {"batch": "integer"})


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class DownError(Exception):
    pass


def server(clock: Clock) -> Server:
    return Server(
        "Qdrant", "http://u:secret@host:6333/x?api-key=secret", (DownError,), lambda e: e.args[0], clock=clock
    )


def failing(failure: Failure, times: list[int]) -> None:
    times.append(1)
    raise DownError(failure)


def asked(one: Server, failure: Failure, *, repeat: bool = False) -> tuple[str, int]:
    """What is said, and how often the server was asked."""
    times: list[int] = []
    with pytest.raises(ServiceUnavailableError) as caught:
        one.call(lambda: failing(failure, times), repeat=repeat)
    assert "secret" not in str(caught.value)
    return str(caught.value), len(times)


def test_is_left_alone_after_failures_and_tried_by_one() -> None:
    clock = Clock()
    one = server(clock)
    for _ in range(3):
        assert asked(one, Failure("refused")) == ("The Qdrant server at http://host:6333 failed: refused", 1)
    said, times = asked(one, Failure("refused"))
    assert times == 0
    assert said == "The Qdrant server at http://host:6333 is left alone for 2 s, for it failed: refused"
    clock.now += 2.1
    assert asked(one, Failure("refused"))[1] == 1  # one try; then for longer
    clock.now += 2.1
    assert asked(one, Failure("refused"))[1] == 0
    clock.now += 2.1

    def inside() -> str:
        assert asked(one, Failure("refused"))[1] == 0  # the others are told, while one tries
        return "well"

    assert one.call(inside) == "well"
    assert asked(one, Failure("refused"))[1] == 1
    assert one.call(lambda: "well") == "well"


def test_a_slow_one_is_left_alone_at_once() -> None:
    clock = Clock()
    one = server(clock)
    assert asked(one, Failure("slow", slow=True), repeat=True)[1] == 1
    assert asked(one, Failure("slow", slow=True))[1] == 0


def test_what_is_asked_again() -> None:
    clock = Clock()
    assert asked(server(clock), Failure("x", sent=False))[1] == 2
    assert asked(server(clock), Failure("x"), repeat=True)[1] == 2
    assert asked(server(clock), Failure("x"))[1] == 1
    assert asked(server(clock), Failure("x", down=False), repeat=True)[1] == 1
    one = server(clock)
    for _ in range(9):  # the request's fault, not the server's
        assert asked(one, Failure("x", down=False))[1] == 1


def test_a_bug_does_not_count() -> None:
    one = server(Clock())
    for _ in range(9):
        with pytest.raises(KeyError):
            one.call(lambda: {}["x"])
    with pytest.raises(KeyError), one.calling():
        raise KeyError


def test_where_a_server_is() -> None:
    assert place_of("https://user:key@[::1]:6333/a?b=c") == "https://[::1]:6333"
    assert place_of("user:key@host:19530") == "host:19530"
    with pytest.raises(ConfigurationError, match="URL of an index's server is wrong"):
        place_of("http://host:port")


def test_what_errors_of_http_mean() -> None:
    assert failure_of(httpx.ConnectError("refused")) == Failure("refused", sent=False)
    assert failure_of(httpx.ReadTimeout("")).slow
    assert failure_of(httpx.ConnectTimeout("")).sent is False
    assert failure_of(httpx.RemoteProtocolError("")).sent
    assert failure_of(ValueError("x")).said == "its answer can't be read (ValueError)"


@pytest.fixture
def qdrant() -> Iterator[QdrantServer]:
    with QdrantServer() as found:
        yield found


@pytest.fixture
def index(qdrant: QdrantServer) -> Iterator[VectorIndex]:
    found = open_index("qdrant", SCHEMA, url=qdrant.url, collection="chunks", timeout=1)
    found.upsert(batch(1))
    yield found
    found.close()


def test_by_url_it_is_an_index(qdrant: QdrantServer, index: VectorIndex) -> None:
    assert "PUT /collections/" in " ".join(qdrant.seen)
    entry = batch(1)[3]
    assert index.search_dense("small", entry.vectors["small"], 1)[0].documents.tolist() == [entry.id]
    assert index.rate_sparse([entry.sparse], [np.array([entry.id, 7])])[0][0] > 0  # type: ignore[list-item]
    assert index.count({"batch": 1}) == BATCH
    assert [record.id for record in index.scroll(after=entry.id, limit=2)] == [entry.id + 1, entry.id + 2]
    assert len(index.sample("small", 10)[0]) == 10
    index.delete([entry.id])
    assert index.fetch([entry.id]) == []
    again = open_index("qdrant", SCHEMA, url=qdrant.url, collection="chunks")
    assert again.count() == BATCH - 1
    assert again.schema.vectors == SCHEMA.vectors
    again.close()


@pytest.mark.parametrize(
    ("mode", "said", "requests"),
    [
        ("error", "it answers 500: .*it is error", 2),
        ("busy", "it answers 503", 2),
        ("cut", "it broke off", 2),
        ("half", "it broke off", 2),
        ("garbage", "its answer can't be read", 2),
        ("locked", r"it refuses the api_key \(401\)", 1),
        ("slow", "it did not answer in time", 1),
        ("drip", "it did not answer in time", 1),
    ],
)
def test_a_broken_server(qdrant: QdrantServer, index: VectorIndex, mode: str, said: str, requests: int) -> None:
    qdrant.seen.clear()
    qdrant.mode = mode
    began = time.monotonic()
    with pytest.raises(ServiceUnavailableError, match=rf"server at http://127\.0\.0\.1:\d+ failed: {said}"):
        index.count()
    assert time.monotonic() - began < 3
    assert len(qdrant.seen) == requests
    if mode in ("slow", "drip"):  # which costs its time once
        began = time.monotonic()
        with pytest.raises(ServiceUnavailableError, match="is left alone"):
            index.count()
        assert time.monotonic() - began < 0.2


def test_a_hiccup_is_not_seen(qdrant: QdrantServer, index: VectorIndex) -> None:
    for mode in ("cut", "error", "half"):
        qdrant.mode, qdrant.fail_next = mode, 1
        assert index.count() == BATCH
        qdrant.fail_next = 1
        index.upsert(batch(2))
        qdrant.fail_next = 1
        index.delete_documents(["document-2"])
        assert index.count() == BATCH


def test_a_dead_server_costs_no_time_and_comes_back(qdrant: QdrantServer, index: VectorIndex) -> None:
    qdrant.mode = "busy"
    for _ in range(3):
        with pytest.raises(ServiceUnavailableError, match="failed"):
            index.count()
    qdrant.mode = "well"
    with pytest.raises(ServiceUnavailableError, match="is left alone for 2 s") as caught:
        index.count()
    assert caught.value.retry_after == pytest.approx(2, abs=0.5)
    time.sleep(2.1)
    assert index.count() == BATCH


def test_a_server_that_is_down_from_the_start() -> None:
    with pytest.raises(ServiceUnavailableError, match=r"server at http://127\.0\.0\.1:9 failed: .*refused"):
        open_index("qdrant", SCHEMA, url="http://127.0.0.1:9", collection="chunks")
    with pytest.raises(ConfigurationError, match="URL"):
        open_index("qdrant", SCHEMA, url="http://127.0.0.1:nine", collection="chunks")


def test_opening_an_index_on_a_dead_server_costs_its_time_once(qdrant: QdrantServer) -> None:
    qdrant.mode = "slow"
    with pytest.raises(ServiceUnavailableError, match="it did not answer in time"):
        open_index("qdrant", SCHEMA, url=qdrant.url, collection="chunks", timeout=1)
    sent = qdrant.requests
    assert sent
    for collection in ("chunks", "others"):
        with pytest.raises(ServiceUnavailableError, match="is left alone"):
            open_index("qdrant", SCHEMA, url=qdrant.url, collection=collection, timeout=1)
    assert qdrant.requests == sent  # not a single one was asked again, so none can have taken its time
