from __future__ import annotations

import contextlib
import ssl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyport_sandbox.network.client_hello import ClientHello, NoHelloError, server_name


def hello(name: str | None) -> bytes:
    """What a real TLS client says first."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(incoming, outgoing, server_hostname=name)
    with contextlib.suppress(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


def split_in_records(data: bytes, size: int) -> bytes:
    message = data[5:]
    parts = [message[at : at + size] for at in range(0, len(message), size)]
    return b"".join(b"\x16\x03\x01" + len(part).to_bytes(2, "big") + part for part in parts)


def test_the_name_of_a_real_client_is_read():
    assert server_name(hello("Example.ORG")) == "example.org"
    assert server_name(hello(None)) == ""
    assert server_name(hello("a.example.org") + b"more") == "a.example.org"


@pytest.mark.parametrize("size", [1, 7, 100])
def test_a_hello_cut_into_records_and_pieces_is_read(size: int):
    data = split_in_records(hello("example.org"), size)
    answers = [server_name(data[:at]) for at in range(0, len(data), 41)]
    assert set(answers) <= {None}
    assert server_name(data) == "example.org"
    for step in (1, 3, 1000):
        reader = ClientHello()
        fed = [reader.feed(data[at : at + step]) for at in range(0, len(data), step)]
        assert fed == [None] * (len(fed) - 1) + ["example.org"]


def test_what_is_no_tls_is_told_from_bad_tls():
    assert server_name(b"") is None
    assert server_name(b"GET / HTTP/1.1") is False
    for bad in (b"\x16\x02\x00\x00\x05hello", b"\x16\x03\x01\x00\x00x", b"\x16\x03\x01\x00\x04\x02\x00\x00\x00",
                b"\x16\x03\x01\xff\xffx", b"\x16\x03\x01\x00\x04\x01\xff\xff\xff"):  # fmt: skip
        with pytest.raises(NoHelloError):
            server_name(bad)


def test_two_names_are_refused():
    data = hello("example.org")
    name = b"example.org"
    entry = b"\x00" + len(name).to_bytes(2, "big") + name
    twice = data.replace(
        (len(entry) + 2).to_bytes(2, "big") + len(entry).to_bytes(2, "big") + entry,
        (len(entry) + 2).to_bytes(2, "big") + (len(entry) - 14).to_bytes(2, "big") + entry,
    )
    assert twice != data
    with pytest.raises(NoHelloError):
        server_name(twice)


@given(st.binary(max_size=300))
def test_any_bytes_have_an_answer(data: bytes):
    for start in (b"", b"\x16\x03\x01", b"\x16\x03\x01" + len(data).to_bytes(2, "big")):
        with contextlib.suppress(NoHelloError):
            server_name(start + data)


@given(st.data())
def test_a_changed_hello_has_an_answer(data: st.DataObject):
    original = bytearray(hello("example.org"))
    for _ in range(data.draw(st.integers(1, 4))):
        original[data.draw(st.integers(0, len(original) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(NoHelloError):
        server_name(bytes(original))
