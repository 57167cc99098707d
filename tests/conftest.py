"""What every test stands on: one async backend, no network, no stray settings, honest skips."""

from __future__ import annotations

import gc
import importlib.metadata
import ipaddress
import os
import socket
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.machine import data_folder, required, what_is_missing

KEPT_SETTINGS = {"POLYPORT_REQUIRE", "POLYPORT_DATA", "POLYPORT_TEST_PLUGINS"}


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what this machine can't run, saying why; fail instead where POLYPORT_REQUIRE names it."""
    for marker in item.iter_markers("requires"):
        for name in marker.args:
            missing = what_is_missing(name)
            if missing is None:
                continue
            if name in required():
                pytest.fail(f"POLYPORT_REQUIRE names {name!r}, but {missing}", pytrace=False)
            pytest.skip(f"needs {name}: {missing}")


@pytest.fixture
def anyio_backend() -> str:
    """The loop that the gateway runs on."""
    return "asyncio"


@pytest.fixture(autouse=True)
def own_settings(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep the person's own settings out of the tests, and the tests' records out of the checkout."""
    for name in os.environ:
        if name.startswith("POLYPORT_") and name not in KEPT_SETTINGS:
            monkeypatch.delenv(name)
    monkeypatch.setenv("POLYPORT_DATA_DIR", str(tmp_path_factory.mktemp("polyport")))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of public files to measure with; use it in tests marked ``requires("data")``."""
    folder = data_folder()
    if folder is None:
        raise LookupError('no data folder: mark the test with @pytest.mark.requires("data")')
    return folder


class NetworkBlockedError(RuntimeError):
    """A test reached for something outside this machine."""


def _is_local(host: object) -> bool:
    if isinstance(host, bytes):
        host = host.decode("ascii", "replace")
    if not isinstance(host, str):
        return True
    if host in ("", "localhost"):
        return True
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False


def _refuse(host: object) -> NetworkBlockedError:
    return NetworkBlockedError(f"tests may only talk to this machine, and one reached for {host!r}")


@pytest.fixture(scope="session", autouse=True)
def no_network() -> Iterator[None]:
    """Refuse connections and look-ups beyond loopback."""
    patch = pytest.MonkeyPatch()
    connect, connect_ex, getaddrinfo = socket.socket.connect, socket.socket.connect_ex, socket.getaddrinfo

    def checked(address: Any) -> Any:
        if isinstance(address, tuple) and not _is_local(address[0]):
            raise _refuse(address)
        return address

    def local_getaddrinfo(host: Any, *args: Any, **kwargs: Any) -> Any:
        # An address needs no look-up: it is connect that refuses it, and binding to 0.0.0.0 is no reach outside.
        if not _is_local(host) and not _is_address(host):
            raise _refuse(host)
        return getaddrinfo(host, *args, **kwargs)

    patch.setattr(socket.socket, "connect", lambda self, address: connect(self, checked(address)))
    patch.setattr(socket.socket, "connect_ex", lambda self, address: connect_ex(self, checked(address)))
    patch.setattr(socket, "getaddrinfo", local_getaddrinfo)
    yield
    patch.undo()


def _is_address(host: object) -> bool:
    try:
        ipaddress.ip_address(str(host))
    except ValueError:
        return False
    return True


@pytest.fixture(scope="session", autouse=True)
def no_foreign_plugins() -> Iterator[None]:
    """Hide plugins that happen to be installed; POLYPORT_TEST_PLUGINS=dist,… lets some through."""
    patch = pytest.MonkeyPatch()
    welcome = {"polyport", *os.environ.get("POLYPORT_TEST_PLUGINS", "").split(",")}
    select = importlib.metadata.EntryPoints.select

    def chosen(self: importlib.metadata.EntryPoints, **params: Any) -> importlib.metadata.EntryPoints:
        found = select(self, **params)
        if not str(params.get("group", "")).startswith("polyport."):
            return found
        return importlib.metadata.EntryPoints(e for e in found if e.dist is None or e.dist.name in welcome)

    patch.setattr(importlib.metadata.EntryPoints, "select", chosen)
    yield
    patch.undo()


@pytest.fixture(autouse=True, scope="module")
def connections_of_other_makers_clients(request: pytest.FixtureRequest) -> Iterator[None]:
    """Collect what clients of other makers leave unclosed where they were used, not in whichever test comes next."""
    yield
    if {"e2b", "sandbox_fusion", "requests"} & set(sys.modules):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            gc.collect()
