"""Documents in a request's body: files in a form, taken as they come however large, or contents in JSON."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import IO, Any, TypeVar
from urllib.parse import parse_qsl, urlsplit

from pydantic import BaseModel, ValidationError

from polyport.errors import BadRequestError
from polyport.types.knowledge_requests import KnowledgeAddRequest, KnowledgeUpload
from polyport_gateway.errors import invalid_request
from polyport_gateway.knowledge.uploads import Upload
from polyport_gateway.settings import Settings
from polyport_gateway.wires.forms import FormFile, content_type_of, open_form
from polyport_gateway.wires.http import Receive, Scope, read_json, refuse_encoded

__all__ = ["Added", "integer", "open_added", "query_of", "read_model"]

Asked = TypeVar("Asked", bound=BaseModel)

_MOST_FILES = 256
_MOST_FIELDS = 1024
_AROUND = 64 << 20
"""Bytes that a request may have besides its largest file: other files, mostly."""
_LONGEST_KEY = 1024
_LIMIT = f"documents_max_bytes and {_AROUND >> 20} MiB"
_JSON_MEMBERS = frozenset({"documents", "metadata", "tags", "urls"})


@dataclass(frozen=True, slots=True)
class Added:
    """What is to be added.

    Attributes:
        asked: What was said.
        uploads: What was sent; their files are gone once the request is answered.
    """

    asked: KnowledgeAddRequest
    uploads: list[Upload]


@asynccontextmanager
async def open_added(scope: Scope, receive: Receive, settings: Settings) -> AsyncIterator[Added]:
    """Read what is to be added.

    Raises:
        BadRequestError: The body can't be understood, or has nothing to add.
        PayloadTooLargeError: It has too many bytes.
        ClientGoneError: The client went away before it was whole.
    """
    refuse_encoded(scope)
    kind = content_type_of(scope)
    if kind == "multipart/form-data":
        async with open_form(
            scope,
            receive,
            limit=settings.documents_max_bytes + _AROUND,
            setting=_LIMIT,
            timeout_s=settings.request_timeout_s,
            most_fields=_MOST_FIELDS,
            most_files=_MOST_FILES,
        ) as form:
            asked = _of_fields(form.fields)
            yield _checked(asked, _of_files(asked, form.files))
        return
    if kind not in ("application/json", ""):
        raise BadRequestError(
            f"The content type is {kind[:80]}; send files as multipart/form-data, members file, or JSON with documents "
            "and urls."
        )
    body = await read_json(
        scope, receive, settings=settings, limit=settings.documents_max_bytes * 4 // 3 + _AROUND, setting=_LIMIT
    )
    asked = _validated(KnowledgeAddRequest, body)
    yield _checked(asked, [_upload(asked, item, item.key, _content(item)) for item in asked.documents])


async def read_model(scope: Scope, receive: Receive, settings: Settings, kind: type[Asked]) -> Asked:
    """Read a JSON body of a type; none at all is one without members.

    Raises:
        BadRequestError: It is something else.
    """
    length = next((value for key, value in scope["headers"] if key == b"content-length"), None)
    chunked = any(key == b"transfer-encoding" for key, _ in scope["headers"])
    if length in (None, b"0") and not chunked:
        return _validated(kind, {})
    return _validated(kind, await read_json(scope, receive, settings=settings))


def query_of(scope: Scope, known: frozenset[str]) -> dict[str, str]:
    """Return a query's members.

    Raises:
        BadRequestError: One of them is not known.
    """
    pairs = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    for name, _ in pairs:
        if name not in known:
            raise BadRequestError(
                f"The query has {name[:80]!r}; what there is: {', '.join(sorted(known))}.", param=name[:80]
            )
    return dict(pairs)


def integer(query: dict[str, str], name: str, least: int, most: int) -> int | None:
    """Return a member of a query that is a whole number.

    Raises:
        BadRequestError: It is none, or out of bounds.
    """
    text = query.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit()) or not least <= int(text[:20]) <= most:
        raise BadRequestError(f"{name} is {text[:80]!r}; it must be a number from {least} to {most}.", param=name)
    return int(text)


def _validated(kind: type[Asked], body: dict[str, Any]) -> Asked:
    try:
        return kind.model_validate(body)
    except ValidationError as error:
        raise invalid_request(error) from error


def _of_fields(fields: Sequence[tuple[str, str]]) -> KnowledgeAddRequest:
    """Return what a form's plain members say; ``tag`` and ``url`` are one each, the others as in JSON."""
    body: dict[str, Any] = {}
    for name, text in fields:
        if name in ("tag", "url"):
            body.setdefault(f"{name}s", []).append(text)
        elif name in body:
            raise BadRequestError(f"The form has {name[:80]!r} twice.", param=name[:80])
        elif name in _JSON_MEMBERS:
            body[name] = _json(name, text)
        else:
            body[name] = text
    return _validated(KnowledgeAddRequest, body)


def _json(name: str, text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadRequestError(f"The form's member {name} is not valid JSON: {error}", param=name) from error


def _of_files(asked: KnowledgeAddRequest, files: Sequence[FormFile]) -> list[Upload]:
    for file in files:
        if file.member != "file":
            raise BadRequestError(
                f"The form has a file {file.member[:80]!r}; documents are its members file.", param=file.member[:80]
            )
    said = asked.documents
    if said and len(said) != len(files):
        raise BadRequestError(
            f"documents has {len(said)} entries and the form {len(files)} files; it says something of each, or is "
            "left out.",
            param="documents",
        )
    for item in said:
        if item.text is not None or item.base64 is not None:
            raise BadRequestError("A form has contents as files; text and base64 are for JSON.", param="documents")
    items = said or [KnowledgeUpload(key=file.name.replace("\\", "/")) for file in files]
    return [_upload(asked, item, item.key, file.file) for item, file in zip(items, files, strict=True)]


def _upload(asked: KnowledgeAddRequest, item: KnowledgeUpload, key: str, data: bytes | IO[bytes]) -> Upload:
    problem = None
    if not key.strip():
        problem = "is empty"
    elif len(key.encode("utf-8", "surrogatepass")) > _LONGEST_KEY:
        problem = f"is longer than {_LONGEST_KEY} bytes"
    elif not key.isprintable():
        problem = "has characters that can't be printed"
    elif urlsplit(key).scheme in ("http", "https"):
        problem = "is an address; addresses to fetch are urls"
    if problem is not None:
        raise BadRequestError(f"The key {key[:80]!r} {problem}.", param="key")
    return Upload(
        key=key,
        filename=PurePosixPath(key).name or key,
        data=data,
        metadata={**asked.metadata, **item.metadata},
        tags=tuple(dict.fromkeys((*asked.tags, *item.tags))),
        chunker=item.chunker or asked.chunker,
    )


def _content(item: KnowledgeUpload) -> bytes:
    if (item.text is None) == (item.base64 is None):
        raise BadRequestError(f"The document {item.key[:80]!r} must have one of text and base64.", param="documents")
    if item.text is not None:
        return item.text.encode("utf-8", "surrogatepass")
    try:
        return base64.b64decode(item.base64 or "", validate=True)
    except (ValueError, binascii.Error) as error:
        raise BadRequestError(f"base64 of {item.key[:80]!r} can't be decoded: {error}", param="documents") from error


def _checked(asked: KnowledgeAddRequest, uploads: list[Upload]) -> Added:
    if not uploads and not asked.urls:
        raise BadRequestError("There is nothing to add: send files as members file of a form, or documents or urls.")
    seen: set[str] = set()
    for upload in uploads:
        if upload.key in seen:
            raise BadRequestError(f"Two documents have the key {upload.key[:80]!r}.", param="documents")
        seen.add(upload.key)
    for url in asked.urls:
        if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).netloc:
            raise BadRequestError(f"{url[:200]!r} is no address of the kinds http and https.", param="urls")
    return Added(asked, uploads)
