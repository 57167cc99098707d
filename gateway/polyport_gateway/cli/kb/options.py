"""Options that several commands take."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

import typer

from polyport_gateway.cli.connection import ApiKey, AppTarget, Url

__all__ = [
    "ApiKey", "AppTarget", "AsJSON", "DataDir", "Filters", "Hops", "Limit", "Mode", "Name", "Names", "NoWait", "Rerank",
    "SearchMode", "Url", "chosen",
]  # fmt: skip

SearchMode: TypeAlias = Literal["auto", "hybrid", "dense", "bm25"]

Name = Annotated[str, typer.Argument(help="The knowledge base: see polyport kb ls.", show_default=False)]
Names = Annotated[
    str,
    typer.Argument(help="A knowledge base, several with commas, or all: those that matter.", show_default=False),
]
DataDir = Annotated[
    Path | None, typer.Option(metavar="FOLDER", help="Folder of the app's state, with --app [.polyport].")
]
AsJSON = Annotated[bool, typer.Option("--json", help="Print JSON.")]
NoWait = Annotated[bool, typer.Option("--no-wait", help="Leave the job to go on, and say its id.")]
Limit = Annotated[int, typer.Option("--limit", "-n", min=1, max=100, help="Passages.")]
Mode = Annotated[SearchMode | None, typer.Option(help="How to find [auto: by words and vectors where there are any].")]
Filters = Annotated[
    list[str] | None,
    typer.Option("--where", metavar="KEY=VALUE", help="Only documents with this metadata. Can be given again."),
]
Hops = Annotated[bool | None, typer.Option("--hops/--no-hops", help="Follow links between documents, or not.")]
Rerank = Annotated[bool | None, typer.Option("--rerank/--no-rerank", help="Use the base's reranker, or not.")]


def chosen(**options: Any) -> dict[str, Any]:
    """Return the options that were given."""
    return {name: value for name, value in options.items() if value is not None}
