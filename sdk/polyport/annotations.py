"""Resolve the annotations of a registered function, however they were written."""

from __future__ import annotations

import functools
import inspect
import re
import sys
import types
import typing
from collections.abc import Callable, Iterator
from typing import Annotated, Any, get_args, get_origin

import typing_extensions

# The functional form, under a name that type checkers don't ask to be static.
make_typed_dict: Any = typing_extensions.TypedDict

__all__ = [
    "context_annotation",
    "is_required",
    "make_typed_dict",
    "modernised",
    "qualified",
    "resolve_annotation",
    "root_function",
    "unqualified",
]


def root_function(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the plain function behind partials, wrappers, methods, classes and callable objects."""
    seen = 0
    while seen < 100:
        seen += 1
        if isinstance(function, functools.partial):
            function = function.func
        elif hasattr(function, "__wrapped__"):
            function = function.__wrapped__
        elif inspect.ismethod(function):
            function = function.__func__
        elif inspect.isclass(function) and inspect.isfunction(function.__init__):
            function = function.__init__
        elif not (inspect.isroutine(function) or inspect.isclass(function)):
            function = type(function).__call__
        else:
            break
    return function


def resolve_annotation(annotation: Any, function: Callable[..., Any]) -> Any:
    """Evaluate an annotation that may be, or contain, text.

    Names are looked for in the function's module, then in what it closes over, then in the calls under way
    of the function that defines it (for types that are local to a test, say).

    Args:
        annotation: As it stands in the signature.
        function: The plain function that carries it.

    Raises:
        NameError: A name in it is not found.
        SyntaxError: It is not an expression.
        TypeError: It is not a type.
    """
    holder = types.SimpleNamespace(__annotations__={"value": annotation})
    scope = dict(getattr(function, "__globals__", {}))
    if inspect.isfunction(function):
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=False):
            try:
                scope[name] = cell.cell_contents
            except ValueError:  # a name that is not assigned yet
                continue
    try:
        return typing.get_type_hints(holder, scope, {}, include_extras=True)["value"]
    except NameError:
        for local in _defining_frames(function):
            try:
                return typing.get_type_hints(holder, {**scope, **local}, {}, include_extras=True)["value"]
            except NameError:
                continue
        raise


def _defining_frames(function: Callable[..., Any]) -> Iterator[dict[str, Any]]:
    """Yield the locals of the calls under way, in any thread, of the function that defines this one."""
    outer, found, _ = getattr(function, "__qualname__", "").rpartition(".<locals>.")
    code = getattr(function, "__code__", None)
    if not found or code is None:
        return
    for top in list(sys._current_frames().values()):  # noqa: SLF001 - the one way to other threads' frames
        frame: types.FrameType | None = top
        while frame is not None:
            if frame.f_code.co_qualname == outer and frame.f_code.co_filename == code.co_filename:
                yield dict(frame.f_locals)
            frame = frame.f_back


def context_annotation(annotation: Any, context_type: type) -> bool:
    """Whether a parameter so annotated takes the context: ``Context``, ``Context | None``, or either as text."""
    if isinstance(annotation, str):
        text = re.sub(r"\s+", "", annotation).strip("'\"")
        text = re.sub(r"^(?:typing\.|t\.)?Optional\[(.*)\]$", r"\1", text)
        return any(part.rsplit(".", 1)[-1] == context_type.__name__ for part in text.split("|"))
    if inspect.isclass(annotation):
        return issubclass(annotation, context_type)
    if get_origin(annotation) is Annotated:
        return context_annotation(get_args(annotation)[0], context_type)
    if get_origin(annotation) in (typing.Union, types.UnionType):
        return any(context_annotation(part, context_type) for part in get_args(annotation))
    return False


def modernised(annotation: Any) -> Any:
    """Replace each `typing.TypedDict` that pydantic can't read before Python 3.12 by its twin."""
    if sys.version_info >= (3, 12):
        return annotation
    return _Moderniser().change(annotation)


def is_required(typed_dict: Any, name: str, hint: Any) -> bool:
    """Whether a key of a TypedDict must be there; a qualifier written as text is missed by ``__required_keys__``."""
    if get_origin(hint) in (typing.Required, typing.NotRequired):
        return get_origin(hint) is typing.Required
    return name in typed_dict.__required_keys__


def unqualified(hint: Any) -> Any:
    """Take ``Required[…]`` or ``NotRequired[…]`` off an annotation."""
    return get_args(hint)[0] if get_origin(hint) in (typing.Required, typing.NotRequired) else hint


def qualified(annotation: Any, *, required: bool) -> Any:
    """Put ``Required[…]`` or ``NotRequired[…]`` around an annotation."""
    return typing.Required[annotation] if required else typing.NotRequired[annotation]


class _Moderniser:
    def __init__(self) -> None:
        self._done: dict[Any, Any] = {}

    def change(self, annotation: Any) -> Any:
        if typing.is_typeddict(annotation) and type(annotation).__module__ == "typing":
            return self._twin(annotation)
        arguments = get_args(annotation)
        if not arguments or get_origin(annotation) is typing.Literal:
            return annotation
        changed = tuple(self.change(argument) for argument in arguments)
        if all(new is old for new, old in zip(changed, arguments, strict=True)):
            return annotation
        if get_origin(annotation) is types.UnionType:
            return functools.reduce(lambda left, right: left | right, changed)
        if get_origin(annotation) is Annotated:
            return Annotated[(changed[0], *annotation.__metadata__)]
        if hasattr(annotation, "copy_with"):
            return annotation.copy_with(changed)
        return get_origin(annotation)[changed]

    def _twin(self, typed_dict: Any) -> Any:
        if typed_dict in self._done:
            return self._done[typed_dict]
        hints = typing.get_type_hints(typed_dict, include_extras=True)
        fields: dict[str, Any] = {}
        for name, hint in hints.items():
            fields[name] = qualified(self.change(unqualified(hint)), required=is_required(typed_dict, name, hint))
        twin = make_typed_dict(typed_dict.__name__, fields)
        twin.__doc__ = typed_dict.__doc__
        twin.__module__ = typed_dict.__module__
        if config := getattr(typed_dict, "__pydantic_config__", None):
            twin.__pydantic_config__ = config
        self._done[typed_dict] = twin
        return twin
