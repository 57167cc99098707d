"""Environment variables and folders, which a session has no words for, said in each language's own."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping, Sequence

from polyport.errors import BadRequestError

__all__ = ["check_envs", "command_line", "leave_python", "prepare_python", "with_environment"]

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")


def check_envs(envs: Mapping[str, str]) -> None:
    """Refuse names and values that can't stand in an environment.

    Raises:
        BadRequestError: With the name.
    """
    for name, value in envs.items():
        if _NAME.fullmatch(name) is None:
            raise BadRequestError(
                f"The environment variable {name[:80]!r} must be named by letters, digits and underscores.",
                param="envs",
            )
        if "\0" in value:
            raise BadRequestError(f"The environment variable {name!r} has a null character.", param="envs")


def prepare_python(envs: Mapping[str, str], cwd: str | None) -> list[str]:
    """Return lines of Python that set variables and folder, and leave no name behind."""
    lines = [f"__import__('os').environ.update({dict(envs)!r})"] if envs else []
    if cwd is not None:
        lines.append(f"__import__('os').chdir({cwd!r})")
    return lines


def leave_python(used: Mapping[str, str], lasting: Mapping[str, str]) -> list[str]:
    """Return lines of Python that take back variables that were for one run, and restore what they hid."""
    gone = [f"__import__('os').environ.pop({name!r}, None)" for name in used if name not in lasting]
    return [*gone, *prepare_python({name: lasting[name] for name in used if name in lasting}, None)]


def with_environment(language: str, code: str, envs: Mapping[str, str], cwd: str | None) -> str:
    """Return code of a language without lasting variables, with what sets its environment before its first line."""
    if language == "bash":
        parts = [f"export {name}={shlex.quote(value)};" for name, value in envs.items()]
        if cwd is not None:
            parts.append(f"cd -- {shlex.quote(cwd)} || exit;")
        return " ".join([*parts, code])
    if language in ("javascript", "typescript"):
        parts = [f"Object.assign(process.env, {json.dumps(dict(envs))});"] if envs else []
        if cwd is not None:
            parts.append(f"process.chdir({json.dumps(cwd)});")
        return " ".join([*parts, code])
    if envs:
        raise BadRequestError(f"Environment variables can't be set for {language}; leave them out.", param="env_vars")
    return code


def command_line(cmd: str, args: Sequence[str], envs: Mapping[str, str], cwd: str) -> str:
    """Return a command with its environment and folder as bash runs it."""
    return with_environment("bash", f"exec {shlex.join([cmd, *args])}", envs, cwd)
