from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polyport_sandbox import InvalidRunError
from polyport_sandbox.network.addresses import is_public
from polyport_sandbox.network.egress import Address, Network, ProxyLimits, serve_proxy
from tests.support.channels import MemoryChannel, channel_pair

pytestmark = pytest.mark.anyio

PUBLIC = ipaddress.ip_address("93.184.215.14")
Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class World:
    """A network in which every public address is a server of ours on loopback."""

    handler: Handler
    names: dict[str, list[list[str]]] = field(default_factory=dict)
    looked_up: list[str] = field(default_factory=list)
    connected: list[tuple[str, int]] = field(default_factory=list)
    port: int = 0

    async def resolve(self, host: str, port: int) -> list[Address]:
        self.looked_up.append(host)
        with contextlib.suppress(ValueError):
            return [ipaddress.ip_address(host)]
        if host not in self.names:
            raise OSError("no such name")
        answers = self.names[host]  # each look-up gives the next answer
        return [ipaddress.ip_address(text) for text in (answers.pop(0) if len(answers) > 1 else answers[0])]

    async def connect(self, address: Address, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        assert is_public(address)
        self.connected.append((str(address), port))
        if port == 9:
            raise ConnectionRefusedError
        return await asyncio.open_connection("127.0.0.1", self.port)

    @property
    def network(self) -> Network:
        return Network(resolve=self.resolve, connect=self.connect)


@contextlib.asynccontextmanager
async def world(handler: Handler) -> AsyncIterator[World]:
    made = World(handler, {"example.org": [[str(PUBLIC)]], "a.example.org": [[str(PUBLIC)]]})

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await handler(reader, writer)
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    async with server:
        yield made


@contextlib.asynccontextmanager
async def proxy(
    made: World, *allow: str, limits: ProxyLimits | None = None, room: int = 1 << 20
) -> AsyncIterator[MemoryChannel]:
    inside, outside = channel_pair(room)
    task = asyncio.create_task(serve_proxy(outside, allow or ("example.org",), limits=limits, network=made.network))
    try:
        yield inside
    finally:
        await inside.aclose()
        await asyncio.wait_for(task, 5)
        assert outside.closed


async def ask(made: World, request: bytes, *allow: str, limits: ProxyLimits | None = None) -> bytes:
    async with proxy(made, *allow, limits=limits) as inside:
        await inside.write(request)
        return await asyncio.wait_for(inside.read_all(), 5)


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while part := await reader.read(65536):
        writer.write(part)
        await writer.drain()


def answering(response: bytes, seen: list[bytes] | None = None) -> Handler:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        data = await reader.readuntil(b"\r\n\r\n")
        if seen is not None:
            seen.append(data)
        writer.write(response)
        await writer.drain()

    return handle


async def test_plain_http_is_passed_on_and_written_anew():
    seen: list[bytes] = []
    response = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive\r\nX: y\r\n\r\nhelloSMUGGLED"
    async with world(answering(response, seen)) as made:
        answer = await ask(
            made,
            b"GET http://Example.org/path?q=1 HTTP/1.1\r\nHost: example.org\r\nProxy-Connection: keep-alive\r\n"
            b"Accept: */*\r\n\r\nGET http://evil.test/ HTTP/1.1\r\n\r\n",
        )
        assert answer == b"HTTP/1.1 200 OK\r\nX: y\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello"
        assert seen == [b"GET /path?q=1 HTTP/1.1\r\nHost: example.org\r\nAccept: */*\r\nConnection: close\r\n\r\n"]
        assert made.connected == [(str(PUBLIC), 80)]


@pytest.mark.parametrize("chunked", [False, True])
async def test_bodies_go_both_ways(chunked: bool):
    body = b"x" * 300_000
    framed = b"".join(b"%x\r\n%s\r\n" % (65536, body[:65536]) for _ in range(4)) + b"0\r\n\r\n"
    sent, header = (framed, b"Transfer-Encoding: chunked") if chunked else (body, b"Content-Length: 300000")
    received: list[bytes] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        assert header in head
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        received.append(await reader.readexactly(len(sent)))
        writer.write(b"HTTP/1.1 200 OK\r\n" + header + b"\r\n\r\n" + sent)
        await writer.drain()

    async with world(handle) as made, proxy(made, room=10_000) as inside:
        await inside.write(b"POST http://example.org/ HTTP/1.1\r\nHost: example.org\r\nExpect: 100-continue\r\n")
        await inside.write(header + b"\r\n\r\n")
        upload = asyncio.create_task(inside.write(sent))
        answer = await asyncio.wait_for(inside.read_all(), 5)
        await upload
    assert received == [sent]
    assert answer.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n")
    assert answer.endswith(b"\r\n\r\n" + sent)


async def test_an_answer_without_a_length_ends_with_its_connection():
    async with world(answering(b"HTTP/1.1 200 OK\r\n\r\nall of it")) as made:
        assert (await ask(made, b"GET http://example.org HTTP/1.1\r\nHost: example.org\r\n\r\n")).endswith(
            b"\r\n\r\nall of it"
        )


async def test_a_tunnel_passes_bytes_both_ways():
    async with world(echo) as made, proxy(made) as inside:
        await inside.write(b"CONNECT example.org:443 HTTP/1.1\r\nHost: example.org:443\r\n\r\n")
        established = b"HTTP/1.1 200 Connection Established\r\n\r\n"
        assert await inside.read_exactly(len(established)) == established
        await inside.write(b"not tls\0\xff")
        assert await inside.read_exactly(9) == b"not tls\0\xff"
        assert made.connected == [(str(PUBLIC), 443)]


async def test_a_server_that_speaks_first_is_heard():
    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 ready\r\n")
        await writer.drain()
        await reader.read(1)

    async with world(greet) as made, proxy(made, "example.org:25") as inside:
        await inside.write(b"CONNECT example.org:25 HTTP/1.1\r\n\r\n")
        assert (await asyncio.wait_for(inside.read_exactly(50), 5)).endswith(b"220 ready\r\n")


def hello(name: str | None) -> bytes:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    outgoing = ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=name).do_handshake()
    return outgoing.read()


@pytest.mark.parametrize(
    ("name", "passed"), [("example.org", True), ("EXAMPLE.org", True), (None, True), ("evil.test", False)]
)
@pytest.mark.parametrize("step", [17, 10_000])
async def test_a_tls_client_must_name_the_host_it_asked_for(name: str | None, passed: bool, step: int):
    data = hello(name)
    async with world(echo) as made, proxy(made) as inside:
        await inside.write(b"CONNECT example.org:443 HTTP/1.1\r\n\r\n")
        await inside.read_exactly(39)
        with contextlib.suppress(ConnectionError):
            for at in range(0, len(data), step):
                await inside.write(data[at : at + step])
                await asyncio.sleep(0)
        if passed:
            assert await asyncio.wait_for(inside.read_exactly(len(data)), 5) == data
        else:
            assert await asyncio.wait_for(inside.read_all(), 5) == b""


@pytest.mark.parametrize(
    ("request_", "named"),
    [
        (b"CONNECT evil.test:443 HTTP/1.1\r\n\r\n", b"evil.test"),
        (b"CONNECT example.org:22 HTTP/1.1\r\n\r\n", b"example.org:22"),
        (b"CONNECT a.example.org:443 HTTP/1.1\r\n\r\n", b"a.example.org"),
        (b"CONNECT example.org.evil.test:443 HTTP/1.1\r\n\r\n", b"example.org.evil.test"),
        (b"CONNECT 169.254.169.254:80 HTTP/1.1\r\n\r\n", b"169.254.169.254"),
        (b"CONNECT [::ffff:127.0.0.1]:443 HTTP/1.1\r\n\r\n", b"[::ffff:7f00:1]"),
        (b"GET http://evil.test/ HTTP/1.1\r\nHost: evil.test\r\n\r\n", b"evil.test"),
        (b"GET http://localhost/ HTTP/1.1\r\nHost: localhost\r\n\r\n", b"localhost"),
    ],
)
async def test_what_is_not_allowed_is_neither_looked_up_nor_reached(request_: bytes, named: bytes):
    async with world(echo) as made:
        answer = await ask(made, request_)
        assert answer.startswith(b"HTTP/1.1 403 Forbidden\r\n")
        assert b"allow_hosts" in answer
        if b"::" not in named:
            assert named in answer
        assert made.looked_up == made.connected == []


@pytest.mark.parametrize(
    "request_",
    [
        b"GET / HTTP/1.1\r\nHost: example.org\r\n\r\n",
        b"GET https://example.org/ HTTP/1.1\r\nHost: example.org\r\n\r\n",
        b"GET ftp://example.org/ HTTP/1.1\r\nHost: example.org\r\n\r\n",
        b"GET http://example.org/ HTTP/1.1\r\n\r\n",
        b"GET http://example.org/ HTTP/1.1\r\nHost: evil.test\r\n\r\n",
        b"GET http://example.org/ HTTP/1.1\r\nHost: example.org\r\nHost: evil.test\r\n\r\n",
        b"GET http://example.org/ HTTP/1.1\r\nHost: example.org:81\r\n\r\n",
        b"GET http://user@example.org/ HTTP/1.1\r\nHost: example.org\r\n\r\n",
        b"GET http://evil.test@example.org/ HTTP/1.1\r\nHost: example.org\r\n\r\n",
        b"GET http://example.org:80x/ HTTP/1.1\r\nHost: example.org\r\n\r\n",
        b"GET http://2130706433/ HTTP/1.1\r\nHost: 2130706433\r\n\r\n",
        b"GET http://0x7f.1/ HTTP/1.1\r\nHost: 0x7f.1\r\n\r\n",
        b"GET http://example.org/#x HTTP/1.1\r\nHost: example.org\r\n\r\n",
        b"GET http:///x HTTP/1.1\r\nHost: example.org\r\n\r\n",
        b"GET http://example.org\\@evil.test/ HTTP/1.1\r\nHost: example.org\r\n\r\n",
        b"CONNECT example.org HTTP/1.1\r\n\r\n",
        b"CONNECT example.org:443/x HTTP/1.1\r\n\r\n",
        b"CONNECT :443 HTTP/1.1\r\n\r\n",
        b"CONNECT ::1:443 HTTP/1.1\r\n\r\n",
        b"CONNECT example.org:443 HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello",
        b"POST http://example.org/ HTTP/1.1\r\nHost: example.org\r\nContent-Length: 5\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n",
        b"GET http://example.org/ HTTP/1.1\r\nHost: example.org\r\nA: b\r\n folded\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\r\n\r\n",
        b"A" * 20_000,
    ],
)
async def test_what_can_t_be_served_gets_a_400_and_reaches_nobody(request_: bytes):
    async with world(echo) as made:
        answer = await ask(made, request_)
        assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n"), answer
        assert made.connected == []


@pytest.mark.parametrize(
    "addresses",
    [["127.0.0.1"], ["10.0.0.1"], ["169.254.169.254"], ["100.64.0.1"], ["::1"], ["fd00::1"], ["::ffff:127.0.0.1"],
     ["64:ff9b::7f00:1"], ["2002:7f00:1::"], ["0.0.0.0"], ["224.0.0.1"], ["10.0.0.1", "fe80::1"]],
)  # fmt: skip
async def test_a_name_that_leads_inside_is_refused(addresses: list[str]):
    async with world(echo) as made:
        made.names["example.org"] = [addresses]
        for request in (
            b"CONNECT example.org:443 HTTP/1.1\r\n\r\n",
            b"GET http://example.org/ HTTP/1.1\r\nHost: example.org\r\n\r\n",
        ):
            answer = await ask(made, request)
            assert answer.startswith(b"HTTP/1.1 403 Forbidden\r\n")
            assert b"not publicly routable" in answer
            assert addresses[0].encode() not in answer
        assert made.connected == []


async def test_a_name_that_changes_its_address_is_looked_up_once():
    async with world(answering(b"HTTP/1.1 204 No Content\r\n\r\n")) as made:
        made.names["example.org"] = [[str(PUBLIC)], ["127.0.0.1"]]
        request = b"GET http://example.org/ HTTP/1.1\r\nHost: example.org\r\n\r\n"
        assert (await ask(made, request)).startswith(b"HTTP/1.1 204")
        assert made.looked_up == ["example.org"]
        assert made.connected == [(str(PUBLIC), 80)]
        assert (await ask(made, request)).startswith(b"HTTP/1.1 403")
        assert made.connected == [(str(PUBLIC), 80)]


async def test_a_private_address_among_public_ones_is_passed_over():
    async with world(answering(b"HTTP/1.1 204 No Content\r\n\r\n")) as made:
        made.names["example.org"] = [["10.0.0.1", str(PUBLIC)]]
        request = b"GET http://example.org/ HTTP/1.1\r\nHost: example.org\r\n\r\n"
        assert (await ask(made, request)).startswith(b"HTTP/1.1 204")
        assert made.connected == [(str(PUBLIC), 80)]


async def test_a_redirect_is_only_an_answer():
    response = b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n"
    async with world(answering(response)) as made:
        answer = await ask(made, b"GET http://example.org/ HTTP/1.1\r\nHost: example.org\r\n\r\n")
        assert b"Location: http://169.254.169.254/" in answer
        assert made.looked_up == ["example.org"]


async def test_what_does_not_answer_is_told():
    async with world(echo) as made:
        assert (await ask(made, b"CONNECT nowhere.test:443 HTTP/1.1\r\n\r\n", "nowhere.test")).startswith(
            b"HTTP/1.1 502"
        )
        assert (await ask(made, b"CONNECT example.org:9 HTTP/1.1\r\n\r\n", "example.org:9")).startswith(b"HTTP/1.1 504")


@pytest.mark.parametrize(
    "response",
    [b"", b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
     b"HTTP/1.1 101 Switching Protocols\r\n\r\n", b"HTTP/1.1 200 OK\r\nA: " + b"x" * 20_000 + b"\r\n\r\n"],
)  # fmt: skip
async def test_an_answer_that_can_t_be_read_is_a_502(response: bytes):
    async with world(answering(response)) as made:
        answer = await ask(made, b"GET http://example.org/ HTTP/1.1\r\nHost: example.org\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 502 Bad Gateway\r\n")


async def test_time_and_bytes_are_bounded(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO, "polyport_sandbox.network.egress")
    connect = b"CONNECT example.org:443 HTTP/1.1\r\n\r\n"
    async with world(echo) as made:
        assert (await ask(made, b"GET ht", limits=ProxyLimits(head_s=0.1))).startswith(b"HTTP/1.1 408")
        await ask(made, connect, limits=ProxyLimits(idle_s=0.1))
        assert "decision=idle" in caplog.text
        await ask(made, connect, limits=ProxyLimits(total_s=0.1))
        assert "decision=timeout" in caplog.text
        assert len(await ask(made, connect + b"x" * 5000, limits=ProxyLimits(total_bytes=8000))) <= 39
        assert "decision=too many bytes" in caplog.text


async def test_the_log_has_hosts_and_figures_and_nothing_else(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.DEBUG)
    async with world(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nHIDDEN"[:-1])) as made:
        await ask(made, b"GET http://example.org/HIDDEN?HIDDEN HTTP/1.1\r\nHost: example.org\r\nA: HIDDEN\r\n\r\n")
        await ask(made, b"GET http://evil.test/HIDDEN HTTP/1.1\r\nHost: evil.test\r\n\r\n")
        await ask(made, b"GET /HIDDEN\r\n\r\n")
    lines = [record.getMessage() for record in caplog.records if record.name == "polyport_sandbox.network.egress"]
    assert lines[0].startswith("sandbox proxy: host=example.org port=80 decision=allowed bytes_up=")
    assert lines[1] == "sandbox proxy: host=evil.test port=80 decision=not allowed bytes_up=0 bytes_down=0"
    assert lines[2] == "sandbox proxy: host=- port=0 decision=bad message bytes_up=0 bytes_down=0"
    assert "HIDDEN" not in caplog.text


async def test_a_bad_list_is_refused():
    with pytest.raises(InvalidRunError):
        await serve_proxy(channel_pair()[0], ["10.0.0.0/8"])


def test_the_real_network_looks_up_and_connects_on_loopback_only_as_told():
    async def main() -> None:
        async with world(answering(b"HTTP/1.1 204 No Content\r\n\r\n")) as made:
            network = Network()  # the real one: it refuses this machine
            inside, outside = channel_pair()
            task = asyncio.create_task(serve_proxy(outside, _loopback(made.port), network=network))
            request = b"GET http://localhost:%d/ HTTP/1.1\r\nHost: localhost:%d\r\n\r\n" % (made.port, made.port)
            await inside.write(request)
            assert (await asyncio.wait_for(inside.read_all(), 5)).startswith(b"HTTP/1.1 403")
            await task
            inside, outside = channel_pair()
            open_network = Network(is_public=lambda address: address.is_loopback)
            task = asyncio.create_task(serve_proxy(outside, _loopback(made.port), network=open_network))
            await inside.write(request)
            assert (await asyncio.wait_for(inside.read_all(), 5)).startswith(b"HTTP/1.1 204")
            await task

    asyncio.run(main())


def _loopback(port: int) -> list[object]:
    from polyport_sandbox.network.hosts import AllowedHost

    return [AllowedHost("localhost", ports=(port,))]


@settings(max_examples=80, deadline=None)
@given(
    st.binary(max_size=120), st.sampled_from([b"", b"CONNECT example.org:443 HTTP/1.1\r\n", b"GET http://example.org/"])
)
def test_whatever_is_sent_nothing_else_is_reached(data: bytes, start: bytes):
    async def main() -> None:
        async with world(echo) as made:
            limits = ProxyLimits(head_s=0.05, idle_s=0.05)
            inside, outside = channel_pair()
            task = asyncio.create_task(serve_proxy(outside, ["example.org"], limits=limits, network=made.network))
            with contextlib.suppress(ConnectionError):
                await inside.write(start + data + b"\r\n\r\n")
            await asyncio.wait_for(inside.read_all(), 5)
            await asyncio.wait_for(task, 5)
            assert set(made.looked_up) <= {"example.org"}

    asyncio.run(main())
