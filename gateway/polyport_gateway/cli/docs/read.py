"""``polyport docs read``."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import typer

from polyport.errors import ConfigurationError
from polyport.types.documents import DocumentForm
from polyport_gateway.cli.docs.inputs import Input
from polyport_gateway.cli.docs.output import OutputExistsError, OutputFolder
from polyport_gateway.cli.docs.run import Refused, Run
from polyport_gateway.cli.docs.show import on_one_line, show_receipt, write_text
from polyport_gateway.cli.output import style
from polyport_gateway.knowledge.documents import Parsed
from polyport_gateway.reading.forms import SUFFIXES, receipt_form, rendered, result_form

__all__ = ["Reading", "read_files"]


@dataclass(frozen=True, slots=True)
class Reading:
    """What to do with documents.

    Attributes:
        to: What to give them as; markdown where it is None.
        receipt: Whether to show receipts.
        output: A folder for them.
        pictures: A folder for their pictures.
        force: Whether to replace files.
        as_json: Whether to print JSON.
    """

    to: DocumentForm | None
    receipt: bool
    output: Path | None
    pictures: Path | None
    force: bool
    as_json: bool


def read_files(run: Run, reading: Reading) -> None:
    """Read files, and print or write what they hold.

    Raises:
        ConfigurationError: A folder can't be made.
        typer.Exit: Something could not be read.
    """
    writer = _Writer(run, reading)
    run.each(writer.take, as_json=reading.as_json)


class _Writer:
    def __init__(self, run: Run, reading: Reading) -> None:
        self._alone = run.alone
        self._reading = reading
        self._to: DocumentForm = reading.to or "markdown"
        self._output = None if reading.output is None else OutputFolder(reading.output, force=reading.force)
        self._pictures = None if reading.pictures is None else OutputFolder(reading.pictures, force=reading.force)
        if reading.output is not None and reading.output == reading.pictures:
            self._pictures = self._output
        # A receipt is what was asked for, and not the document, unless that was asked for as well.
        self._shows_document = not reading.receipt or (reading.to is not None and reading.output is None)

    def take(self, given: Input, parsed: Parsed) -> None:
        """Print or write one document."""
        content, written = self._written(given, parsed)
        if self._reading.as_json:
            self._print_json(given, parsed, written)
            return
        if self._reading.receipt:
            show_receipt(given.label, parsed.receipt, err=self._shows_document)
        if self._shows_document and self._output is None and content is not None:
            self._print(given, content)

    def _written(self, given: Input, parsed: Parsed) -> tuple[str | None, list[Path]]:
        """Write what goes into folders; return what goes to standard output, too."""
        written: list[Path] = []
        content: str | None = None
        try:
            pictures = {} if self._pictures is None else self._pictures.write_pictures(given.place, parsed.document)
            if self._output is not None or self._shows_document:
                content = rendered(parsed.document, self._to)
            if self._output is not None and content is not None:
                path = self._output.claim(given.place, SUFFIXES[self._to])
                content = self._linked(content, pictures, path.parent)
                self._output.write(path, content.encode("utf-8", "surrogatepass"))
                written.append(path)
            elif content is not None:
                content = self._linked(content, pictures, Path())
        except OutputExistsError as error:
            raise Refused(str(error), "output_exists") from None
        except OSError as error:
            raise ConfigurationError(f"{error.filename or 'a file'} can't be written: {error.strerror}") from error
        return content, [*written, *pictures.values()]

    def _linked(self, content: str, pictures: Mapping[str, Path], folder: Path) -> str:
        """Let a page point to its pictures where they were written."""
        if self._to in ("markdown", "html"):
            for sha256, path in pictures.items():
                content = content.replace(f"asset:{sha256}", quote(os.path.relpath(path, folder)))
        return content

    def _print(self, given: Input, content: str) -> None:
        if not self._alone:
            typer.echo(style(f"==> {on_one_line(given.label)} <==", bold=True))
        write_text(content)
        if not self._alone:
            typer.echo()

    def _print_json(self, given: Input, parsed: Parsed, written: list[Path]) -> None:
        found = {"file": given.label}
        if self._shows_document and self._output is None:
            result = result_form(parsed, self._to, assets=self._to == "json").model_dump(mode="json", exclude_none=True)
        else:
            result = {"receipt": receipt_form(parsed.receipt).model_dump(mode="json")}
        if written:
            result["written"] = [str(path) for path in written]
        typer.echo(json.dumps({**found, **result}, ensure_ascii=True))
