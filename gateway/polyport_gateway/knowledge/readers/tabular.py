"""CSV and its kin: one table, however the file is parted, quoted and encoded."""

from __future__ import annotations

import csv
import io
import re
import time
from collections import Counter

from polyport_gateway.knowledge.documents import (
    DocumentBuilder,
    Parsed,
    Provenance,
    Receipt,
    Table,
    TableGrid,
    UnreadableDocumentError,
    source_of,
)

from .base import ReadOptions
from .detect import FORMATS, detect
from .text import decode

__all__ = ["TabularReader", "delimiter_of"]

_DELIMITERS = ",;\t|"
_SAMPLE_LINES = 200
_SAMPLE_CHARACTERS = 256 * 1024
_NUMBER = re.compile(r"[-+]?[\d.,\s]*\d[\d.,\s]*%?\Z")
_MOST_FIELD = 2**31 - 1


class TabularReader:
    """Finds the delimiter; the first row heads the columns unless it holds a number."""

    name = "tabular"
    formats = frozenset({"csv", "tsv"})

    def read(self, data: bytes, name: str, options: ReadOptions) -> Parsed:
        """Read delimited text.

        Raises:
            UnreadableDocumentError: It has more rows times columns than a table may have.
        """
        started = time.perf_counter()
        decoded = decode(data, name, options.encoding)
        format = options.format or detect(data, name).format  # noqa: A001
        text, warnings = decoded.text, list(decoded.warnings)
        declared = re.match(r"sep=(.)\n", text)
        text = text[declared.end() :] if declared else text
        delimiter = declared.group(1) if declared else delimiter_of(text, preferred="\t" if format == "tsv" else ",")
        rows = _rows(text, delimiter, name)
        builder = DocumentBuilder(source_of(data, name, FORMATS[format][0]))
        builder.metadata.update({"encoding": decoded.encoding, "delimiter": delimiter})
        if rows:
            widths = {len(row) for row in rows}
            if len(widths) > 1:
                warnings.append(f"The rows have {min(widths)} to {max(widths)} fields; short ones end in empty cells.")
            builder.add(Table(grid=_grid(rows, name), provenance=Provenance(cells=_range(len(rows), max(widths)))))
        document = builder.build()
        seconds = time.perf_counter() - started
        receipt = Receipt.of(document, reader=self.name, format=format, warnings=warnings, seconds=seconds)
        return Parsed(document, receipt)


def delimiter_of(text: str, preferred: str = ",") -> str:
    """Return the character that parts the fields: the one by which most rows have the same number of several fields."""
    sample = "\n".join(text[:_SAMPLE_CHARACTERS].split("\n")[:_SAMPLE_LINES])
    best, best_score = preferred, 0.0
    for delimiter in dict.fromkeys(preferred + _DELIMITERS):
        widths = Counter(len(row) for row in csv.reader(io.StringIO(sample, newline=""), delimiter=delimiter) if row)
        width, count = max(widths.items(), key=lambda item: (item[1], item[0]), default=(0, 0))
        # A row too many or too few is common; a delimiter that parts nothing is none.
        score = count / widths.total() + min(width, 20) / 1000 if width > 1 else 0.0
        if score > best_score:
            best, best_score = delimiter, score
    return best


def _rows(text: str, delimiter: str, name: str) -> list[list[str]]:
    csv.field_size_limit(_MOST_FIELD)
    try:
        return [row for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter) if row]
    except csv.Error as error:
        raise UnreadableDocumentError(name, f"its rows can't be told apart: {error}.") from None


def _grid(rows: list[list[str]], name: str) -> TableGrid:
    headed = len(rows) > 1 and not any(_NUMBER.match(field) for field in rows[0]) and any(rows[0])
    try:
        return TableGrid.from_rows(rows, header_rows=int(headed))
    except ValueError as error:
        raise UnreadableDocumentError(name, f"{error} Split the file.") from None


def _range(rows: int, columns: int) -> str:
    letters = ""
    while columns:
        columns, letter = divmod(columns - 1, 26)
        letters = chr(65 + letter) + letters
    return f"A1:{letters or 'A'}{rows}"
