"""What a document says is what its Markdown shows."""

import itertools

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from polyport_gateway.knowledge.documents import (
    DocumentBuilder,
    Heading,
    ListItem,
    Mark,
    Note,
    Paragraph,
    Picture,
    source_of,
)

_PARSER = MarkdownIt("commonmark").enable(["table", "strikethrough"])


def build(*blocks):
    builder = DocumentBuilder(source_of(b"", "a.txt", "text/plain"))
    for block in blocks:
        builder.add(block)
    return builder.build()


def markdown(*blocks):
    return build(*blocks).to_markdown()


def shown(text):
    """Return what a reader of the Markdown sees: its words, and in which style each of them is."""
    pieces, styles = [], []
    tokens = _PARSER.parse(text)
    assert [token.type for token in tokens] == ["paragraph_open", "inline", "paragraph_close"], text
    for token in tokens[1].children:
        if token.type in ("text", "code_inline"):
            pieces += [(sign, frozenset(styles)) for sign in token.content]
        elif token.type == "softbreak":
            pieces.append((" ", frozenset(styles)))
        elif token.type == "html_inline":
            tag = {"strong": "strong", "em": "em", "s": "s", "sup": "sup", "sub": "sub"}[token.content.strip("</>")]
            styles.remove(tag) if token.content.startswith("</") else styles.append(tag)
        elif token.nesting == 1:
            styles.append(token.tag)
        elif token.nesting == -1:
            styles.remove(token.tag)
    return [(sign, style) for sign, style in pieces if not sign.isspace()]


_SIGNS = [*"ab1 。，“*_[]()<>!&#~`\\:-+.=|^\n中", "&lt;", "__", "1. ", "](x)", "<b>"]
_WORDS = st.lists(st.sampled_from(_SIGNS), min_size=1, max_size=12).map("".join)


@st.composite
def _paragraphs(draw):
    text = "".join(draw(st.lists(_WORDS, min_size=1, max_size=4)))
    text = "\n".join(line.strip() for line in text.split("\n") if line.strip()) or "a"
    cuts = sorted(draw(st.sets(st.integers(0, len(text)), max_size=5)))
    kinds = st.sampled_from(["bold", "italic", "strike", "link", "superscript", "subscript"])
    marks = [
        Mark(start, end, kind := draw(kinds), "x" if kind == "link" else "") for start, end in itertools.pairwise(cuts)
    ]
    if len(cuts) > 1 and draw(st.booleans()):
        marks.append(Mark(cuts[0], cuts[-1], draw(st.sampled_from(["bold", "italic"]))))
    return text, tuple(marks)


_TAGS = {"bold": "strong", "italic": "em", "strike": "s", "link": "a", "superscript": "sup", "subscript": "sub"}


@settings(max_examples=200, deadline=None)
@given(_paragraphs())
@example(("注意：请勿", (Mark(0, 3, "bold"),)))
@example(("a (b)c", (Mark(2, 5, "italic"),)))
@example(("Look!here", (Mark(5, 9, "link", "x"),)))
@example(("5~6 or 7~8", ()))
def test_what_is_shown_is_what_was_said_in_its_style(case):
    text, marks = case
    found = shown(markdown(Paragraph(text=text, marks=marks)))
    assert "".join(sign for sign, _ in found) == "".join(text.split())
    expected = [
        frozenset(_TAGS[mark.kind] for mark in marks if mark.start <= place < mark.end)
        for place, sign in enumerate(text)
        if not sign.isspace()
    ]
    assert [style for _, style in found] == expected


@pytest.mark.parametrize(
    "text",
    [
        "see [9] and [10, 11]",
        "a snake_case * 2",
        "Name: ____________ (please)",
        "a < b > c",
        "-5 °C",
        "5 ~ 6",
        "C:\\dir",
    ],
)
def test_signs_that_mean_nothing_are_not_escaped(text):
    assert markdown(Paragraph(text=text)).replace("\\____", "____") == f"{text}\n"


@pytest.mark.parametrize(
    "text", ["&lt;b&gt;", "[x](y)", "[9]: http://x", "# a", "1. a", "---", "a\n===", "<b>", "[^1]"]
)
def test_signs_that_would_mean_something_are_escaped(text):
    assert "".join(sign for sign, _ in shown(markdown(Paragraph(text=text)))) == "".join(text.split())


def test_an_alternative_text_stands_on_one_line():
    assert markdown(Picture(alt="A duck\n\n[cartoon]", link="a.png")) == "![A duck \\[cartoon\\]](a.png)\n"


def test_a_heading_keeps_the_signs_at_its_end():
    assert markdown(Heading(text="Issue #")) == "# Issue \\#\n"


def test_a_list_that_counts_anew_is_another_list():
    items = [("1.", 1), ("2.", 1), ("7.", 1), ("8.", 1), ("1.", 2), ("9.", 1)]
    shown = markdown(*(ListItem(text="x", ordered=True, marker=marker, level=level) for marker, level in items))
    assert shown == "1. x\n2. x\n7) x\n8) x\n    1. x\n9) x\n"


def test_a_reference_and_its_footnote_have_one_label():
    for marks in ((Mark(4, 6, "superscript"),), (Mark(4, 6, "bold"), Mark(4, 6, "superscript"))):
        shown = markdown(Paragraph(text="word1)", marks=marks), Note(text="Why.", label="1"))
        assert shown == "word[^1]\n\n[^1]: Why.\n"


def test_footnotes_of_two_pages_are_told_apart():
    one = Paragraph(text="a1", marks=(Mark(1, 2, "superscript"),))
    shown = markdown(one, Note(text="First.", label="1"), one, Note(text="Second.", label="1"))
    assert shown == "a[^1]\n\n[^1]: First.\n\na[^1-2]\n\n[^1-2]: Second.\n"


def test_a_footnote_that_nothing_refers_to_is_still_shown():
    assert markdown(Paragraph(text="a"), Note(text="Why.", label="1")) == "a\n\n> 1 Why.\n"


def test_a_citation_that_is_a_link_needs_no_sign_that_it_stands_higher():
    marks = (Mark(1, 4, "superscript"), Mark(1, 4, "link", "#n1"))
    assert markdown(Paragraph(text="a[1]", marks=marks)) == "a[\\[1\\]](#n1)\n"


def test_a_superscript_is_not_part_of_the_number_before_it():
    assert markdown(Paragraph(text="106 H2O", marks=(Mark(2, 3, "superscript"), Mark(5, 6, "subscript")))) == (
        "10<sup>6</sup> H<sub>2</sub>O\n"
    )


@pytest.mark.timeout(20)
def test_a_paragraph_of_20000_links_and_styles_is_rendered_at_once():
    marks = [Mark(place, place + 2, "link", "x") for place in range(0, 80_000, 4)]
    marks += [Mark(place, 80_000 - place, "bold") for place in range(0, 40_000, 4)]
    document = build(Paragraph(text="word" * 20_000, marks=tuple(marks)))
    assert document.to_markdown().count("](x)") == document.to_html().count("</a>") == 20_000
