"""A gateway with a sandbox, and what other sandboxes' own clients are told to find it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from polyport import App
from polyport.testing import gateway


@dataclass
class House:
    """A running gateway.

    Attributes:
        running: The gateway.
        keys: Tokens by the name of their key.
    """

    running: Any
    keys: dict[str, str] = field(repr=False)

    @property
    def fusion(self) -> str:
        return f"{self.running.url}/v1/sandbox/fusion"

    @property
    def e2b(self) -> str:
        return f"{self.running.url}/v1/sandbox/e2b"

    def options(self, key: str = "one") -> dict[str, Any]:
        """What E2B's classes take, and nothing else that is ours."""
        return {"api_key": self.keys[key], "api_url": self.e2b, "sandbox_url": self.e2b}

    def fusion_with(self, key: str) -> str:
        return self.fusion.replace("http://", f"http://key:{self.keys[key]}@")

    def wait_for(self, awaitable: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(awaitable, self.running.loop).result(20)

    def make_key(self, name: str, **options: Any) -> str:
        return self.wait_for(self.running.gateway.keys.create(name, **options))[1]


@contextmanager
def house(folder: Path, **settings: Any) -> Iterator[House]:
    """Serve a sandbox with two keys that may use it, and one that may not."""
    app = App("served")
    app.sandbox("docker", pool_size=2, max_running=4, gvisor="never")

    @app.function
    def add(a: int, b: int) -> int:
        """Add two integers."""
        return a + b

    with gateway(app, data_dir=folder, **settings) as running:
        found = House(running, {"wrong": "pp_aaaaaaaaaaaa_" + "A" * 43})
        for name in ("one", "other"):
            found.keys[name] = found.make_key(name)
        found.keys["may not"] = found.make_key("may not", allow=["add"])
        yield found
