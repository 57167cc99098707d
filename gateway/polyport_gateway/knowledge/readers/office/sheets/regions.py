"""Where the tables on a sheet are: rectangles that empty rows and columns hold apart."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from .sheet import Area

__all__ = ["find_regions"]

Columns = Mapping[int, Sequence[int]]  # the filled columns of each row, both ascending


def find_regions(rows: Mapping[int, Sequence[int]], merged: Iterable[Area], tables: Sequence[Area]) -> list[Area]:
    """Find the rectangles of filled cells, from top to bottom and left to right.

    Args:
        rows: The filled columns of each row.
        merged: Areas that are filled as a whole.
        tables: Areas that the file itself calls tables; each is a region, whatever is empty in it.
    """
    filled: dict[int, set[int]] = {row: set(columns) for row, columns in rows.items()}
    for top, left, bottom, right in merged:
        if left in filled.get(top, ()):
            for row in range(top, bottom + 1):
                filled.setdefault(row, set()).update(range(left, right + 1))
    for top, left, bottom, right in tables:
        span = set(range(left, right + 1))
        for row in range(top, bottom + 1):
            if row in filled:
                filled[row] -= span
    found = [*tables, *_split({row: columns for row, columns in sorted(filled.items()) if columns})]
    return sorted(found)


def _split(filled: dict[int, set[int]]) -> list[Area]:
    """Cut along empty rows, then along empty columns, until nothing more comes apart."""
    found: list[Area] = []
    waiting = [filled]
    while waiting:
        part = waiting.pop()
        bands = list(_bands(part))
        pieces = [piece for band in bands for piece in _blocks(band)]
        if len(pieces) == 1:
            band, (left, right) = pieces[0]
            found.append((min(band), left, max(band), right))
        else:
            waiting += [band for band, _ in pieces]
    return found


def _bands(filled: dict[int, set[int]]) -> Iterable[dict[int, set[int]]]:
    band: dict[int, set[int]] = {}
    last = None
    for row, columns in filled.items():
        if last is not None and row > last + 1:
            yield band
            band = {}
        band[row] = columns
        last = row
    if band:
        yield band


def _blocks(band: dict[int, set[int]]) -> Iterable[tuple[dict[int, set[int]], tuple[int, int]]]:
    columns = sorted(set().union(*band.values()))
    start = 0
    for index in range(1, len(columns) + 1):
        if index < len(columns) and columns[index] == columns[index - 1] + 1:
            continue
        left, right = columns[start], columns[index - 1]
        if start == 0 and index == len(columns):
            yield band, (left, right)
        else:
            span = set(columns[start:index])
            yield {row: inside for row, whole in band.items() if (inside := whole & span)}, (left, right)
        start = index
