"""Clients that ask and never read the answer."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import httpx

from polyport import App
from polyport.testing import gateway


def test_an_answer_that_nobody_reads_gives_up_its_call_and_a_slow_reader_gets_all() -> None:
    app = App("unread")

    @app.pipeline
    async def flood(question: str) -> AsyncIterator[str]:
        for _ in range(2000):
            yield "x" * 10_000
            await asyncio.sleep(0)

    body = {"model": "flood", "stream": True, "messages": [{"role": "user", "content": "x"}]}
    content = json.dumps(body).encode()
    head = (
        "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
        f"content-length: {len(content)}\r\n\r\n"
    )
    with gateway(app, request_timeout_s=1.0) as running:
        address = urlsplit(running.url)
        with socket.create_connection((address.hostname, address.port)) as client:
            client.sendall(head.encode() + content)
            deadline = time.monotonic() + 10
            while not running.gateway.dispatcher.running:
                assert time.monotonic() < deadline
                time.sleep(0.01)
            while running.gateway.dispatcher.running:
                assert time.monotonic() < deadline, "the call still runs"
                time.sleep(0.05)
        last = ""
        with httpx.stream("POST", f"{running.url}/v1/chat/completions", json=body) as answer:
            for number, line in enumerate(answer.iter_lines()):
                if number % 400 == 0:
                    time.sleep(0.3)
                last = line or last
    assert last == "data: [DONE]"
