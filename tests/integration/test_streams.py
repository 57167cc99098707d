"""200 streams of 100 chunks at once: all whole, all in order, whoever makes them."""

from __future__ import annotations

import asyncio
import json

import httpx
import pytest

from polyport import App
from polyport.testing import gateway
from tests.support.upstream import Behaviour, Upstream
from tests.support.wires import eventually

pytestmark = pytest.mark.anyio

STREAMS, CHUNKS = 200, 100


async def read_stream(client: httpx.AsyncClient, model: str, number: int) -> list[str]:
    body = {"model": model, "messages": [{"role": "user", "content": str(number)}], "stream": True}
    pieces = []
    ids = set()
    done = False
    async with client.stream("POST", "/v1/chat/completions", json=body) as answer:
        assert answer.status_code == 200
        async for line in answer.aiter_lines():
            if not line.startswith("data: "):
                continue
            assert not done, "something came after [DONE]"
            if line == "data: [DONE]":
                done = True
                continue
            chunk = json.loads(line[6:])
            assert "error" not in chunk
            ids.add(chunk["id"])
            for choice in chunk["choices"]:
                if text := choice["delta"].get("content"):
                    pieces.append(text)
    assert done
    assert len(ids) == 1
    return pieces


@pytest.mark.parametrize("model", ["far", "counts", "counts_in_a_thread"])
async def test_200_streams_of_100_chunks_arrive_whole_and_in_order(model):
    app = App("streams")

    @app.pipeline
    async def counts(question: str):
        for i in range(CHUNKS):
            yield f"{question}:{i} "
            await asyncio.sleep(0.001)

    @app.pipeline
    def counts_in_a_thread(question: str):
        for i in range(CHUNKS):
            yield f"{question}:{i} "

    pieces = tuple(f"{i} " for i in range(CHUNKS))
    with Upstream(Behaviour(pieces=pieces, piece_delay_s=0.001)) as upstream:
        app.model("far", engine="openai", model="m", base_url=upstream.url)
        with gateway(app, shutdown_grace_s=1) as running:
            limits = httpx.Limits(max_connections=STREAMS)
            async with httpx.AsyncClient(base_url=running.url, limits=limits, timeout=60) as client:
                found = await asyncio.gather(*(read_stream(client, model, number) for number in range(STREAMS)))
            eventually(lambda: running.gateway.dispatcher.running == 0)
    for number, got in enumerate(found):
        expected = list(pieces) if model == "far" else [f"{number}:{i} " for i in range(CHUNKS)]
        assert got == expected
