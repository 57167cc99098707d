"""Functions that run in a sandbox: their source, and the proof that it stands on its own."""

from __future__ import annotations

import ast
import builtins
import dis
import inspect
import textwrap
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Annotated, Any, Literal, get_args, get_origin

import typing_extensions

from polyport.declarations import Sandboxed
from polyport.errors import DeclarationError

__all__ = ["PROVIDED", "check_plain", "declare_sandboxed", "self_contained_source"]

PROVIDED = frozenset({"FunctionError"})
"""Names that a sandboxed function finds without importing them."""

_ALWAYS = frozenset(vars(builtins)) | PROVIDED | {"__name__"}
_CLASS_BODY = frozenset({"__name__", "__module__", "__qualname__", "__annotations__", "__classdict__"})
_PLAIN = (str, int, float, bool, type(None), None, Any, object, inspect.Parameter.empty)
_CONTAINERS = (list, dict)
_LOOKUPS = frozenset({"LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS", "STORE_GLOBAL"})
_UNIONS = (typing.Union, types.UnionType)


def declare_sandboxed(
    function: Callable[..., Any],
    limits: Mapping[str, float] | None,
    files: Mapping[str, bytes | str] | None,
    allow_hosts: Iterable[str],
) -> Sandboxed:
    """Return how a function runs in a sandbox.

    Raises:
        DeclarationError: It needs something from around it, or `allow_hosts` is one host instead of a list.
    """
    if isinstance(allow_hosts, str):
        raise DeclarationError(f"allow_hosts is a list of hosts; write allow_hosts=[{allow_hosts!r}]")
    contents = {
        name: content.encode() if isinstance(content, str) else content for name, content in (files or {}).items()
    }
    return Sandboxed(self_contained_source(function), contents, dict(limits or {}), tuple(allow_hosts))


def self_contained_source(function: Callable[..., Any]) -> str:
    """Return a function's source without decorators, annotations and defaults.

    Raises:
        DeclarationError: It is no plain function, its source can't be found, or it needs something from around it.
    """
    if not inspect.isfunction(function) or hasattr(function, "__wrapped__"):
        raise _refusal(function, "only a plain function can run in a sandbox, no method, object or decorated one")
    if function.__code__.co_freevars:
        names = ", ".join(function.__code__.co_freevars)
        raise _refusal(function, f"it uses {names} of the function around it; pass them as arguments")
    outside = sorted(set(_globals(function.__code__)) - _ALWAYS - {function.__name__})
    if outside:
        raise _refusal(
            function,
            f"it uses {', '.join(outside)} from its module, which a sandbox doesn't have; import or define what it "
            "needs inside the function",
        )
    return ast.unparse(_definition(function))


def check_plain(function: Callable[..., Any], hints: dict[str, Any]) -> None:
    """Refuse parameters and a result that are more than plain JSON values: those alone go in and come out.

    Args:
        function: For the message.
        hints: Annotations by parameter name, the result's under ``return``.

    Raises:
        DeclarationError: One is something else.
    """
    for name, annotation in hints.items():
        if not _is_plain(annotation):
            what = "its result" if name == "return" else f"parameter {name!r}"
            shown = getattr(annotation, "__name__", None) or str(annotation)
            raise _refusal(
                function,
                f"{what} is {shown}; only plain JSON values go in and out of a sandbox: str, int, float, bool, None, "
                "list, dict, TypedDict and Literal",
            )


def _definition(function: types.FunctionType) -> ast.stmt:
    try:
        source = textwrap.dedent(inspect.getsource(function))
        found = ast.parse(source).body[0]
    except (OSError, TypeError, SyntaxError, IndexError) as error:
        raise _refusal(function, "its source can't be found; define it in a file") from error
    if not isinstance(found, ast.FunctionDef | ast.AsyncFunctionDef):
        raise _refusal(function, "its source is no def; a lambda can't run in a sandbox")
    found.decorator_list = []
    found.returns = None
    arguments = found.args
    # Every value is passed, and an annotation or a default may need what only its module has.
    arguments.defaults = []
    arguments.kw_defaults = [None] * len(arguments.kwonlyargs)
    extra = [argument for argument in (arguments.vararg, arguments.kwarg) if argument is not None]
    for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, *extra):
        argument.annotation = None
    return found


def _globals(code: types.CodeType) -> Iterator[str]:
    """Name what a function's code, and all code inside it, looks up outside."""
    is_function = bool(code.co_flags & inspect.CO_OPTIMIZED)
    own = set() if is_function else {*_CLASS_BODY}
    for instruction in dis.get_instructions(code):
        if instruction.opname == "STORE_NAME":
            own.add(instruction.argval)
        elif instruction.opname in _LOOKUPS and instruction.argval not in own:
            yield instruction.argval
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _globals(constant)


def _is_plain(annotation: Any) -> bool:
    if annotation in _PLAIN or annotation in _CONTAINERS or typing_extensions.is_typeddict(annotation):
        return True
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return all(isinstance(value, str | int | bool | None) for value in parts)
    if origin is Annotated:
        return _is_plain(parts[0])
    if origin is dict:
        return parts[0] is str and _is_plain(parts[1])
    return (origin in _UNIONS or origin is list) and all(_is_plain(part) for part in parts)


def _refusal(function: Callable[..., Any], problem: str) -> DeclarationError:
    code = getattr(function, "__code__", None)
    where = f" ({code.co_filename}:{code.co_firstlineno})" if code is not None else ""
    return DeclarationError(
        f"function {getattr(function, '__name__', function)!r}{where} can't be sandboxed: {problem}"
    )
