from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest

from polyport_sandbox.docker import upkeep
from polyport_sandbox.docker.containers import list_containers, prune
from polyport_sandbox.docker.doctor import Finding
from polyport_sandbox.docker.orphans import owner
from polyport_sandbox.docker.upkeep import survey
from polyport_sandbox.images import recipe_named
from tests.support.fake_docker import FIT, INFO, daemon

pytestmark = pytest.mark.anyio


def image(**changes: Any) -> dict[str, Any]:
    made = time.strftime("%Y-%m-%dT%H:%M:%S.123456789Z", time.gmtime(time.time() - 3 * 86400))
    labels = recipe_named("minimal").labels()
    return {"Id": "sha256:1", "Created": made, "Size": 198_000_000, "Config": {"Labels": labels}} | changes


def container(**changes: Any) -> dict[str, Any]:
    labels = {"io.polyport.sandbox": "run", "io.polyport.sandbox.owner": owner()}
    made = int(time.time()) - 300
    return {
        "Id": "a" * 64, "Names": ["/polyport-sandbox-1"], "Image": "i", "State": "running", "Created": made,
        "Labels": labels,
    } | changes  # fmt: skip


GONE = {"io.polyport.sandbox.owner": owner().rpartition("/")[0].rpartition("/")[0] + "/999999999/1"}


async def found(tmp_path: Path, subject: str, answers: dict[str, Any]) -> Finding:
    async with daemon(tmp_path, FIT | {"/json": image()} | answers) as (socket, _):
        report = await survey(socket=socket)
    assert report.fit
    (finding,) = [finding for finding in report.findings if finding.subject == subject]
    assert not finding.advice or finding.mend in str(report)
    return finding


async def test_nothing_to_advise(tmp_path: Path):
    async with daemon(tmp_path, FIT | {"/json": image()}) as (socket, _):
        report = await survey(socket=socket)
    assert report.fit
    assert not [finding for finding in report.findings if finding.advice]
    assert "198 MB, made 3 days ago, up to date" in str(report)


async def test_what_can_not_be_asked_is_not_surveyed(tmp_path: Path):
    report = await survey(socket=str(tmp_path / "none.sock"))
    assert [finding.subject for finding in report.findings] == ["socket"]


async def test_without_the_image_the_rest_is_looked_at_all_the_same(tmp_path: Path):
    async with daemon(tmp_path, {name: FIT[name] for name in ("/version", "/info", "/containers/json")}) as (socket, _):
        report = await survey(socket=socket)
    assert not report.fit
    assert "containers" in [finding.subject for finding in report.findings]


async def test_an_image_by_an_older_recipe(tmp_path: Path):
    labels = recipe_named("minimal").labels() | {"io.polyport.sandbox.recipe.fingerprint": "0" * 64}
    finding = await found(tmp_path, "image's age", {"/json": image(Config={"Labels": labels})})
    assert finding.advice
    assert "older recipe" in finding.detail
    assert "build" in (finding.mend or "")


async def test_an_image_that_is_months_old(tmp_path: Path):
    finding = await found(tmp_path, "image's age", {"/json": image(Created="2020-01-01T00:00:00Z")})
    assert finding.advice
    assert (finding.mend or "").endswith("--force")


@pytest.mark.parametrize(
    "labels", [None, {}, {"io.polyport.sandbox.recipe": "{"}, {"io.polyport.sandbox.recipe": "[]"}]
)
async def test_an_image_of_somebody_s_own(tmp_path: Path, labels: Any):
    finding = await found(tmp_path, "image's age", {"/json": image(Config={"Labels": labels})})
    assert not finding.advice
    assert "not by a recipe of ours" in finding.detail


async def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(upkeep, "LOW_DISK_MB", 1 << 40)
    finding = await found(tmp_path, "disk", {"/info": INFO | {"DockerRootDir": str(tmp_path)}})
    assert finding.advice
    assert "GiB free" in finding.detail


@pytest.mark.parametrize(("swap", "advice"), [(True, True), (False, False)])
async def test_swap_that_is_not_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, swap: bool, advice: bool):
    monkeypatch.setattr(upkeep, "_machine_has_swap", lambda: swap)
    async with daemon(tmp_path, FIT | {"/json": image(), "/info": INFO | {"SwapLimit": False}}) as (socket, _):
        report = await survey(socket=socket)
    assert any(finding.subject == "swap limit" and finding.advice for finding in report.findings) is advice


async def test_what_crashed_processes_left(tmp_path: Path):
    containers = [container(), container(Id="b" * 64, Labels=GONE)]
    finding = await found(tmp_path, "containers", {"/containers/json": containers})
    assert finding.advice
    assert finding.detail == "1 in use, 1 left by processes that are gone"
    assert "prune" in (finding.mend or "")


async def test_containers_are_listed_with_whose_they_are(tmp_path: Path):
    answers = {"/containers/json": [container(), container(Id="b" * 64, Labels=GONE, Created=0)]}
    async with daemon(tmp_path, answers) as (socket, _):
        oldest, newest = await list_containers(socket)
    assert (oldest.orphan, oldest.pid, oldest.id) == (True, 999999999, "b" * 12)
    assert (newest.orphan, newest.pid, newest.name) == (False, os.getpid(), "polyport-sandbox-1")
    assert 299 < newest.age_s < 330


@pytest.mark.parametrize(("everything", "removed"), [(False, ["b"]), (True, ["b", "a"])])
async def test_prune_leaves_what_is_in_use(tmp_path: Path, everything: bool, removed: list[str]):
    answers = {
        "/containers/json": [container(), container(Id="b" * 64, Labels=GONE, Created=0)],
        "/images/json": [{"Id": "sha256:" + "1" * 64}, {"Id": "sha256:" + "2" * 64}],
        "DELETE /images/sha256:" + "1" * 64: [],
        "DELETE /images/sha256:" + "2" * 64: 409,
        "DELETE /containers/" + "a" * 12: b"",
        "DELETE /containers/" + "b" * 12: b"",
    }
    async with daemon(tmp_path, answers) as (socket, fake):
        done = await prune(socket, everything=everything)
    assert [line for line in fake.asked if line.startswith("DELETE /v1.41/containers")] == [
        f"DELETE /v1.41/containers/{letter * 12}?force=1&v=1" for letter in removed
    ]
    assert len(done.containers) == len(removed)
    assert done.images == ("1" * 12,)
