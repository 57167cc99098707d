"""An upstream so lean that it is never what is measured: fixed chat completions over a raw asyncio server.

A plain chat gets one completion of about 600 bytes; a streamed one gets 100 numbered chunks.

    python tests/benchmarks/upstream.py PORT
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import cast

import uvloop

CHUNKS = 100
END = b"\r\n\r\n"

COMPLETION = json.dumps(
    {
        "id": "chatcmpl-benchmark",
        "object": "chat.completion",
        "created": 1_790_000_000,
        "model": "upstream",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "A fixed answer of a usual length. " * 7, "refusal": None},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 12, "completion_tokens": 56, "total_tokens": 68},
        "system_fingerprint": "fp_benchmark",
    }
).encode()
PLAIN_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
PLAIN = PLAIN_HEAD % len(COMPLETION) + COMPLETION
STREAM_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


def _frame(data: bytes) -> bytes:
    event = b"data: " + data + b"\n\n"
    return b"%x\r\n" % len(event) + event + b"\r\n"


def _chunk(number: int) -> bytes:
    finish = "stop" if number == CHUNKS - 1 else None
    choice = {"index": 0, "delta": {"content": f"{number} "}, "finish_reason": finish}
    chunk = {"id": "chatcmpl-benchmark", "object": "chat.completion.chunk", "created": 1_790_000_000}
    return _frame(json.dumps({**chunk, "model": "upstream", "choices": [choice]}).encode())


CHUNK_FRAMES = [_chunk(number) for number in range(CHUNKS)]
STREAM_END = _frame(b"[DONE]") + b"0\r\n\r\n"


class Upstream(asyncio.Protocol):
    """One client's connection."""

    def __init__(self) -> None:
        self.buffer = bytearray()
        self.transport: asyncio.Transport
        self.streaming: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.streaming is not None:
            self.streaming.cancel()

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while (request := self._next_request()) is not None:
            if b'"stream":true' in request or b'"stream": true' in request:
                self.streaming = asyncio.ensure_future(self._stream())
            else:
                self.transport.write(PLAIN)

    def _next_request(self) -> bytes | None:
        end = self.buffer.find(END)
        if end < 0:
            return None
        head = bytes(self.buffer[:end]).lower()
        at = head.find(b"\r\ncontent-length:")
        size = end + len(END) + (int(head[at + 17 :].split(b"\r\n", 1)[0]) if at >= 0 else 0)
        if len(self.buffer) < size:
            return None
        request = bytes(self.buffer[:size])
        del self.buffer[:size]
        return request

    async def _stream(self) -> None:
        self.transport.write(STREAM_HEAD)
        for frame in CHUNK_FRAMES:
            self.transport.write(frame)
            # A model takes its time between tokens; the pause also makes the streams interleave.
            await asyncio.sleep(0.002)
        self.transport.write(STREAM_END)


async def main(port: int) -> None:
    """Serve until killed."""
    server = await asyncio.get_running_loop().create_server(Upstream, "127.0.0.1", port)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
