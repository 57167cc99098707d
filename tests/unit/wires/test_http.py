from __future__ import annotations

import asyncio

import pytest

from polyport.errors import BadRequestError, FunctionError, PayloadTooLargeError, RateLimitError
from polyport_gateway.settings import Settings
from polyport_gateway.wires.http import ClientGoneError, read_json, run_until_disconnect, send_error

pytestmark = pytest.mark.anyio


def receiver(*chunks: bytes, disconnect: bool = False):
    messages = [
        {"type": "http.request", "body": chunk, "more_body": i < len(chunks) - 1 or disconnect}
        for i, chunk in enumerate(chunks)
    ]
    if disconnect:
        messages.append({"type": "http.disconnect"})
    found = iter(messages)

    async def receive():
        return next(found)

    return receive


async def read(*chunks: bytes, limit: int = 1024, max_depth: int = 8, headers=(), disconnect: bool = False):
    scope = {"headers": list(headers)}
    return await read_json(
        scope,
        receiver(*chunks, disconnect=disconnect),
        settings=Settings(max_body_bytes=limit, max_json_depth=max_depth),
    )


async def test_reads_an_object_in_pieces():
    assert await read(b'{"a"', b": 1", b"}") == {"a": 1}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "no body"),
        (b"{", "not valid JSON"),
        (b'{"a": "\xff"}', "not valid JSON"),
        (b"[1]", "not an array"),
        (b"null", "not null"),
        (b'"x"', "not a string"),
        (b'{"a": NaN}', "not valid JSON"),
        (b'{"a": 1} trailing', "not valid JSON"),
    ],
)
async def test_says_what_is_wrong_with_a_body(body, said):
    with pytest.raises(BadRequestError, match=said):
        await read(body)


async def test_refuses_a_large_body_by_its_header_and_by_its_bytes():
    with pytest.raises(PayloadTooLargeError, match="1024 bytes"):
        await read(b"{}", headers=[(b"content-length", b"1025")])
    with pytest.raises(PayloadTooLargeError):
        await read(b'{"a": "' + b"x" * 600, b"x" * 600 + b'"}')


async def test_refuses_deep_nesting_but_not_brackets_in_strings():
    deep = b'{"a":' + b"[" * 7 + b"]" * 7 + b"}"
    assert await read(deep)
    with pytest.raises(BadRequestError, match="deeper than 8"):
        await read(b'{"a":' + b"[" * 8 + b"]" * 8 + b"}")
    quoted = b'{"a": "' + b'[[[[[[[[[[[[\\"{{{{{{{{' + b'"}'
    assert (await read(quoted))["a"].startswith("[[[[")


BOMBS = {
    "open": b'{"a":' + b"[" * 5_000_000,
    "nested": b'{"a":' + b"[" * 2_000_000 + b"]" * 2_000_000 + b"}",
    "hidden": b'{"a":' + b"[[]," * 2_000_000,
    "many": b'{"a":[' + b"[]," * 2_000_000 + b"[]]}",
    "strings": b'{"a":[' + b'"",' * 4_100_000 + b'""]}',
}


@pytest.mark.parametrize("name", BOMBS)
async def test_a_bomb_is_refused_before_it_is_parsed(name):
    with pytest.raises(BadRequestError, match=r"deeper|more than"):
        await read(BOMBS[name], limit=20_000_000, max_depth=64)


async def test_what_is_large_but_sane_is_taken():
    quotes = b'{"a": "' + b'\\"' * 1_000_000 + b'", "b": [' + b"[1]," * 100_000 + b"[1]]}"
    value = await read(quotes, limit=20_000_000, max_depth=8)
    assert len(value["a"]) == 1_000_000
    backslashes = b'{"a": "\\\\", "b": "[[[[[[[[[[["' + b" " * 300_000 + b"}"
    assert (await read(backslashes, limit=20_000_000))["a"] == "\\"


async def test_a_client_that_leaves_half_way_is_noticed():
    with pytest.raises(ClientGoneError):
        await read(b'{"a": ', disconnect=True)


async def test_work_is_cancelled_when_the_client_leaves():
    gone = asyncio.Event()
    cancelled = asyncio.Event()

    async def receive():
        await gone.wait()
        return {"type": "http.disconnect"}

    async def work():
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    asyncio.get_running_loop().call_later(0.01, gone.set)
    with pytest.raises(ClientGoneError):
        await run_until_disconnect(receive, work())
    assert cancelled.is_set()
    await asyncio.sleep(0)  # the task itself is not left cancelled


async def test_being_cancelled_from_outside_stays_a_cancellation():
    async def receive():
        await asyncio.Event().wait()

    task = asyncio.ensure_future(run_until_disconnect(receive, asyncio.sleep(30)))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def sent_error(error):
    messages = []

    async def send(message):
        messages.append(message)

    await send_error(send, error, request_id="req_1")
    return messages[0]["status"], dict(messages[0]["headers"]), messages[1]["body"]


async def test_errors_carry_what_clients_act_on():
    status, headers, _ = await sent_error(RateLimitError("slow down", retry_after=2.4))
    assert (status, headers[b"retry-after"]) == (429, b"2")
    status, headers, _ = await sent_error(FunctionError("boom"))
    assert (status, headers[b"x-should-retry"]) == (500, b"false")


async def test_an_unexpected_error_tells_the_client_nothing(caplog):
    status, _, body = await sent_error(ValueError("password=hunter2"))
    assert status == 500
    assert b"hunter2" not in body
    assert "hunter2" in caplog.text
