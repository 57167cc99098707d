"""The whole gateway on PostgreSQL: keys, usage rows and stored responses, as on SQLite."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import httpx
import openai
import pytest
from sqlalchemy import text

from polyport import App
from polyport.testing import gateway
from polyport_gateway.storage.database import Database
from polyport_gateway.storage.keys import KeyStore
from tests.integration.postgres import PostgresServer, postgres_server

pytestmark = pytest.mark.requires("postgres")


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    with postgres_server() as running:
        yield running


def test_the_gateway_keeps_its_records_in_postgresql(postgres: PostgresServer) -> None:
    url = postgres.create_database("gateway")
    app = App("on-postgres")
    app.model("echo", engine="echo")

    async def create_key() -> str:
        async with Database(url) as database:
            _, token = await KeyStore(database).create("app", allow=["echo"])
            return token

    token = asyncio.run(create_key())
    with gateway(app, database_url=url) as running:
        client = openai.OpenAI(base_url=f"{running.url}/v1", api_key=token, max_retries=0)
        first = client.responses.create(model="echo", input="remember this")
        assert client.responses.retrieve(first.id).output_text == "remember this"
        with pytest.raises(openai.AuthenticationError):
            openai.OpenAI(base_url=f"{running.url}/v1", api_key="pp_x_y", max_retries=0).models.list()
    # Another process, later: what was acknowledged is there.
    with gateway(app, database_url=url) as running:
        client = openai.OpenAI(base_url=f"{running.url}/v1", api_key=token, max_retries=0)
        second = client.responses.create(model="echo", input="and this", previous_response_id=first.id)
        assert second.output_text == "and this"
        deadline = time.monotonic() + 10
        while running.gateway.usage.health().pending and time.monotonic() < deadline:
            time.sleep(0.02)

    async def rows() -> list[tuple[str, int]]:
        async with Database(url) as database:
            query = text("select name, status from usage order by id")
            return [tuple(row) for row in await database.read(lambda connection: connection.execute(query).all())]

    assert asyncio.run(rows()) == [("echo", 200), ("echo", 200)]


def test_an_id_that_postgresql_cannot_hold_is_only_unknown(postgres: PostgresServer) -> None:
    app = App("on-postgres")
    app.model("echo", engine="echo")
    with gateway(app, database_url=postgres.create_database("nul")) as running:
        shown = httpx.get(f"{running.url}/v1/responses/resp_%00")
        deleted = httpx.delete(f"{running.url}/v1/responses/resp_%00")
        body = {"model": "echo", "input": "x", "previous_response_id": "resp_\0"}
        continued = httpx.post(f"{running.url}/v1/responses", json=body)
    assert (shown.status_code, deleted.status_code, continued.status_code) == (404, 404, 400)
    assert continued.json()["error"]["code"] == "previous_response_not_found"
