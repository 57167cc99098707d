"""Prometheus' text format, version 0.0.4."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import accumulate
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .metrics import Histogram, Snapshot

__all__ = ["render"]

PREFIX = "polyport_sandbox_"
Labels = tuple[tuple[str, str], ...]


def render(snapshot: Snapshot) -> str:
    """Write every figure of a snapshot."""
    runs = (
        (((("language", language), ("status", status))), count) for (language, status), count in snapshot.runs.items()
    )
    refused = (((("code", code),), count) for code, count in snapshot.refused.items())
    lines = [
        *_family("runs_total", "counter", "Runs that ended, by language and status.", runs),
        *_family("refused_total", "counter", "Runs and sessions that were refused, by reason.", refused),
        *_single("running", "gauge", "Runs that have not ended.", snapshot.running),
        *_single("sessions_open", "gauge", "Sessions there are.", snapshot.sessions_open),
        *_single("sessions_opened_total", "counter", "Sessions there were.", snapshot.sessions_opened),
        *_single("received_bytes_total", "counter", "Bytes of code, stdin and files.", snapshot.bytes_in),
        *_single("sent_bytes_total", "counter", "Bytes of output and files.", snapshot.bytes_out),
        *_histogram("queue_seconds", "Seconds that runs waited.", snapshot.queue_s),
        *_histogram("start_seconds", "Seconds of setting up, and of files in and out.", snapshot.start_s),
        *_histogram("run_seconds", "Seconds from the code's start to its end.", snapshot.run_s),
        *_histogram("peak_memory_mebibytes", "Memory of runs at the highest.", snapshot.peak_memory_mb),
    ]
    if snapshot.pool_ready is not None:
        lines += _single("pool_ready", "gauge", "Places that stand ready.", snapshot.pool_ready)
    return "\n".join(lines) + "\n"


def _single(name: str, kind: str, what: str, value: float) -> list[str]:
    return [*_family(name, kind, what, [((), value)])]


def _family(name: str, kind: str, what: str, samples: Iterable[tuple[Labels, float]]) -> Iterator[str]:
    yield f"# HELP {PREFIX}{name} {what}"
    yield f"# TYPE {PREFIX}{name} {kind}"
    for labels, value in samples:
        yield f"{PREFIX}{name}{_labels(labels)} {value}"


def _histogram(name: str, what: str, histogram: Histogram) -> Iterator[str]:
    yield from _family(name, "histogram", what, [])
    bounds = [*(f"{bound:g}" for bound in histogram.bounds), "+Inf"]
    for bound, count in zip(bounds, accumulate(histogram.counts), strict=True):
        yield f"{PREFIX}{name}_bucket{_labels((('le', bound),))} {count}"
    yield f"{PREFIX}{name}_sum {histogram.total}"
    yield f"{PREFIX}{name}_count {histogram.count}"


def _labels(labels: Labels) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
