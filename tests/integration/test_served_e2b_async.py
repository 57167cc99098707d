"""E2B's asynchronous client, unmodified, against a gateway."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator

import e2b
import httpx
import pytest
from e2b_code_interpreter import AsyncSandbox

from tests.integration.serving_sandboxes import House, house

pytestmark = [pytest.mark.requires("docker", "sandbox"), pytest.mark.anyio]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with house(tmp_path_factory.mktemp("e2b")) as found:
        yield found


@pytest.fixture
async def sandbox(served: House) -> AsyncIterator[AsyncSandbox]:
    found = await AsyncSandbox.create(timeout=120, **served.options())
    yield found
    await found.kill()


async def test_the_walk(served: House, sandbox: AsyncSandbox):
    lines = []
    execution = await sandbox.run_code(
        "print('hi'); x = 6 * 7; x", on_stdout=lambda message: lines.append(message.line)
    )
    assert execution.text == "42"
    assert "".join(lines) == "hi\n"
    await sandbox.files.write("a.txt", "hello")
    assert await sandbox.files.read("a.txt") == "hello"
    assert [one.name for one in await sandbox.files.list(".")] == ["a.txt"]
    result = await sandbox.commands.run("cat a.txt")
    assert (result.stdout, result.exit_code) == ("hello", 0)
    context = await sandbox.create_code_context()
    assert (await sandbox.run_code("x", context=context)).error.name == "NameError"
    again = await AsyncSandbox.connect(sandbox.sandbox_id, **served.options())
    assert (await again.run_code("x")).text == "42"
    assert (await sandbox.get_info()).sandbox_id == sandbox.sandbox_id
    found = await AsyncSandbox.list(**served.options()).next_items()
    assert sandbox.sandbox_id in {one.sandbox_id for one in found}
    with pytest.raises(e2b.SandboxNotFoundException):
        await AsyncSandbox.connect(sandbox.sandbox_id, **served.options("other"))
    with pytest.raises(e2b.AuthenticationException):
        await AsyncSandbox.create(**served.options("wrong"))


async def test_an_execution_beyond_the_clients_time_is_stopped(sandbox: AsyncSandbox):
    beat = "while True:\n    open('beat', 'a').write('x')\n    time.sleep(0.02)"
    with pytest.raises(e2b.TimeoutException):
        await sandbox.run_code(f"import time\n{beat}", timeout=1)
    began = time.monotonic()
    # Waits for its turn, and so for the end of the other.
    assert (await sandbox.run_code("1 + 1")).text == "2"
    assert time.monotonic() - began < 1
    size = len(await sandbox.files.read("beat"))
    await asyncio.sleep(0.3)
    assert len(await sandbox.files.read("beat")) == size


async def test_a_command_whose_client_goes_away_is_stopped(sandbox: AsyncSandbox):
    handle = await sandbox.commands.run("while true; do date >> beat; sleep 0.05; done", background=True)
    await asyncio.sleep(0.3)
    await handle.disconnect()
    began = time.monotonic()
    assert (await sandbox.commands.run("wc -l < beat")).exit_code == 0
    assert time.monotonic() - began < 1
    assert await sandbox.commands.list() == []


async def test_sandboxes_at_once(served: House):
    async def work(number: int) -> str:
        sandbox = await AsyncSandbox.create(timeout=120, envs={"NUMBER": str(number)}, **served.options())
        try:
            execution = await sandbox.run_code("import os; int(os.environ['NUMBER']) * 2")
            return execution.text
        finally:
            await sandbox.kill()

    assert await asyncio.gather(*(work(number) for number in range(6))) == [str(number * 2) for number in range(6)]


async def test_too_many_sandboxes(served: House, tmp_path):
    with house(tmp_path, sandbox_max_sessions_per_caller=1) as small:
        options = small.options() | {"retries": 0}
        sandbox = await AsyncSandbox.create(**options)
        with pytest.raises(e2b.ServiceBusyException, match="max_sessions_per_caller=1"):
            await AsyncSandbox.create(**options)
        await sandbox.kill()
        assert await (await AsyncSandbox.create(**options)).kill()


async def test_an_idempotency_key_opens_one_sandbox(served: House, sandbox: AsyncSandbox):
    first = await AsyncSandbox.create(idempotency_key="the-same", **served.options())
    second = await AsyncSandbox.create(idempotency_key="the-same", **served.options())
    theirs = await AsyncSandbox.create(idempotency_key="the-same", **served.options("other"))
    try:
        assert second.sandbox_id == first.sandbox_id != theirs.sandbox_id
    finally:
        await first.kill()
        await theirs.kill()


async def test_each_run_is_accounted_for(served: House, sandbox: AsyncSandbox):
    await sandbox.run_code("1")
    await sandbox.commands.run("true")
    body = {"code": "1", "language": "python"}
    async with httpx.AsyncClient() as client:
        await client.post(f"{served.fusion_with('one')}/run_code", json=body, timeout=30)
    seen: set[tuple[str, str, int]] = set()
    for _ in range(50):
        rows = served.wait_for(rows_of(served))
        seen = {(row.wire, row.name, row.status) for row in rows}
        if {("e2b", "run_code", 200), ("sandbox-fusion", "run_code", 200)} <= seen:
            return
        await asyncio.sleep(0.1)
    raise AssertionError(seen)


async def rows_of(served: House):
    from sqlalchemy import text

    database = served.running.gateway.database
    return await database.read(
        lambda connection: connection.execute(text("SELECT wire, name, status FROM usage")).all()
    )
