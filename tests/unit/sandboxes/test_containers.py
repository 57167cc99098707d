"""Containers as the gateway keeps them: whose they are, which make room, and what is left of them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from polyport.errors import BadRequestError, NotFoundError
from polyport_gateway.call import Caller
from polyport_gateway.sandboxes.containers import Containers, ContainerSpec
from polyport_gateway.sandboxes.plan import SandboxPlan
from polyport_gateway.sandboxes.service import SandboxService
from polyport_sandbox import SandboxBusyError
from tests.support.scripted_sandbox import ScriptedProvider

pytestmark = pytest.mark.anyio

ME, YOU = Caller("me", "me"), Caller("you", "you")
AUTO = ContainerSpec()


def plan(**options: Any) -> SandboxPlan:
    return SandboxPlan(provider=ScriptedProvider(), max_sessions_per_caller=2, **options)


@pytest.fixture
async def service() -> AsyncIterator[SandboxService]:
    made = SandboxService(plan(max_limits={"memory_mb": 1024}))
    await made.start()
    yield made
    await made.close()


async def test_the_one_that_rested_longest_makes_room(service: SandboxService) -> None:
    containers = Containers(service, rest_s=0)
    first, second = [await containers.create_auto(ME, AUTO) for _ in range(2)]
    await first.list()  # used: now the second has rested longer
    third = await containers.create_auto(ME, AUTO)
    assert [session.closed for session in (first, second, third)] == [False, True, False]
    assert await containers.find(second.id, ME) is second
    with pytest.raises(NotFoundError, match="expired"):
        await containers.running(second.id, ME)


async def test_no_room_is_made_by_what_is_in_use_or_was_asked_for(service: SandboxService) -> None:
    active = Containers(service, rest_s=60)
    for _ in range(2):
        await active.create_auto(ME, AUTO)
    with pytest.raises(SandboxBusyError):
        await active.create_auto(ME, AUTO)
    containers = Containers(service, rest_s=0)
    asked = [await containers.create(YOU, ContainerSpec(name="mine")) for _ in range(2)]
    with pytest.raises(SandboxBusyError):
        await containers.create_auto(YOU, AUTO)
    assert not any(session.closed for session in asked)


async def test_only_a_container_of_the_same_measure_is_used_again(service: SandboxService) -> None:
    containers = Containers(service)
    session = await containers.create_auto(ME, AUTO)
    assert containers.matches(session, AUTO)
    assert not containers.matches(session, ContainerSpec(memory="4g"))
    assert not containers.matches(session, ContainerSpec(allow_hosts=("example.org",)))
    await session.aclose()
    assert not containers.matches(session, AUTO)


async def test_what_is_left_is_the_owners_alone(service: SandboxService) -> None:
    containers = Containers(service)
    session = await containers.create(ME, AUTO)
    await session.aclose()
    assert [found.id for found in await containers.of(ME)] == [session.id]
    assert await containers.of(YOU) == []
    for refused in (containers.find(session.id, YOU), containers.delete(session.id, YOU)):
        with pytest.raises(NotFoundError, match="not found"):
            await refused
    await containers.delete(session.id, ME)
    assert await containers.of(ME) == []


@pytest.mark.parametrize(
    ("spec", "param"),
    [
        (ContainerSpec(memory="4g"), "x.memory_limit"),
        (ContainerSpec(minutes=1441), "x.expires_after.minutes"),
        (ContainerSpec(allow_hosts=("example.org",)), "x.network_policy.allowed_domains"),
    ],
)
async def test_what_the_gateway_does_not_give(service: SandboxService, spec: ContainerSpec, param: str) -> None:
    with pytest.raises(BadRequestError) as caught:
        Containers(service).check_spec(spec, "x.")
    assert caught.value.param == param


async def test_a_files_id_is_that_of_its_name(service: SandboxService) -> None:
    containers = Containers(service)
    session = await containers.create(ME, AUTO)
    file = await containers.add_file(session, "a.txt", b"1")
    await session.run("write a.txt 22\nwrite b.txt 3")
    again, other = await containers.files(session)
    assert (again.id, again.source, other.source) == (file.id, "assistant", "assistant")
    assert (await containers.file(session, other.id)).path == "/mnt/data/b.txt"
    elsewhere = Containers(service)
    assert (await elsewhere.files(session))[0].id != file.id


async def test_a_name_that_is_no_text(service: SandboxService) -> None:
    containers = Containers(service)
    session = await containers.create(ME, AUTO)
    await session.upload({"a": b"x"})
    provider: Any = service.plan.provider
    provider.sessions[-1].place.files["b\udcff/c\udcfe"] = b"y"
    _, file = await containers.files(session)
    assert (file.path, file.filename) == ("/mnt/data/b?/c?", "c?")
    assert (await containers.file(session, file.id)).name == "b\udcff/c\udcfe"
