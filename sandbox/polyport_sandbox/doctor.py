"""What is missing before a sandbox can run, and the command that mends it."""

from __future__ import annotations

import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .engine import API_VERSION, DEFAULT_SOCKET, Engine
from .errors import SandboxError, SandboxUnavailableError
from .image import DEFAULT_IMAGE

__all__ = ["Finding", "Report", "examine"]


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Args:
        subject: What.
        ok: Whether it is as it must be.
        detail: What was found.
        mend: What to do about it, where it is not.
    """

    subject: str
    ok: bool
    detail: str
    mend: str | None = None


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
            lines.append(f"{'ok     ' if finding.ok else 'MISSING'}  {finding.subject}: {finding.detail}")
            if not finding.ok and finding.mend:
                lines.append(f"         to mend it: {finding.mend}")
        return "\n".join(lines)


def _socket_finding(socket: str) -> Finding:
    path = Path(socket)
    install = "sudo apt install docker.io && sudo systemctl start docker"
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return Finding("socket", ok=False, detail=f"There is no Docker socket at {socket}", mend=install)
    except PermissionError:
        mode = 0
    if mode and not stat.S_ISSOCK(mode):
        return Finding("socket", ok=False, detail=f"{socket} is not a socket", mend=install)
    return Finding("socket", ok=True, detail=socket)


async def _daemon_finding(engine: Engine) -> Finding:
    try:
        version = await engine.version()
    except SandboxError as error:
        cause = error.__cause__.__cause__ if error.__cause__ is not None else None
        if isinstance(_root(cause), PermissionError) or "Permission denied" in str(error):
            return Finding(
                "daemon",
                ok=False,
                detail=f"You have no permission to use {engine.socket}",
                mend="sudo usermod -aG docker $USER, then log in again",
            )
        return Finding(
            "daemon",
            ok=False,
            detail=f"No Docker daemon answers on {engine.socket}",
            mend="sudo systemctl start docker",
        )
    speaks = str(version.get("ApiVersion", "0"))
    if _number(speaks) < _number(API_VERSION):
        return Finding(
            "daemon",
            ok=False,
            detail=f"Docker {version.get('Version')} speaks API {speaks}, and {API_VERSION} is needed (Docker 20.10)",
            mend="sudo apt install --only-upgrade docker.io",
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
    for key, what in {"MemoryLimit": "memory", "PidsLimit": "process", "CpuCfsQuota": "processor"}.items():
        held = bool(info.get(key))
        detail = "held" if held else f"This kernel can't hold {what} limits for containers"
        findings.append(Finding(f"{what} limit", ok=held, detail=detail, mend="boot with that cgroup controller on"))
    return findings


def _runtime_finding(info: dict[str, Any], gvisor: str) -> tuple[Finding, str | None]:
    runtime = (info.get("Runtimes") or {}).get("runsc")
    arguments = [str(argument) for argument in (runtime or {}).get("runtimeArgs") or []]
    if runtime is not None and not any(a.lstrip("-").startswith("ignore-cgroups") for a in arguments):
        usable, detail = True, "runsc is offered"
    elif runtime is not None:
        usable, detail = (
            False,
            "runsc is set up with --ignore-cgroups, under which memory and process limits don't hold",
        )
    else:
        usable, detail = False, "Docker offers no runsc"
    if gvisor == "never":
        return Finding("gVisor", ok=True, detail="not wanted"), None
    if usable:
        return Finding("gVisor", ok=True, detail=detail), "runsc"
    required = gvisor == "require"
    mend = "sudo apt install runsc, name it under runtimes in /etc/docker/daemon.json, restart Docker"
    return Finding("gVisor", ok=not required, detail=detail if required else f"not used: {detail}", mend=mend), None


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
    findings.append(
        Finding("image", ok=True, detail=image)
        if there
        else Finding(
            "image",
            ok=False,
            detail=f"There is no image {image!r}",
            mend=f"sudo python -m polyport_sandbox build --tag {image}",
        )
    )
    return Report(tuple(findings), runtime)
