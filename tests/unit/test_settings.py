from __future__ import annotations

import pytest

from polyport.errors import ConfigurationError
from polyport_gateway.settings import load_settings


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_a_list_in_the_environment_is_written_with_commas(monkeypatch):
    monkeypatch.setenv("POLYPORT_CORS_ORIGINS", "https://a.example, https://b.example")
    monkeypatch.setenv("POLYPORT_ALLOWED_HOSTS", "gateway.example")
    settings = load_settings()
    assert settings.cors_origins == ("https://a.example", "https://b.example")
    assert settings.allowed_hosts == ("gateway.example",)


def test_what_is_given_later_wins(tmp_path, monkeypatch):
    (tmp_path / "polyport.toml").write_text('port = 1\nhost = "file"\nlog_level = "error"\n')
    monkeypatch.setenv("POLYPORT_PORT", "2")
    monkeypatch.setenv("POLYPORT_HOST", "environment")
    settings = load_settings(port=3)
    assert (settings.port, settings.host, settings.log_level) == (3, "environment", "error")


def test_a_wrong_value_is_named(monkeypatch):
    monkeypatch.setenv("POLYPORT_PORT", "many")
    with pytest.raises(ConfigurationError, match="port"):
        load_settings()


def test_an_unknown_name_in_the_file_is_named(tmp_path):
    (tmp_path / "polyport.toml").write_text("prot = 1\n")
    with pytest.raises(ConfigurationError, match="prot"):
        load_settings()
