"""What `doctor` looks at, one function per question."""

from __future__ import annotations

import asyncio
import locale
import logging
import os
import platform
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import EntryPoint, PackageNotFoundError, entry_points, requires, version
from pathlib import Path
from typing import Any, Literal, TypeAlias

from polyport.errors import ConfigurationError, PolyportError, ServiceUnavailableError

__all__ = ["Check", "run_checks"]

State: TypeAlias = Literal["ok", "missing", "warning", "failed"]

_REQUIREMENT = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)")
_EXTRA = re.compile(r"extra\s*==\s*['\"]([\w-]+)['\"]")
_DOCKER_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class Check:
    """One finding; `failed` means that serving can't work, `missing` that something optional isn't there.

    Attributes:
        name: What was looked at.
        state: How it is.
        detail: The finding.
        remedy: What to do, if anything.
    """

    name: str
    state: State
    detail: str
    remedy: str | None = None


def run_checks(config: Path | None, data_dir: Path | None, database_url: str | None) -> list[Check]:
    """Look at everything."""
    # What fails is reported here; without a handler it would be written to standard error as well.
    logging.getLogger("polyport").addHandler(logging.NullHandler())
    checks = [_python(), *_extras(), *_engines()]
    try:
        from polyport_gateway.settings import load_settings

        settings = load_settings(config=config, data_dir=data_dir, database_url=database_url)
    except (PolyportError, ModuleNotFoundError) as error:
        checks.append(Check("settings", "failed", str(error)))
    else:
        checks += [Check("settings", "ok", _settings_source(config)), *_records(settings), _port(settings)]
        checks += _sandbox(settings)
    return [*checks, _documents(), _docker(), _terminal()]


def _python() -> Check:
    found = (
        f"{platform.python_implementation()} {platform.python_version()} on {platform.system()} {platform.machine()}"
    )
    if sys.version_info < (3, 11):  # noqa: UP036 - a person may run this from a checkout
        return Check("python", "failed", found, "install Python 3.11 or newer")
    return Check("python", "ok", f"{found}, polyport {version('polyport')}")


def _extras() -> Iterator[Check]:
    """Say of each extra which packages are there."""
    needs: dict[str, list[str]] = {}
    for line in requires("polyport") or []:
        package, marker = _REQUIREMENT.match(line), _EXTRA.search(line)
        if package is None or not _applies(line) or (marker is not None and marker[1] == "all"):
            continue
        if package[1] != "polyport":
            needs.setdefault(marker[1] if marker else "", []).append(package[1])
    for extra, packages in needs.items():
        found, missing = [], []
        for needed in packages:
            try:
                found.append(f"{needed} {version(needed)}")
            except PackageNotFoundError:
                missing.append(needed)
        name = f"extra {extra}" if extra else "core"
        if not missing:
            yield Check(name, "ok", ", ".join(found))
            continue
        line = f'pip install "polyport[{extra}]"' if extra else "pip install polyport"
        state: State = "failed" if extra in ("", "gateway") else "missing"
        yield Check(name, state, f"not installed: {', '.join(missing)}", line)


def _applies(line: str) -> bool:
    """Whether a requirement is meant for this platform; only the marker that we use ourselves is understood."""
    return not ("sys_platform != 'win32'" in line.replace('"', "'") and sys.platform == "win32")


def _engines() -> Iterator[Check]:
    for entry_point in sorted(entry_points(group="polyport.engines"), key=lambda found: found.name):
        yield _engine(entry_point)


def _engine(entry_point: EntryPoint) -> Check:
    name = f"engine {entry_point.name}"
    source = entry_point.dist.name if entry_point.dist else "?"
    try:
        entry_point.load()
    except ModuleNotFoundError as error:
        ours = (error.name or "").startswith("polyport")
        remedy = None if ours or source != "polyport" else f'pip install "polyport[{entry_point.name}]"'
        return Check(name, "warning" if ours else "missing", f"{error} (from {source})", remedy)
    except Exception as error:  # noqa: BLE001 - a plugin may fail in any way, and this says how
        return Check(name, "warning", f"fails to load: {type(error).__name__}: {error} (from {source})")
    return Check(name, "ok", f"{entry_point.value} (from {source})")


def _settings_source(config: Path | None) -> str:
    file = config or (Path("polyport.toml") if Path("polyport.toml").is_file() else None)
    names = sorted(name for name in os.environ if name.startswith("POLYPORT_"))
    return ", ".join(filter(None, [f"file {file}" if file else "no file", " ".join(names)]))


def _records(settings: Any) -> Iterator[Check]:
    """Look at the data folder, the database and the keys; nothing is made that isn't there."""
    folder: Path = settings.data_dir
    if settings.database_url is None:
        existing = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
        if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
            yield Check("data folder", "failed", f"{folder} can't be written", "choose another with --data-dir")
            return
        yield Check(
            "data folder", "ok", f"{folder.absolute()}{'' if folder.exists() else ' (made at the first start)'}"
        )
        if not Path(settings.records_url.removeprefix("sqlite:///")).exists():
            yield Check("database", "ok", "SQLite, made at the first start")
            yield _key_check(0, settings)
            return
    try:
        check, live = asyncio.run(_look_at_database(settings.records_url))
    except PolyportError as error:
        yield Check("database", "failed", str(error))
        return
    yield check
    if live is not None:
        yield _key_check(live, settings)


async def _look_at_database(url: str) -> tuple[Check, int | None]:
    """Read the schema's revision and count the live keys, without bringing the schema up to date."""
    from polyport_gateway.storage.database import Database
    from polyport_gateway.storage.keys import KeyStore
    from polyport_gateway.storage.migrate import current_revision
    from polyport_gateway.storage.schema import REVISION

    database = Database(url)
    try:
        revision = await database.read(current_revision)
        if revision != REVISION:
            state = "no tables yet" if revision is None else f"schema {revision}, brought to {REVISION}"
            return Check("database", "ok", f"{database.where}: {state} at the next start"), None
        keys = await KeyStore(database).list()
    except ServiceUnavailableError as error:
        return Check("database", "failed", database.explain(error)), None
    finally:
        await database.close()
    return Check("database", "ok", f"{database.where}, schema {revision}"), sum(key.state == "live" for key in keys)


def _key_check(live: int, settings: Any) -> Check:
    if live:
        return Check("keys", "ok", f"{live} live")
    if settings.loopback_only:
        return Check("keys", "ok", "none: only this machine is served")
    return Check("keys", "failed", f"none, and {settings.host} can be reached from others", "polyport keys create NAME")


def _port(settings: Any) -> Check:
    from polyport_gateway.cli.port_owner import port_owner
    from polyport_gateway.embedded import bind

    where = f"{settings.host}:{settings.port}"
    try:
        listener: socket.socket = bind(settings)
    except ConfigurationError as error:
        owner = port_owner(settings.port)
        return Check("port", "warning", f"{error}{f' (it is held by {owner})' if owner else ''}")
    listener.close()
    return Check("port", "ok", f"{where} is free")


def _sandbox(settings: Any) -> Iterator[Check]:
    """Look at the sandbox that the settings name; what only an app declares is seen when that is served."""
    if settings.sandbox in (None, "none"):
        return
    from polyport_gateway.sandboxes.plan import make_plan
    from polyport_gateway.sandboxes.service import SandboxService

    async def look() -> Check:
        service = SandboxService(make_plan(None, settings))
        await service.examine()
        return Check("sandbox", "ok", f"{settings.sandbox} runs {', '.join(service.languages)}")

    try:
        yield asyncio.run(look())
    except PolyportError as error:
        yield Check("sandbox", "failed", str(error), getattr(error, "mend", None))


def _documents() -> Check:
    """Say which formats can be read."""
    try:
        from polyport_gateway.reading.listing import describe_formats

        found = describe_formats()
    except ModuleNotFoundError as error:
        return Check("documents", "missing", str(error), 'pip install "polyport[documents]"')
    readable = ", ".join(item.name for item in found if item.readable)
    lacking = sorted({package for item in found for package in item.missing})
    if lacking:
        formats = ", ".join(item.name for item in found if item.missing)
        detail = f"reads {readable}; {formats} would need {', '.join(lacking)}"
        return Check("documents", "missing", detail, next(item.install for item in found if item.missing))
    return Check("documents", "ok", f"reads {readable}")


def _docker() -> Check:
    docker = shutil.which("docker")
    if docker is None:
        return Check("docker", "missing", "no docker command; only sandboxes need it")
    try:
        done = subprocess.run(  # noqa: S603 - found on the PATH, fixed arguments
            [docker, "version", "--format", "{{.Server.Version}}"],
            capture_output=True,
            text=True,
            timeout=_DOCKER_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return Check("docker", "missing", f"the docker command does not answer ({error}); only sandboxes need it")
    if done.returncode != 0:
        problem = (done.stderr.strip() or "no server answers").splitlines()[-1]
        return Check("docker", "missing", f"{problem}; only sandboxes need it")
    return Check("docker", "ok", f"server {done.stdout.strip()}")


def _terminal() -> Check:
    encoding = sys.stdout.encoding or "?"
    detail = f"{encoding}, locale {locale.setlocale(locale.LC_CTYPE) or '?'}, TERM {os.environ.get('TERM', 'unset')}"
    if encoding.lower().replace("-", "") != "utf8":
        return Check("terminal", "warning", detail, "export PYTHONUTF8=1")
    return Check("terminal", "ok", detail)
