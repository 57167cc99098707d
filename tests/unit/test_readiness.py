"""``/readyz`` says whether calls are taken; ``/healthz`` only that the process answers."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import pytest

from polyport import App
from polyport_gateway.server import create_gateway
from polyport_gateway.settings import Settings

pytestmark = pytest.mark.anyio


async def test_ready_only_between_start_and_stop(tmp_path: Path) -> None:
    app = App("t")
    entered, release = asyncio.Event(), asyncio.Event()

    @app.function
    async def waits() -> str:
        entered.set()
        await release.wait()
        return "done"

    gateway = create_gateway(app, Settings(data_dir=tmp_path))
    transport = httpx.ASGITransport(gateway.asgi)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:

        async def status(path: str) -> tuple[int, object]:
            answer = await client.get(path)
            return answer.status_code, answer.json().get("ready")

        assert await status("/readyz") == (503, False)
        assert await status("/healthz") == (200, None)
        await gateway.start()
        assert await status("/readyz") == (200, True)
        running = asyncio.ensure_future(client.post("/v1/functions/waits", json={}))
        await entered.wait()
        stopping = asyncio.ensure_future(gateway.stop())
        await asyncio.sleep(0)
        assert await status("/readyz") == (503, False)
        assert await status("/healthz") == (200, None)
        refused = await client.post("/v1/functions/waits", json={})
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        release.set()
        assert (await running).json()["result"] == "done"
        await stopping
        assert await status("/readyz") == (503, False)
