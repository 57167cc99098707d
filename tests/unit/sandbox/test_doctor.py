from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from polyport.errors import ConfigurationError
from polyport_sandbox import Sandbox, SandboxUnavailableError, SyncSandbox
from polyport_sandbox.doctor import examine
from polyport_sandbox.hardening import seccomp_profile

pytestmark = pytest.mark.anyio

VERSION = {"Version": "20.10.24", "ApiVersion": "1.41"}
INFO: dict[str, Any] = {
    "SecurityOptions": ["name=seccomp,profile=default"],
    "MemoryLimit": True, "PidsLimit": True, "CpuCfsQuota": True,
    "Runtimes": {"runc": {}},
}  # fmt: skip


@asynccontextmanager
async def daemon(folder: Path, answers: dict[str, Any]) -> AsyncIterator[str]:
    """A daemon that gives these answers by the end of the path, and 404 to anything else."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        path = (await reader.readuntil(b"\r\n\r\n")).split()[1].decode()
        answer = next((value for end, value in answers.items() if path.endswith(end)), None)
        body = json.dumps(answer if answer is not None else {"message": "No such image"}).encode()
        status = "200 OK" if answer is not None else "404 Not Found"
        writer.write(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body)
        await writer.drain()
        writer.close()

    socket = str(folder / "d.sock")
    async with await asyncio.start_unix_server(serve, socket):
        yield socket


async def told(socket: str, **options: Any) -> tuple[str, str]:
    report = await examine(socket=socket, **options)
    assert not report.fit
    with pytest.raises(SandboxUnavailableError) as caught:
        report.raise_if_unfit()
    assert caught.value.mend in str(report)
    return caught.value.message, caught.value.mend


async def test_no_docker(tmp_path: Path):
    message, mend = await told(str(tmp_path / "none.sock"))
    assert "no Docker socket" in message
    assert "apt install docker.io" in mend


async def test_a_daemon_that_is_down(tmp_path: Path):
    async with daemon(tmp_path, {}) as socket:
        pass
    if not Path(socket).exists():  # newer Pythons remove it
        import socket as sockets

        with sockets.socket(sockets.AF_UNIX) as leftover:
            leftover.bind(socket)
    message, mend = await told(socket)
    assert "No Docker daemon answers" in message
    assert "start docker" in mend


async def test_an_old_daemon(tmp_path: Path):
    async with daemon(tmp_path, {"/version": {"Version": "18.09", "ApiVersion": "1.39"}}) as socket:
        message, mend = await told(socket)
    assert "speaks API 1.39, and 1.41 is needed" in message
    assert "--only-upgrade docker.io" in mend


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"SecurityOptions": []}, "seccomp"),
        ({"PidsLimit": False}, "process limits"),
        ({"MemoryLimit": False}, "memory"),
    ],
)
async def test_a_kernel_that_can_not_hold_the_limits(tmp_path: Path, change: dict[str, Any], expected: str):
    async with daemon(tmp_path, {"/version": VERSION, "/info": INFO | change, "/json": {"Id": "1"}}) as socket:
        message, _ = await told(socket)
    assert expected in message


async def test_no_image(tmp_path: Path):
    async with daemon(tmp_path, {"/version": VERSION, "/info": INFO}) as socket:
        message, mend = await told(socket, image="some/image:1")
    assert "no image 'some/image:1'" in message
    assert mend.endswith("build --tag some/image:1")


@pytest.mark.parametrize(
    ("runtime", "gvisor", "fit", "chosen"),
    [
        (None, "auto", True, None),
        (None, "require", False, None),
        ({"path": "runsc"}, "auto", True, "runsc"),
        ({"path": "runsc"}, "require", True, "runsc"),
        ({"path": "runsc"}, "never", True, None),
        ({"path": "runsc", "runtimeArgs": ["--ignore-cgroups"]}, "auto", True, None),
        ({"path": "runsc", "runtimeArgs": ["--ignore-cgroups"]}, "require", False, None),
    ],
)
async def test_gvisor(tmp_path: Path, runtime: dict[str, Any] | None, gvisor: str, fit: bool, chosen: str | None):
    info = INFO | {"Runtimes": {"runc": {}, **({"runsc": runtime} if runtime else {})}}
    async with daemon(tmp_path, {"/version": VERSION, "/info": info, "/json": {"Id": "1"}}) as socket:
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
