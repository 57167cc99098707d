from __future__ import annotations

import pytest

from polyport_gateway.catalog import Catalog
from polyport_gateway.cli.banner import banner


@pytest.mark.parametrize(("name", "server"), [("My app!", "My-app"), ("商店", "polyport"), ("a_b-1", "a_b-1")])
def test_claude_code_gets_a_name_it_takes(name, server):
    shown = banner(Catalog(name), "http://127.0.0.1:8400", keys=False)
    assert f"claude mcp add --transport http {server} http://127.0.0.1:8400/mcp\n" in shown
    assert shown.startswith(f"{name} is served")
