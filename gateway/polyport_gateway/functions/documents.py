"""Registered resources and prompts, made ready to be read and picked."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import Any, Literal, get_args, get_origin, get_type_hints
from urllib.parse import unquote

from pydantic import ValidationError

from polyport.content import Audio, EmbeddedResource, Image, Message, Text
from polyport.declarations import PromptDeclaration, ResourceDeclaration
from polyport.errors import DeclarationError, InvalidOutputError
from polyport.signature import Signature, describe
from polyport_gateway.call import Arguments, Call
from polyport_gateway.catalog.changes import Changes
from polyport_gateway.catalog.documents import Completer, Events, Prompt, PromptArgument, PromptMessage, Resource
from polyport_gateway.errors import invalid_arguments
from polyport_gateway.functions.context import make_context
from polyport_gateway.functions.function import user_code
from polyport_gateway.functions.threads import ThreadBudget
from polyport_gateway.settings import Settings

__all__ = ["build_prompt", "build_resource", "match_uri"]

_PLACEHOLDER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
_CONTENT = (Text, Image, Audio, EmbeddedResource)


def build_resource(declaration: ResourceDeclaration, changes: Changes, settings: Settings) -> Resource:
    """Make a declared resource readable.

    Raises:
        DeclarationError: Its URI can't be a template, or names what the function doesn't take.
    """
    parameters = _template_parameters(declaration.uri)
    runner = _Runner("Resource", declaration.name, declaration.function, changes, settings)
    _check_parameters(declaration.uri, parameters, runner.signature)
    _check_completers("resource", declaration.uri, declaration.complete, parameters)

    async def read(call: Call, events: Events) -> str | bytes:
        value = await runner.run(call, events)
        if not isinstance(value, str | bytes):
            raise InvalidOutputError(
                f"Resource {declaration.name!r} returned a value of type {type(value).__name__}; it must return "
                "text or bytes."
            )
        return value

    return Resource(
        uri=declaration.uri,
        name=declaration.name,
        read=read,
        title=declaration.title,
        description=declaration.description or runner.signature.description or None,
        mime_type=declaration.mime_type,
        parameters=parameters,
        complete=_completers(declaration.name, declaration.function, declaration.complete, settings),
    )


def build_prompt(declaration: PromptDeclaration, changes: Changes, settings: Settings) -> Prompt:
    """Make a declared prompt gettable; its arguments come from the signature.

    Raises:
        DeclarationError: Its signature can't be described.
    """
    runner = _Runner("Prompt", declaration.name, declaration.function, changes, settings)
    schema = runner.signature.input_schema
    properties: Mapping[str, Any] = schema.get("properties") or {}
    required = frozenset(schema.get("required") or ())
    _check_completers("prompt", declaration.name, declaration.complete, tuple(properties))

    async def get(call: Call, events: Events) -> Sequence[PromptMessage]:
        return _prompt_messages(declaration.name, await runner.run(call, events))

    return Prompt(
        name=declaration.name,
        get=get,
        title=declaration.title,
        description=declaration.description or runner.signature.description or None,
        arguments=tuple(
            PromptArgument(name, description=member.get("description"), required=name in required)
            for name, member in properties.items()
        ),
        complete=_completers(declaration.name, declaration.function, declaration.complete, settings),
    )


def match_uri(resource: Resource, uri: str) -> dict[str, str] | None:
    """Return the values that a template's parameters have in `uri`, or None if it isn't one of its addresses.

    RFC 6570 level 1: a value holds no literal ``/``. A decoded value that could climb out of a folder
    (``..``, a leading slash, a NUL) matches nothing, since functions tend to join it to a path.
    """
    if not resource.parameters:
        return {} if uri == resource.uri else None
    found = _template_pattern(resource.uri).fullmatch(uri)
    if found is None:
        return None
    values = {name: unquote(value) for name, value in found.groupdict().items()}
    return None if any(_climbs(value) for value in values.values()) else values


def _climbs(value: str) -> bool:
    return "\0" in value or value.startswith(("/", "\\")) or ".." in re.split(r"[/\\]", value)


def _template_parameters(uri: str) -> tuple[str, ...]:
    names = tuple(_PLACEHOLDER.findall(uri))
    rest = _PLACEHOLDER.sub("", uri)
    if "{" in rest or "}" in rest:
        raise DeclarationError(f"{uri!r} can't be a URI template: only plain {{names}} are taken (RFC 6570 level 1)")
    if len(set(names)) != len(names):
        raise DeclarationError(f"{uri!r} can't be a URI template: a name stands in it twice")
    return names


def _template_pattern(template: str) -> re.Pattern[str]:
    pieces = _PLACEHOLDER.split(template)
    texts = [re.escape(text) if at % 2 == 0 else f"(?P<{text}>[^/?#]+)" for at, text in enumerate(pieces)]
    return re.compile("".join(texts))


def _check_parameters(uri: str, parameters: tuple[str, ...], signature: Signature) -> None:
    properties = set(signature.input_schema.get("properties") or {})
    required = set(signature.input_schema.get("required") or ())
    if missing := sorted(set(parameters) - properties):
        raise DeclarationError(f"the resource at {uri!r} passes {missing}, which {signature.name!r} does not take")
    if missing := sorted(required - set(parameters)):
        raise DeclarationError(f"{signature.name!r} needs {missing}, which {uri!r} does not have in braces")


def _check_completers(kind: str, name: str, complete: Mapping[str, Any], parameters: Sequence[str]) -> None:
    if unknown := sorted(set(complete) - set(parameters)):
        raise DeclarationError(f"{kind} {name!r} completes {unknown}, which it does not take")


class _Runner:
    """Runs one registered function: plain ones in worker threads, with the call's context where they want it."""

    def __init__(
        self, what: str, name: str, function: Callable[..., Any], changes: Changes, settings: Settings
    ) -> None:
        self.signature = describe(function)
        self._what = what
        self._name = name
        self._function = function
        self._changes = changes
        self._expose = settings.expose_errors
        self._threads = ThreadBudget(name, settings.function_threads)

    async def run(self, call: Call, events: Events) -> Any:
        assert isinstance(call.input, Arguments)  # noqa: S101 - the wire builds no other
        try:
            values = self.signature.validate(call.input.values)
        except ValidationError as error:
            raise invalid_arguments(self._name, error) from error
        wants_context = self.signature.context_parameter is not None
        context = make_context(call, self._changes, events) if wants_context else None
        args, kwargs = self.signature.bind(values, context)
        with user_code(self._what, self._name, call.request_id, expose=self._expose):
            if self.signature.is_async:
                return await self._function(*args, **kwargs)
            return await self._threads.run(self._function, *args, **kwargs)


def _prompt_messages(name: str, value: Any) -> list[PromptMessage]:
    items = value if isinstance(value, list | tuple) else [value]
    return [_prompt_message(name, item) for item in items]


def _prompt_message(name: str, item: Any) -> PromptMessage:
    if isinstance(item, str):
        return PromptMessage("user", Text(item))
    if isinstance(item, _CONTENT):
        return PromptMessage("user", item)
    if isinstance(item, Message):
        # MCP knows these two; what an author calls a system message is said by the user.
        return PromptMessage("assistant" if item.role == "assistant" else "user", Text(item.content))
    raise InvalidOutputError(
        f"Prompt {name!r} returned a value of type {type(item).__name__}; it must return text, a Message, content "
        "such as an Image, or a list of these."
    )


def _completers(
    name: str, function: Callable[..., Any], given: Mapping[str, Callable[..., Any]], settings: Settings
) -> dict[str, Completer]:
    """Complete each parameter: as the author says, or from the values that its type allows."""
    threads = ThreadBudget(name, settings.function_threads)
    completers = {key: _fixed_completer(values) for key, values in _closed_values(function).items()}
    completers.update(
        {
            key: _author_completer(name, complete, threads, expose=settings.expose_errors)
            for key, complete in given.items()
        }
    )
    return completers


def _author_completer(name: str, complete: Callable[..., Any], threads: ThreadBudget, *, expose: bool) -> Completer:
    takes_others = len(inspect.signature(complete).parameters) > 1

    async def suggest(value: str, others: Mapping[str, str]) -> Sequence[str]:
        arguments = (value, dict(others)) if takes_others else (value,)
        with user_code("The completion of", name, None, expose=expose):
            if inspect.iscoroutinefunction(complete):
                found = await complete(*arguments)
            else:
                found = await threads.run(complete, *arguments)
            return [str(item) for item in found]

    return suggest


def _fixed_completer(values: Sequence[str]) -> Completer:
    async def suggest(value: str, others: Mapping[str, str]) -> Sequence[str]:
        typed = value.casefold()
        return [item for item in values if item.casefold().startswith(typed)]

    return suggest


def _closed_values(function: Callable[..., Any]) -> dict[str, list[str]]:
    """Find parameters whose type lists its values: `Literal` and `Enum`."""
    try:
        hints = get_type_hints(function)
    except (NameError, TypeError):
        return {}
    found: dict[str, list[str]] = {}
    for name, hint in hints.items():
        if name == "return":
            continue
        if get_origin(hint) is Literal:
            found[name] = [str(value) for value in get_args(hint)]
        elif isinstance(hint, type) and issubclass(hint, Enum):
            found[name] = [str(member.value) for member in hint]
    return found
