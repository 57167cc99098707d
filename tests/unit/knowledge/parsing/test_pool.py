"""Whatever a file does to its reader, the pool answers and goes on."""

from __future__ import annotations

import asyncio
import socket
import sys
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
async def pool(tmp_path, monkeypatch):
    metadata = tmp_path / "breaking-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: breaking\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[polyport.readers]\nbreaking = breaking:BreakingReader\n")
    (tmp_path / "breaking.py").write_text(Path(__file__).with_name("breaking.py").read_text())
    monkeypatch.setenv("PYTHONPATH", ":".join([str(tmp_path), *filter(None, sys.path)]))
    monkeypatch.setenv("SECRET_KEY", "s3cret")
    async with ParserPool(workers=1, limits=LIMITS) as pool:
        yield pool


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
    assert said == "refused: PermissionError"
    assert (await pool.parse(b"spawn", "a.bin", BREAK)).document.text == "refused"
    assert "SECRET_KEY" not in (await pool.parse(b"environment", "a.bin", BREAK)).document.text


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
