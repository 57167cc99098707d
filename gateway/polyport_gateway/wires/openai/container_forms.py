"""Containers and their files between OpenAI's form and the sandbox's."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from polyport.errors import BadRequestError, UnsupportedParameterError
from polyport.types.containers import (
    AllowlistPolicy,
    AutoContainer,
    Container,
    ContainerExpiry,
    ContainerFile,
    ContainerRequest,
    NetworkPolicy,
    NetworkPolicyRequest,
    SizedContainer,
)
from polyport_gateway.sandboxes import containers as sandbox

if TYPE_CHECKING:
    from polyport_sandbox.session import Session

__all__ = ["container_body", "file_body", "read_spec"]

_MOST_FILES = 50


def read_spec(given: ContainerRequest | AutoContainer, where: str = "") -> sandbox.ContainerSpec:
    """Return what is asked for.

    Args:
        given: The request, or the part of one.
        where: What stands before its members' names, such as ``tools.0.container.``.

    Raises:
        UnsupportedParameterError: It asks for what the gateway doesn't do.
        BadRequestError: The domains don't go with the policy.
    """
    if given.skills:
        raise UnsupportedParameterError(
            f"{where}skills are not supported by this gateway; leave them out.", param=f"{where}skills"
        )
    for name, value in given.unknown.items():
        if value is not None:
            raise UnsupportedParameterError(
                f"{where}{name} is not supported by this gateway; leave it out.", param=f"{where}{name}"
            )
    memory = given.memory_limit or "1g"
    hosts = _hosts(given.network_policy, f"{where}network_policy")
    files = tuple(dict.fromkeys(given.file_ids or ()))
    if len(files) > _MOST_FILES:
        raise BadRequestError(f"{where}file_ids names more than {_MOST_FILES} files.", param=f"{where}file_ids")
    if not isinstance(given, ContainerRequest):
        return sandbox.ContainerSpec(memory=memory, allow_hosts=hosts, file_ids=files)
    if not given.name.isprintable():
        raise BadRequestError("name must be printable text.", param="name")
    spec = sandbox.ContainerSpec(name=given.name, memory=memory, allow_hosts=hosts, file_ids=files)
    return spec if given.expires_after is None else replace(spec, minutes=given.expires_after.minutes)


def _hosts(policy: NetworkPolicyRequest | None, where: str) -> tuple[str, ...]:
    if policy is None:
        return ()
    if policy.domain_secrets:
        raise UnsupportedParameterError(
            f"{where}.domain_secrets are not supported: this gateway puts no secrets into requests of sandboxed code.",
            param=f"{where}.domain_secrets",
        )
    if policy.type == "disabled":
        if policy.allowed_domains:
            raise BadRequestError(
                f"{where}.allowed_domains goes with type allowlist, not disabled.", param=f"{where}.allowed_domains"
            )
        return ()
    if not policy.allowed_domains:
        raise BadRequestError(f"{where} of type allowlist needs allowed_domains.", param=f"{where}.allowed_domains")
    return tuple(policy.allowed_domains)


def container_body(session: Session) -> Container:
    """Return a container as it is shown."""
    policy = AllowlistPolicy(allowed_domains=list(session.allow_hosts)) if session.allow_hosts else NetworkPolicy()
    body = Container(
        id=session.id,
        name=session.name or "",
        created_at=int(session.created_at),
        status="expired" if session.closed else "running",
        last_active_at=int(session.last_active_at),
        expires_after=ContainerExpiry(minutes=max(1, round(session.idle_s / 60))),
        network_policy=policy,
    )
    size = next((name for name, size in sandbox.SIZES.items() if size == session.limits.memory_mb), None)
    if size is None:
        return body
    return SizedContainer.model_validate({**body.model_dump(), "memory_limit": size})


def file_body(file: sandbox.ContainerFile) -> ContainerFile:
    """Return a container's file as it is shown."""
    return ContainerFile(
        id=file.id,
        container_id=file.container_id,
        created_at=file.created_at,
        bytes=file.size,
        path=file.path,
        source=file.source,
    )
