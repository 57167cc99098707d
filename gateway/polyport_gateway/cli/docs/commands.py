"""The commands and their options; each imports what it needs when it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import typer

from polyport_gateway.cli.connection import ApiKey, Url
from polyport_gateway.cli.output import command

__all__ = ["app"]

app = typer.Typer(help="Read files as documents and cut them into chunks; no gateway is needed.", no_args_is_help=True)

Form: TypeAlias = Literal["markdown", "html", "json", "text"]

Files = Annotated[
    list[str], typer.Argument(metavar="FILE…", help="Files, folders with all in them, or - for standard input.")
]
Strict = Annotated[bool, typer.Option("--strict", help="Fail where anything of a file would be left out.")]
Password = Annotated[bool, typer.Option("--password", help="Ask for the password of encrypted files.")]
PasswordFile = Annotated[
    str | None, typer.Option(metavar="PATH", help="A file with the password in its first line; - for standard input.")
]
Format = Annotated[str | None, typer.Option(help="Read as this, whatever it looks like: docx, html …")]
Encoding = Annotated[str | None, typer.Option(help="Of text files, instead of the one detected.")]
Ocr = Annotated[
    Literal["auto", "never", "always"] | None, typer.Option(help="When to recognise text in pictures [auto].")
]
Engine = Annotated[str | None, typer.Option(help="Another engine than the readers' own, such as docling.")]
Name = Annotated[str | None, typer.Option(help="What to call standard input, so that its format is seen.")]
Hidden = Annotated[bool, typer.Option("--hidden", help="Read hidden files of folders, too.")]
Workers = Annotated[int | None, typer.Option(min=1, max=64, help="Files read at a time [by the processors].")]
Timeout = Annotated[float, typer.Option(metavar="SECONDS", min=0.1, help="For each file, and as much processor time.")]
MemoryMb = Annotated[int, typer.Option(min=64, help="MiB of memory for each file.")]
MaxMb = Annotated[int, typer.Option(min=1, help="MiB that a file may have.")]
AsJSON = Annotated[bool, typer.Option("--json", help="Print JSON, a line for each.")]


@app.command("read")
@command
def read(
    files: Files,
    to: Annotated[Form | None, typer.Option(help="What to give the documents as [markdown].")] = None,
    receipt: Annotated[
        bool, typer.Option("--receipt", help="Show what came of each file, in figures; with --to, the document too.")
    ] = False,
    output: Annotated[Path | None, typer.Option(metavar="FOLDER", help="Write a file for each document here.")] = None,
    pictures: Annotated[Path | None, typer.Option(metavar="FOLDER", help="Write the pictures found here.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace files that are there.")] = False,
    strict: Strict = False,
    password: Password = False,
    password_file: PasswordFile = None,
    format: Format = None,  # noqa: A002
    encoding: Encoding = None,
    ocr: Ocr = None,
    engine: Engine = None,
    name: Name = None,
    hidden: Hidden = False,
    workers: Workers = None,
    timeout: Timeout = 120.0,
    memory_mb: MemoryMb = 2048,
    max_mb: MaxMb = 256,
    as_json: AsJSON = False,
) -> None:
    """Read files, each in a process of its own with limits and without network.

    Documents go to standard output, or into a folder; what can't be read stops none of the others,
    and is listed at the end. Leaves with 1 if there was any.
    """
    from polyport_gateway.cli.docs.password import password_of
    from polyport_gateway.cli.docs.read import Reading, read_files
    from polyport_gateway.cli.docs.run import Run

    run = Run(
        files,
        name=name,
        hidden=hidden,
        workers=workers,
        timeout=timeout,
        memory_mb=memory_mb,
        max_mb=max_mb,
        options={
            "strict": strict or None,
            "password": password_of(ask=password, file=password_file, stdin_taken="-" in files),
            "format": format,
            "encoding": encoding,
            "ocr": ocr,
            "engine": engine,
        },
    )
    read_files(run, Reading(to=to, receipt=receipt, output=output, pictures=pictures, force=force, as_json=as_json))


@app.command("chunk")
@command
def chunk(
    files: Annotated[list[str] | None, typer.Argument(metavar="FILE…", help="As for docs read.")] = None,
    with_: Annotated[
        str | None,
        typer.Option("--with", metavar="CHUNKERS", help='Such as "ByHeading() | Sentences(max_tokens=256)" [Auto()].'),
    ] = None,
    max_tokens: Annotated[int | None, typer.Option(help="Of a chunk, where --with says nothing else.")] = None,
    tokenizer: Annotated[
        str | None, typer.Option(help="What counts: cl100k_base, o200k_base, estimate, or a tokenizer.json's path.")
    ] = None,
    model: Annotated[
        str | None, typer.Option(metavar="NAME", help="A gateway's model, for chunkers that ask one and name none.")
    ] = None,
    embedder: Annotated[
        str | None, typer.Option(metavar="NAME", help="A gateway's embedding model, for those that need one.")
    ] = None,
    list_: Annotated[bool, typer.Option("--list", help="List the chunkers instead, with what they take.")] = False,
    url: Url = None,
    api_key: ApiKey = None,
    strict: Strict = False,
    password: Password = False,
    password_file: PasswordFile = None,
    format: Format = None,  # noqa: A002
    encoding: Encoding = None,
    ocr: Ocr = None,
    engine: Engine = None,
    name: Name = None,
    hidden: Hidden = False,
    workers: Workers = None,
    timeout: Timeout = 120.0,
    memory_mb: MemoryMb = 2048,
    max_mb: MaxMb = 256,
    as_json: AsJSON = False,
) -> None:
    """Read files and show the chunks they are cut into: what retrieval will see.

    Chunkers that need a model ask a gateway for it: --with "ByHeading() | Summary()" --model qwen.
    """
    from polyport_gateway.cli.docs.chunk import Cutting, chunk_files, list_chunkers
    from polyport_gateway.cli.docs.password import password_of
    from polyport_gateway.cli.docs.run import Run

    if list_:
        list_chunkers(as_json=as_json)
        return
    if not files:
        raise typer.BadParameter("give at least one file, or --list", param_hint="FILE…")
    run = Run(
        files,
        name=name,
        hidden=hidden,
        workers=workers,
        timeout=timeout,
        memory_mb=memory_mb,
        max_mb=max_mb,
        options={
            "strict": strict or None,
            "password": password_of(ask=password, file=password_file, stdin_taken="-" in files),
            "format": format,
            "encoding": encoding,
            "ocr": ocr,
            "engine": engine,
            "pictures": False,
        },
    )
    cutting = Cutting(
        with_,
        max_tokens=max_tokens,
        tokenizer=tokenizer,
        model=model,
        embedder=embedder,
        url=url,
        api_key=api_key,
        as_json=as_json,
    )
    chunk_files(run, cutting)


@app.command("formats")
@command
def formats(as_json: AsJSON = False) -> None:
    """List the formats that can be read here, and what the others lack."""
    from polyport_gateway.cli.docs.formats import list_formats

    list_formats(as_json=as_json)
