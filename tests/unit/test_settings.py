"""Where a setting comes from, and what it may be."""

from __future__ import annotations

from pathlib import Path

import pytest

from polyport.errors import ConfigurationError
from polyport_gateway.settings import Settings, load_settings


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_flags_over_environment_over_file_over_defaults(empty_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_settings().port == 8400
    (empty_folder / "polyport.toml").write_text("port = 8401\nhost = '127.0.0.2'\nmax_json_depth = 9\n")
    assert load_settings().port == 8401
    monkeypatch.setenv("POLYPORT_PORT", "8402")
    monkeypatch.setenv("POLYPORT_HOST", "127.0.0.3")
    chosen = load_settings(port=8403, host=None)
    assert (chosen.port, chosen.host, chosen.max_json_depth) == (8403, "127.0.0.3", 9)


@pytest.mark.parametrize("name", ["cors_origins", "allowed_hosts", "allowed_origins"])
def test_a_list_is_written_with_commas_in_the_environment(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"POLYPORT_{name.upper()}", "https://a.example, https://b.example,")
    assert getattr(load_settings(), name) == ("https://a.example", "https://b.example")
    assert getattr(load_settings(**{name: ["https://c.example"]}), name) == ("https://c.example",)


def test_a_list_in_the_file_is_a_list(empty_folder: Path) -> None:
    file = empty_folder / "other.toml"
    file.write_text('cors_origins = ["https://a.example"]\nallowed_hosts = "one, two"\n')
    chosen = load_settings(config=file)
    assert (chosen.cors_origins, chosen.allowed_hosts) == (("https://a.example",), ("one", "two"))


@pytest.mark.parametrize("name", ["call_timeout_s", "retention_days"])
def test_none_switches_off_wherever_it_is_said(name: str, empty_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert getattr(Settings(), name) is not None
    assert getattr(load_settings(**{name: "none"}), name) is None
    file = empty_folder / "off.toml"
    file.write_text(f'{name} = "none"\n')
    assert getattr(load_settings(config=file), name) is None
    monkeypatch.setenv(f"POLYPORT_{name.upper()}", "none")
    assert getattr(load_settings(), name) is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("prot = 1\n", "prot"),
        ("port = 99999\n", "99999"),
        ("port = \n", "polyport.toml"),
        ("log_level = 'x'", "log_level"),
    ],
)
def test_a_wrong_file_is_refused_with_what_is_wrong(text: str, said: str, empty_folder: Path) -> None:
    (empty_folder / "polyport.toml").write_text(text)
    with pytest.raises(ConfigurationError, match=said):
        load_settings()


def test_a_missing_file_is_refused(empty_folder: Path) -> None:
    with pytest.raises(ConfigurationError, match="there is no configuration file"):
        load_settings(config=empty_folder / "absent.toml")
