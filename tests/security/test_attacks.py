"""Every attack is made for real, on runc and, where it is installed, on gVisor; and what must hold is looked at."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from polyport_sandbox.docker.engine import DEFAULT_SOCKET
from polyport_sandbox.images.build import DEFAULT_IMAGE
from tests.security.case import Attack, NotOfferedError, perform
from tests.security.suite import ATTACKS
from tests.security.targets import OursTarget, ours
from tests.support.dockerd import own_daemon
from tests.support.sandbox import containers

pytestmark = pytest.mark.requires("docker", "sandbox")


@pytest.fixture(scope="module")
def on_runc() -> Iterator[OursTarget]:
    with ours(DEFAULT_SOCKET) as target:
        yield target


@pytest.fixture(scope="module")
def on_runsc() -> Iterator[OursTarget]:
    with own_daemon(DEFAULT_IMAGE) as daemon, ours(daemon.socket, "runsc") as target:
        yield target


def _made(attack: Attack, target: OursTarget) -> None:
    try:
        perform(attack, target)
    except NotOfferedError as reason:
        pytest.skip(str(reason))


def _params() -> list[Any]:
    """The attacks, each with what it needs of this machine."""
    return [
        pytest.param(
            attack, id=attack.name, marks=[pytest.mark.requires("unshare")] if "network" in attack.needs else []
        )
        for attack in ATTACKS
    ]


@pytest.mark.parametrize("attack", _params())
def test_an_attack_comes_to_nothing_on_runc(on_runc: OursTarget, attack: Attack):
    _made(attack, on_runc)


@pytest.mark.requires("dockerd", "runsc")
@pytest.mark.parametrize("attack", _params())
def test_an_attack_comes_to_nothing_on_gvisor(on_runsc: OursTarget, attack: Attack):
    _made(attack, on_runsc)


def test_there_are_at_least_45_attacks_and_no_two_of_one_name():
    names = [attack.name for attack in ATTACKS]
    assert len(names) >= 45
    assert len(set(names)) == len(names)


def test_every_container_is_hardened(on_runc: OursTarget):
    on_runc.run("pass")
    running = containers("running")
    assert running
    for container in running:
        host = container["HostConfig"]
        assert host["CapDrop"] == ["ALL"]
        assert not host["CapAdd"]
        assert not host["Privileged"]
        assert host["ReadonlyRootfs"]
        assert host["NetworkMode"] == "none"
        assert host["IpcMode"] == "none"
        assert host["LogConfig"]["Type"] == "none"
        assert not host["Binds"]
        assert container["Mounts"] == []
        assert host["Memory"] == host["MemorySwap"] > 0
        assert host["PidsLimit"] > 0
        assert any(option.startswith("seccomp={") for option in host["SecurityOpt"])
        assert "no-new-privileges:true" in host["SecurityOpt"]
        assert int(container["Config"]["User"].split(":")[0]) > 1_000_000_000
        assert not container["Config"]["Env"] or all(e.startswith("PATH=") for e in container["Config"]["Env"])
