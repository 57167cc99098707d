"""Random documents in the scripts and shapes that break chunkers."""

from __future__ import annotations

from hypothesis import strategies as st

from polyport_gateway.knowledge.documents.blocks import Code, Heading, ListItem, PageBreak, Paragraph, Table
from polyport_gateway.knowledge.documents.builder import DocumentBuilder, source_of
from polyport_gateway.knowledge.documents.document import Document
from polyport_gateway.knowledge.documents.grid import TableGrid
from polyport_gateway.knowledge.documents.values import Provenance

_PARTS = st.sampled_from(
    [
        "The tea costs 3.50 dollars. ",
        "Dr. Li said: “It is hot!” ",
        "U.S. growth was 2.1% in Q3, e.g. exports. ",
        "今天天气很好。我们去喝茶吧！",
        "他说：“好的……” 然后走了；",
        "龍井茶，產於杭州？",
        "مرحبا بالعالم. كيف حالك؟ ",
        "שלום עולם. ",
        "नमस्ते दुनिया। ",
        "👩‍👩‍👧‍👦🇨🇳🇩🇪👍🏽",
        "e\u0301a\u0308o\u0302\u0323 ",
        "각 한국어 문장이다. ",
        "ก็ที่นี่ ",
        "\r\n",
        "\n",
        "\n\n",
        "\n \n\t\n",
        "   ",
        "\t",
        "　",
        "a" * 40,
        "9f86d081884c7d659a2feaa0c55ad015 ",
        "_，x_。y1，",
        "don't we'll 's 'T ",
        "===---***///\n",
        "end.\n/usr/bin \n",
        "a  b \t c\t(\x0b d ",
        "\x1c\x1f\x85\u2028",
    ]
)
TEXTS = st.one_of(
    st.lists(_PARTS, max_size=60).map("".join),
    st.lists(_PARTS, max_size=12).map(lambda parts: "".join(parts) * 6),
    st.text(max_size=300),
    st.lists(st.one_of(_PARTS, st.text(max_size=12)), max_size=40).map("".join),
)
_CELLS = st.one_of(st.text(max_size=6), st.sampled_from(["茶", "3.50", "a|b", "👍🏽", ""]))
_BLOCKS = st.one_of(
    st.builds(lambda text, level: Heading(text=text, level=level), TEXTS.map(lambda t: t[:30]), st.integers(1, 4)),
    st.builds(lambda text, page: Paragraph(text=text, provenance=Provenance(page=page)), TEXTS, st.integers(1, 3)),
    st.builds(lambda text: ListItem(text=text), TEXTS.map(lambda t: t[:60])),
    st.builds(
        lambda n: Code(
            text=f"def f{n}(x):\n    return x + {n}\n\n\nclass C{n}:\n    def g(self):\n        pass\n",
            language="python",
        ),
        st.integers(0, 5),
    ),
    st.builds(
        lambda rows: Table(grid=TableGrid.from_rows(rows)),
        st.lists(st.lists(_CELLS, min_size=2, max_size=2), min_size=1, max_size=9),
    ),
    st.just(PageBreak()),
)


def document(*blocks: object, name: str = "a.txt", mime: str = "text/plain") -> Document:
    """Make a document of blocks, or of texts as paragraphs."""
    made = [Paragraph(text=block) if isinstance(block, str) else block for block in blocks]
    builder = DocumentBuilder(source_of(repr(made).encode("utf-8", "replace"), name, mime))
    for block in made:
        builder.add(block)
    return builder.build()


DOCUMENTS = st.one_of(TEXTS.map(document), st.lists(_BLOCKS, max_size=8).map(lambda blocks: document(*blocks)))
