import sys

import pytest


@pytest.fixture(autouse=True)
def fresh_modules(tmp_path, monkeypatch):
    """Forget the app modules that a test imported from its folder."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield
    for name, module in list(sys.modules.items()):
        if (getattr(module, "__file__", None) or "").startswith(str(tmp_path)):
            del sys.modules[name]
