from __future__ import annotations

import sys

import pytest

from polyport.errors import ConfigurationError, MissingDependencyError
from polyport_gateway.storage.database import Database
from polyport_gateway.storage.engine import explain, parse_url, shown


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_every_spelling_of_postgresql_uses_psycopg_3(scheme: str) -> None:
    assert parse_url(f"{scheme}://u:p@host/db").drivername == "postgresql+psycopg"


@pytest.mark.parametrize(
    "url", ["postgresql://u:hunter2@host/db", "postgresql:///db?host=/run&password=hunter2&sslpassword=hunter2"]
)
def test_passwords_are_masked(url: str) -> None:
    parsed = parse_url(url)
    assert "hunter2" not in shown(parsed)
    assert "***" in shown(parsed)
    assert "hunter2" not in explain(OSError("bad conninfo: password=hunter2"), parsed)


@pytest.mark.parametrize("url", ["no url at all hunter2", "", "://hunter2@x"])
def test_what_is_no_url_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(ConfigurationError, match="sqlite:///FILE") as caught:
        Database(url)
    assert "hunter2" not in str(caught.value)


def test_another_database_is_refused_by_name() -> None:
    with pytest.raises(ConfigurationError, match="'mysql'"):
        Database("mysql://u:hunter2@host/db")


def test_a_missing_driver_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(MissingDependencyError, match=r"polyport\[postgres\]"):
        Database("postgresql://u:p@host/db")
