"""Keys that are wrong, revoked, expired or allowed little: refused on every wire, and told nothing more."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from polyport import App
from polyport.errors import ConfigurationError
from polyport.testing import gateway
from tests.support.peers import clean_environment
from tests.support.wires import WIRES, ask, bearer, check_clean, eventually, mcp_request, open_session, read

app = App("guarded")


@app.function
def open_one(x: str = "") -> str:
    return f"open {x}"


@app.function
def secret_one(x: str = "") -> str:
    return f"secret {x}"


@app.resource("notes://open_notes", name="open_notes")
def open_notes() -> str:
    return "open notes"


@app.resource("notes://secret_notes", name="secret_notes")
def secret_notes() -> str:
    return "secret notes"


@app.prompt
def open_prompt() -> str:
    return "open prompt"


@app.prompt
def secret_prompt() -> str:
    return "secret prompt"


app.model("open_echo", engine="echo")
app.agent("open_agent", model="open_echo", tools=["secret_one"])
app.agent("secret_agent", model="open_echo", tools=["open_one"])


def keys(data_dir: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "polyport_gateway.cli", "keys", *arguments, "--data-dir", str(data_dir)]
    return subprocess.run(command, capture_output=True, text=True, check=True, env=clean_environment()).stdout.strip()


class House:
    def __init__(self, running: Any, data_dir: Path, **tokens: str) -> None:
        self.url = running.url
        self.gateway = running.gateway
        self.data_dir = data_dir
        self.all, self.limited = tokens["all"], tokens["limited"]

    def create(self, name: str, **options: Any) -> str:
        made = asyncio.run_coroutine_threadsafe(self.gateway.keys.create(name, **options), self.loop)
        return made.result(10)[1]


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    data_dir = tmp_path_factory.mktemp("keys")
    tokens = {
        "all": keys(data_dir, "create", "all"),
        "limited": keys(data_dir, "create", "limited", "--allow", "open_*"),
    }
    with gateway(app, data_dir=data_dir, shutdown_grace_s=1) as running:
        found = House(running, data_dir, **tokens)
        found.loop = running.loop
        yield found


def get(house: House, path: str, token: str | None) -> httpx.Response:
    return httpx.get(house.url + path, headers=bearer(token), timeout=20)


def mcp(house: House, method: str, params: dict[str, Any], token: str, *, modern: bool) -> Any:
    path, body, headers = mcp_request(method, params, modern=modern)
    if not modern:
        headers |= open_session(house.url, token)
    return read("mcp", httpx.post(house.url + path, json=body, headers={**headers, **bearer(token)}, timeout=20))


WRONG = ["x", "sk-1234", "pp_", "pp_" + "a" * 12 + "_" + "b" * 43, "pp_../../etc", "é" * 40, "a" * 20_000]


@pytest.mark.parametrize(
    "path", ["/v1/models", "/v1/functions", "/openapi.json", "/v1/responses/resp_x", "/mcp", "/nope"]
)
def test_a_wrong_key_is_refused_everywhere(house, path):
    for token in (None, *WRONG):
        headers = {} if token is None else {"authorization": f"Bearer {token}".encode("latin-1")}
        answer = httpx.get(house.url + path, headers=headers)
        assert answer.status_code == 401, f"{path} {token!r}: {answer.status_code}"
        assert answer.headers["www-authenticate"] == "Bearer"
        assert token is None or len(token) < 4 or token not in answer.text
    for header in ("Basic dXNlcjpwYXNz", "Bearer", house.all):
        assert httpx.get(house.url + path, headers={"authorization": header}).status_code == 401
    for open_path in ("/healthz", "/readyz"):
        assert get(house, open_path, None).status_code == 200


def test_an_almost_right_key_is_refused(house):
    token = house.all
    for wrong in (token[:-1], token + "x", token[:-1] + ("a" if token[-1] != "a" else "b"), token.upper()):
        assert get(house, "/v1/models", wrong).status_code == 401


def test_a_name_that_the_key_may_not_use_looks_like_one_that_is_not_there(house):
    for wire in WIRES:
        forbidden = ask(house.url, wire, "secret_one", {}, "{}", token=house.limited)
        missing = ask(house.url, wire, "missing_one", {}, "{}", token=house.limited)
        assert ask(house.url, wire, "open_one", {}, "{}", token=house.limited).ok
        assert ask(house.url, wire, "secret_one", {}, "{}", token=house.all).ok
        assert (forbidden.status, forbidden.code) == (missing.status, missing.code)
        assert forbidden.message.replace("secret_one", "missing_one") == missing.message
        check_clean(forbidden)


@pytest.mark.parametrize("path", ["/v1/models", "/v1/functions", "/openapi.json"])
def test_lists_show_what_the_key_may_use(house, path):
    for token, hidden in ((house.limited, True), (house.all, False)):
        text = get(house, path, token).text
        assert "open_one" in text
        assert ("secret_" not in text) is hidden
    for name in ("secret_one", "secret_agent"):
        assert get(house, f"/v1/functions/{name}", house.limited).status_code == 404
        assert get(house, f"/v1/models/{name}", house.limited).status_code == 404


@pytest.mark.parametrize("modern", [True, False])
def test_mcp_lists_and_reads_only_what_the_key_may_use(house, modern):
    for method in ("tools/list", "resources/list", "prompts/list", "resources/templates/list"):
        assert "secret" not in mcp(house, method, {}, house.limited, modern=modern).text
    assert "secret_one" in mcp(house, "tools/list", {}, house.all, modern=modern).text
    for method, forbidden, missing in (
        ("resources/read", {"uri": "notes://secret_notes"}, {"uri": "notes://missing_notes"}),
        ("prompts/get", {"name": "secret_prompt"}, {"name": "missing_prompt"}),
    ):
        refused = mcp(house, method, forbidden, house.limited, modern=modern)
        absent = mcp(house, method, missing, house.limited, modern=modern)
        assert not refused.ok
        assert refused.message.replace("secret", "missing") == absent.message
        assert mcp(house, method, forbidden, house.all, modern=modern).ok


def test_a_session_belongs_to_its_key(house):
    session = open_session(house.url, house.all)
    path, body, _ = mcp_request("tools/list", {}, modern=False)
    own = httpx.post(house.url + path, json=body, headers=session)
    assert "secret_one" in own.text
    stolen = httpx.post(house.url + path, json=body, headers={**session, **bearer(house.limited)})
    assert stolen.status_code in (403, 404)
    assert "secret" not in stolen.text
    assert httpx.post(house.url + path, json=body, headers={**session, "authorization": ""}).status_code == 401
    httpx.delete(house.url + path, headers={**session, **bearer(house.limited)})
    assert httpx.post(house.url + path, json=body, headers=session).status_code == 200, "ended by a stranger"


def test_a_stored_response_belongs_to_its_key(house):
    made = httpx.post(
        f"{house.url}/v1/responses", json={"model": "open_echo", "input": "my secret"}, headers=bearer(house.all)
    ).json()
    path = f"/v1/responses/{made['id']}"
    unknown = f"/v1/responses/resp_{'0' * 24}"
    for suffix in ("", "/input_items", "?stream=true"):
        refused, absent = get(house, path + suffix, house.limited), get(house, unknown + suffix, house.limited)
        assert refused.status_code == absent.status_code == 404
        assert "my secret" not in refused.text
    for method, suffix in (("DELETE", ""), ("POST", "/cancel")):
        assert httpx.request(method, house.url + path + suffix, headers=bearer(house.limited)).status_code == 404
    following = {"model": "open_echo", "input": "go on", "previous_response_id": made["id"]}
    refused = httpx.post(f"{house.url}/v1/responses", json=following, headers=bearer(house.limited))
    assert refused.status_code in (400, 404)
    assert "my secret" not in refused.text
    assert get(house, path, house.all).status_code == 200


def test_an_agent_may_use_its_tools_but_its_caller_may_not(house):
    task = '/tool secret_one {"x": "tool"}'
    for wire in WIRES:
        reply = ask(house.url, wire, "open_agent", {"prompt": task}, task, token=house.limited)
        assert reply.ok, reply.says()
        assert "secret" in reply.text
        assert "tool" in reply.text
        assert not ask(house.url, wire, "secret_agent", {"prompt": "x"}, "x", token=house.limited).ok
    body = {
        "model": "open_echo",
        "input": task,
        "tools": [{"type": "mcp", "server_label": "polyport", "require_approval": "never"}],
    }
    answer = httpx.post(f"{house.url}/v1/responses", json=body, headers=bearer(house.limited), timeout=20)
    assert "secret tool" not in answer.text
    assert '"name":"secret_one"' not in answer.text.replace(" ", "")


def test_a_key_that_another_process_revokes_stops_within_a_second(house):
    token = keys(house.data_dir, "create", "short-lived")
    for wire in WIRES:
        assert ask(house.url, wire, "open_one", {}, "{}", token=token).ok
    session = open_session(house.url, token)
    keys(house.data_dir, "revoke", "short-lived")
    revoked = time.monotonic()
    eventually(lambda: get(house, "/v1/models", token).status_code == 401, 3)
    assert time.monotonic() - revoked < 1.6
    for wire in WIRES:
        if wire != "mcp-2025":
            assert ask(house.url, wire, "open_one", {}, "{}", token=token).status == 401
    path, body, _ = mcp_request("tools/list", {}, modern=False)
    assert httpx.post(house.url + path, json=body, headers=session).status_code == 401
    assert "revoked" in get(house, "/v1/models", token).json()["error"]["message"]


def test_a_key_stops_when_it_expires(house):
    token = house.create("expiring", expires_at=datetime.now(UTC) + timedelta(seconds=1))
    assert get(house, "/v1/models", token).status_code == 200
    time.sleep(1.1)
    answer = get(house, "/v1/models", token)
    assert (answer.status_code, "expired" in answer.text) == (401, True)


def test_the_records_hold_no_token(house):
    secret = house.all.rpartition("_")[2]
    for file in house.data_dir.iterdir():
        assert secret.encode() not in file.read_bytes()
        assert file.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "::ffff:0.0.0.0"])
def test_other_machines_are_not_served_without_a_key(host, tmp_path):
    with pytest.raises(ConfigurationError, match="polyport keys create"), gateway(app, host=host, data_dir=tmp_path):
        pass


def test_with_a_key_they_are(tmp_path):
    token = keys(tmp_path, "create", "k")
    with gateway(app, host="0.0.0.0", data_dir=tmp_path, shutdown_grace_s=1) as running:
        url = running.url.replace("0.0.0.0", "127.0.0.1")
        assert httpx.get(f"{url}/v1/models").status_code == 401
        assert httpx.get(f"{url}/v1/models", headers=bearer(token)).status_code == 200


def test_pages_are_served_only_from_the_origins_that_are_set(tmp_path):
    with gateway(app, cors_origins="https://good.example", data_dir=tmp_path, shutdown_grace_s=1) as running:
        asked = {"access-control-request-method": "POST", "access-control-request-headers": "authorization"}
        for origin, fine in (("https://good.example", True), ("https://evil.example", False), ("null", False),
                             ("https://good.example.evil.example", False), ("http://good.example", False)):  # fmt: skip
            preflight = httpx.options(f"{running.url}/v1/chat/completions", headers={**asked, "origin": origin})
            assert (preflight.status_code == 204) is fine
            answer = httpx.get(f"{running.url}/v1/models", headers={"origin": origin})
            assert (answer.status_code == 200) is fine
            assert (answer.headers.get("access-control-allow-origin") == origin) is fine
            assert "access-control-allow-credentials" not in answer.headers
        assert json.loads(answer.text)["error"]["code"] == "origin_not_allowed"
