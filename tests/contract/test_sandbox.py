"""What every provider of sandboxes does alike. `providers.py` has the list; add one there to hold it to this."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import pytest

from polyport_sandbox import InvalidRunError, Limits, Sandbox, SandboxBusyError, SyncSandbox
from tests.support.sandbox import containers, lives, process_tree
from tests.support.sandbox_servers.providers import PROVIDERS, Kind


@pytest.fixture(scope="module", params=PROVIDERS)
def kind(request: pytest.FixtureRequest) -> Kind:
    return request.param


@pytest.fixture(scope="module")
def box(kind: Kind) -> Iterator[SyncSandbox]:
    with kind.open() as box:
        yield box


def test_a_result_tells_everything(kind: Kind, box: SyncSandbox):
    code = "import sys\nprint(6*7)\nprint('oh', file=sys.stderr)\nopen('out.txt', 'w').write(open('in.csv').read())"
    result = box.run(code, files={"in.csv": b"a,b\n"}, limits=Limits(wall_s=5, memory_mb=256))
    assert (result.status, result.exit_code) == ("ok", 0)
    assert (result.stdout, result.stderr) == (b"42\n", b"oh\n")
    if "files" in kind.can:
        assert dict(result.files) == {"out.txt": b"a,b\n"}
    if "usage" in kind.can:
        assert result.usage.cpu_s > 0
    assert result.usage.wall_s > 0
    assert result.usage.queued_s >= 0
    assert result.usage.peak_memory_mb is None or 1 < result.usage.peak_memory_mb < 256
    assert not result.stdout_truncated
    assert not result.stderr_truncated


@pytest.mark.parametrize(
    ("code", "status", "exit_code"),
    [
        ("pass", "ok", 0),
        ("raise SystemExit(3)", "error", 3),
        ("1/0", "error", 1),
        ("raise MemoryError", "error", 1),
        ("raise TimeoutError", "error", 1),
        ("import os; os._exit(137)", "error", 137),
        ("def broken(", "error", 1),
        ("import time; time.sleep(60)", "timeout", -9),
        ("while True: pass", "timeout", -9),
        ("x = b'x' * (1 << 30)", "out_of_memory", -9),
        ("while True: print('x' * 1000)", "output_limit", -9),
        ("import sys\nwhile True: sys.stderr.write('x' * 1000)", "output_limit", -9),
        ("import os; os.kill(os.getpid(), 9)", "killed", -9),
        ("import os; os.abort()", "killed", -6),
        ("import ctypes; ctypes.string_at(0)", "killed", -11),
    ],
)
def test_the_status_is_right(kind: Kind, box: SyncSandbox, code: str, status: str, exit_code: int):
    wall_s = 10 if "1 << 30" in code else 1.5  # memory takes its time on a busy machine
    result = box.run(code, limits=Limits(wall_s=wall_s, memory_mb=128, output_bytes=min(1 << 20, kind.output_bytes)))
    assert (result.status, result.exit_code) == kind.end(code, status, exit_code), result


def test_a_part_killed_for_memory_is_no_failure_of_what_goes_on_without_it(box: SyncSandbox):
    code = "import subprocess, sys\nprint(subprocess.run([sys.executable, '-c', 'x = b\"x\" * (1 << 30)']).returncode)"
    result = box.run(code, limits=Limits(memory_mb=128))
    assert (result.status, result.stdout) == ("ok", b"-9\n"), result


def test_output_just_within_the_limit_is_whole(kind: Kind, box: SyncSandbox):
    most = min(300_000, kind.output_bytes - 1)
    limits = Limits(output_bytes=most)
    whole = box.run(f"import sys; n = sys.stdout.write('x' * {most})", limits=limits)
    assert (whole.status, len(whole.stdout), whole.stdout_truncated) == ("ok", most, False)
    over = box.run(f"import sys; n = sys.stdout.write('x' * {most + 1})", limits=limits)
    assert (over.status, len(over.stdout), over.stdout_truncated) == ("output_limit", most, True)


def test_what_was_printed_before_a_timeout_is_kept(kind: Kind, box: SyncSandbox):
    kind.needs("partial")
    result = box.run("print('before')\nwhile True: pass", limits=Limits(wall_s=0.5))
    assert (result.status, result.stdout) == ("timeout", b"before\n")
    assert 0.5 <= result.usage.wall_s < 2


def test_bash_stdin_and_helper_modules(kind: Kind, box: SyncSandbox):
    helped = box.run("import helper; print(helper.X)", files={"helper.py": b"X = 5", "deep/er/x": b""})
    assert helped.stdout == b"5\n"
    kind.needs("stdin")
    text = box.run("cat; echo over >&2; exit 4", language="bash", stdin="aä€\n".encode() * 1000)
    assert (text.status, text.exit_code, text.stderr) == ("error", 4, b"over\n")
    assert text.stdout == "aä€\n".encode() * 1000
    kind.needs("bytes")
    result = box.run("cat; echo over >&2; exit 4", language="bash", stdin=b"a\0\xffb" * 100_000)
    assert (result.status, result.exit_code, result.stderr) == ("error", 4, b"over\n")
    assert result.stdout == b"a\0\xffb" * 100_000


def test_a_changed_file_comes_back_and_an_unchanged_one_does_not(kind: Kind, box: SyncSandbox):
    kind.needs("input_files")
    code = "open('a', 'ab').write(b'!'); import os; os.makedirs('d/e'); open('d/e/f', 'wb').write(bytes(range(256)))"
    result = box.run(code, files={"a": b"a", "b": b"b"})
    made = {"d/e/f": bytes(range(256))} if "files" in kind.can else {}
    assert dict(result.files) == {"a": b"a!", **made}


@pytest.mark.parametrize(
    "arguments",
    [
        {"language": "cobol"},
        {"files": {"/etc/passwd": b""}},
        {"files": {"../x": b""}},
        {"files": {"a/../../x": b""}},
        {"files": {"main.py": b""}},
        {"files": {"a": b"", "a/b": b""}},
        {"files": {str(n): b"" for n in range(65)}},
        {"files": {"x": bytes(17 << 20)}},
        {"files": {"x": "text"}},
    ],
)
def test_bad_input_is_refused_before_anything_starts(box: SyncSandbox, arguments: dict[str, Any]):
    with pytest.raises(InvalidRunError) as caught:
        box.run("print(1)", **arguments)
    assert caught.value.status == 400


@pytest.mark.anyio
@pytest.mark.requires("docker", "sandbox")
async def test_a_cancelled_run_is_killed_within_a_second():
    """What runs inside is dead by then; Docker takes as long as it takes to clear the container away."""
    limits = Limits(wall_s=60, memory_mb=123)  # by which its container is told from those of other tests

    async def mine() -> list[dict[str, Any]]:
        found = await asyncio.to_thread(containers, "running")
        return [container for container in found if container["HostConfig"]["Memory"] == 123 << 20]

    async with Sandbox(pool_size=0, limits=limits, gvisor="never") as box:
        began = time.monotonic()
        await box.run("pass", limits=limits)
        within_s = max(1.0, 2 * (time.monotonic() - began))  # where all takes its time, so does this
        while await mine():
            await asyncio.sleep(0.05)
        run = asyncio.create_task(box.run("import time; time.sleep(60)", limits=limits))
        async with asyncio.timeout(30):
            while not (found := await mine()):
                await asyncio.sleep(0.05)
        await asyncio.sleep(0.3)
        processes = process_tree(found[0]["State"]["Pid"])
        if not processes:
            pytest.skip("Docker's processes are not to be seen from here")
        began = time.monotonic()
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run
        while any(lives(pid, started) for pid, started in processes.items()):
            assert time.monotonic() - began < within_s
            await asyncio.sleep(0.01)
        async with asyncio.timeout(30):
            while await mine():
                await asyncio.sleep(0.1)


@pytest.mark.anyio
@pytest.mark.requires("docker", "sandbox")
async def test_a_full_queue_refuses_clearly_and_the_rest_are_all_right():
    async with Sandbox(pool_size=1, max_running=2, max_waiting=6, gvisor="never") as box:
        runs = [box.run(f"import time; time.sleep(0.3); print({n})", caller=str(n % 2)) for n in range(12)]
        results = await asyncio.gather(*runs, return_exceptions=True)
    refused = [result for result in results if isinstance(result, SandboxBusyError)]
    assert len(refused) == 4
    assert all(error.status == 503 and error.retry_after for error in refused)
    for number, result in enumerate(results):
        if not isinstance(result, SandboxBusyError):
            assert not isinstance(result, BaseException), result
            assert (result.status, result.stdout) == ("ok", f"{number}\n".encode())
            assert result.usage.queued_s > 0


@pytest.mark.anyio
@pytest.mark.requires("docker", "sandbox")
async def test_nothing_is_left_behind():
    async with Sandbox(pool_size=3, limits=Limits(memory_mb=124), gvisor="never") as box:
        await asyncio.gather(*(box.run("print(1)", limits=Limits(memory_mb=124)) for _ in range(6)))
    left = await asyncio.to_thread(containers)
    assert not [container for container in left if container["HostConfig"]["Memory"] == 124 << 20]
