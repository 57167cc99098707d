"""A thousand runs, 32 in flight; and again with the Docker daemon restarted half-way. The daemon is the tests' own."""

from __future__ import annotations

import asyncio
import os

import pytest

from polyport_sandbox.images.build import DEFAULT_IMAGE
from tests.soak.runs import Soaked, soak
from tests.support.dockerd import own_daemon

pytestmark = [pytest.mark.slow, pytest.mark.requires("dockerd"), pytest.mark.timeout(1800)]

COUNT = int(os.environ.get("POLYPORT_SOAK", "1000"))
IN_FLIGHT = 32


def _soaked(*, restart: bool) -> Soaked:
    with own_daemon(DEFAULT_IMAGE) as daemon:
        soaked = asyncio.run(soak(COUNT, daemon, restart=restart))
    assert soaked.wrong == []
    assert soaked.accounted == COUNT, "a run was lost"
    assert soaked.left == [], "containers were left behind"
    assert soaked.late_mb < soaked.early_mb + 40, f"{soaked.early_mb:.0f} MB grew to {soaked.late_mb:.0f} MB"
    return soaked


def test_every_one_of_many_runs_comes_back_with_its_own_answer():
    soaked = _soaked(restart=False)
    assert soaked.right == COUNT, soaked


def test_a_restart_of_the_daemon_costs_no_more_than_what_was_in_flight():
    soaked = _soaked(restart=True)
    assert set(soaked.statuses) <= {"sandbox_error", "killed"}, soaked.statuses
    assert COUNT - soaked.right <= 2 * IN_FLIGHT, soaked
    right, asked = soaked.after_restart
    assert asked > 0
    assert right == asked, f"{asked - right} runs asked for after the restart failed"
