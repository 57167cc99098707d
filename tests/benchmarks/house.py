"""The servers of one benchmark run."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.peers import ROOT, Server, clean_environment, free_port, serve

__all__ = ["fastmcp_peer", "litellm_peer", "measured_gateway", "upstream"]

HERE = Path(__file__).parent
LITELLM = ROOT / ".venv-litellm-proxy" / "bin" / "litellm"


@contextmanager
def upstream() -> Iterator[Server]:
    """The lean upstream."""
    port = free_port()
    with serve([sys.executable, HERE / "upstream.py", str(port)], port=port) as server:
        yield server


@contextmanager
def measured_gateway(data_dir: Path, upstream_url: str = "http://127.0.0.1:9") -> Iterator[Server]:
    """Our gateway as `polyport serve` runs it, with one worker and its own defaults."""
    port = free_port()
    environment = clean_environment(POLYPORT_DATA_DIR=str(data_dir), BENCHMARK_UPSTREAM=f"{upstream_url}/v1")
    command = [Path(sys.executable).with_name("polyport"), "serve", HERE / "served_app.py", "--port", str(port)]
    with serve(command, port=port, ready="/healthz", env=environment) as server:
        yield server


@contextmanager
def fastmcp_peer() -> Iterator[Server]:
    """A bare FastMCP server."""
    port = free_port()
    with serve([sys.executable, HERE / "fastmcp_peer.py", str(port)], port=port, ready="/mcp") as server:
        yield server


CONFIG = """
model_list:
  - model_name: upstream
    litellm_params:
      model: openai/upstream
      api_base: {url}/v1
      api_key: none
litellm_settings:
  telemetry: false
"""


@contextmanager
def litellm_peer(folder: Path, upstream_url: str) -> Iterator[Server]:
    """The LiteLLM proxy with one worker, in an environment of its own.

    Raises:
        RuntimeError: It is not installed, or does not start.
    """
    if not LITELLM.exists():
        raise RuntimeError("it is not installed (make bench-venv)")
    config = folder / "litellm.yaml"
    config.write_text(CONFIG.format(url=upstream_url))
    port = free_port()
    environment = clean_environment(
        LITELLM_LOCAL_MODEL_COST_MAP="True",
        # Neither gateway asks for a key, so that neither pays for checking one.
        LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY="true",
    )
    environment["PATH"] = f"{LITELLM.parent}{os.pathsep}{environment['PATH']}"
    command = [LITELLM, "--config", config, "--host", "127.0.0.1", "--port", str(port), "--num_workers", "1"]
    with serve(command, port=port, ready="/health/liveliness", env=environment, timeout=120) as server:
        yield server
