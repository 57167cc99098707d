"""Paths, environments and envelopes of the served shapes, without a sandbox."""

from __future__ import annotations

import os
import subprocess

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from polyport.errors import BadRequestError
from polyport_gateway.telemetry.redact import redact
from polyport_gateway.wires.sandbox.e2b.environment import (
    check_envs,
    command_line,
    leave_python,
    prepare_python,
    with_environment,
)
from polyport_gateway.wires.sandbox.e2b.paths import WORK, folder_in_sandbox, name_of, path_of
from polyport_gateway.wires.sandbox.endpoint import bearer_of
from polyport_sandbox.files import name_problem

VALUES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
NAMES = st.from_regex(r"[A-Z][A-Z0-9_]{0,8}", fullmatch=True).map("T_".__add__)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("", ""),
        (".", ""),
        ("~", ""),
        ("~/a", "a"),
        ("~a", "~a"),
        ("/work/~", "~"),
        ("/home/user", ""),
        ("/home/user/", ""),
        ("/work", ""),
        ("//work//a", "a"),
        ("/home/user/a/./b", "a/b"),
        ("a/../b", "b"),
        ("/work/a b", "a b"),
    ],
)
def test_names(path: str, name: str):
    assert name_of(path) == name


@example("~~")
@example("~/../x")
@given(st.text(st.sampled_from("a./~\\ é\nhomeusrwk"), max_size=30))
def test_a_name_never_leaves_the_working_folder(path: str):
    try:
        name = name_of(path)
    except BadRequestError:
        return
    assert not name.startswith("/")
    assert ".." not in name.split("/")
    assert os.path.commonpath([os.path.normpath(path_of(name)), WORK]) == WORK
    if name and name_problem(name) is None:
        assert name_of(path_of(name)) == name


@pytest.mark.parametrize(
    ("cwd", "folder"),
    [
        (None, "/work"),
        ("", "/work"),
        ("a", "/work/a"),
        ("/tmp", "/tmp"),
        ("/home/user/a", "/work/a"),
        ("/home/user2", "/home/user2"),
        ("..", "/"),
    ],
)
def test_folders(cwd: str | None, folder: str):
    assert folder_in_sandbox(cwd) == folder


@pytest.mark.parametrize("envs", [{"": "a"}, {"A=B": "c"}, {"A B": "c"}, {"1A": "b"}, {"A": "\0"}, {"A" * 200: "b"}])
def test_bad_environments(envs: dict[str, str]):
    with pytest.raises(BadRequestError):
        check_envs(envs)


@given(st.dictionaries(NAMES, VALUES, max_size=3), st.dictionaries(NAMES, VALUES, max_size=3))
def test_python_takes_back_what_was_for_one_run(once: dict[str, str], lasting: dict[str, str]):
    before = dict(os.environ)
    try:
        for line in prepare_python(lasting, None):
            eval(line)
        kept = dict(os.environ)
        for line in prepare_python({**lasting, **once}, None):
            eval(line)
        assert {name: os.environ[name] for name in once} == once
        for line in leave_python(once, lasting):
            eval(line)
        assert dict(os.environ) == kept
    finally:
        os.environ.clear()
        os.environ.update(before)


def bash(script: str) -> tuple[int, str]:
    done = subprocess.run(["bash", "-c", script], capture_output=True, timeout=10, check=False)
    return done.returncode, done.stdout.decode()


@pytest.mark.parametrize("value", ["", "a b", "it's", '"$HOME`id`"', "a\nb", "é", "\\", "-n", "!!"])
def test_bash_gets_values_as_they_are(value: str):
    script = with_environment("bash", 'printf %s "$T_A"; pwd', {"T_A": value}, "/tmp")
    assert bash(script) == (0, f"{value}/tmp\n")
    assert bash(command_line("printf", ["%s|", value, "$T_A"], {"T_A": value}, "/")) == (0, f"{value}|$T_A|")
    assert bash(with_environment("bash", "echo on", {}, "/no/such"))[0] != 0


def test_languages_without_an_environment():
    assert with_environment("lua", "print(1)", {}, None) == "print(1)"
    with pytest.raises(BadRequestError, match="lua"):
        with_environment("lua", "print(1)", {"A": "b"}, None)


@pytest.mark.parametrize(
    ("headers", "key"),
    [
        ({}, None),
        ({"x-api-key": "k"}, "k"),
        ({"x-api-key": " "}, None),
        ({"authorization": "Bearer k"}, "k"),
        ({"authorization": "Bearer "}, None),
        ({"authorization": "Basic a2V5Oms="}, "k"),
        ({"authorization": "Basic azo="}, "k"),
        ({"authorization": "Basic ???"}, None),
        ({"authorization": "Digest k"}, None),
        ({"x-api-key": "a", "authorization": "Bearer b"}, "a"),
    ],
)
def test_keys(headers: dict[str, str], key: str | None):
    assert bearer_of(headers) == key


def test_signatures_stay_out_of_logs():
    url = "GET /files?path=a&signature=v1_JSj0Go3FuVducLgKJqDu1TQZvUKhPdjwoxQ3fEwL%2BH4 200"
    assert redact(url) == "GET /files?path=a&signature=v1_*** 200"
