"""What is seen of the sandbox: counters, histograms and one log line for each run; never its code or output."""

from __future__ import annotations

import contextlib
import logging
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import AsyncGenerator, Iterator, Mapping
from dataclasses import dataclass, field

from .errors import SandboxError
from .prometheus import render
from .types import EndEvent, RunEvent, RunRequest, RunResult

__all__ = ["Histogram", "Metrics", "RunRecord", "Snapshot"]

_log = logging.getLogger("polyport.sandbox")

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0)
MEBIBYTES = (16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 4096.0, 16384.0)


@dataclass
class Histogram:
    """How often a value fell at or under each bound.

    Args:
        bounds: Upper bounds, ascending; beyond the last lies what is larger than all.
        counts: One for each bound, and one for what lies beyond; not cumulative.
        total: The sum of all values.
    """

    bounds: tuple[float, ...]
    counts: list[int] = field(default_factory=list)
    total: float = 0.0

    def __post_init__(self) -> None:
        self.counts = list(self.counts) or [0] * (len(self.bounds) + 1)

    def add(self, value: float) -> None:
        """Count one value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    @property
    def count(self) -> int:
        """How many values there were."""
        return sum(self.counts)

    def copy(self) -> Histogram:
        """Make one that no longer changes."""
        return Histogram(self.bounds, list(self.counts), self.total)


@dataclass(frozen=True)
class Snapshot:
    """The figures of one moment.

    Args:
        runs: Ended runs, by language and status; ``closed`` counts those that their reader closed, ``failed`` those
            that raised.
        refused: Refusals, by the error's code.
        running: Runs that have not ended.
        sessions_open: Sessions there are.
        sessions_opened: Sessions there were.
        pool_ready: Places that stand ready, where the provider has a pool.
        queue_s: Seconds that runs waited for their turn and for a place.
        start_s: Seconds that were neither waiting nor running: setting up, and files in and out.
        run_s: Seconds from the code's start to its end.
        peak_memory_mb: MiB at the highest, of runs of which it is known.
        bytes_in: Of code, stdin and files.
        bytes_out: Of output, displays' text and files.
    """

    runs: Mapping[tuple[str, str], int]
    refused: Mapping[str, int]
    running: int
    sessions_open: int
    sessions_opened: int
    pool_ready: int | None
    queue_s: Histogram
    start_s: Histogram
    run_s: Histogram
    peak_memory_mb: Histogram
    bytes_in: int
    bytes_out: int

    def render_prometheus(self) -> str:
        """Write it in Prometheus' text format."""
        return render(self)


class Metrics:
    """Count what happens in one sandbox.

    Args:
        log_code: Whether the log line of each run has its code.
    """

    def __init__(self, *, log_code: bool = False) -> None:
        self._log_code = log_code
        self._runs: Counter[tuple[str, str]] = Counter()
        self._refused: Counter[str] = Counter()
        self._running = 0
        self._sessions_opened = 0
        self._queue, self._start, self._run = Histogram(SECONDS), Histogram(SECONDS), Histogram(SECONDS)
        self._memory = Histogram(MEBIBYTES)
        self._bytes_in = self._bytes_out = 0

    @contextlib.contextmanager
    def refusals(self) -> Iterator[None]:
        """Count what is refused before anything starts."""
        try:
            yield
        except SandboxError as error:
            self._refused[error.code] += 1
            raise

    def session_opened(self) -> None:
        """Count a session."""
        self._sessions_opened += 1

    def begin(self, request: RunRequest, *, caller: str, session: str | None = None) -> RunRecord:
        """Start to follow a run."""
        return RunRecord(self, request, caller=caller, session=session)

    def started(self, bytes_in: int) -> None:
        """Count a run that begins."""
        self._running += 1
        self._bytes_in += bytes_in

    def ended(self, record: RunRecord, status: str, result: RunResult | None) -> None:
        """Count a run that ended, and log it."""
        self._running -= 1
        elapsed = time.monotonic() - record.began
        language = record.request.language.name
        self._runs[language, status] += 1
        fields: dict[str, object] = {
            "language": language,
            "status": status,
            "session": record.session,
            "elapsed_s": round(elapsed, 4),
            "bytes_in": record.bytes_in,
        }
        if result is not None:
            fields |= self._measure(result, elapsed)
        if not _log.isEnabledFor(logging.INFO):
            return
        if self._log_code:
            fields["source"] = record.request.code.decode("utf-8", "replace")
        line = " ".join(
            f"{name}={value!r}" if name == "source" else f"{name}={value}" for name, value in fields.items()
        )
        _log.info("sandbox run: %s", line, extra={f"sandbox_{name}": value for name, value in fields.items()})

    def _measure(self, result: RunResult, elapsed: float) -> dict[str, object]:
        usage = result.usage
        start = max(0.0, elapsed - usage.queued_s - usage.wall_s)
        written = len(result.stdout) + len(result.stderr) + sum(map(len, result.files.values()))
        written += sum(len(text) for shown in result.displays for text in shown.data.values() if isinstance(text, str))
        self._bytes_out += written
        self._queue.add(usage.queued_s)
        self._start.add(start)
        self._run.add(usage.wall_s)
        if usage.peak_memory_mb is not None:
            self._memory.add(usage.peak_memory_mb)
        return {
            "exit_code": result.exit_code,
            "queue_s": round(usage.queued_s, 4),
            "start_s": round(start, 4),
            "run_s": round(usage.wall_s, 4),
            "cpu_s": round(usage.cpu_s, 4),
            "peak_memory_mb": usage.peak_memory_mb,
            "bytes_out": written,
        }

    def refused(self, code: str) -> None:
        """Count a run that the provider refused."""
        self._refused[code] += 1

    def snapshot(self, *, sessions_open: int, pool_ready: int | None) -> Snapshot:
        """The figures of now."""
        return Snapshot(
            runs=dict(self._runs),
            refused=dict(self._refused),
            running=self._running,
            sessions_open=sessions_open,
            sessions_opened=self._sessions_opened,
            pool_ready=pool_ready,
            queue_s=self._queue.copy(),
            start_s=self._start.copy(),
            run_s=self._run.copy(),
            peak_memory_mb=self._memory.copy(),
            bytes_in=self._bytes_in,
            bytes_out=self._bytes_out,
        )


class RunRecord:
    """Follow one run from its start to its end."""

    def __init__(self, metrics: Metrics, request: RunRequest, *, caller: str, session: str | None) -> None:
        self._metrics = metrics
        self.request = request
        self.caller = caller
        self.session = session
        self.began = time.monotonic()
        self.bytes_in = len(request.code) + len(request.stdin) + sum(map(len, request.files.values()))

    async def follow(self, events: AsyncGenerator[RunEvent]) -> AsyncGenerator[RunEvent]:
        """Pass a run's events on, and count how it ended."""
        self._metrics.started(self.bytes_in)
        status, result = "closed", None
        try:
            async with contextlib.aclosing(events):
                async for event in events:
                    if isinstance(event, EndEvent):
                        status, result = event.result.status, event.result
                    yield event
            if result is None:
                raise SandboxError("The provider's stream ended without an end.")
        except SandboxError as error:
            status = "failed"
            self._metrics.refused(error.code)
            raise
        except Exception:
            status = "failed"
            raise
        finally:
            self._metrics.ended(self, status, result)
