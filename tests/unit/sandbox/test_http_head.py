from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polyport_sandbox.network.http_head import BadMessageError, Body, ChunkedBody, parse_request, parse_response


def request(*headers: str, line: str = "POST http://h/ HTTP/1.1") -> bytes:
    return "\r\n".join([line, *headers, "", ""]).encode("latin-1")


@pytest.mark.parametrize(
    "data",
    [
        b"", b"GET / HTTP/1.1\r\n", b"GET / HTTP/1.1\n\n", b"GET  / HTTP/1.1\r\n\r\n", b"GET / HTTP/2.0\r\n\r\n",
        b"GET /\r\n\r\n", b"G T / HTTP/1.1\r\n\r\n", b"GET /\t HTTP/1.1\r\n\r\n", b"GET /\xc3\xa9 HTTP/1.1\r\n\r\n",
        request(" folded: x"), request("A: x", " folded"), request("A: x", "\tfolded"), request("A : x"), request("A"),
        request(": x"), request("A: x\nB: y"), request("A: x\rB: y"), request("A: x\0"), request("A: \x01"),
        request("Ä: x"),
        request("Content-Length: 5", "Transfer-Encoding: chunked"), request("Content-Length: 5", "Content-Length: 5"),
        request("Content-Length: 5, 5"), request("Content-Length: +5"), request("Content-Length: -1"),
        request("Content-Length: 0x5"), request("Content-Length: "), request("Content-Length: 5 5"),
        request("Content-Length: " + "9" * 30), request("Transfer-Encoding: gzip, chunked"),
        request("Transfer-Encoding: chunked", "Transfer-Encoding: chunked"), request("Transfer-Encoding: xchunked"),
        request("Transfer-Encoding: chunked, identity"), request("transfer-encoding:\x0bchunked"),
        request(*[f"A{n}: x" for n in range(101)]),
    ],
)  # fmt: skip
def test_what_two_readers_could_read_in_two_ways_is_refused(data: bytes):
    with pytest.raises(BadMessageError):
        parse_request(data)


def test_a_request_is_written_anew():
    head = parse_request(
        request(
            "host: h", "Proxy-Connection: keep-alive", "Connection: X-Own, close", "X-Own: 1", "Keep-Alive: 5",
            "Proxy-Authorization: secret", "TE: trailers", "Upgrade: h2c", "Accept: */*", "CONTENT-LENGTH: 05",
        )
    )  # fmt: skip
    assert head.body == Body("length", 5)
    assert head.forwarded(b"/p?q", b"h:81") == (
        b"POST /p?q HTTP/1.1\r\nHost: h:81\r\nAccept: */*\r\nContent-Length: 5\r\nConnection: close\r\n\r\n"
    )


@pytest.mark.parametrize(
    ("status", "method", "headers", "body"),
    [
        ("200 OK", b"GET", "Content-Length: 3", Body("length", 3)),
        ("200 OK", b"GET", "Transfer-Encoding: CHUNKED", Body("chunked")),
        ("200", b"GET", "A: b", Body("close")),
        ("200 OK", b"HEAD", "Content-Length: 3", Body("none")),
        ("204 No Content", b"GET", "A: b", Body("none")),
        ("304 Not Modified", b"GET", "Content-Length: 3", Body("none")),
        ("100 Continue", b"POST", "A: b", Body("none")),
    ],
)
def test_how_long_a_response_is(status: str, method: bytes, headers: str, body: Body):
    answer = parse_response(request(headers, line=f"HTTP/1.1 {status}"), method=method)
    assert answer.body == body
    again = parse_response(answer.forwarded(), method=method)
    assert (again.status, again.body) == (answer.status, body)


@pytest.mark.parametrize("line", ["HTTP/1.1 99 No", "HTTP/2 200", "200 OK", "HTTP/1.1 2000 OK", "HTTP/1.1  200 OK"])
def test_a_bad_status_line_is_refused(line: str):
    with pytest.raises(BadMessageError):
        parse_response(request(line=line), method=b"GET")


token = st.text(st.sampled_from("abcXYZ-_!09"), min_size=1, max_size=8)
value = st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f"), max_size=12).map(
    str.strip
)


@given(token, st.lists(st.tuples(token, value), max_size=5))
def test_what_is_accepted_reads_the_same_after_forwarding(method: str, headers: list[tuple[str, str]]):
    data = request(*[f"{name}: {content}" for name, content in headers], line=f"{method} http://h/ HTTP/1.1")
    with contextlib.suppress(BadMessageError):
        head = parse_request(data)
        again = parse_request(head.forwarded(b"/x", b"h"))
        assert (again.method, again.target, again.body) == (head.method, b"/x", head.body)
        assert again.values(b"host") == [b"h"]
        assert again.values(b"connection") == [b"close"]


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes):
    for tail in (b"", b"\r\n\r\n"):
        with contextlib.suppress(BadMessageError):
            parse_request(data + tail)
        with contextlib.suppress(BadMessageError):
            parse_response(b"HTTP/1.1 200 OK\r\n" + data + tail, method=b"GET")


@settings(deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=30), max_size=5), st.binary(max_size=10), st.integers(1, 11))
def test_the_end_of_chunks_is_found_exactly(chunks: list[bytes], after: bytes, step: int):
    body = b"".join(b"%x;ext=1\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\nTrailer: x\r\n\r\n"
    parser, taken = ChunkedBody(), 0
    data = body + after
    for at in range(0, len(data), step):
        taken += parser.feed(data[at : at + step])
    assert parser.done
    assert taken == len(body)


@pytest.mark.parametrize(
    "data",
    [b"\r\n", b"x\r\n", b"5\nabcde\r\n", b"5\r\nabcdef\r\n", b"-1\r\n", b"0x5\r\n", b" 5\r\n", b"+5\r\n",
     b"1" * 13 + b"\r\n", b"5;" + b"x" * 200, b"0\r\nbad trailer\r\n", b"5\r\nabcde\n", b"5;\x00\r\n"],
)  # fmt: skip
def test_malformed_chunks_are_refused(data: bytes):
    with pytest.raises(BadMessageError):
        ChunkedBody().feed(data)


def test_chunks_that_carry_next_to_nothing_are_refused():
    with pytest.raises(BadMessageError, match="too small"):
        ChunkedBody().feed(b"1\r\nx\r\n" * 40_000)
    large = ChunkedBody()
    for _ in range(1000):
        large.feed(b"400\r\n" + bytes(1024) + b"\r\n")
