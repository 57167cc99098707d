from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from polyport_gateway.knowledge.ingestion.sources import Folder
from polyport_gateway.knowledge.ingestion.watch import Watcher


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Watched:
    def __init__(self, tmp_path: Path) -> None:
        self.folder = tmp_path / "docs"
        self.folder.mkdir()
        (self.folder / "a.md").write_text("a")
        self.clock = Clock()
        self.told = 0
        self.watcher = Watcher(every_s=2, quiet_s=3, clock=self.clock)
        self.watcher.add("base", [Folder(self.folder, "docs")], self.tell)

    def tell(self) -> None:
        self.told += 1

    def look_for(self, seconds: int) -> int:
        before = self.told
        for _ in range(seconds):
            self.clock.now += 1
            self.watcher.look()
        return self.told - before


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    return Watched(tmp_path)


def test_nothing_is_told_where_nothing_changes(watched: Watched) -> None:
    assert watched.look_for(30) == 0


@pytest.mark.parametrize("change", ["new", "changed", "removed", "vanished"])
def test_a_change_is_told_once(watched: Watched, change: str) -> None:
    file = watched.folder / "a.md"
    match change:
        case "new":
            (watched.folder / "b.md").write_text("b")
        case "changed":
            file.write_text("b")
        case "removed":
            file.unlink()
        case _:
            shutil.rmtree(watched.folder)
    assert watched.look_for(2) == 0, "it may still go on"
    assert watched.look_for(10) == 1
    assert watched.look_for(30) == 0


def test_a_file_that_grows_is_waited_for(watched: Watched) -> None:
    for turn in range(20):
        (watched.folder / "b.md").write_text("b" * turn)
        assert watched.look_for(1) == 0
    assert watched.look_for(10) == 1


def test_a_file_that_always_grows_is_told_of_now_and_then(watched: Watched) -> None:
    told = 0
    for turn in range(200):
        (watched.folder / "log.txt").write_text("b" * turn)
        told += watched.look_for(1)
    assert 2 <= told <= 4


def test_a_change_that_is_undone_is_none(watched: Watched) -> None:
    (watched.folder / "b.md").write_text("b")
    assert watched.look_for(2) == 0
    (watched.folder / "b.md").unlink()
    assert watched.look_for(30) == 0


def test_a_change_that_cannot_be_followed_now_is_told_again(watched: Watched) -> None:
    answers = [False, False, None]
    watched.watcher.add("base", [Folder(watched.folder, "docs")], lambda: answers.pop(0))
    (watched.folder / "b.md").write_text("b")
    watched.look_for(30)
    assert answers == []


def test_a_base_that_is_removed_is_not_watched(watched: Watched) -> None:
    (watched.folder / "b.md").write_text("b")
    watched.watcher.remove("base")
    watched.watcher.remove("base")
    assert watched.look_for(30) == 0


def test_what_is_wrong_with_one_does_not_end_the_others(watched: Watched, caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> None:
        raise RuntimeError("no such base")

    watched.watcher.add("broken", [Folder(watched.folder, "docs")], fail)
    (watched.folder / "b.md").write_text("b")
    assert watched.look_for(10) == 1
    assert "'broken' can't be watched" in caplog.text


@pytest.mark.anyio
async def test_it_runs_until_it_is_cancelled(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    watcher = Watcher(every_s=0.02, quiet_s=0.02)
    watcher.add("base", [Folder(tmp_path / "docs", "docs")], lambda: loop.call_soon_threadsafe(told.set) and None)
    task = asyncio.create_task(watcher.run())
    (tmp_path / "docs" / "a.md").write_text("a")
    await asyncio.wait_for(told.wait(), 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
