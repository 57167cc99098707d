"""What importing Polyport costs."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

import polyport

SERVER_SIDE = {
    "aiohttp", "alembic", "fastapi", "fastmcp", "litellm", "mcp", "openai", "orjson", "polyport_gateway",
    "polyport_sandbox", "polyport_contrib", "pydantic_settings", "rich", "sqlalchemy", "starlette", "typer", "uvicorn",
    "uvloop",
}  # fmt: skip


def loaded_by(code: str) -> set[str]:
    script = f"import sys, json\n{code}\nprint(json.dumps(sorted(sys.modules)))"
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return {name.split(".")[0] for name in json.loads(answer.stdout)}


def test_the_package_alone_loads_next_to_nothing() -> None:
    loaded = loaded_by("import polyport")
    assert not loaded & (SERVER_SIDE | {"httpx", "pydantic", "asyncio", "typing_extensions"})


def test_declaring_an_app_needs_neither_http_nor_pydantic() -> None:
    loaded = loaded_by(
        "from polyport import App, Context, Image, FunctionError\n"
        "app = App('x')\n"
        "@app.function\n"
        "def f(a: int, ctx: Context) -> int: ...\n"
        "app.model('m', engine='openai')\n"
    )
    assert not loaded & (SERVER_SIDE | {"httpx", "pydantic"})


@pytest.mark.parametrize(
    "code",
    [
        "from polyport import Client, AsyncClient\nClient('http://127.0.0.1:1')",
        "import polyport.signature",
        "from polyport.testing import gateway",
        "from polyport import *",
    ],
)
def test_no_part_of_the_sdk_loads_the_server(code: str) -> None:
    # httpx loads what its own command line needs (rich, click) where that happens to be installed.
    assert not (loaded_by(code) - loaded_by("import httpx")) & SERVER_SIDE


def test_every_public_name_is_there() -> None:
    for name in polyport.__all__:
        assert getattr(polyport, name) is not None
    assert set(polyport.__all__) <= set(dir(polyport))
    with pytest.raises(AttributeError, match="nothing_such"):
        polyport.nothing_such  # noqa: B018
