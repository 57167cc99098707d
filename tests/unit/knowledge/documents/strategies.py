"""Random documents, for whoever reads or cuts them."""

from __future__ import annotations

from hypothesis import strategies as st

from polyport_gateway.knowledge.documents import (
    Box,
    Cell,
    Code,
    DocumentBuilder,
    Formula,
    Heading,
    ListItem,
    Mark,
    Note,
    PageBreak,
    Paragraph,
    Picture,
    Provenance,
    Span,
    Table,
    TableGrid,
    TimeSpan,
    source_of,
)

SAMPLES = (
    "The cat sat on the mat. It purred!",
    "今天天气很好。我们去公园散步吧！",
    "مرحبا بالعالم، كيف الحال؟",
    "👩‍👩‍👧‍👦 family 🇨🇳 flags é à",
    "a | b\nc \\| d <script>alert(1)</script> *x* _y_ `z`",
    "",
)
texts = st.one_of(st.sampled_from(SAMPLES), st.text(max_size=60))
provenances = st.builds(
    Provenance,
    page=st.none() | st.integers(1, 5),
    bbox=st.none() | st.builds(Box, *[st.integers(0, 600).map(float)] * 4),
    sheet=st.none() | texts,
    cells=st.none() | st.just("A1:C3"),
    source_span=st.none() | st.builds(Span, st.integers(0, 9), st.integers(9, 20)),
    time=st.none() | st.builds(TimeSpan, st.floats(0, 9), st.floats(9, 1e6)),
)


@st.composite
def grids(draw, depth=1):
    rows, columns = draw(st.integers(0, 5)), draw(st.integers(0, 5))
    free = {(row, column) for row in range(rows) for column in range(columns)}
    cells = []
    for row, column in sorted(free):
        if (row, column) not in free or draw(st.integers(0, 9)) == 0:
            continue
        height, width = draw(st.integers(1, rows - row)), draw(st.integers(1, columns - column))
        covered = {(row + i, column + j) for i in range(height) for j in range(width)}
        if not covered <= free:
            height = width = 1
            covered = {(row, column)}
        free -= covered
        nested = (draw(tables(depth - 1)),) if depth and draw(st.integers(0, 9)) == 0 else ()
        cells.append(
            Cell(
                row, column, height, width, draw(texts), row == 0, column == 0 and draw(st.booleans()),
                draw(st.none() | st.just("0.00%")), draw(st.booleans()), draw(st.none() | st.just("#ff0000")), nested,
            )
        )  # fmt: skip
    return TableGrid(rows, columns, tuple(cells))


def tables(depth=1):
    return st.builds(Table, grid=grids(depth), caption=texts, provenance=provenances)


@st.composite
def marked(draw, kind, **more):
    text = draw(texts)
    marks = []
    for _ in range(draw(st.integers(0, 3)) if text else 0):
        start = draw(st.integers(0, len(text) - 1))
        end = draw(st.integers(start + 1, len(text)))
        name = draw(st.sampled_from(["bold", "italic", "code", "link", "strike"]))
        marks.append(Mark(start, end, name, "https://example.org/a b" if name == "link" else ""))
    return draw(st.builds(kind, text=st.just(text), marks=st.just(tuple(marks)), provenance=provenances, **more))


blocks = st.one_of(
    marked(Heading, level=st.integers(1, 8)),
    marked(Paragraph),
    marked(ListItem, level=st.integers(1, 4), ordered=st.booleans(), marker=st.sampled_from(["", "1.", "a)", "[x]"])),
    marked(Note, category=st.sampled_from(["footnote", "comment", "speaker"]), label=texts, author=texts),
    st.builds(Code, text=texts, language=st.none() | st.just("python")),
    st.builds(Formula, text=texts),
    tables(),
    st.builds(Picture, caption=texts, alt=texts, link=texts),
    st.builds(PageBreak, page=st.none() | st.integers(1, 5)),
)


@st.composite
def documents(draw, max_blocks=12):
    builder = DocumentBuilder(source_of(draw(st.binary(max_size=8)), "some.file", "text/plain"))
    for block in draw(st.lists(blocks, max_size=max_blocks)):
        builder.add(block)
    for data in draw(st.lists(st.binary(min_size=1, max_size=8), max_size=2)):
        builder.add_picture(data, "image/png", alt=draw(texts))
    builder.language = draw(st.none() | st.sampled_from(["en", "zh"]))
    metadata = st.dictionaries(
        texts.map(lambda t: t.replace("\ud800", "")), st.none() | st.booleans() | st.integers() | texts
    )
    return builder.build(metadata=draw(metadata))
