"""What the app says of its sandbox, what the operator says, and which of them wins."""

from __future__ import annotations

from typing import Any

import pytest

from polyport import App, DeclarationError
from polyport.errors import ConfigurationError
from polyport_gateway.sandboxes.plan import SandboxPlan, make_plan
from polyport_gateway.sandboxes.run_code import describe_place
from polyport_gateway.sandboxes.service import SandboxService
from polyport_gateway.server import create_gateway
from polyport_gateway.settings import Settings, load_settings
from tests.support.scripted_sandbox import ScriptedProvider


def planned(app: App | None = None, **settings: Any) -> SandboxPlan | None:
    return make_plan(app.sandbox_declaration if app else None, Settings(**settings))


def declared(*args: Any, **options: Any) -> App:
    app = App("x")
    app.sandbox(*args, **options)
    return app


def test_no_sandbox_unless_somebody_says_so():
    assert planned() is None
    assert planned(App("x")) is None
    assert planned(sandbox="docker") is not None
    assert planned(declared()) is not None


def test_the_operator_can_switch_a_declared_one_off():
    assert planned(declared(), sandbox="none") is None


def test_a_declaration_is_taken_where_no_setting_was_given():
    plan = planned(declared(image="data", tools=False, code_mode=True, allow_hosts=["a.example"],
                            limits={"wall_s": 3, "pids": 9}, max_limits={"memory_mb": 512}))  # fmt: skip
    assert plan is not None
    assert (plan.tools, plan.code_mode, plan.allow_hosts) == (False, True, ("a.example",))
    assert plan.options == {"image": "data"}
    assert plan.limits == {"wall_s": 3, "memory_mb": 256, "pids": 9}
    assert plan.max_limits["memory_mb"] == 512
    assert plan.max_limits["wall_s"] == 300


def test_a_setting_that_was_given_wins():
    app = declared(image="data", tools=False, allow_hosts=["a.example"], limits={"wall_s": 3})
    plan = planned(app, sandbox_tools=True, sandbox_allow_hosts="b.example,c.example", sandbox_timeout_s=7,
                   sandbox_image="mine")  # fmt: skip
    assert plan is not None
    assert (plan.tools, plan.allow_hosts, plan.limits["wall_s"]) == (True, ("b.example", "c.example"), 7)
    assert plan.options == {"image": "mine"}


def test_another_provider_does_not_get_the_declared_ones_options():
    plan = planned(declared(image="data"), sandbox="piston")
    assert plan is not None
    assert plan.provider == "piston"
    assert plan.options == {}


def test_the_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("POLYPORT_SANDBOX", "docker")
    monkeypatch.setenv("POLYPORT_SANDBOX_ALLOW_HOSTS", "a.example, b.example")
    monkeypatch.setenv("POLYPORT_SANDBOX_MAX_SESSIONS", "3")
    plan = make_plan(None, load_settings())
    assert plan is not None
    assert plan.allow_hosts == ("a.example", "b.example")
    assert plan.max_sessions == 3


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"provider": "nowhere"}, "no sandbox provider 'nowhere'"),
        ({"colour": "red"}, "does not take these options"),
        ({"limits": {"wall_s": -1}}, "limits can't be used"),
        ({"limits": {"walls": 1}}, "limits can't be used"),
        ({"limits": {"wall_s": 500}}, "more than a run may ask for at most"),
        ({"max_limits": {"memory_mb": 1}}, "limits can't be used"),
    ],
)
def test_what_can_not_be_used_is_said_before_anything_is_served(options: dict[str, Any], says: str):
    with pytest.raises(ConfigurationError, match=says):
        SandboxService(planned(declared(**options)))


def test_a_second_sandbox_and_a_bare_host_are_refused():
    app = declared()
    with pytest.raises(DeclarationError, match="a sandbox already"):
        app.sandbox()
    with pytest.raises(DeclarationError, match=r"allow_hosts=\['a.example'\]"):
        App("y").sandbox(allow_hosts="a.example")


def test_a_function_of_its_name_is_refused():
    app = declared(ScriptedProvider())

    @app.function
    def run_code(code: str) -> str:
        return code

    with pytest.raises(DeclarationError, match="'run_code' is registered already"):
        create_gateway(app, Settings())


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({"tools": False}, {"run_code"}),
        ({"code_mode": True}, {"run_code", "run_code_with_tools", "create_code_session", "delete_file"}),
    ],
)
def test_which_names_there_are(options: dict[str, Any], names: set[str]):
    gateway = create_gateway(declared(ScriptedProvider(), **options), Settings())
    found = {one.name for one in gateway.catalog} - {"ask_knowledge", "search_knowledge"}
    assert names <= found
    assert (found == names) is (options == {"tools": False})


@pytest.mark.parametrize(("image", "expected"), [("polyport/sandbox:data", "pandas"), ("team/box:1", "try an import")])
def test_a_model_is_told_which_libraries_there_are(image: str, expected: str):
    service = SandboxService(planned(declared(image=image)))
    assert expected in describe_place(service)
