"""What the gateway serves while it is measured: the peer's function, and the upstream under a name."""

import os

from polyport import App

app = App("benchmark")


@app.function
def add(a: int, b: int) -> int:
    """Add two integers."""
    return a + b


app.model(
    "upstream", engine="openai", base_url=os.environ.get("BENCHMARK_UPSTREAM", "http://127.0.0.1:9/v1"), api_key="none"
)
