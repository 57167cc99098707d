"""HTML, Markdown and CSV: structure, and tables exact."""

from __future__ import annotations

import pytest
from hypothesis import given, settings

from polyport_gateway.knowledge.documents import DocumentBuilder, Mark, Table, source_of
from polyport_gateway.knowledge.readers import read
from polyport_gateway.knowledge.readers.tabular import delimiter_of
from tests.unit.knowledge.documents.strategies import grids


def kinds(parsed):
    return [(block.kind, block.text) for block in parsed.document.blocks]


def test_html_blocks_in_order(read_file):
    page = """<html lang="de-AT"><head><title>T</title><style>x{}</style></head><body><h1>A <b>b</b></h1>
    text <a href="/x">link</a><br>next<p>para</p><ol start=3><li>three<ul><li>in</li></ul><li>four</ol>
    <pre><code class="language-py">a
      b</code></pre><script>alert(1)</script><figure><img src="a.png" alt="alt"><figcaption>cap</figcaption></figure>"""
    parsed = read_file(page, "a.html")
    assert kinds(parsed) == [
        ("heading", "A b"),
        ("paragraph", "text link\nnext"),
        ("paragraph", "para"),
        ("list_item", "three"),
        ("list_item", "in"),
        ("list_item", "four"),
        ("code", "a\n      b"),
        ("picture", "cap"),
    ]
    document = parsed.document
    assert (document.language, document.metadata["title"]) == ("de", "T")
    assert document.blocks[1].marks == (Mark(5, 9, "link", "/x"),)
    assert [(block.level, block.marker) for block in document.blocks[3:6]] == [(1, "3."), (2, "-"), (1, "4.")]


def cells(parsed):
    grid = parsed.document.groups()["tables"][0].grid
    return grid.rows, grid.columns, [tuple(cell[:5]) for cell in grid.cells]


def test_html_spans_are_exact(read_file):
    page = """<table><tr><th rowspan=2>a<th colspan=2>b<tr><th>c<th>d
    <tr><td rowspan=0>e<td>f<td>g<tr><td colspan=2>h</table>"""
    parsed = read_file(page, "a.html")
    assert cells(parsed) == (
        4,
        3,
        [
            (0, 0, 2, 1, "a"), (0, 1, 1, 2, "b"), (1, 1, 1, 1, "c"), (1, 2, 1, 1, "d"),
            (2, 0, 2, 1, "e"), (2, 1, 1, 1, "f"), (2, 2, 1, 1, "g"), (3, 1, 1, 2, "h"),
        ],
    )  # fmt: skip
    assert parsed.document.groups()["tables"][0].grid.header_rows == 2


def test_a_table_in_a_cell_is_one(read_file):
    parsed = read_file("<table><tr><td>x<table><tr><td>1<td>2</table><td>y</table>", "a.html")
    cell = parsed.document.groups()["tables"][0].grid.at(0, 0)
    assert cell.text == "x\n1 2"
    assert [block.kind for block in cell.nested] == ["paragraph", "table"]
    assert parsed.receipt.tables == 2


@settings(max_examples=100, deadline=None)
@given(grids(depth=0))
def test_a_grid_written_as_html_is_read_the_same(grid):
    builder = DocumentBuilder(source_of(b"", "a", "text/html"))
    # What HTML itself folds (blanks, line breaks) is not this test's matter.
    told = [cell._replace(text=f"c{n}", column_header=False, row_header=False) for n, cell in enumerate(grid.cells)]
    builder.add(Table(grid=type(grid)(grid.rows, grid.columns, tuple(told))))
    tables = read(builder.build().to_html().encode(), "a.html").document.groups()["tables"]
    found = [cell[:5] for cell in tables[0].grid.cells if cell.text] if tables else []
    assert sorted(found) == sorted(cell[:5] for cell in told)


@pytest.mark.parametrize(
    "page",
    [
        "<div>" * 20_000 + "deep",
        "<table><tr><td>" * 500 + "deep",
        "<ul><li>" * 2000 + "deep",
        "<table><tr><td colspan=1000 rowspan=65534>deep</table>",
    ],
)
def test_hostile_html_is_read_in_time(read_file, page):
    assert "deep" in read_file(page, "a.html").document.text


def test_markdown_blocks(read_file):
    text = """---
title: T
date: 2024-01-02
---
# A *b*

one **two** [three](/x)
four

- [x] done
  - inner
1. first

> said

```python
x = 1
```

| a | b \\| c |
|---|---|
| 1 | ![alt](p.png) |

$$
e=mc^2
$$

[^1]: A note.
"""
    parsed = read_file(text, "a.md")
    assert kinds(parsed) == [
        ("heading", "A b"),
        ("paragraph", "one two three\nfour"),
        ("list_item", "done"),
        ("list_item", "inner"),
        ("list_item", "first"),
        ("paragraph", "said"),
        ("code", "x = 1"),
        ("table", "| a | b \\| c |\n| --- | --- |\n| 1 | alt |"),
        ("formula", "e=mc^2"),
        ("note", "A note."),
    ]
    document = parsed.document
    assert document.metadata["title"] == "T"
    assert document.metadata["date"] == "2024-01-02"
    assert document.blocks[2].marker == "[x]"
    start, end = document.blocks[1].provenance.source_span
    assert text[start:end].strip() == "one **two** [three](/x)\nfour"


def test_markdown_takes_tables_from_html(read_file):
    parsed = read_file("# A\n\n<table><tr><td colspan=2>x</td></tr><tr><td>1</td><td>2</td></tr></table>\n", "a.md")
    assert cells(parsed) == (2, 2, [(0, 0, 1, 2, "x"), (1, 0, 1, 1, "1"), (1, 1, 1, 1, "2")])


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found(read_file, delimiter):
    text = "\n".join(delimiter.join(row) for row in (["name", "note"], ["Ann", '"a,b;c|d"'], ["Bob", '"two\nlines"']))
    assert delimiter_of(text) == delimiter
    rows, columns, found = cells(read_file(text, "a.csv"))
    assert (rows, columns) == (3, 2)
    assert [cell[4] for cell in found] == ["name", "note", "Ann", "a,b;c|d", "Bob", "two\nlines"]


def test_ragged_rows_are_said(read_file):
    parsed = read_file("a,b,c\n1,2\n", "a.csv")
    assert "2 to 3" in parsed.receipt.warnings[0]
    assert parsed.document.blocks[0].grid.at(1, 2) is None


def test_a_row_of_numbers_is_no_header(read_file):
    assert read_file("1,2\n3,4\n", "a.csv").document.blocks[0].grid.header_rows == 0


def test_chinese_csv_from_excel(read_file):
    found = read_file("sep=;\n姓名;年龄\n张三;41\n".encode("gb18030"), "a.csv").document
    assert found.blocks[0].grid.texts(1) == ("张三", "41")


def test_a_link_around_a_block_is_one_over_its_words(read_file):
    parsed = read_file("<ul><li><a href='#e'><div><span>1</span> <b>E</b></div> tail</a> after</li></ul>", "a.html")
    item, tail = parsed.document.blocks
    assert (item.text, tail.text) == ("1 E", "tail after")
    assert set(item.marks) == {Mark(0, 3, "link", "#e"), Mark(2, 3, "bold")}
    assert tail.marks == (Mark(0, 4, "link", "#e"),)


def test_links_in_cells_are_in_the_markdown(read_file):
    parsed = read_file("<table><tr><th>a<th>b<tr><td>x|y<td>see <a href='u'>t*</a></table>", "a.html")
    assert parsed.document.to_markdown().splitlines() == ["| a | b |", "| --- | --- |", "| x\\|y | see [t\\*](u) |"]
    assert "| see t* |" in parsed.document.text
