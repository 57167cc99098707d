from __future__ import annotations

import asyncio
import json
import shlex
import socket as sockets
import sys
from pathlib import Path
from typing import Any

import pytest

from polyport.errors import ConfigurationError
from polyport_sandbox import Sandbox, SandboxUnavailableError, SyncSandbox
from polyport_sandbox.docker import doctor
from polyport_sandbox.docker.doctor import build_command, examine
from polyport_sandbox.docker.engine import default_socket
from polyport_sandbox.docker.hardening import seccomp_profile
from tests.support.fake_docker import FIT, INFO, VERSION, daemon

pytestmark = pytest.mark.anyio


async def told(socket: str, **options: Any) -> tuple[str, str]:
    report = await examine(socket=socket, **options)
    assert not report.fit
    with pytest.raises(SandboxUnavailableError) as caught:
        report.raise_if_unfit()
    assert caught.value.mend in str(report)
    return caught.value.message, caught.value.mend


@pytest.mark.parametrize(
    ("installed", "expected"), [(None, "apt install docker.io &&"), ("/usr/sbin/dockerd", "sudo service docker start")]
)
async def test_no_docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, installed: str | None, expected: str):
    monkeypatch.setattr(doctor, "find", lambda program: installed)
    monkeypatch.setattr(doctor, "start_command", lambda verb="start": f"sudo service docker {verb}")
    socket = str(tmp_path / "none.sock")
    monkeypatch.setattr(doctor, "USUAL_SOCKET", socket)
    message, mend = await told(socket)
    assert "no Docker socket" in message
    assert expected in mend
    assert mend.endswith("sudo service docker start")


@pytest.mark.parametrize("there", [True, False])
async def test_a_socket_that_somebody_named_is_not_mended_by_starting_docker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: bool
):
    usual = str(tmp_path / "usual.sock")
    monkeypatch.setattr(doctor, "USUAL_SOCKET", usual)
    with sockets.socket(sockets.AF_UNIX) as listener:
        if there:
            listener.bind(usual)
        _, mend = await told(str(tmp_path / "none.sock"))
    assert (usual in mend) is there
    assert "DOCKER_HOST" in mend
    assert "service docker" not in mend


async def test_a_daemon_that_is_named_by_an_address_is_refused_with_what_mends_it():
    message, mend = await told("tcp://10.0.0.1:2375")
    assert "tcp://10.0.0.1:2375" in message
    assert "DOCKER_HOST" in mend


def test_the_socket_is_the_one_docker_s_own_client_would_use():
    assert default_socket(None) == default_socket("") == "/var/run/docker.sock"
    assert default_socket("unix:///run/user/1000/docker.sock") == "/run/user/1000/docker.sock"
    assert default_socket("tcp://there:2375") == "tcp://there:2375"


async def test_a_file_in_the_socket_s_place(tmp_path: Path):
    (tmp_path / "d.sock").write_text("")
    message, _ = await told(str(tmp_path / "d.sock"))
    assert "is not a socket" in message


async def test_a_daemon_that_is_down(tmp_path: Path):
    async with daemon(tmp_path, {}) as (socket, _):
        pass
    if not Path(socket).exists():  # newer Pythons remove it
        with sockets.socket(sockets.AF_UNIX) as leftover:
            leftover.bind(socket)
    message, mend = await told(socket)
    assert "No Docker daemon answers" in message
    assert "docker" in mend
    assert "start" in mend


@pytest.mark.parametrize("where", ["stat", "connect"])
async def test_no_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str):
    """Root, as which tests may run, is refused nothing, so the refusal is made."""

    stat = Path.stat

    def refuse(path: Any, **options: Any) -> Any:
        if str(path).endswith("d.sock"):
            raise PermissionError(13, "Permission denied")
        return stat(path, **options)

    async with daemon(tmp_path, FIT) as (socket, _):
        if where == "stat":
            monkeypatch.setattr(Path, "stat", refuse)
        else:
            monkeypatch.setattr(sys.modules["anyio"], "connect_unix", refuse)
        message, mend = await told(socket)
    assert "no permission" in message
    assert "usermod -aG docker" in mend


async def test_a_daemon_that_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(doctor, "ANSWER_S", 0.2)
    release = asyncio.Event()

    async def hang(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await release.wait()
        writer.close()

    async with await asyncio.start_unix_server(hang, str(tmp_path / "d.sock")):
        message, mend = await told(str(tmp_path / "d.sock"))
        release.set()
    assert "does not answer within" in message
    assert "restart" in mend


@pytest.mark.parametrize("answer", [b"hello", b"[]", b"{}", {"ApiVersion": ""}])
async def test_something_else_on_the_socket(tmp_path: Path, answer: Any):
    async with daemon(tmp_path, {"/version": answer}) as (socket, _):
        message, mend = await told(socket)
    assert "is no Docker daemon" in message
    assert "DOCKER_HOST" in mend


async def test_an_old_daemon(tmp_path: Path):
    async with daemon(tmp_path, {"/version": {"Version": "18.09", "ApiVersion": "1.39"}}) as (socket, _):
        message, mend = await told(socket)
    assert "speaks API 1.39, and 1.41 is needed" in message
    assert "--only-upgrade docker.io" in mend


@pytest.mark.parametrize("version", ["1", "2"])
@pytest.mark.parametrize(
    ("change", "expected", "mend"),
    [
        ({"SecurityOptions": []}, "seccomp", "CONFIG_SECCOMP_FILTER"),
        ({"SecurityOptions": None}, "seccomp", "CONFIG_SECCOMP_FILTER"),
        ({"PidsLimit": False}, "process limits", "cgroup_enable=pids"),
        ({"MemoryLimit": False}, "memory limits", "cgroup_enable=memory"),
        ({"CpuCfsQuota": False}, "processor limits", "cgroup_enable=cpu"),
    ],
)
async def test_a_kernel_that_can_not_hold_the_limits(
    tmp_path: Path, change: dict[str, Any], expected: str, mend: str, version: str
):
    info = INFO | change | {"CgroupVersion": version}
    async with daemon(tmp_path, FIT | {"/info": info}) as (socket, _):
        message, mended_by = await told(socket)
    assert expected in message
    assert mend in mended_by
    assert expected == "seccomp" or f"cgroup v{version}" in message


@pytest.mark.parametrize(
    ("image", "arguments"),
    [
        ("some/image:1", "--tag some/image:1"),
        ("polyport/sandbox:data", "--image data"),
        ("polyport/sandbox:minimal", ""),
    ],
)
async def test_no_image(tmp_path: Path, image: str, arguments: str):
    async with daemon(tmp_path, {"/version": VERSION, "/info": INFO}) as (socket, _):
        message, mend = await told(socket, image=image)
    assert f"no image {image!r}" in message
    assert mend.endswith(f"-m polyport_sandbox build {arguments}".rstrip())


def test_the_command_that_makes_an_image_says_all_that_it_needs(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(doctor.os, "geteuid", lambda: 1000)
    monkeypatch.setattr(doctor, "find", lambda program: None)
    python = shlex.quote(sys.executable)
    assert build_command("a:b; c") == (
        f"sudo apt install debootstrap && sudo -E {python} -m polyport_sandbox build --tag 'a:b; c'"
    )
    monkeypatch.setattr(doctor.os, "geteuid", lambda: 0)
    monkeypatch.setattr(doctor, "find", lambda program: "/usr/sbin/debootstrap")
    assert build_command("polyport/sandbox:minimal") == f"{python} -m polyport_sandbox build"


@pytest.mark.parametrize(
    ("runtime", "gvisor", "fit", "chosen"),
    [
        (None, "auto", True, None),
        (None, "require", False, None),
        ({"path": "runsc", "runtimeArgs": ["--oci-seccomp"]}, "auto", True, "runsc"),
        ({"path": "runsc", "runtimeArgs": ["--oci-seccomp=true"]}, "require", True, "runsc"),
        ({"path": "runsc", "runtimeArgs": ["--oci-seccomp"]}, "never", True, None),
        ({"path": "runsc"}, "auto", True, None),
        ({"path": "runsc"}, "require", False, None),
        ({"path": "runsc", "runtimeArgs": ["--ignore-cgroups", "--oci-seccomp"]}, "auto", True, None),
        ({"path": "runsc", "runtimeArgs": ["--ignore-cgroups"]}, "require", False, None),
    ],
)
async def test_gvisor(tmp_path: Path, runtime: dict[str, Any] | None, gvisor: str, fit: bool, chosen: str | None):
    info = INFO | {"Runtimes": {"runc": {}, **({"runsc": runtime} if runtime else {})}}
    async with daemon(tmp_path, FIT | {"/info": info}) as (socket, _):
        report = await examine(socket=socket, gvisor=gvisor)
    assert (report.fit, report.runtime) == (fit, chosen)


async def test_both_doors_say_it_at_once(tmp_path: Path):
    socket = str(tmp_path / "none.sock")
    with pytest.raises(SandboxUnavailableError, match="no Docker socket"):
        async with Sandbox(socket=socket):
            pass
    with pytest.raises(SandboxUnavailableError, match="no Docker socket"), SyncSandbox(socket=socket):
        pass


def test_an_unknown_provider_or_option_is_named():
    with pytest.raises(ConfigurationError, match="no sandbox provider 'dcoker'; installed are: docker"):
        Sandbox("dcoker")
    with pytest.raises(ConfigurationError, match="colour"):
        Sandbox("docker", colour="red")


def test_the_seccomp_profile_lets_none_of_these_through_unconditionally():
    profile = json.loads(seccomp_profile())
    assert profile["defaultAction"] == "SCMP_ACT_ERRNO"
    free = {
        name
        for rule in profile["syscalls"]
        if rule["action"] == "SCMP_ACT_ALLOW" and not rule.get("args")
        for name in rule["names"]
    }
    forbidden = (
        "io_uring_setup ptrace keyctl add_key request_key unshare setns clone clone3 mount bpf perf_event_open "
        "userfaultfd process_vm_readv pidfd_getfd open_by_handle_at chroot pivot_root mknod socket personality "
        "kexec_load init_module"
    )
    assert not free & set(forbidden.split())
