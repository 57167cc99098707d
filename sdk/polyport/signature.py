"""`describe`: what a function takes and gives, as JSON schemas, and how to go from JSON to a call and back."""

from __future__ import annotations

import collections.abc
import inspect
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, get_args, get_origin

import typing_extensions
from pydantic import ConfigDict, Field, PydanticUserError, TypeAdapter, ValidationError
from pydantic.errors import PydanticSchemaGenerationError
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError, PydanticSerializationError, to_json, to_jsonable_python

from polyport.annotations import (
    context_annotation,
    is_required,
    make_typed_dict,
    modernised,
    qualified,
    resolve_annotation,
    root_function,
    unqualified,
)
from polyport.content import Audio, EmbeddedResource, Image, Text
from polyport.context import Context
from polyport.docstring import Docstring, parse_docstring
from polyport.errors import DeclarationError
from polyport.jsonschema import schema_of

__all__ = ["Signature", "describe"]

_INPUT = ConfigDict(extra="forbid", val_json_bytes="base64", ser_json_bytes="base64")
_OUTPUT = ConfigDict(val_json_bytes="base64", ser_json_bytes="base64", allow_inf_nan=False)
_CONTENT = (Text, Image, Audio, EmbeddedResource)
_ITERATORS = (
    collections.abc.Iterator,
    collections.abc.Generator,
    collections.abc.AsyncIterator,
    collections.abc.AsyncGenerator,
    collections.abc.AsyncIterable,
)
_EXTRA = "**"
_UNDESCRIBABLE = (
    PydanticUserError,
    PydanticSchemaGenerationError,
    NameError,
    SyntaxError,
    TypeError,
    ValueError,
    AttributeError,
    RecursionError,
)


@dataclass(frozen=True, slots=True)
class Signature:
    """What a function takes and gives.

    Attributes:
        name: The function's own name.
        description: The docstring without what it says of parameters.
        input_schema: JSON schema (2020-12) of the arguments, an object.
        output_schema: JSON schema of the result; None where the annotation promises nothing to describe.
        context_parameter: The parameter that takes the `Context`, if one does.
        single_text: The argument to which plain text goes: the only one there is, or the only one required, if it
            is a string.
        is_async: Whether calling it gives an awaitable.
    """

    name: str
    description: str
    input_schema: dict[str, Any]
    output_schema: dict[str, Any] | None
    context_parameter: str | None
    single_text: str | None
    is_async: bool
    _arguments: TypeAdapter[Any] = field(repr=False)
    _extras: TypeAdapter[Any] | None = field(repr=False)
    _known: frozenset[str] = field(repr=False)
    _result: TypeAdapter[Any] | None = field(repr=False)
    _positional: tuple[str, ...] = field(repr=False)

    def validate(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Turn JSON arguments into Python values by parameter name, defaults among them.

        Args:
            arguments: JSON values by argument name; bytes are base64, times ISO 8601.

        Raises:
            pydantic.ValidationError: They don't match `input_schema`.
        """
        if self._extras is not None:
            return self._validate_with_extras(arguments, self._extras)
        values: dict[str, Any] = self._arguments.validator.validate_json(_encoded(arguments))
        return values

    def _validate_with_extras(self, arguments: Mapping[str, Any], extras: TypeAdapter[Any]) -> dict[str, Any]:
        known = {key: value for key, value in arguments.items() if key in self._known}
        others = {key: value for key, value in arguments.items() if key not in self._known}
        values: dict[str, Any] = self._arguments.validator.validate_json(_encoded(known))
        values.update(extras.validator.validate_json(_encoded(others)))
        return values

    def bind(self, values: Mapping[str, Any], context: Any = None) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Arrange validated values, and the context, as positional and keyword arguments.

        Args:
            values: What `validate` gave.
            context: Passed as `context_parameter`, if there is one.
        """
        named = dict(values)
        if self.context_parameter is not None:
            named[self.context_parameter] = context
        if not self._positional:
            return (), named
        return tuple(named.pop(name) for name in self._positional), named

    def dump(self, value: Any) -> Any:
        """Turn what the function returned into JSON-compatible data.

        The value must be an instance of what the annotation says; nothing is coerced. Times become ISO 8601,
        bytes base64.

        Raises:
            pydantic.ValidationError: The annotation forbids it, or JSON can't carry it.
        """
        if self._result is None:
            try:
                return to_jsonable_python(value, bytes_mode="base64", inf_nan_mode="strings")
            except (PydanticSerializationError, ValueError, RecursionError) as error:
                raise _refusal(self.name, "not_json", "{reason}", value, {"reason": str(error)}) from error
        try:
            checked = self._result.validator.validate_python((value,), strict=True)
        except ValidationError as error:
            raise _without_wrapper(self.name, error) from None
        try:
            dumped = self._result.serializer.to_python(checked, mode="json", by_alias=True, warnings="error")
        except (PydanticSerializationError, ValueError, RecursionError) as error:
            raise _refusal(self.name, "not_json", "{reason}", value, {"reason": str(error)}) from error
        return dumped[0]


def describe(function: Callable[..., Any], *, context_type: type = Context) -> Signature:
    """Describe a function.

    >>> def add(a: int, b: int = 1) -> int:
    ...     "Add two integers."
    ...     return a + b
    >>> describe(add).validate({"a": 2})
    {'a': 2, 'b': 1}

    Args:
        function: A function, method, partial, class or callable object, plain or async.
        context_type: Parameters of this type are passed in and kept out of the schema.

    Raises:
        DeclarationError: A parameter or the result can't be described; the message names it and where it stands.
    """
    return _Describer(function, context_type).describe()


class _Describer:
    """The steps of one description, and what they share."""

    def __init__(self, function: Callable[..., Any], context_type: type) -> None:
        self.function = function
        self.context_type = context_type
        self.root = root_function(function)
        self.name: str = getattr(function, "__name__", "") or getattr(self.root, "__name__", "function")
        try:
            self.signature = inspect.signature(function)
        except (TypeError, ValueError) as error:
            raise self._error("has no signature", error) from error

    def describe(self) -> Signature:
        docs = self._docs()
        context, fields, positional = self._fields(docs)
        extras = fields.pop(_EXTRA, None)
        arguments = self._adapter(fields, _INPUT)
        schema = self._input_schema(fields, extras)
        result, output_schema = self._result()
        return Signature(
            name=self.name,
            description=docs.description,
            input_schema=schema,
            output_schema=output_schema,
            context_parameter=context,
            single_text=_single_text(schema),
            is_async=_is_async(self.function),
            _arguments=arguments,
            _extras=None if extras is None else self._extras(extras),
            _known=frozenset(schema.get("properties", ())),
            _result=result,
            _positional=positional,
        )

    def _docs(self) -> Docstring:
        target = self.function
        while hasattr(target, "func") and hasattr(target, "keywords"):
            target = target.func  # a partial's own docstring is functools'
        text = inspect.getdoc(target) if inspect.isroutine(target) or inspect.isclass(target) else None
        text = text or inspect.getdoc(self.root)
        if not text and not inspect.isroutine(target):
            text = inspect.getdoc(type(target))
        return parse_docstring(text)

    def _fields(self, docs: Docstring) -> tuple[str | None, dict[str, Any], tuple[str, ...]]:
        context: str | None = None
        fields: dict[str, Any] = {}
        positional: list[str] = []
        for parameter in self.signature.parameters.values():
            name = parameter.name
            if parameter.kind is parameter.VAR_POSITIONAL:
                raise self._error(
                    f"takes *{name}, which has no name to call it by; take a list instead", parameter=name
                )
            annotation = self._resolved(parameter)
            if annotation is _CONTEXT:
                if context is not None:
                    raise self._error(f"takes the context twice, as {context!r} and {name!r}", parameter=name)
                context = name
            elif parameter.kind is parameter.VAR_KEYWORD:
                fields.update(self._keywords(annotation, docs))
            else:
                fields[name] = _field(annotation, parameter.default, docs.parameters.get(name))
            if parameter.kind is parameter.POSITIONAL_ONLY:
                positional.append(name)
        return context, fields, tuple(positional)

    def _keywords(self, annotation: Any, docs: Docstring) -> dict[str, Any]:
        if get_origin(annotation) in (typing.Unpack, typing_extensions.Unpack):
            typed_dict = get_args(annotation)[0]
            hints = typing_extensions.get_type_hints(typed_dict, include_extras=True)
            found: dict[str, Any] = {}
            for name, hint in hints.items():
                item = _field(modernised(unqualified(hint)), inspect.Parameter.empty, docs.parameters.get(name))
                found[name] = qualified(item, required=is_required(typed_dict, name, hint))
            return found
        return {_EXTRA: annotation}

    def _resolved(self, parameter: inspect.Parameter) -> Any:
        annotation = parameter.annotation
        if annotation is parameter.empty:
            return Any
        try:
            resolved = resolve_annotation(annotation, self.root)
        except _UNDESCRIBABLE as error:
            if isinstance(annotation, str) and context_annotation(annotation, self.context_type):
                return _CONTEXT  # Context imported for type checkers only
            raise self._error(f"{annotation!r} can't be resolved", error, parameter=parameter.name) from error
        return _CONTEXT if context_annotation(resolved, self.context_type) else modernised(resolved)

    def _adapter(self, fields: Mapping[str, Any], config: ConfigDict) -> TypeAdapter[Any]:
        try:
            return _typed_dict(fields, config)
        except _UNDESCRIBABLE as error:
            raise self._blame(fields, config, error) from error

    def _blame(self, fields: Mapping[str, Any], config: ConfigDict, error: BaseException) -> DeclarationError:
        for name, annotation in fields.items():
            try:
                schema_of(_typed_dict({name: annotation}, config), mode="validation")
            except _UNDESCRIBABLE as own:
                return self._error("can't be described as JSON", own, parameter=name)
        return self._error("can't be described as JSON", error)

    def _input_schema(self, fields: Mapping[str, Any], extras: Any) -> dict[str, Any]:
        every = dict(fields) if extras is None else {**fields, _EXTRA: extras}
        adapter = self._adapter(every, _INPUT)
        try:
            schema = schema_of(adapter, mode="validation")
        except _UNDESCRIBABLE as error:
            raise self._blame(every, _INPUT, error) from error
        schema.setdefault("properties", {})
        if extras is not None:
            schema["additionalProperties"] = schema["properties"].pop(_EXTRA) or True
            schema["required"] = [name for name in schema.get("required", ()) if name != _EXTRA]
            if not schema["required"]:
                del schema["required"]
        return schema

    def _extras(self, annotation: Any) -> TypeAdapter[Any]:
        return TypeAdapter(dict[str, annotation], config=ConfigDict(val_json_bytes="base64"))

    def _result(self) -> tuple[TypeAdapter[Any] | None, dict[str, Any] | None]:
        annotation = self.signature.return_annotation
        if annotation is inspect.Signature.empty or inspect.isclass(self.function):
            return None, None
        try:
            annotation = modernised(resolve_annotation(annotation, self.root))
        except _UNDESCRIBABLE as error:
            raise self._error(f"{annotation!r} can't be resolved", error, parameter="return") from error
        if _undescribed(annotation):
            return None, None
        try:
            # Wrapped in a tuple because an adapter of a model takes no configuration from outside.
            adapter: TypeAdapter[Any] = TypeAdapter(tuple[annotation], config=_OUTPUT)  # type: ignore[valid-type]
            if annotation in (None, types.NoneType):
                return adapter, None
            return adapter, schema_of(adapter, mode="serialization", item=0)
        except _UNDESCRIBABLE as error:
            raise self._error("can't be described as JSON", error, parameter="return") from error

    def _error(
        self, problem: str, cause: BaseException | None = None, *, parameter: str | None = None
    ) -> DeclarationError:
        code = getattr(self.root, "__code__", None)
        where = f" ({code.co_filename}:{code.co_firstlineno})" if code is not None else ""
        what = {None: "", "return": "its return annotation "}.get(parameter, f"parameter {parameter!r} ")
        why = f": {_reason(cause)}" if cause is not None and str(cause).strip() else ""
        return DeclarationError(f"function {self.name!r}{where}: {what}{problem}{why}")


_CONTEXT: Any = object()


def _reason(cause: BaseException) -> str:
    if isinstance(cause, PydanticSchemaGenerationError):
        kind = str(cause).partition("schema for ")[2].partition(". Set")[0]
        return f"pydantic knows no schema for {kind}; use plain data, a dataclass, a TypedDict or a model"
    return str(cause).strip().splitlines()[0]


def _field(annotation: Any, default: Any, description: str | None) -> Any:
    """Put a parameter's default and its documentation beside its annotation."""
    extra: list[Any] = []
    given = [item for item in getattr(annotation, "__metadata__", ()) if isinstance(item, FieldInfo)]
    if isinstance(default, FieldInfo):
        given.append(default)
        extra.append(default)
    elif default is not inspect.Parameter.empty:
        extra.append(Field(default=default))
    if description and not any(item.description for item in given):
        extra.append(Field(description=description))
    return Annotated[(annotation, *extra)] if extra else annotation


def _typed_dict(fields: Mapping[str, Any], config: ConfigDict) -> TypeAdapter[Any]:
    typed_dict = make_typed_dict("Arguments", dict(fields))
    typed_dict.__pydantic_config__ = config
    return TypeAdapter(typed_dict)


def _encoded(arguments: Mapping[str, Any]) -> bytes:
    try:
        return to_json(arguments, inf_nan_mode="constants")
    except (PydanticSerializationError, ValueError, RecursionError) as error:
        raise _refusal("arguments", "not_json", "{reason}", arguments, {"reason": str(error)}) from error


def _undescribed(annotation: Any) -> bool:
    """Whether a result so annotated is not described: anything, an iterator, or content other than data."""
    if annotation in (Any, object, inspect.Signature.empty, typing.NoReturn, typing.Never):
        return True
    origin = get_origin(annotation)
    if origin is Annotated:
        return _undescribed(get_args(annotation)[0])
    bare = origin or annotation
    if inspect.isclass(bare) and issubclass(bare, (*_CONTENT, *_ITERATORS)):
        return True
    if origin in (list, tuple, typing.Union, types.UnionType, collections.abc.Sequence):
        return any(_holds_content(part) for part in get_args(annotation))
    return False


def _holds_content(annotation: Any) -> bool:
    return annotation not in (Any, object) and _undescribed(annotation)


def _single_text(schema: Mapping[str, Any]) -> str | None:
    properties: dict[str, Any] = schema["properties"]
    candidates = list(properties) if len(properties) == 1 else schema.get("required", [])
    if len(candidates) != 1:
        return None
    return candidates[0] if properties.get(candidates[0], {}).get("type") == "string" else None


def _is_async(function: Callable[..., Any]) -> bool:
    while hasattr(function, "func") and hasattr(function, "keywords"):
        function = function.func
    return inspect.iscoroutinefunction(function) or (
        not inspect.isroutine(function)
        and not inspect.isclass(function)
        and inspect.iscoroutinefunction(type(function).__call__)
    )


def _refusal(title: str, kind: Any, message: Any, value: Any, context: dict[str, Any]) -> ValidationError:
    error = PydanticCustomError(kind, message, context)
    return ValidationError.from_exception_data(title, [{"type": error, "loc": (), "input": value}])


def _without_wrapper(title: str, error: ValidationError) -> ValidationError:
    """Take the adapter's own tuple off the places that an error names."""
    lines: list[Any] = []
    for line in error.errors(include_url=False):
        kind = PydanticCustomError(line["type"], "{reason}", {"reason": line["msg"]})
        lines.append({"type": kind, "loc": line["loc"][1:], "input": line["input"]})
    return ValidationError.from_exception_data(title, lines)
