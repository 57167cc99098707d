"""Time `llm-sandbox` in an environment of its own: ``python sandbox_peer.py IMAGE ROUNDS``; prints JSON.

Its defaults, but for an image that is here and `skip_environment_setup`, without which it would install with pip first.
"""

from __future__ import annotations

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from llm_sandbox import SandboxSession  # type: ignore[import-not-found,unused-ignore]

CODE = "print(6*7)"
AT_ONCE = 8


def make(image: str) -> SandboxSession:
    """A session with its defaults."""
    return SandboxSession(lang="python", image=image, skip_environment_setup=True)


def once(image: str) -> tuple[float, float]:
    """Milliseconds until the answer of a run in a session of its own is there, and until it is closed."""
    began = time.perf_counter()
    session = make(image)
    session.open()
    try:
        assert session.run(CODE).stdout == "42\n"
        answered = time.perf_counter() - began
    finally:
        # Its own close waits for ten seconds' grace of a shell that ignores the polite signal: not counted against it.
        session.container.kill()
        session.close()
    return answered * 1000, (time.perf_counter() - began) * 1000


def main(image: str, rounds: int) -> None:
    """Measure."""
    answered = [once(image)[0] for _ in range(rounds)]
    cells = []
    with make(image) as session:
        for _ in range(rounds):
            began = time.perf_counter()
            assert session.run(CODE).stdout == "42\n"
            cells.append((time.perf_counter() - began) * 1000)
        session.container.kill()
    began = time.perf_counter()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(once, [image] * (rounds * 2)))
    rate = rounds * 2 / (time.perf_counter() - began)
    print(json.dumps({"answered": answered, "cells": cells, "rate": rate}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
