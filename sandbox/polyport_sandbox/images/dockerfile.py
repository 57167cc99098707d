"""An image made by Docker itself, from our Dockerfile, where a registry can be reached."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from polyport_sandbox.errors import SandboxError, SandboxUnavailableError

from .process import find, run_command
from .recipe import Recipe

__all__ = ["docker_build"]

_CONTEXT = Path(__file__).parent
_UNREACHABLE = ("pull access denied", "no such host", "connection refused", "i/o timeout", "TLS handshake", "not found")


async def docker_build(recipe: Recipe, *, socket: str) -> str:
    """Build without a name; return the image's id.

    Raises:
        SandboxUnavailableError: If Docker's client is missing.
        SandboxError: If it fails, with what it said.
    """
    docker = find("docker")
    if docker is None:
        raise SandboxUnavailableError("Docker's client is not installed.", mend="sudo apt install docker-cli")
    arguments = {"SUITE": recipe.suite, "DEBIAN": " ".join(recipe.debian), "PYTHON": " ".join(recipe.python)}
    with tempfile.TemporaryDirectory(prefix="polyport-sandbox-image-") as folder:
        identity = Path(folder, "id")
        command = [docker, "build", "--network", "host", "--force-rm", "--iidfile", str(identity)]
        for name, value in arguments.items():
            command += ["--build-arg", f"{name}={value}"]
        for name, value in recipe.labels().items():
            command += ["--label", f"{name}={value}"]
        environment = {**os.environ, "DOCKER_HOST": f"unix://{socket}", "DOCKER_CLI_HINTS": "false"}
        try:
            await run_command(*command, str(_CONTEXT), environment=environment)
        except SandboxError as error:
            raise SandboxError(_explained(error.message, recipe)) from error
        return identity.read_text(encoding="ascii").strip()  # noqa: ASYNC240 - one line


def _explained(said: str, recipe: Recipe) -> str:
    if f"debian:{recipe.suite}-slim" in said and any(word in said for word in _UNREACHABLE):
        return (
            f"The image debian:{recipe.suite}-slim can't be had from a registry; without one, leave"
            f" --from-dockerfile out. ({said.splitlines()[-1]})"
        )
    return said
