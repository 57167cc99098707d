"""The Docker provider and a world that fails: lost containers, crashed owners, a missing image."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time

import pytest

from polyport_sandbox import InvalidRunError, Limits, Sandbox, SandboxUnavailableError
from polyport_sandbox.docker.provider import DockerProvider
from tests.support.sandbox import containers, docker

CRASHING = """
import asyncio, os
from polyport_sandbox.docker.provider import DockerProvider

async def main():
    provider = DockerProvider(pool_size=2, gvisor="never")
    await provider.open()
    await provider.when_ready(2)
    print(*[container.identity for pool in provider._pools.values() for container in pool._ready], flush=True)
    os._exit(1)

asyncio.run(main())
"""

pytestmark = [pytest.mark.anyio, pytest.mark.requires("docker", "sandbox")]


def _own(provider: DockerProvider) -> list[str]:
    return [container.identity for pool in provider._pools.values() for container in pool._ready]


async def test_containers_lost_while_they_wait_are_replaced_unnoticed():
    provider = DockerProvider(pool_size=3, gvisor="never")
    async with Sandbox(provider) as box:
        await provider.when_ready(3)
        lost = _own(provider)
        await asyncio.to_thread(docker, "kill", *lost)
        result = await box.run("print(1)")
        assert (result.status, result.stdout) == ("ok", b"1\n")


async def test_a_container_killed_under_a_run_is_told_apart():
    provider = DockerProvider(pool_size=1, gvisor="never")
    async with Sandbox(provider) as box:
        await provider.when_ready(1)
        (identity,) = _own(provider)
        run = asyncio.create_task(
            box.run("print('x', flush=True); import time; time.sleep(30)", limits=Limits(wall_s=40))
        )
        await asyncio.sleep(1)
        await asyncio.to_thread(docker, "kill", identity)
        result = await asyncio.wait_for(run, 10)
        assert (result.status, result.stdout) == ("killed", b"x\n"), result


async def test_what_a_crashed_process_left_ends_by_itself_and_is_removed_at_the_next_start():
    done = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", CRASHING], capture_output=True, text=True, timeout=60, check=False
    )
    left = set(done.stdout.split())
    assert len(left) == 2, done
    deadline = time.monotonic() + 10
    while left & {c["Id"] for c in await asyncio.to_thread(containers, "running")}:
        assert time.monotonic() < deadline, "they still run"
        await asyncio.sleep(0.1)
    async with Sandbox(pool_size=0, gvisor="never"):
        assert not left & {c["Id"] for c in await asyncio.to_thread(containers)}


async def test_a_missing_image_is_said_with_the_command_that_makes_it():
    with pytest.raises(SandboxUnavailableError, match=r"no image 'polyport/none:x'.*build --tag polyport/none:x"):
        async with Sandbox(image="polyport/none:x", gvisor="never"):
            pass


async def test_a_provider_s_ceiling_holds():
    async with Sandbox(pool_size=0, gvisor="never", max_limits=Limits(memory_mb=128)) as box:
        with pytest.raises(InvalidRunError, match=r"limits\.memory_mb is 256, and at most 128"):
            await box.run("pass")


async def test_closing_ends_what_runs_and_leaves_nothing_and_it_can_be_opened_again():
    mine = Limits(memory_mb=141, wall_s=60)

    def left() -> list[str]:
        return [found["Id"] for found in containers() if found["HostConfig"]["Memory"] == 141 << 20]

    box = Sandbox(DockerProvider(pool_size=1, limits=mine, gvisor="never"))
    for _ in range(2):
        async with box:
            run = asyncio.create_task(box.run("print('on', flush=True)\nimport time; time.sleep(60)", limits=mine))
            session = await box.open_session(limits=mine)
            assert (await session.run("1")).status == "ok"
            await asyncio.sleep(0.5)
            assert not run.done()
        assert not await asyncio.to_thread(left)
        result = await asyncio.wait_for(run, 5)
        assert (result.status, result.stdout, result.detail) == ("killed", b"on\n", "the sandbox was closed"), result


async def test_an_image_is_looked_up_once_and_its_name_is_kept_on_its_containers():
    async with Sandbox(DockerProvider(pool_size=1, gvisor="never", limits=Limits(memory_mb=142))) as box:
        assert isinstance(box.provider, DockerProvider)
        await box.provider.when_ready(1)
        (found,) = [c for c in await asyncio.to_thread(containers) if c["HostConfig"]["Memory"] == 142 << 20]
        assert found["Config"]["Image"] == found["Image"]  # the image's id, and not a name that may move meanwhile
        assert found["Config"]["Labels"]["io.polyport.sandbox.image"] == "polyport/sandbox:minimal"
