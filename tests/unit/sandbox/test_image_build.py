"""What a build leaves behind when one of its steps fails; debootstrap and Docker are stood in for."""

from __future__ import annotations

import asyncio
import json
import tempfile
from pathlib import Path
from typing import Any

import pytest

from polyport_sandbox import InvalidRunError, SandboxError, SandboxUnavailableError
from polyport_sandbox.images import build as image
from polyport_sandbox.images import process as processes
from polyport_sandbox.images import recipe_named
from polyport_sandbox.images.build import build
from tests.support.fake_docker import VERSION, FakeDocker, daemon

pytestmark = pytest.mark.anyio

NEW, OLD = f"sha256:{'2' * 64}", f"sha256:{'1' * 64}"
TAG = "/images/polyport/sandbox:minimal/json"


def there(identity: str, **labels: str) -> dict[str, Any]:
    return {"Id": identity, "Size": 5_000_000, "Config": {"Labels": labels}}


def answers(**labels: str) -> dict[str, Any]:
    return {
        "/version": VERSION,
        f"GET {TAG}": there(OLD, **labels),
        f"GET /images/{NEW}/json": there(NEW),
        "POST /images/create": json.dumps({"status": NEW}).encode() + b"\r\n",
        f"POST /images/{NEW}/tag": b"",
        f"DELETE /images/{OLD}": [],
        f"DELETE /images/{NEW}": [],
    }


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where build makes its tree."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> dict[str, BaseException]:
    """A build whose steps do little, or raise what a test puts here by their name."""
    failing: dict[str, BaseException] = {}

    async def bootstrap(recipe: Any, root: Path, mirror: str) -> None:
        (root / "usr/bin").mkdir(parents=True)
        (root / "usr/bin/python3").symlink_to("python3.11")
        if "bootstrap" in failing:
            raise failing["bootstrap"]

    async def try_out(identity: str, recipe: Any, *, socket: str) -> None:
        assert identity == NEW
        if "try_out" in failing:
            raise failing["try_out"]

    monkeypatch.setattr(image, "bootstrap", bootstrap)
    monkeypatch.setattr(image, "try_out", try_out)
    monkeypatch.setattr(image, "check_tools", lambda: None)
    return failing


def changes(fake: FakeDocker) -> list[str]:
    return [line.partition("?")[0].replace("/v1.41", "") for line in fake.asked if not line.startswith("GET")]


async def test_a_new_image_gets_the_name_last_and_the_old_one_goes(
    tmp_path: Path, temporary: Path, steps: dict[str, BaseException]
):
    told: list[tuple[int, int, str]] = []
    async with daemon(tmp_path, answers()) as (socket, fake):
        built = await build(socket=socket, on_step=lambda *step: told.append(step))
    assert (built.made, built.identity, built.megabytes) == (True, NEW, 5)
    assert changes(fake) == ["POST /images/create", f"POST /images/{NEW}/tag", f"DELETE /images/{OLD}"]
    assert b"./usr/bin/python3" in fake.bodies["POST /v1.41/images/create"]
    assert [number for number, _, _ in told] == [1, 2, 3, 4]
    assert {total for _, total, _ in told} == {4}
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize(
    "error", [SandboxError("no"), OSError(28, "No space left on device"), asyncio.CancelledError()]
)
async def test_when_a_step_fails_the_old_image_keeps_its_name(
    tmp_path: Path, temporary: Path, steps: dict[str, BaseException], error: BaseException
):
    steps["bootstrap"] = error
    async with daemon(tmp_path, answers()) as (socket, fake):
        with pytest.raises(type(error)):
            await build(socket=socket)
    assert changes(fake) == []
    assert list(temporary.iterdir()) == []


async def test_an_image_that_fails_its_trial_is_removed(
    tmp_path: Path, temporary: Path, steps: dict[str, BaseException]
):
    steps["try_out"] = SandboxError("The new image fails its trial")
    async with daemon(tmp_path, answers()) as (socket, fake):
        with pytest.raises(SandboxError, match="trial"):
            await build(socket=socket)
    assert changes(fake) == ["POST /images/create", f"DELETE /images/{NEW}"]
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("answer", [b'{"error": "no space left"}\n', b'{"status": "odd"}\n', 500])
async def test_an_import_that_fails_is_told(
    tmp_path: Path, temporary: Path, steps: dict[str, BaseException], answer: Any
):
    async with daemon(tmp_path, answers() | {"POST /images/create": answer}) as (socket, fake):
        with pytest.raises(SandboxError, match=r"no space left|did not say its id|500"):
            await build(socket=socket)
    assert changes(fake) == ["POST /images/create"]
    assert list(temporary.iterdir()) == []


async def test_what_is_up_to_date_is_left_unless_forced(
    tmp_path: Path, temporary: Path, steps: dict[str, BaseException]
):
    async with daemon(tmp_path, answers(**recipe_named("minimal").labels())) as (socket, fake):
        built = await build(socket=socket)
        assert (built.made, built.identity, changes(fake)) == (False, OLD, [])
        built = await build(recipe_named("minimal").with_more(python=()), socket=socket, force=True)
        assert (built.made, built.identity) == (True, NEW)


async def test_an_old_image_in_use_stays_without_its_name(
    tmp_path: Path, temporary: Path, steps: dict[str, BaseException]
):
    async with daemon(tmp_path, answers() | {f"DELETE /images/{OLD}": 409}) as (socket, _):
        assert (await build(socket=socket)).made


@pytest.mark.parametrize("mirror", ["", "--x", "http://user@host/debian", "ftp://x", "http://x y", "debian"])
async def test_what_is_no_mirror_is_refused(tmp_path: Path, mirror: str):
    with pytest.raises(InvalidRunError, match="is no mirror"):
        await build(mirror=mirror, socket=str(tmp_path / "none.sock"))


async def test_without_docker_nothing_is_begun(tmp_path: Path, temporary: Path, steps: dict[str, BaseException]):
    steps["bootstrap"] = AssertionError("it was begun")
    with pytest.raises(SandboxUnavailableError):
        await build(socket=str(tmp_path / "none.sock"))


async def test_a_cancelled_program_is_ended_with_what_it_started(tmp_path: Path):
    mark = tmp_path / "alive"
    script = f"(while :; do touch {mark}; sleep 0.05; done) & wait"
    task = asyncio.create_task(processes.run_command("sh", "-c", script))
    async with asyncio.timeout(10):
        while not mark.exists():
            await asyncio.sleep(0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    mark.unlink(missing_ok=True)
    await asyncio.sleep(0.3)
    assert not mark.exists()
