"""Whether what an author says of a knowledge base can be meant."""

from __future__ import annotations

import inspect
import json
import os
from collections.abc import Iterable, Mapping
from typing import Any, get_args

from polyport.declarations import FieldType, KnowledgeDeclaration, check_name
from polyport.errors import DeclarationError

__all__ = ["check_base_name", "check_knowledge", "names", "paths"]

_FIELD_TYPES = get_args(FieldType)
_EXPANSIONS = ("parent", "window", "none")
_KEYWORD_CHANGES = ("deferred", "batch")
_KEYWORD_INPUTS = ("text", "title", "headings", "language", "metadata")
_TAKEN = frozenset({"ask", "jobs", "search"})
"""What stands under ``/v1/knowledge`` for something else."""


def check_base_name(name: str) -> str:
    """Return a name if a knowledge base can have it.

    Raises:
        DeclarationError: It is malformed, leaves no room for ``NAME_search``, or its address would be another's.
    """
    check_name(name)
    if name in _TAKEN:
        raise DeclarationError(f"{name!r} can't be a knowledge base's name: /v1/knowledge/{name} is something else")
    try:
        check_name(f"{name}_search")
    except DeclarationError:
        raise DeclarationError(f"{name!r} is too long for a knowledge base: it leaves no room for _search") from None
    return name


def paths(base: str, option: str, given: Iterable[str | os.PathLike[str]]) -> tuple[str, ...]:
    """Return paths and addresses as strings.

    Raises:
        DeclarationError: It is one instead of a list, or one of them is neither.
    """
    if isinstance(given, str | os.PathLike):
        raise DeclarationError(f"knowledge {base!r}: {option} is a list; write {option}=[{os.fspath(given)!r}]")
    found = []
    for path in given:
        text = os.fspath(path) if isinstance(path, str | os.PathLike) else None
        if not isinstance(text, str) or not text.strip():
            raise DeclarationError(f"knowledge {base!r}: {path!r} in {option} is no path and no address")
        found.append(text)
    return tuple(found)


def names(base: str, option: str, given: str | Iterable[str] | None, *, single: bool = True) -> tuple[str, ...]:
    """Return a name or several, each once.

    Args:
        base: The knowledge base, for the message.
        option: Which of its options, for the message.
        given: What was written.
        single: Whether one may be written without a list.

    Raises:
        DeclarationError: One of them is no text, or is empty.
    """
    if given is None:
        return ()
    if isinstance(given, str):
        if not single:
            raise DeclarationError(f"knowledge {base!r}: {option} is a list; write {option}=[{given!r}]")
        given = (given,)
    found = tuple(given)
    for name in found:
        if not isinstance(name, str) or not name.strip():
            raise DeclarationError(f"knowledge {base!r}: {name!r} in {option} is no name")
    return tuple(dict.fromkeys(found))


def check_knowledge(declaration: KnowledgeDeclaration) -> KnowledgeDeclaration:
    """Return a declaration if the gateway can make sense of it.

    Raises:
        DeclarationError: It can't have its name, or a value is none of those there are.
    """
    base = f"knowledge {check_base_name(declaration.name)!r}"
    _one_of(base, "expand", declaration.expand, _EXPANSIONS)
    _one_of(base, "on_keywords_change", declaration.on_keywords_change, _KEYWORD_CHANGES)
    for field, kind in (declaration.fields or {}).items():
        _one_of(base, f"the type of the field {field!r}", kind, _FIELD_TYPES)
    if declaration.keywords_version < 1:
        raise DeclarationError(f"{base}: keywords_version is {declaration.keywords_version}; it starts at 1")
    if declaration.threshold is not None and not 0 <= declaration.threshold <= 1:
        raise DeclarationError(f"{base}: threshold is {declaration.threshold}; it is a share, from 0 to 1")
    _texts(base, "prompts", declaration.prompts)
    for option in ("reranker", "model", "chunker", "index"):
        value = getattr(declaration, option)
        if value is not None and (not isinstance(value, str) or not value.strip()):
            raise DeclarationError(f"{base}: {option} is {value!r}; it must be a text such as {_EXAMPLES[option]!r}")
    _json(base, "metadata", declaration.metadata)
    _json(base, "index_options", declaration.index_options)
    _check_keywords(base, declaration)
    return declaration


_EXAMPLES = {"reranker": "bge", "model": "qwen", "chunker": "Sentences(max_tokens=256)", "index": "qdrant-edge"}


def _one_of(base: str, option: str, value: object, known: tuple[str, ...]) -> None:
    if value not in known:
        raise DeclarationError(f"{base}: {option} is {value!r}; it must be one of {', '.join(map(repr, known))}")


def _texts(base: str, option: str, given: Mapping[str, str]) -> None:
    for name, text in given.items():
        if not isinstance(text, str):
            raise DeclarationError(f"{base}: {option}[{name!r}] is {text!r}; it must be a text")


def _json(base: str, option: str, given: Mapping[str, Any]) -> None:
    try:
        json.dumps(given, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise DeclarationError(f"{base}: {option} can't be kept as JSON: {error}") from error


def _check_keywords(base: str, declaration: KnowledgeDeclaration) -> None:
    keywords = declaration.keywords
    if keywords is None or (isinstance(keywords, str) and keywords.strip()):
        return
    if not callable(keywords):
        raise DeclarationError(f"{base}: keywords is {keywords!r}; it must be a registered function's name or callable")
    if inspect.iscoroutinefunction(keywords):
        raise DeclarationError(f"{base}: {keywords!r} is async; make it a registered function and give its name")
    try:
        signature = inspect.signature(keywords)
        signature.bind(**{name: "" for name in _KEYWORD_INPUTS if name == "text" or name in signature.parameters})
    except (TypeError, ValueError) as error:
        raise DeclarationError(
            f"{base}: {keywords!r} must take a document's text as its parameter text, and may take "
            f"{', '.join(_KEYWORD_INPUTS[1:])} ({error})"
        ) from error
