"""Which functions stand on their own, and what is said of those that don't."""

from __future__ import annotations

import datetime as dt
import functools
from typing import Annotated, Any, Literal, TypedDict

import pytest

from polyport import App, Context, DeclarationError
from polyport.sandboxed import check_plain, self_contained_source

OUTSIDE = 5


class Point(TypedDict):
    x: int


def plain(x: int, /, *rest: int, y: int = OUTSIDE, **more: dt.date) -> list[dt.date]:
    """Keep this."""
    import json

    class Inner:
        one = 1
        two = one

        def get(self) -> int:
            return self.two

    def fib(n: int) -> int:
        return n if n < 2 else fib(n - 1) + fib(n - 2)

    try:
        return [json.dumps(i + x) for i in range(fib(3))] + [Inner().get(), len(rest), y, more]
    except KeyError as error:
        raise FunctionError(str(error)) from error  # noqa: F821 - it is there in the sandbox


def test_a_self_contained_function_comes_out_bare_and_still_works():
    source = self_contained_source(plain)
    assert source.startswith('def plain(x, /, *rest, y, **more):\n    """Keep this."""')
    namespace: dict[str, Any] = {}
    exec(source, namespace)
    assert namespace["plain"](1, 2, y=3, z=4) == ["1", "2", 1, 1, 3, {"z": 4}]


def uses_module() -> int:
    return OUTSIDE + len(dt.date.max.isoformat())


def uses_module_deeper() -> list[int]:
    return [(lambda: OUTSIDE)() for _ in range(3)]


def sets_module() -> None:
    global OUTSIDE
    OUTSIDE = 6


def make_closure() -> Any:
    kept = 1

    def closure() -> int:
        return kept

    return closure


def wrap(function: Any) -> Any:
    @functools.wraps(function)
    def inner(*args: Any) -> Any:
        return function(*args)

    return inner


@wrap
def decorated() -> int:
    return 1


class Holder:
    def method(self) -> int:
        return 1

    def __call__(self) -> int:
        return 1


namespace: dict[str, Any] = {}
exec("def typed_in():\n    return 1", namespace)


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (uses_module, "OUTSIDE, dt from its module"),
        (uses_module_deeper, "OUTSIDE from its module"),
        (sets_module, "OUTSIDE from its module"),
        (make_closure(), "kept of the function around it"),
        (decorated, "only a plain function"),
        (Holder().method, "only a plain function"),
        (Holder(), "only a plain function"),
        (functools.partial(plain, 1), "only a plain function"),
        (len, "only a plain function"),
        (namespace["typed_in"], "its source can't be found"),
        (lambda: 1, "can't be sandboxed"),
    ],
)
def test_what_needs_something_from_around_it_is_refused(function: Any, says: str):
    with pytest.raises(DeclarationError, match=says):
        App("x").function("name", sandboxed=True)(function)


@pytest.mark.parametrize(
    "hint",
    [int, str, float, bool, None, dict, list, Any, list[int], dict[str, list[float]], int | None, Point,
     Literal["a", 1], Annotated[int, "described"], list[Point | None]],
)  # fmt: skip
def test_plain_json_values_go_in_and_out(hint: Any):
    check_plain(plain, {"x": hint, "return": hint})


@pytest.mark.parametrize("hint", [dt.date, bytes, tuple[int, int], set[int], dict[int, str], Holder, Context])
def test_nothing_else_does(hint: Any):
    with pytest.raises(DeclarationError, match="parameter 'x' is"):
        check_plain(plain, {"x": hint})
    with pytest.raises(DeclarationError, match="its result is"):
        check_plain(plain, {"return": list[hint]})


def test_the_sandboxs_options_need_a_sandbox():
    with pytest.raises(DeclarationError, match="add sandboxed=True"):
        App("x").function(limits={"wall_s": 1})(plain)
