"""Cells that neither overlap nor reach outside, and their text."""

from __future__ import annotations

import time

import pytest

from polyport_gateway.knowledge.documents import (
    Cell,
    DocumentBuilder,
    Paragraph,
    Table,
    TableGrid,
    source_of,
)


def placed(grid, caption=""):
    builder = DocumentBuilder(source_of(b"x", "x", "text/plain"))
    builder.add(Paragraph(text="before"))
    builder.add(Table(grid=grid, caption=caption))
    return builder.build()


HEADERS = TableGrid(
    3,
    3,
    (
        Cell(0, 0, 2, 1, "city", column_header=True),
        Cell(0, 1, 1, 2, "people", column_header=True),
        Cell(1, 1, text="2020", column_header=True),
        Cell(1, 2, text="2025", column_header=True),
        Cell(2, 0, text="Ulm", row_header=True),
        Cell(2, 1, text="1|2"),
    ),
)


def test_a_spanning_cell_is_repeated_at_each_position():
    assert placed(HEADERS, "Towns").blocks[1].text == (
        "Towns\n| city | people | people |\n| --- | --- | --- |\n| city | 2020 | 2025 |\n| Ulm | 1\\|2 |  |"
    )


def test_a_long_spanning_cell_stands_once():
    text = placed(TableGrid(1, 2, (Cell(0, 0, 1, 2, "x" * 201, column_header=True),))).text
    assert text.count("x") == 201


def test_rows_and_headers():
    document = placed(HEADERS)
    grid = document.blocks[1].grid
    assert grid.header_rows == 2
    assert grid.header_columns == 1
    assert grid.header_path(2) == ("people", "2025")
    assert grid.header_path(0) == ("city",)
    assert grid.texts(1) == ("city", "2020", "2025")
    assert [document.text[start:end] for start, end in grid.row_spans] == [
        "| city | people | people |",
        "| city | 2020 | 2025 |",
        "| Ulm | 1\\|2 |  |",
    ]
    assert grid.at(2, 2) is None
    with pytest.raises(IndexError):
        grid.at(3, 0)


def test_a_grid_without_headers_gets_an_empty_one():
    assert (
        placed(TableGrid.from_rows([["a", "b"]], header_rows=0)).blocks[1].text == "|  |  |\n| --- | --- |\n| a | b |"
    )


def test_html_has_the_real_spans_and_keeps_holes():
    html = placed(TableGrid(2, 3, (*HEADERS.cells[:2], Cell(1, 2, text="<b>")))).to_html()
    assert '<th scope="col" rowspan="2">city</th><th scope="col" colspan="2">people</th>' in html
    assert "<tr><td></td><td>&lt;b&gt;</td></tr>" in html


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ((Cell(0, 0, 1, 2), Cell(0, 1)), "overlaps"),
        ((Cell(0, 0, 1, 3),), "reaches outside"),
        ((Cell(-1, 0),), "reaches outside"),
        ((Cell(0, 0, 0, 1),), "reaches outside"),
    ],
)
def test_cells_that_cannot_be_are_refused(cells, message):
    with pytest.raises(ValueError, match=message):
        TableGrid(2, 2, cells)


def test_a_grid_too_large_is_refused_at_once():
    with pytest.raises(ValueError, match="positions"):
        TableGrid(65_536, 65_536, ())


def test_a_hundred_thousand_rows_stay_bearable():
    rows = [[str(row), "name", "value"] for row in range(100_000)]
    started = time.perf_counter()
    document = placed(TableGrid.from_rows(rows))
    assert time.perf_counter() - started < 30  # a quadratic way would take minutes
    last = document.blocks[1].grid.at(99_999, 0)
    assert document.text[last.span.start : last.span.end] == "99999"


def test_a_table_inside_a_cell():
    inner = Table(grid=TableGrid.from_rows([["in"], ["1"]]))
    document = placed(TableGrid(1, 1, (Cell(0, 0, text="in 1", nested=(inner,)),)))
    nested = document.blocks[1].grid.cells[0].nested[0]
    assert nested.text == "| in |\n| --- |\n| 1 |"
    assert document.to_html().count("<table>") == 2
