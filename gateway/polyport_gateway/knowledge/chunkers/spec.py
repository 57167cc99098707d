"""Chunkers as text, for the command line and the wires: ``ByHeading() | Sentences(max_tokens=256)``."""

from __future__ import annotations

import ast
import re
import types
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, fields
from difflib import get_close_matches
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from polyport.errors import BadRequestError
from polyport_gateway.knowledge.tokenizers import Tokenizer, get_tokenizer

from .base import Step
from .models.base import Embedder, TextModel

__all__ = ["ChunkerSpecError", "Resolver", "parse_steps"]

Found = TypeVar("Found")
Resolver = Mapping[str, Found] | Callable[[str], Found]
"""What finds something by its name: a mapping, or a function that raises `LookupError` for a name it doesn't know."""

_LONGEST = 4000
_DEEPEST = 50
_TOKENIZERS = ("auto", "estimate", "cl100k_base", "o200k_base")
# Quoted text is left as it is; elsewhere a name may have dashes, and lines may be broken.
_PIECES = re.compile(r"'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\"|[A-Za-z]\w*(?:-[A-Za-z]\w*)+|\s+")


class ChunkerSpecError(BadRequestError):
    """A text that describes no chunker."""

    code = "invalid_chunker"


def parse_steps(
    text: str,
    *,
    models: Resolver[TextModel] | None = None,
    embedders: Resolver[Embedder] | None = None,
    tokenizers: Resolver[Tokenizer] | None = None,
    defaults: Mapping[str, str | int] | None = None,
) -> Step:
    """Read a chunker from its description.

    Steps are named as in `CHUNKERS`, whatever the case and with dashes if one likes, and joined with ``|``. Arguments
    are literals or steps, by name or in order; a step without parentheses has its defaults. Nothing is evaluated.

    Example:
        >>> parse_steps("by-heading(level=2) | Sentences(max_tokens=256)").settings().startswith("ByHeading(level=2")
        True

    Args:
        text: The description.
        models: Finds the language model of a name, for steps with a ``model``.
        embedders: Finds the embedder of a name, for steps with an ``embedder``.
        tokenizers: Finds the tokenizer of a name that is not a built-in one. Without it a path is refused, so that
            a caller from outside reads no file.
        defaults: Values of arguments by name, for each step that has such a one and is not given it.

    Raises:
        ChunkerSpecError: It names an unknown step, argument or model, or a value that can't be.
    """
    if len(text) > _LONGEST:
        raise ChunkerSpecError(
            f"The chunker's description has {len(text):,} characters; at most {_LONGEST:,} are read."
        )
    try:
        tree = ast.parse(_PIECES.sub(_as_python, text).strip(), mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        reason = error.msg if isinstance(error, SyntaxError) else "it can't be followed"
        raise ChunkerSpecError(
            f"{text!r} describes no chunker: {reason}. Write steps and | between them, such as "
            "'ByHeading() | Sentences(max_tokens=256)'."
        ) from None
    return _Reading(models, embedders, tokenizers, defaults or {}).step(tree)


def _as_python(piece: re.Match[str]) -> str:
    text = piece.group()
    if text[0] in "'\"":
        return text
    return " " if text.isspace() else text.replace("-", "_")


class _Reading:
    """One description while it is read."""

    def __init__(
        self,
        models: Resolver[TextModel] | None,
        embedders: Resolver[Embedder] | None,
        tokenizers: Resolver[Tokenizer] | None,
        defaults: Mapping[str, str | int],
    ) -> None:
        self._defaults = defaults
        self._models, self._embedders, self._tokenizers = models, embedders, tokenizers

    def step(self, node: ast.expr, depth: int = 0) -> Step:
        """Return the step, or the steps joined, that an expression describes."""
        if depth > _DEEPEST:
            raise ChunkerSpecError(f"Steps stand more than {_DEEPEST} deep in each other.")
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
            return self.step(node.left, depth + 1) | self.step(node.right, depth + 1)
        if isinstance(node, ast.Name):
            return self._make(_kind(node.id), ast.Call(node, [], []), depth)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            return self._make(_kind(node.func.id), node, depth)
        raise ChunkerSpecError(f"{ast.unparse(node)} is no step; write a step's name, with its arguments after it.")

    def _make(self, kind: type[Step], call: ast.Call, depth: int) -> Step:
        settings = {field.name: field for field in fields(kind) if field.init}  # type: ignore[arg-type]
        names = list(settings)
        if len(call.args) > len(names):
            raise ChunkerSpecError(f"{kind.__name__} takes {_arguments(names)}; {len(call.args)} values were given.")
        given = dict(zip(names, call.args, strict=False))
        for keyword in call.keywords:
            if keyword.arg is None or keyword.arg not in settings:
                raise _unknown(f"argument of {kind.__name__}", keyword.arg or "**", names)
            if keyword.arg in given:
                raise ChunkerSpecError(f"{kind.__name__} was given {keyword.arg} twice.")
            given[keyword.arg] = keyword.value
        for name, value in self._defaults.items():
            if name in settings:
                given.setdefault(name, ast.Constant(value))
        hints = get_type_hints(kind)
        values = {name: self._value(kind, name, hints[name], node, depth) for name, node in given.items()}
        missing = [name for name, field in settings.items() if name not in values and _is_required(field)]
        if missing:
            raise ChunkerSpecError(f"{kind.__name__} needs {_arguments(missing)}, such as {missing[0]}=….")
        try:
            return kind(**values)
        except (ValueError, TypeError, LookupError) as error:
            raise ChunkerSpecError(f"{kind.__name__}: {error}") from None

    def _value(self, kind: type[Step], name: str, hint: Any, node: ast.expr, depth: int) -> object:
        where = f"{kind.__name__}({name}=…)"
        wanted = _members(hint)
        if Step in wanted and not isinstance(node, ast.Constant):
            return self.step(node, depth + 1)
        try:
            value = ast.literal_eval(node)
        except (ValueError, TypeError, MemoryError, RecursionError):
            raise ChunkerSpecError(
                f"{where}: {ast.unparse(node)} is no plain value; give {_described(hint)}."
            ) from None
        if isinstance(value, str):
            if TextModel in wanted:
                return _resolved(where, "model", value, self._models)
            if Embedder in wanted:
                return _resolved(where, "embedder", value, self._embedders)
            if Tokenizer in wanted:
                return self._tokenizer(where, value)
        if not _fits(hint, value):
            raise ChunkerSpecError(f"{where} can't be {value!r}; give {_described(hint)}.")
        return tuple(value) if isinstance(value, list) else value

    def _tokenizer(self, where: str, name: str) -> str | Tokenizer:
        if name in _TOKENIZERS:
            try:
                get_tokenizer(name)
            except LookupError as error:
                raise ChunkerSpecError(f"{where}: {error}") from None
            return name
        if self._tokenizers is None:
            raise _unknown(f"tokenizer in {where}", name, list(_TOKENIZERS))
        return _resolved(where, "tokenizer", name, self._tokenizers)


def _kind(name: str) -> type[Step]:
    from . import CHUNKERS

    known = {_plain(key): kind for key, kind in CHUNKERS.items()}
    found = known.get(_plain(name))
    if found is None:
        raise _unknown("step", name, sorted(CHUNKERS))
    return found


def _plain(name: str) -> str:
    return name.replace("_", "").replace("-", "").lower()


def _unknown(what: str, name: str, known: list[str]) -> ChunkerSpecError:
    plain = {_plain(key): key for key in known}
    close = get_close_matches(_plain(name), list(plain), n=1, cutoff=0.6)
    meant = f" Did you mean {plain[close[0]]}?" if close else ""
    return ChunkerSpecError(f"There is no {what} named {name!r}.{meant} There is {_arguments(known)}.")


def _resolved(where: str, what: str, name: str, resolver: Resolver[Found] | None) -> Found:
    if resolver is None:
        raise ChunkerSpecError(f"{where}: no {what}s can be named here, so {name!r} is not known.")
    if isinstance(resolver, Mapping):
        if name not in resolver:
            raise _unknown(f"{what} for {where}", name, sorted(resolver))
        return resolver[name]
    try:
        return resolver(name)
    except LookupError as error:
        raise ChunkerSpecError(f"{where}: there is no {what} named {name!r}: {error}") from None


def _is_required(field: Field[Any]) -> bool:
    return field.default is MISSING and field.default_factory is MISSING


def _members(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)


def _fits(hint: Any, value: object) -> bool:
    return any(_fits_one(member, value) for member in _members(hint))


def _fits_one(hint: Any, value: object) -> bool:
    origin = get_origin(hint)
    if origin is Literal:
        return any(value == known and type(value) is type(known) for known in get_args(hint))
    if origin is tuple:
        return isinstance(value, (list, tuple)) and all(_fits(get_args(hint)[0], item) for item in value)
    if hint is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if hint in (int, str, bool, types.NoneType):
        return type(value) is hint
    return False


_NAMES: dict[Any, str] = {
    int: "a whole number", float: "a number", str: "text in quotes", bool: "True or False", types.NoneType: "None",
    Step: "a step", Tokenizer: "a tokenizer's name", TextModel: "a model's name", Embedder: "an embedder's name",
}  # fmt: skip


def _described(hint: Any) -> str:
    members = [member for member in _members(hint) if not (member is str and Tokenizer in _members(hint))]
    return " or ".join(_described_one(member) for member in members)


def _described_one(hint: Any) -> str:
    if get_origin(hint) is Literal:
        return ", ".join(repr(value) for value in get_args(hint))
    if get_origin(hint) is tuple:
        return f"a list of {_described(get_args(hint)[0])}"
    return _NAMES.get(hint, getattr(hint, "__name__", str(hint)))


def _arguments(names: list[str]) -> str:
    return ", ".join(names) if names else "no arguments"
