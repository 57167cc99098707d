"""Output made to choke the reader, and frames made to fool it."""

from __future__ import annotations

from polyport_sandbox import Limits, RunResult

from .case import MIB, Attack, CoarseResult, Target, ended, held

__all__ = ["OUTPUTS"]


def _a_gigabyte(result: RunResult) -> None:
    if isinstance(result, CoarseResult):
        assert result.written <= 64 * MIB, f"BREACH: {result.written >> 20} MiB reached the host's memory"
        return
    assert result.status == "output_limit", result.status
    assert len(result.stdout) == MIB
    assert result.stdout_truncated
    assert not result.stderr_truncated


def _invalid_utf8(result: RunResult) -> None:
    assert result.status == "ok", result.detail
    assert result.stdout == bytes(range(256)) * 4
    assert result.stdout_text


def _megabytes(target: Target) -> None:
    result = target.run(
        "import sys\nfor n in range(3000):\n    sys.stdout.write('o' * 1000 + '\\n'); sys.stderr.write('e' * 1000 + '\\n')",
        limits=Limits(wall_s=10, output_bytes=4 * MIB),
    )
    assert result.status == "ok", (result.status, result.detail, len(result.stdout))
    whole = result.written if isinstance(result, CoarseResult) else len(result.stdout)
    assert whole == 3_003_000, whole


OUTPUTS = [
    Attack(
        "a gigabyte of output",
        "cut at the limit, and never held whole in the host's memory",
        "import sys\nfor _ in range(1024): sys.stdout.write('x' * (1 << 20))",
        _a_gigabyte,
        limits=Limits(wall_s=30),
        at_most_s=40,
    ),
    Attack("an endless line", "ended", "yes | tr -d '\\n' | head -c 3G", ended("output_limit"), "bash"),
    Attack(
        "bytes that are not UTF-8",
        "they arrive as they were",
        "import sys\nsys.stdout.buffer.write(bytes(range(256)) * 4)",
        _invalid_utf8,
    ),
    Attack("three megabytes on both streams", "all of it arrives, and it is no timeout", play=_megabytes),
    Attack(
        "closing its own output and reading its own input",
        "the run ends when the code does",
        "import os, sys\nprint('TRIED', flush=True)\nos.close(0); os.close(1); os.close(2)",
        held,
    ),
    Attack(
        "frames forged on its own output",
        "they are output like any other",
        "import os, struct\nfor kind in b'RSOEFBDX':\n    os.write(1, struct.pack('>Ic16s', 2, bytes([kind]), bytes(16)) + b'{}')\n"
        "print('TRIED')",
        held,
        own="about our own protocol",
    ),
    Attack(
        "Docker's stream headers forged in its output",
        "they are output like any other",
        "import os, struct\nos.write(1, struct.pack('>BxxxI', 2, 5) + b'BREAC')\nprint('TRIED')",
        lambda result: _forged_header(result),
    ),
]


def _forged_header(result: RunResult) -> None:
    assert b"TRIED" in result.stdout, result
    assert b"BREAC" in result.stdout, "a forged header moved output to the other stream"
    assert result.stderr == b"", result
