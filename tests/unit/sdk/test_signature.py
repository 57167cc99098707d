from __future__ import annotations

import datetime as dt
import enum
import functools
import json
import sys
import typing
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, NotRequired, Optional, TypedDict

import jsonschema
import pytest
from pydantic import BaseModel, Field, ValidationError

from polyport import Audio, Context, DeclarationError, Image
from polyport.signature import describe


class Node(BaseModel):
    value: int
    children: list[Node] = []


class Colour(enum.Enum):
    RED = "red"
    GREEN = "green"


@dataclass
class Point:
    x: int
    y: float = 0.0
    tags: list[str] = field(default_factory=list)


class Row(TypedDict):
    id: int
    note: NotRequired[str]


SENTINEL = object()


def everything(
    number: int,
    colour: Colour,
    point: Optional[Point] = None,  # noqa: UP045
    /,
    row: Row = {"id": 1},  # noqa: B006
    *,
    when: dt.datetime = dt.datetime(2020, 1, 1),  # noqa: DTZ001
    raw: bytes = b"\xff",
    kind: Literal["a", "b"] = "a",
    least: Annotated[int, Field(ge=3)] = 5,
    node: Node | None = None,
    items: list[int] = [],  # noqa: B006
    either: int | str = 1,
    default: Any = SENTINEL,
    limit: int = Field(3, ge=1, description="Own words."),
    free=None,
    ctx: Context | None = None,
) -> Node:
    """Do everything.

    Args:
        number: A number.
        limit: Not used.
    """
    raise NotImplementedError


def test_the_input_schema_is_valid_and_says_it_all() -> None:
    schema = describe(everything).input_schema
    jsonschema.Draft202012Validator.check_schema(schema)
    assert "title" not in json.dumps(schema)
    assert schema["additionalProperties"] is False
    assert schema["required"] == ["number", "colour"]
    assert "ctx" not in schema["properties"]
    assert schema["properties"]["number"] == {"type": "integer", "description": "A number."}
    assert schema["properties"]["limit"] == {"type": "integer", "minimum": 1, "default": 3, "description": "Own words."}
    assert schema["properties"]["default"] == {}
    assert schema["$defs"]["Row"]["required"] == ["id"]


def test_json_becomes_python_values_and_defaults_are_filled_in() -> None:
    signature = describe(everything)
    values = signature.validate(
        {
            "number": "4",
            "colour": "green",
            "point": {"x": 1},
            "raw": "/+8=",
            "when": "2026-11-20T10:00:00Z",
            "node": {"value": 1, "children": [{"value": 2}]},
        }
    )
    assert values["number"] == 4
    assert values["colour"] is Colour.GREEN
    assert values["point"] == Point(1)
    assert values["raw"] == b"\xff\xef"
    assert values["when"] == dt.datetime(2026, 11, 20, 10, tzinfo=dt.UTC)
    assert values["node"].children[0].value == 2
    assert values["default"] is SENTINEL
    assert values["limit"] == 3
    args, kwargs = signature.bind(values, "context")
    assert args == (4, Colour.GREEN, Point(1))
    assert kwargs["ctx"] == "context"
    assert "number" not in kwargs
    assert signature.context_parameter == "ctx"


def test_bytes_in_the_url_safe_alphabet() -> None:
    assert describe(everything).validate({"number": 1, "colour": "red", "raw": "_-8="})["raw"] == b"\xff\xef"


def test_mutable_defaults_are_not_shared() -> None:
    signature = describe(everything)
    first = signature.validate({"number": 1, "colour": "red"})
    first["items"].append(1)
    first["row"]["note"] = "x"
    second = signature.validate({"number": 1, "colour": "red"})
    assert second["items"] == []
    assert second["row"] == {"id": 1}


@pytest.mark.parametrize(
    ("arguments", "where"),
    [
        ({"colour": "red"}, ("number",)),
        ({"number": 1, "colour": "blue"}, ("colour",)),
        ({"number": 1, "colour": "red", "unknown": 1}, ("unknown",)),
        ({"number": 1.5, "colour": "red"}, ("number",)),
        ({"number": 1, "colour": "red", "least": 2}, ("least",)),
        ({"number": 1, "colour": "red", "point": {"x": "?"}}, ("point", "x")),
        ({"number": 1, "colour": "red", "ctx": {}}, ("ctx",)),
        ({"number": 1, "colour": "red", "raw": "not base64!"}, ("raw",)),
        ({"number": float("nan"), "colour": "red"}, ("number",)),
        ({"number": 1, "colour": "\ud800"}, ()),
    ],
)
def test_wrong_arguments_are_named(arguments: dict[str, Any], where: tuple[str, ...]) -> None:
    with pytest.raises(ValidationError) as caught:
        describe(everything).validate(arguments)
    assert caught.value.errors()[0]["loc"] == where


@pytest.mark.parametrize(
    ("annotation", "value", "dumped"),
    [
        (int, 1, 1),
        (float, 1, 1.0),
        (bytes, b"\xff\xef", "_-8="),
        (dict[str, bytes], {"a": b"\xff"}, {"a": "_w=="}),
        (Point, Point(1), {"x": 1, "y": 0.0, "tags": []}),
        (list[Node], [Node(value=1)], [{"value": 1, "children": []}]),
        (Row, {"id": 1}, {"id": 1}),
        (Colour, Colour.RED, "red"),
        (dt.date, dt.date(2026, 1, 2), "2026-01-02"),
        (Optional[int], None, None),  # noqa: UP045
        (tuple[int, str], (1, "a"), [1, "a"]),
        (None, None, None),
        (Any, {"a": dt.date(2026, 1, 2)}, {"a": "2026-01-02"}),
    ],
)
def test_results_become_json(annotation: Any, value: Any, dumped: Any) -> None:
    def function():
        raise NotImplementedError

    function.__annotations__["return"] = annotation
    signature = describe(function)
    assert signature.dump(value) == dumped
    if signature.output_schema is not None:
        jsonschema.validate(dumped, signature.output_schema, jsonschema.Draft202012Validator)


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (int, "1"),
        (int, True),
        (str, 1),
        (float, float("nan")),
        (Point, {"x": 1}),
        (Point, Point("a")),  # type: ignore[arg-type]
        (Node, {"value": "1"}),
        (list[int], [1, "2"]),
        (Row, {"note": "x"}),
        (None, 1),
        (Literal["a"], "b"),
        (Any, object()),
    ],
)
def test_what_the_annotation_forbids_is_refused(annotation: Any, value: Any) -> None:
    def function():
        raise NotImplementedError

    function.__annotations__["return"] = annotation
    with pytest.raises(ValidationError) as caught:
        describe(function).dump(value)
    assert "tuple" not in str(caught.value)


def test_recursive_results_have_an_object_at_the_root() -> None:
    schema = describe(everything).output_schema
    assert schema is not None
    assert schema["type"] == "object"
    assert schema["properties"]["children"]["items"] == {"$ref": "#/$defs/Node"}
    jsonschema.Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize(
    "annotation", [Any, Image, list[Image], Image | str, list[str | Audio], Iterator[str], AsyncIterator[str], None]
)
def test_results_that_are_not_described(annotation: Any) -> None:
    def function():
        raise NotImplementedError

    assert describe(function).output_schema is None
    function.__annotations__["return"] = annotation
    assert describe(function).output_schema is None


def test_a_property_called_title_is_kept() -> None:
    def function(title: str, properties: dict[str, int]) -> None:
        raise NotImplementedError

    assert list(describe(function).input_schema["properties"]) == ["title", "properties"]


def test_names_that_a_model_would_trip_over() -> None:
    def function(json: int, copy: int, model_config: int, _private: int, self: int) -> None:
        raise NotImplementedError

    values = {"json": 1, "copy": 2, "model_config": 3, "_private": 4, "self": 5}
    assert describe(function).validate(values) == values


def test_keywords() -> None:
    def typed(a: int, **others: Point) -> None:
        raise NotImplementedError

    signature = describe(typed)
    assert signature.input_schema["additionalProperties"] == {"$ref": "#/$defs/Point"}
    assert signature.validate({"a": 1, "p": {"x": 2}}) == {"a": 1, "p": Point(2)}
    with pytest.raises(ValidationError):
        signature.validate({"a": 1, "p": 2})

    def untyped(**others) -> None:
        raise NotImplementedError

    assert describe(untyped).input_schema == {"type": "object", "properties": {}, "additionalProperties": True}
    assert describe(untyped).validate({"a": [1]}) == {"a": [1]}

    def unpacked(**others: typing.Unpack[Row]) -> None:
        raise NotImplementedError

    assert describe(unpacked).input_schema["required"] == ["id"]
    assert describe(unpacked).validate({"id": 1}) == {"id": 1}


@pytest.mark.parametrize(
    ("annotation", "name"),
    [
        ("HiddenContext", None),
        ("Context", "c"),
        ("Context | None", "c"),
        ("typing.Optional[Context]", "c"),
        ("Optional['Context']", "c"),
    ],
)
def test_the_context_is_found_however_it_is_written(annotation: str, name: str | None) -> None:
    def function(c=None):
        raise NotImplementedError

    function.__annotations__["c"] = annotation
    if name is None:
        with pytest.raises(DeclarationError, match="'c'"):
            describe(function)
    else:
        assert describe(function).context_parameter == name


def test_a_context_imported_for_type_checkers_only() -> None:
    scope: dict[str, Any] = {}
    exec("def function(a: int, ctx: 'Context') -> None: ...", scope)
    assert describe(scope["function"]).context_parameter == "ctx"
    assert list(describe(scope["function"]).input_schema["properties"]) == ["a"]


def test_local_types() -> None:
    @dataclass
    class Local:
        x: int

    def function(value: Local) -> list[Local]:
        return [value]

    signature = describe(function)
    assert signature.validate({"value": {"x": 1}}) == {"value": Local(1)}
    assert signature.dump([Local(1)]) == [{"x": 1}]


class Service:
    """A service."""

    def method(self, a: int) -> int:
        """Do it."""
        return a

    @classmethod
    def make(cls, a: int) -> str:
        return str(a)

    async def __call__(self, question: str) -> str:
        """Answer."""
        return question


def plain(a: int, b: int = 2) -> int:
    return a + b


def wrapped(a: int) -> int:
    return a


@functools.wraps(wrapped)
def wrapper(*args: Any, **kwargs: Any) -> Any:
    return wrapped(*args, **kwargs)


@pytest.mark.parametrize(
    ("function", "names", "is_async"),
    [
        (Service().method, ["a"], False),
        (Service.make, ["a"], False),
        (Service(), ["question"], True),
        (functools.partial(plain, b=3), ["a", "b"], False),
        (functools.partial(plain, 1), ["b"], False),
        (wrapper, ["a"], False),
        (Point, ["x", "y", "tags"], False),
        (lambda x: x, ["x"], False),
    ],
)
def test_every_kind_of_callable(function: Callable[..., Any], names: list[str], is_async: bool) -> None:
    signature = describe(function)
    assert list(signature.input_schema["properties"]) == names
    assert signature.is_async is is_async


def test_descriptions() -> None:
    assert describe(Service().method).description == "Do it."
    assert describe(Service()).description == "Answer."
    assert describe(everything).description == "Do everything."
    assert describe(plain).description == ""


def test_where_plain_text_goes() -> None:
    def one(question: str) -> str:
        raise NotImplementedError

    def one_required(question: str, limit: int = 1) -> str:
        raise NotImplementedError

    def two(a: str, b: str) -> str:
        raise NotImplementedError

    def optional(a: str = "x") -> str:
        raise NotImplementedError

    assert describe(one).single_text == "question"
    assert describe(one_required).single_text == "question"
    assert describe(two).single_text is None
    assert describe(optional).single_text == "a"
    assert describe(plain).single_text is None


class Opaque:
    pass


def test_what_cannot_be_described_is_named_with_its_place() -> None:
    def many(*values: int) -> None: ...
    def opaque(a: int, thing: Opaque) -> None: ...
    def callback(done: Callable[[int], int]) -> None: ...
    def unknown(value: Nowhere) -> None: ...  # type: ignore[name-defined] # noqa: F821
    def result() -> Opaque: ...  # type: ignore[empty-body]
    def twice(a: Context, b: Context) -> None: ...

    for function, name in (
        (many, "values"),
        (opaque, "thing"),
        (callback, "done"),
        (unknown, "value"),
        (result, "return"),
        (twice, "'b'"),
    ):
        with pytest.raises(DeclarationError) as caught:
            describe(function)
        line = function.__code__.co_firstlineno
        assert f"'{function.__name__}'" in str(caught.value)
        assert f"{__file__}:{line}" in str(caught.value)
        assert name in str(caught.value)


def test_a_hot_call_builds_nothing_again() -> None:
    signature = describe(plain)
    assert signature.validate({"a": 10**30}) == {"a": 10**30, "b": 2}
    assert sys.getsizeof(signature) < 1000
