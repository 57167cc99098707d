"""The commands and their options; each imports what it needs when it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from polyport_gateway.cli.kb.options import (
    ApiKey,
    AppTarget,
    AsJSON,
    DataDir,
    Filters,
    Hops,
    Limit,
    Mode,
    Name,
    Names,
    NoWait,
    Rerank,
    Url,
    chosen,
)
from polyport_gateway.cli.kb.target import Target
from polyport_gateway.cli.output import command

__all__ = ["app"]

app = typer.Typer(
    help="Make, fill, search and ask knowledge bases: of a gateway, or with --app of an app in this process.",
    no_args_is_help=True,
)


@app.command("create")
@command
def create(
    name: Annotated[str, typer.Argument(help="Its one name on every wire.", show_default=False)],
    source: Annotated[
        list[str] | None,
        typer.Option(help="A folder, file or address that the gateway takes in. Can be given again."),
    ] = None,
    description: Annotated[str | None, typer.Option(help="What it is about; questions are routed by it.")] = None,
    embedder: Annotated[
        list[str] | None, typer.Option(metavar="MODEL", help="Makes vectors; by words alone without. Can be repeated.")
    ] = None,
    reranker: Annotated[str | None, typer.Option(metavar="MODEL", help="Orders what was found.")] = None,
    model: Annotated[str | None, typer.Option(metavar="MODEL", help="Writes answers; else they are sentences.")] = None,
    chunker: Annotated[str | None, typer.Option(help='Such as "Sentences(max_tokens=256)" [by document].')] = None,
    index: Annotated[str, typer.Option(help="The kind of index.")] = "qdrant-edge",
    field: Annotated[
        list[str] | None, typer.Option(metavar="NAME=TYPE", help="Metadata to index: year=integer. Can be repeated.")
    ] = None,
    keywords: Annotated[str | None, typer.Option(metavar="FUNCTION", help="A registered function's keywords.")] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Look at the sources again and again.")] = False,
    app: AppTarget = None,
    url: Url = None,
    api_key: ApiKey = None,
    data_dir: DataDir = None,
    as_json: AsJSON = False,
) -> None:
    """Make a knowledge base, and take in its sources."""
    from polyport_gateway.cli.kb.changing import create_base, fields_of

    options = chosen(
        sources=source or None,
        description=description,
        embedder=embedder or None,
        reranker=reranker,
        model=model,
        chunker=chunker,
        index=index,
        fields=fields_of(field or []),
        keywords=keywords,
        watch=watch or None,
    )
    create_base(Target(app, url, api_key, data_dir), name, options, as_json=as_json)


@app.command("add")
@command
def add(
    name: Name,
    places: Annotated[
        list[str],
        typer.Argument(
            metavar="PATH…",
            help="Files, folders with all in them, addresses, or - for standard input.",
            show_default=False,
        ),
    ],
    meta: Annotated[
        list[str] | None,
        typer.Option("--meta", metavar="KEY=VALUE", help="To filter by: year=2025; KEY:=JSON for any value."),
    ] = None,
    tag: Annotated[list[str] | None, typer.Option(help="Can be given again.")] = None,
    key: Annotated[str | None, typer.Option(help="What the one document is known by [its path].")] = None,
    chunker: Annotated[str | None, typer.Option(help="Instead of the base's own.")] = None,
    hidden: Annotated[bool, typer.Option("--hidden", help="Take hidden files of folders, too.")] = False,
    create_: Annotated[bool, typer.Option("--create", help="Make the base where there is none.")] = False,
    receipts: Annotated[bool, typer.Option("--receipts", help="List what came of each document.")] = False,
    no_wait: NoWait = False,
    app: AppTarget = None,
    url: Url = None,
    api_key: ApiKey = None,
    data_dir: DataDir = None,
    as_json: AsJSON = False,
) -> None:
    """Add documents, or replace those known by the same paths; what has not changed costs next to nothing.

    What can't be read stops nothing else, and is listed at the end. Leaves with 1 if there was any.
    """
    from polyport_gateway.cli.kb.adding import Adding, add_documents

    adding = Adding(
        name=name,
        places=places,
        metadata=meta or [],
        tags=tag or [],
        key=key,
        chunker=chunker,
        hidden=hidden,
        create=create_,
        wait=not no_wait,
        receipts=receipts,
        as_json=as_json,
    )
    add_documents(Target(app, url, api_key, data_dir), adding)


@app.command("search")
@command
def search(
    names: Names,
    query: Annotated[str, typer.Argument(help="What to look for.", show_default=False)],
    limit: Limit = 5,
    where: Filters = None,
    mode: Mode = None,
    hops: Hops = None,
    rerank: Rerank = None,
    whole: Annotated[bool, typer.Option("--whole", help="Show passages whole, however long.")] = False,
    app: AppTarget = None,
    url: Url = None,
    api_key: ApiKey = None,
    data_dir: DataDir = None,
    as_json: AsJSON = False,
) -> None:
    """Find passages: where each stands, what matches, and why it was chosen.

    In a pipe each is a line: score, knowledge base, title, place, text.
    """
    from polyport_gateway.cli.kb.adding import pairs
    from polyport_gateway.cli.kb.searching import search_bases

    filters = pairs(where or [], "--where") or None
    options = chosen(limit=limit, filter=filters, mode=mode, hops=hops, rerank=rerank)
    search_bases(Target(app, url, api_key, data_dir), names, query, options, whole=whole, as_json=as_json)


@app.command("ask")
@command
def ask(
    names: Names,
    question: Annotated[
        str | None,
        typer.Argument(help="The question; without it, standard input, or a conversation.", show_default=False),
    ] = None,
    model: Annotated[
        str | None, typer.Option(metavar="MODEL", help="Writes the answer; none for sentences as they are.")
    ] = None,
    limit: Limit = 5,
    where: Filters = None,
    mode: Mode = None,
    hops: Hops = None,
    rerank: Rerank = None,
    app: AppTarget = None,
    url: Url = None,
    api_key: ApiKey = None,
    data_dir: DataDir = None,
    as_json: AsJSON = False,
) -> None:
    """Answer a question from documents, with the sources below; or questions that follow each other.

    In a conversation Ctrl-C stops the answer and Ctrl-D leaves.
    """
    import sys

    from polyport.errors import ConfigurationError
    from polyport_gateway.cli.kb.adding import pairs
    from polyport_gateway.cli.kb.asking import ask_bases, converse

    target = Target(app, url, api_key, data_dir)
    filters = pairs(where or [], "--where") or None
    options = chosen(limit=limit, filter=filters, mode=mode, hops=hops, rerank=rerank, model=model)
    if question is None and sys.stdin.isatty() and not as_json:
        converse(target, names, options)
        return
    question = question if question is not None else sys.stdin.read().strip()
    if not question.strip():
        raise ConfigurationError("there is nothing to ask: give a question, or text on standard input")
    ask_bases(target, names, question, options, as_json=as_json)


@app.command("ls")
@command
def ls(
    name: Annotated[str | None, typer.Argument(help="List this one's documents.", show_default=False)] = None,
    query: Annotated[str | None, typer.Option(help="What is in their titles or paths.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Documents.")] = 1000,
    failed: Annotated[bool, typer.Option("--failed", help="Those that could not be read, and why.")] = False,
    app: AppTarget = None,
    url: Url = None,
    api_key: ApiKey = None,
    data_dir: DataDir = None,
    as_json: AsJSON = False,
) -> None:
    """List knowledge bases, or the documents of one."""
    from polyport_gateway.cli.kb.listing import list_bases, list_documents

    target = Target(app, url, api_key, data_dir)
    if name is None:
        list_bases(target, as_json=as_json)
    else:
        list_documents(target, name, query=query, limit=limit, failed=failed, as_json=as_json)


@app.command("show")
@command
def show(
    name: Name,
    document: Annotated[
        str | None, typer.Argument(help="A document's id, or what it is known by.", show_default=False)
    ] = None,
    text: Annotated[bool, typer.Option("--text", help="Print the document's text.")] = False,
    app: AppTarget = None,
    url: Url = None,
    api_key: ApiKey = None,
    data_dir: DataDir = None,
    as_json: AsJSON = False,
) -> None:
    """Show a knowledge base, or a document of it."""
    from polyport_gateway.cli.kb.listing import show_base, show_document

    target = Target(app, url, api_key, data_dir)
    if document is None:
        show_base(target, name, as_json=as_json)
    else:
        show_document(target, name, document, text=text, as_json=as_json)


@app.command("rm")
@command
def rm(
    name: Name,
    documents: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="DOCUMENT…",
            help="Ids, paths, or patterns such as 'old/*.md'; the whole base without.",
            show_default=False,
        ),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be removed.")] = False,
    app: AppTarget = None,
    url: Url = None,
    api_key: ApiKey = None,
    data_dir: DataDir = None,
    as_json: AsJSON = False,
) -> None:
    """Remove documents, or a whole knowledge base; asks first."""
    from polyport_gateway.cli.kb.changing import remove

    target = Target(app, url, api_key, data_dir)
    remove(target, name, documents or [], yes=yes, dry_run=dry_run, as_json=as_json)


@app.command("refresh")
@command
def refresh(
    name: Name,
    no_wait: NoWait = False,
    app: AppTarget = None,
    url: Url = None,
    api_key: ApiKey = None,
    data_dir: DataDir = None,
    as_json: AsJSON = False,
) -> None:
    """Look at a base's sources again: what is new, what has changed, what is gone."""
    from polyport_gateway.cli.kb.changing import refresh_base

    refresh_base(Target(app, url, api_key, data_dir), name, wait=not no_wait, as_json=as_json)


@app.command("reindex")
@command
def reindex(
    name: Name,
    chunker: Annotated[str | None, typer.Option(help='Such as "Sentences(max_tokens=256)".')] = None,
    embedder: Annotated[
        list[str] | None, typer.Option(metavar="MODEL", help="Makes vectors; none for words alone. Can be repeated.")
    ] = None,
    index: Annotated[str | None, typer.Option(help="The kind of index.")] = None,
    field: Annotated[
        list[str] | None, typer.Option(metavar="NAME=TYPE", help="Metadata to index: year=integer. Can be repeated.")
    ] = None,
    no_wait: NoWait = False,
    app: AppTarget = None,
    url: Url = None,
    api_key: ApiKey = None,
    data_dir: DataDir = None,
    as_json: AsJSON = False,
) -> None:
    """Build a base anew, beside what serves until it is done."""
    from polyport_gateway.cli.kb.changing import fields_of, reindex_base

    changes = chosen(chunker=chunker, index=index, fields=fields_of(field or []))
    if embedder:
        changes["embedder"] = None if embedder == ["none"] else embedder
    reindex_base(Target(app, url, api_key, data_dir), name, changes, wait=not no_wait, as_json=as_json)


@app.command("rekey")
@command
def rekey(
    name: Name,
    function: Annotated[str | None, typer.Option(help="A registered function; none for the one built in.")] = None,
    version: Annotated[int | None, typer.Option(min=1, help="Of the function [one more than before].")] = None,
    when: Annotated[
        Literal["batch", "deferred"] | None,
        typer.Option(help="Renew all documents now, or each when it changes [as the base has it]."),
    ] = None,
    no_wait: NoWait = False,
    app: AppTarget = None,
    url: Url = None,
    api_key: ApiKey = None,
    data_dir: DataDir = None,
    as_json: AsJSON = False,
) -> None:
    """Make keywords by another function, or another version of it."""
    from polyport_gateway.cli.kb.changing import rekey_base

    changes = chosen(version=version, batch=None if when is None else when == "batch")
    if function is not None:
        changes["function"] = None if function == "none" else function
    rekey_base(Target(app, url, api_key, data_dir), name, changes, wait=not no_wait, as_json=as_json)


@app.command("jobs")
@command
def jobs(
    which: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME|JOB", help="Those of a knowledge base; or one job, to follow.", show_default=False
        ),
    ] = None,
    cancel: Annotated[bool, typer.Option("--cancel", help="Cancel the job; what it has finished stays.")] = False,
    app: AppTarget = None,
    url: Url = None,
    api_key: ApiKey = None,
    data_dir: DataDir = None,
    as_json: AsJSON = False,
) -> None:
    """List jobs, or follow one to its end."""
    from polyport_gateway.cli.kb.listing import show_jobs

    show_jobs(Target(app, url, api_key, data_dir), which, cancel=cancel, as_json=as_json)


@app.command("log")
@command
def log(
    name: Name,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=1000, help="Lines.")] = 50,
    app: AppTarget = None,
    url: Url = None,
    api_key: ApiKey = None,
    data_dir: DataDir = None,
    as_json: AsJSON = False,
) -> None:
    """Show what has happened to a knowledge base, the newest first."""
    from polyport_gateway.cli.kb.listing import show_log

    show_log(Target(app, url, api_key, data_dir), name, limit=limit, as_json=as_json)


@app.command("eval")
@command
def evaluate(
    questions: Annotated[
        Path, typer.Argument(help="Questions with what is right: JSON, JSON lines or CSV.", show_default=False)
    ],
    name: Annotated[
        str, typer.Option(help='What to ask: names, and how: "handbook; mode=bm25; hops=false" [all].')
    ] = "",
    against: Annotated[
        str | None, typer.Option(metavar="CONFIG", help="Another such, to compare with; the rest is as in the first.")
    ] = None,
    k: Annotated[
        list[int] | None, typer.Option("-k", min=1, max=100, help="Where rankings are cut [1, 5, 10].")
    ] = None,
    answers: Annotated[bool, typer.Option("--answers", help="Ask as well, and judge the citations.")] = False,
    at_once: Annotated[int, typer.Option(min=1, max=64, help="Questions asked at a time.")] = 1,
    details: Annotated[bool, typer.Option("--details", help="List what was missed, or what has changed.")] = False,
    app: AppTarget = None,
    url: Url = None,
    api_key: ApiKey = None,
    data_dir: DataDir = None,
    as_json: AsJSON = False,
) -> None:
    """Say how good search and answers are, for any questions; of two configurations, which is better."""
    from polyport_gateway.cli.kb.evaluating import Evaluating, evaluate_bases

    evaluating = Evaluating(
        questions=questions,
        first=name,
        second=against,
        ks=tuple(k or (1, 5, 10)),
        ask=answers,
        concurrency=at_once,
        details=details,
        as_json=as_json,
    )
    evaluate_bases(Target(app, url, api_key, data_dir), evaluating)
