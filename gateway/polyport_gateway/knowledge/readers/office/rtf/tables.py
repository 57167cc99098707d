"""A table's grid, from where its rows say that their cells end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from polyport_gateway.knowledge.documents import Block, TableGrid
from polyport_gateway.knowledge.readers.office.cells import header_depth, make_cell

__all__ = ["CellShape", "Row", "make_grid"]

_ALIKE = 40  # twips; edges that are closer are one
_MOST_COLUMNS = 2_000


@dataclass(frozen=True, slots=True)
class CellShape:
    """A cell as a row defines it.

    Args:
        right: Its right edge, in twips.
        across: ``first`` of cells merged with those right of it, ``next`` one of those; else empty.
        down: Likewise with those below it.
    """

    right: int
    across: str = ""
    down: str = ""


@dataclass(slots=True)
class Row:
    """A row: how its cells are cut, and what is in them."""

    left: int = 0
    shapes: list[CellShape] = field(default_factory=list)
    cells: list[list[Block]] = field(default_factory=list)
    header: bool = False


@dataclass(slots=True)
class _Place:
    row: int
    left: int
    right: int
    inside: list[Block]
    rows: int = 1


def make_grid(rows: Sequence[Row]) -> TableGrid:
    """Make the grid of rows whose cells may end in different places."""
    shaped = [_shapes(row) for row in rows]
    edges = _edges([row.left for row in rows] + [shape.right for shapes in shaped for shape in shapes])
    places: list[_Place] = []
    above: dict[int, _Place] = {}
    for number, (row, shapes) in enumerate(zip(rows, shaped, strict=True)):
        below: dict[int, _Place] = {}
        left = _nearest(edges, row.left)
        last: _Place | None = None
        for index, shape in enumerate(shapes):
            right = max(_nearest(edges, shape.right), left)
            inside = row.cells[index] if index < len(row.cells) else []
            origin = above.get(left)
            if shape.across == "next" and last is not None:
                last.right = max(right, last.right)
            elif shape.down == "next" and origin is not None and origin.right == right:
                origin.rows += 1
                below[left] = last = origin
            elif right > left:
                last = _Place(number, left, right, inside)
                places.append(last)
                below[left] = last
            left = right
        above = below
    marked = next((number for number, row in enumerate(rows) if not row.header), len(rows))
    top = [(place.rows, place.right - place.left) for place in places if place.row == 0]
    header = marked if 0 < marked < len(rows) else 0
    if header == 1:
        header = max(header, header_depth(top, len(rows)))
    cells = tuple(
        make_cell(
            (place.row, place.left),
            (place.rows, place.right - place.left),
            place.inside,
            column_header=place.row < header,
        )
        for place in places
    )
    return TableGrid(len(rows), max(len(edges) - 1, 0), cells)


def _shapes(row: Row) -> list[CellShape]:
    """Return a row's cells; those that it doesn't define stand behind the others, an inch wide."""
    shapes = row.shapes[:_MOST_COLUMNS]
    right = shapes[-1].right if shapes else row.left
    more = len(row.cells) - len(shapes)
    return shapes + [CellShape(right + 1440 * (index + 1)) for index in range(min(more, _MOST_COLUMNS))]


def _edges(found: Sequence[int]) -> list[int]:
    edges: list[int] = []
    for edge in sorted(set(found)):
        if not edges or edge - edges[-1] > _ALIKE:
            edges.append(edge)
    return edges


def _nearest(edges: list[int], edge: int) -> int:
    return min(range(len(edges)), key=lambda index: abs(edges[index] - edge))
