from __future__ import annotations

import sys

import pytest

from polyport_gateway.cli import main


@pytest.mark.parametrize(("arguments", "told"), [(["sandbox", "run", "a.py"], True), (["serve", "app.py"], False)])
def test_with_the_sandbox_alone_the_command_that_works_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str], told: bool
):
    monkeypatch.delitem(sys.modules, "polyport_gateway.cli.root", raising=False)
    monkeypatch.setitem(sys.modules, "typer", None)
    monkeypatch.setattr(sys, "argv", ["polyport", *arguments])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 2
    error = capsys.readouterr().err
    assert 'pip install "polyport[gateway]"' in error
    assert ("-m polyport_sandbox run a.py" in error) is told
