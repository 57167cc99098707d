"""What is missing before a sandbox can run, and the command that mends it."""

from __future__ import annotations

import asyncio
import os
import shlex
import stat
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from polyport_sandbox.errors import SandboxError, SandboxUnavailableError
from polyport_sandbox.images import DATA_IMAGE, DEFAULT_IMAGE
from polyport_sandbox.images.process import find

from .engine import API_VERSION, DEFAULT_SOCKET, USUAL_SOCKET, Engine

__all__ = ["Finding", "Report", "build_command", "examine", "start_command"]

ANSWER_S = 10.0
_CONTROLLERS = {
    "MemoryLimit": ("memory", "memory"),
    "PidsLimit": ("process", "pids"),
    "CpuCfsQuota": ("processor", "cpu"),
}


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Args:
        subject: What.
        ok: Whether it is as it must be.
        detail: What was found.
        mend: What to do about it, where it is not.
        advice: Whether code can be run all the same, but something had better be done.
    """

    subject: str
    ok: bool
    detail: str
    mend: str | None = None
    advice: bool = False


@dataclass(frozen=True)
class Report:
    """All that was looked at, in order; the first that is not ok hides those that depend on it.

    Args:
        findings: What was found.
        runtime: The Docker runtime to use; None for the daemon's default.
    """

    findings: tuple[Finding, ...]
    runtime: str | None = None

    @property
    def fit(self) -> bool:
        """Whether code can be run."""
        return all(finding.ok for finding in self.findings)

    def raise_if_unfit(self) -> None:
        """Raise the first thing that is missing.

        Raises:
            SandboxUnavailableError: With the command that mends it.
        """
        for finding in self.findings:
            if not finding.ok:
                raise SandboxUnavailableError(f"{finding.detail}.", mend=finding.mend or "see Docker's log")

    def __str__(self) -> str:
        lines = []
        for finding in self.findings:
            sign = "MISSING" if not finding.ok else "ADVICE " if finding.advice else "ok     "
            lines.append(f"{sign}  {finding.subject}: {finding.detail}")
            if (not finding.ok or finding.advice) and finding.mend:
                lines.append(f"         to mend it: {finding.mend}")
        return "\n".join(lines)


def start_command(verb: str = "start") -> str:
    """The command that starts Docker on this machine."""
    return f"sudo systemctl {verb} docker" if Path("/run/systemd/system").is_dir() else f"sudo service docker {verb}"


def build_command(image: str) -> str:
    """The command that makes an image on this machine."""
    command = f"{shlex.quote(sys.executable)} -m polyport_sandbox build"
    if image == DATA_IMAGE:
        command += " --image data"
    elif image != DEFAULT_IMAGE:
        command += f" --tag {shlex.quote(image)}"
    if os.geteuid() != 0:
        command = f"sudo -E {command}"
    return command if find("debootstrap") else f"sudo apt install debootstrap && {command}"


def _socket_mend(socket: str) -> str:
    if socket == USUAL_SOCKET:
        start = start_command()
        return start if find("dockerd") and not Path(socket).exists() else f"sudo apt install docker.io && {start}"
    # Somebody named it, and starting Docker would make another one.
    if Path(USUAL_SOCKET).is_socket():
        return f"name the one at {USUAL_SOCKET} instead: unset DOCKER_HOST, or leave --socket out"
    return "start the daemon that it belongs to, or name another with DOCKER_HOST=unix:///path/of/docker.sock"


def _socket_finding(socket: str) -> Finding:
    if "://" in socket:
        return Finding(
            "socket",
            ok=False,
            detail=f"Docker is named as {socket}, and the sandbox speaks to a Unix socket of this machine only",
            mend="unset DOCKER_HOST, or set it to unix:///path/of/docker.sock",
        )
    try:
        mode = Path(socket).stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return Finding("socket", ok=False, detail=f"There is no Docker socket at {socket}", mend=_socket_mend(socket))
    except PermissionError:
        return _forbidden("socket", socket)
    if not stat.S_ISSOCK(mode):
        return Finding("socket", ok=False, detail=f"{socket} is not a socket", mend=_socket_mend(socket))
    return Finding("socket", ok=True, detail=socket)


def _forbidden(subject: str, socket: str) -> Finding:
    return Finding(
        subject,
        ok=False,
        detail=f"You have no permission to use {socket}",
        mend="sudo usermod -aG docker $USER, then log in again (who may use Docker is as good as root)",
    )


async def _daemon_finding(engine: Engine) -> Finding:
    try:
        async with asyncio.timeout(ANSWER_S):
            version = await engine.version()
    except TimeoutError:
        detail = f"The Docker daemon on {engine.socket} does not answer within {ANSWER_S:g} s"
        return Finding("daemon", ok=False, detail=detail, mend=start_command("restart"))
    except SandboxError as error:
        if isinstance(_root(error), PermissionError) or "Permission denied" in str(error):
            return _forbidden("daemon", engine.socket)
        detail = f"No Docker daemon answers on {engine.socket}"
        return Finding("daemon", ok=False, detail=detail, mend=start_command())
    except ValueError:
        version = {}
    speaks = str(version.get("ApiVersion", "")) if isinstance(version, dict) else ""
    if not speaks:
        detail = f"What answers on {engine.socket} is no Docker daemon"
        return Finding("daemon", ok=False, detail=detail, mend="name Docker's socket with --socket or DOCKER_HOST")
    if _number(speaks) < _number(API_VERSION):
        return Finding(
            "daemon",
            ok=False,
            detail=f"Docker {version.get('Version')} speaks API {speaks}, and {API_VERSION} is needed (Docker 20.10)",
            mend=f"sudo apt install --only-upgrade docker.io && {start_command('restart')}",
        )
    return Finding("daemon", ok=True, detail=f"Docker {version.get('Version')}, API {speaks}")


def _root(error: BaseException | None) -> BaseException | None:
    while error is not None and (error.__cause__ or error.__context__) is not None:
        error = error.__cause__ or error.__context__
    return error


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) if part.isdecimal() else 0 for part in version.split("."))


def _kernel_findings(info: dict[str, Any]) -> list[Finding]:
    options = [str(option) for option in info.get("SecurityOptions") or []]
    seccomp = any(option.startswith("name=seccomp") for option in options)
    findings = [
        Finding(
            "seccomp",
            ok=seccomp,
            detail="available" if seccomp else "Docker has no seccomp on this kernel",
            mend="use a kernel with CONFIG_SECCOMP_FILTER",
        )
    ]
    version = f"cgroup v{info.get('CgroupVersion', '1')}"
    for key, (what, controller) in _CONTROLLERS.items():
        held = bool(info.get(key))
        detail = f"held ({version})" if held else f"This kernel can't hold {what} limits for containers ({version})"
        mend = f"boot with cgroup_enable={controller}, or delegate {controller} to Docker's cgroup where it is rootless"
        findings.append(Finding(f"{what} limit", ok=held, detail=detail, mend=mend))
    return findings


def _runtime_finding(info: dict[str, Any], gvisor: str) -> tuple[Finding, str | None]:
    runtime = (info.get("Runtimes") or {}).get("runsc")
    arguments = [str(argument) for argument in (runtime or {}).get("runtimeArgs") or []]
    usable = False
    if runtime is None:
        detail = "Docker offers no runsc"
    elif any(a.lstrip("-").startswith("ignore-cgroups") for a in arguments):
        detail = "runsc is set up with --ignore-cgroups, under which memory and process limits don't hold"
    elif not any(a.lstrip("-") in ("oci-seccomp", "oci-seccomp=true") for a in arguments):
        detail = "runsc is set up without --oci-seccomp, so it would leave out our system call filter"
    else:
        usable, detail = True, "runsc is offered"
    if gvisor == "never":
        return Finding("gVisor", ok=True, detail="not wanted"), None
    if usable:
        return Finding("gVisor", ok=True, detail=detail), "runsc"
    required = gvisor == "require"
    mend = (
        'sudo apt install runsc, put {"runtimes": {"runsc": {"path": "/usr/bin/runsc", "runtimeArgs": ["--oci-seccomp",'
        ' "--platform=ptrace", "--network=none"]}}} into /etc/docker/daemon.json, then ' + start_command("restart")
    )
    return Finding("gVisor", ok=not required, detail=detail if required else f"not used: {detail}", mend=mend), None


def _image_finding(name: str, *, there: bool) -> Finding:
    if there:
        return Finding("image", ok=True, detail=name)
    return Finding("image", ok=False, detail=f"There is no image {name!r}", mend=build_command(name))


async def examine(*, socket: str = DEFAULT_SOCKET, image: str = DEFAULT_IMAGE, gvisor: str = "auto") -> Report:
    """Look at the socket, the daemon, what the kernel can hold, gVisor and the image."""
    findings = [_socket_finding(socket)]
    if not findings[0].ok:
        return Report(tuple(findings))
    engine = Engine(socket)
    try:
        findings.append(await _daemon_finding(engine))
        if not findings[-1].ok:
            return Report(tuple(findings))
        info = await engine.info()
        findings += _kernel_findings(info)
        finding, runtime = _runtime_finding(info, gvisor)
        findings.append(finding)
        there = await engine.image(image) is not None
    finally:
        await engine.aclose()
    findings.append(_image_finding(image, there=there))
    return Report(tuple(findings), runtime)
