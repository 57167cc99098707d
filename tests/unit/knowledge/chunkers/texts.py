"""Random documents in the scripts and shapes that break chunkers."""

from __future__ import annotations

import json

import yaml
from hypothesis import strategies as st

from polyport_gateway.knowledge.documents.blocks import (
    Code,
    Heading,
    ListItem,
    Note,
    PageBreak,
    Paragraph,
    Picture,
    Table,
)
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
_LINES = st.sampled_from(
    [
        "2024-01-02 12:30:01,123 ERROR app.db - no connection\n",
        'Traceback (most recent call last):\n  File "x.py", line 3\nValueError: 茶\n',
        "2024年1月2日 12时30分01秒 【警告】 磁盘空间不足\n",
        "Jan  2 12:30:01 host sshd[1]: Failed\n",
        "[12:30] Ann: hi there\n",
        "Bob Lee: hello 👍🏽\n",
        "张三 2024-01-02 12:30:01\n你好，在吗？\n\n",
        "助手：绿茶。\n用户：好\n",
        "On Tue, Jan 2, 2024 at 12:30 PM Bob <bob@x.org> wrote:\n\n> Hi,\n>> deeper\n> tea?\n",
        "-----Original Message-----\nFrom: Ann\nSent: Monday\n\nHello.\n-- \nAnn\n",
        '发件人: "张三"<z@qq.com>\n发送时间: 2024年1月2日 12:30\n主题: 茶\n\n收到。\n',
        "1\n00:00:01,000 --> 00:00:04,000\n<i>Hello</i> there.\n\n",
        "00:09.500 --> 00:12.000 align:start\n<v Ann>后来呢？\n\n",
        "[00:12.00]床前明月光\n",
        "\n",
    ]
)
_SHAPED = st.lists(st.one_of(_LINES, _PARTS), min_size=1, max_size=16).map("".join)
_VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-99, 99), st.sampled_from(["茶", "a b c " * 9, '👍🏽 "x"', ""])),
    lambda inner: st.one_of(
        st.lists(inner, max_size=5),
        st.dictionaries(st.sampled_from(["a", "b", "two words", "茶", "n"]), inner, max_size=4),
    ),
    max_leaves=24,
)


def _xml(value: object) -> str:
    if isinstance(value, dict):
        return "".join(f"\n<e n='{len(key)}'>{_xml(inner)}</e>" for key, inner in value.items())
    if isinstance(value, list):
        return "".join(f"<item>{_xml(inner)}</item>\n" for inner in value) or "<none/>"
    return str(value).replace("&", "&amp;").replace("<", "&lt;")


def _written(value: object, form: str, kept: int) -> Code:
    if form == "xml":
        text = f"<?xml version='1.0'?>\n<all>{_xml(value)}</all>"
    elif form == "yaml":
        text = yaml.safe_dump(value, allow_unicode=True, default_flow_style=kept % 2 == 0 or None)
    elif form == "jsonl":
        text = "\n".join(json.dumps(item) for item in (value if isinstance(value, list) else [value, value]))
    else:
        text = json.dumps(value, ensure_ascii=False, indent=kept % 3 or None)
    return Code(text=text[: max(1, len(text) * kept // 10)] if kept < 4 else text, language=form)


_TREES = st.builds(_written, _VALUES, st.sampled_from(["json", "jsonl", "yaml", "xml"]), st.integers(1, 12))
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
    _TREES,
    _SHAPED.map(lambda text: Paragraph(text=text)),
    st.builds(lambda text, alt: Picture(caption=text[:80], alt=alt, sha256="ab"), TEXTS, st.sampled_from(["", "茶"])),
    st.builds(lambda text: Note(text=text[:90], category="speaker", provenance=Provenance(page=2)), TEXTS),
)


def document(*blocks: object, name: str = "a.txt", mime: str = "text/plain") -> Document:
    """Make a document of blocks, or of texts as paragraphs."""
    made = [Paragraph(text=block) if isinstance(block, str) else block for block in blocks]
    builder = DocumentBuilder(source_of(repr(made).encode("utf-8", "replace"), name, mime))
    for block in made:
        builder.add(block)
    return builder.build()


DOCUMENTS = st.one_of(
    TEXTS.map(document),
    _SHAPED.map(document),
    _TREES.map(document),
    st.lists(_BLOCKS, max_size=8).map(lambda blocks: document(*blocks)),
)
