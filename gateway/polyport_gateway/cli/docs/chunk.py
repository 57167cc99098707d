"""``polyport docs chunk``."""

from __future__ import annotations

import json
from contextlib import ExitStack
from dataclasses import dataclass

import typer

from polyport.errors import CallError, ConfigurationError
from polyport_gateway.cli.docs.inputs import Input
from polyport_gateway.cli.docs.run import Run
from polyport_gateway.cli.docs.show import on_one_line, show_chunk
from polyport_gateway.cli.output import print_json, print_table, style
from polyport_gateway.knowledge.documents import Parsed
from polyport_gateway.knowledge.tokenizers import Tokenizer, get_tokenizer
from polyport_gateway.reading.forms import chunk_form
from polyport_gateway.reading.listing import describe_chunkers
from polyport_gateway.reading.models import GatewayModels
from polyport_gateway.reading.options import chunker_of

__all__ = ["Cutting", "chunk_files", "list_chunkers"]


@dataclass(frozen=True, slots=True)
class Cutting:
    """How to cut.

    Attributes:
        spec: The chunkers; `Auto` where it is None.
        max_tokens: Where they say nothing else.
        tokenizer: The same.
        model: For those that ask a language model and name none.
        embedder: For those that need vectors and say nothing else.
        url: A gateway, for those with a model.
        api_key: A key of it.
        as_json: Whether to print JSON.
    """

    spec: str | None
    max_tokens: int | None
    tokenizer: str | None
    model: str | None
    embedder: str | None
    url: str | None
    api_key: str | None
    as_json: bool


def chunk_files(run: Run, cutting: Cutting) -> None:
    """Read files and show their chunks.

    Raises:
        ConfigurationError: The chunkers can't be used.
        typer.Exit: Something could not be read.
    """
    with ExitStack() as stack:
        models = stack.enter_context(GatewayModels(cutting.url, cutting.api_key))
        try:
            step = chunker_of(
                cutting.spec,
                max_tokens=cutting.max_tokens,
                tokenizer=cutting.tokenizer,
                model=cutting.model,
                embedder=cutting.embedder,
                models=models.text_model,
                embedders=models.embedder,
                tokenizers=_tokenizer,
            )
        except CallError as error:
            raise ConfigurationError(error.message) from error

        def take(given: Input, parsed: Parsed) -> None:
            if not run.alone and not cutting.as_json:
                typer.echo(style(f"==> {on_one_line(given.label)} <==", bold=True))
            for chunk in step.stream(parsed.document):
                if cutting.as_json:
                    form = chunk_form(chunk).model_dump(mode="json")
                    typer.echo(json.dumps({"file": given.label, **form}))
                else:
                    show_chunk(chunk)

        run.each(take, as_json=cutting.as_json)


def _tokenizer(name: str) -> Tokenizer:
    return get_tokenizer(name)


def list_chunkers(*, as_json: bool) -> None:
    """List every chunker."""
    found = describe_chunkers()
    if as_json:
        for chunker in found:
            print_json(chunker.model_dump(mode="json"))
        return
    rows = []
    for chunker in found:
        settings = ", ".join(
            item.name if item.default is None else f"{item.name}={item.default}" for item in chunker.parameters
        )
        rows.append([chunker.name, chunker.summary, settings])
    print_table(["chunker", "what it does", "takes"], rows)
