"""Whatever a file does to its reader, the pool answers and goes on."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from polyport_gateway.knowledge.documents import ParsingLimitError, UnreadableDocumentError, UnsupportedFormatError
from polyport_gateway.knowledge.parsing import ParseLimits, ParserPool
from polyport_gateway.knowledge.readers import ReadOptions, read

pytestmark = pytest.mark.anyio

LIMITS = ParseLimits(wall_s=20, cpu_s=20, memory_mb=512, output_mb=2)
BREAK = ReadOptions(format="breaking")


@pytest.fixture(scope="module")
def anyio_backend():
    return "asyncio"


@pytest.fixture
def breaking(tmp_path, monkeypatch):
    metadata = tmp_path / "breaking-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: breaking\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[polyport.readers]\nbreaking = breaking:BreakingReader\n")
    (tmp_path / "breaking.py").write_text(Path(__file__).with_name("breaking.py").read_text())
    monkeypatch.setenv("PYTHONPATH", ":".join([str(tmp_path), *filter(None, sys.path)]))
    monkeypatch.setenv("SECRET_KEY", "s3cret")


@pytest.fixture
async def pool(breaking):
    async with ParserPool(workers=1, limits=LIMITS) as pool:
        yield pool


@pytest.fixture
async def two_workers(breaking):
    async with ParserPool(workers=2, limits=LIMITS) as pool:
        yield pool


def may_landlock():
    """Tell whether this kernel lets a process give up files."""
    return sys.platform == "linux" and ctypes.CDLL(None).syscall(444, None, ctypes.c_size_t(0), 1) > 0


def may_unshare():
    """Tell whether this kernel gives a process a network namespace of its own."""
    code = (
        "import ctypes; c = ctypes.CDLL(None); raise SystemExit(bool(c.unshare(0x40000000) and c.unshare(0x50000000)))"
    )
    return subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


async def goes_on(pool):
    return (await pool.parse(b"# Tea\n\nhot", "tea.md")).document.text == "Tea\n\nhot"


async def test_a_document_comes_back_as_the_reader_made_it(pool):
    data = b"# Tea\n\n| a | b |\n| - | - |\n| 1 | 2 |\n"
    assert (await pool.parse(data, "tea.md")).document == read(data, "tea.md").document


@pytest.mark.parametrize("what", ["sleep", "spin"])
async def test_time_ends(pool, what):
    started = time.perf_counter()
    with pytest.raises(ParsingLimitError, match="more than 1 s"):
        await pool.parse(what.encode(), "a.bin", BREAK, limits=ParseLimits(wall_s=1))
    assert time.perf_counter() - started < 10
    assert await goes_on(pool)


async def test_processor_time_ends(pool):
    with pytest.raises(ParsingLimitError, match="processor time"):
        await pool.parse(b"spin", "a.bin", BREAK, limits=ParseLimits(wall_s=60, cpu_s=0.5))
    assert await goes_on(pool)


async def test_memory_ends(pool):
    with pytest.raises(ParsingLimitError, match="memory"):
        await pool.parse(b"eat", "a.bin", BREAK)
    assert await goes_on(pool)


async def test_output_ends(pool):
    with pytest.raises(ParsingLimitError, match="2 MiB"):
        await pool.parse(b"flood", "a.bin", BREAK)
    assert await goes_on(pool)


@pytest.mark.parametrize(("what", "how"), [("crash", "signal 11"), ("leave", "exit code 3")])
async def test_a_crash_is_the_files_error(pool, what, how):
    with pytest.raises(UnreadableDocumentError, match=how) as caught:
        await pool.parse(what.encode(), "a.bin", BREAK)
    assert caught.value.file == "a.bin"
    assert await goes_on(pool)


async def test_what_a_reader_prints_is_no_frame(pool):
    assert (await pool.parse(b"chatter", "a.bin", BREAK)).document.text == "done"
    assert await goes_on(pool)


async def test_no_network_no_programs_no_secrets(pool):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        said = (await pool.parse(f"connect:{port}".encode(), "a.bin", BREAK)).document.text
        raw = (await pool.parse(f"raw_connect:{port}".encode(), "a.bin", BREAK)).document.text
    assert said == "refused: PermissionError"
    if may_unshare():
        assert raw == "refused"
    assert (await pool.parse(b"spawn", "a.bin", BREAK)).document.text == "refused"
    assert "SECRET_KEY" not in (await pool.parse(b"environment", "a.bin", BREAK)).document.text


@pytest.mark.skipif(not may_landlock(), reason="the kernel has no Landlock")
async def test_no_files_but_pythons(pool, tmp_path):
    secret = tmp_path.parent / "secret.txt"
    secret.write_text("s3cret")
    for path in (secret, Path("/etc/passwd"), Path(f"/proc/{os.getpid()}/environ")):
        said = (await pool.parse(f"open:{path}".encode(), "a.bin", BREAK)).document.text
        assert said == "refused: 13", path
    assert (await pool.parse(b"start", "a.bin", BREAK)).document.text == "refused: 13"
    assert (await pool.parse(b"temporary", "a.bin", BREAK)).document.text == "words"


@pytest.mark.parametrize(
    ("what", "why"), [("garbage", "no document"), ("half", "crashed"), ("huge", "2 MiB"), ("stubborn", "more than 2 s")]
)
async def test_what_is_no_answer_ends_its_process(pool, what, why):
    with pytest.raises(UnreadableDocumentError, match=why):
        await pool.parse(what.encode(), "a.bin", BREAK, limits=ParseLimits(wall_s=2, output_mb=2))
    assert await goes_on(pool)


async def test_no_file_can_answer_for_the_next(pool):
    for data in (b"early", b"# Tea\n\nhot"):
        with contextlib.suppress(UnreadableDocumentError):
            parsed = await pool.parse(data, "tea.md", BREAK if data == b"early" else None)
            assert "stolen" not in parsed.document.text
    assert await goes_on(pool)


async def test_a_call_that_is_cancelled_twice_leaves_a_sound_pool(pool):
    for wait in (0, 0.05, 0.3):
        task = asyncio.ensure_future(pool.parse(b"sleep", "a.bin", BREAK))
        await asyncio.sleep(wait)
        task.cancel()
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert await goes_on(pool)


async def test_no_temporary_file_stays_behind(breaking, tmp_path, monkeypatch):
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    async with ParserPool(workers=1, limits=LIMITS) as pool:
        assert len(list(folder.iterdir())) == 1
        task = asyncio.ensure_future(pool.parse(b"sleep", "a.bin", BREAK))
        await asyncio.sleep(0.1)
        task.cancel()
        await asyncio.wait([task])
        assert await goes_on(pool)
    assert list(folder.iterdir()) == []


async def test_the_others_of_a_batch_go_on_when_some_are_killed(two_workers):
    files = [(f"{n}.txt", b"spin" if n % 10 == 3 else f"{n}".encode()) for n in range(50)]
    limits = ParseLimits(wall_s=1, cpu_s=20)

    async def one(name, data):
        try:
            parsed = await two_workers.parse(data, name, BREAK if data == b"spin" else None, limits=limits)
        except UnreadableDocumentError as error:
            return type(error)
        return parsed.document.text

    found = await asyncio.gather(*(one(*file) for file in files))
    assert found == [ParsingLimitError if data == b"spin" else data.decode() for _, data in files]


async def test_a_pool_closed_under_load_finishes_what_was_asked(two_workers):
    tasks = [asyncio.ensure_future(two_workers.parse(f"{n}".encode(), "a.txt")) for n in range(30)]
    await asyncio.sleep(0)
    await asyncio.wait_for(two_workers.close(), 30)
    assert [(await task).document.text for task in tasks] == [str(n) for n in range(30)]
    with pytest.raises(RuntimeError, match="not open"):
        await two_workers.parse(b"a", "a.txt")


async def test_a_cancelled_call_leaves_a_sound_pool(pool):
    task = asyncio.ensure_future(pool.parse(b"sleep", "a.bin", BREAK))
    await asyncio.sleep(0.3)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await goes_on(pool)


async def test_one_bad_file_of_many_stops_none(pool):
    files = [("a.md", b"a"), ("b.md", b""), ("c.exe", b"MZ\x00\x00"), ("d.md", b"d")]
    found = dict([item async for item in pool.parse_many(files)])
    assert found["a.md"].document.text == "a"
    assert found["d.md"].document.text == "d"
    assert "empty" in found["b.md"].reason
    assert isinstance(found["c.exe"], UnsupportedFormatError)


async def test_many_wait_for_few(pool):
    parsed = await asyncio.gather(*(pool.parse(f"{n}".encode(), "n.txt") for n in range(20)))
    assert [item.document.text for item in parsed] == [str(n) for n in range(20)]


async def test_a_worn_process_is_replaced():
    async with ParserPool(workers=1, jobs_per_worker=1) as pool:
        assert await goes_on(pool)
        assert await goes_on(pool)


async def test_a_closed_pool_says_so():
    with pytest.raises(RuntimeError, match="not open"):
        await ParserPool().parse(b"a", "a.txt")


@pytest.mark.parametrize("field", ["wall_s", "cpu_s", "memory_mb", "output_mb"])
def test_limits_are_above_nothing(field):
    with pytest.raises(ValueError, match=field):
        ParseLimits(**{field: 0})


async def test_an_end_is_noted_once(caplog):
    with caplog.at_level("WARNING", logger="asyncio"):
        for _ in range(5):
            async with ParserPool(2) as made:
                await made.parse(b"# Tea", "tea.md")
    assert [record.getMessage() for record in caplog.records] == []
