"""The MCP conformance suite, where npm has brought it; `make conformance` brings it."""

from __future__ import annotations

import pytest

from tests.conformance import run
from tests.support.machine import required


@pytest.mark.requires("node")
@pytest.mark.timeout(300)
@pytest.mark.parametrize("revision", sorted(run.REVISIONS))
def test_every_required_scenario_passes(revision: str) -> None:
    if not run.suite_script().exists():
        if "node" not in required():
            pytest.skip("the suite is not installed (make conformance installs it)")
        run.install()
    with run.serving() as url:
        scenarios = run.run_suite(url, revision)
    assert len(scenarios) == run.REVISIONS[revision]
    assert {scenario.name: scenario.failures for scenario in scenarios if not scenario.ok} == {}
