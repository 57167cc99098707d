"""Where each chunker cuts, on documents small enough to read."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from polyport_gateway.knowledge import chunkers as c
from polyport_gateway.knowledge.chunkers.boundaries import SENTENCES, ends_of
from polyport_gateway.knowledge.chunkers.syntax import LANGUAGES
from polyport_gateway.knowledge.documents.blocks import Code, Heading, ListItem, Paragraph, Table
from polyport_gateway.knowledge.documents.grid import TableGrid
from polyport_gateway.knowledge.documents.values import Provenance
from polyport_gateway.knowledge.tokenizers import EstimateTokenizer, HuggingFaceTokenizer, get_tokenizer
from tests.unit.knowledge.chunkers.texts import document


@pytest.mark.parametrize(
    "sentences",
    [
        ["Dr. Li paid 3.50 dollars. ", "Was it hot? ", "“Yes!” ", "It was."],
        ["The U.S. economy grew, e.g. by 2.1%. ", "Good."],
        ["See file.txt for more. ", "J. Smith wrote it."],
        ["今天天气很好。", "他说：“去喝茶吧！”", "然后呢？", "走了；", "没回来……", "完"],
        ["价格是3.5元。", "It is cheap. ", "真的！"],
    ],
)
def test_sentences_end_where_a_reader_ends_them(sentences: list[str]) -> None:
    text = "".join(sentences)
    ends = [0, *ends_of(SENTENCES, text, 0, len(text))]
    assert [text[a:b] for a, b in pairwise(ends)] == sentences


def test_sections_keep_their_headings_and_chunks_know_them() -> None:
    made = document(
        Heading(text="Tea"), "Hot.", Heading(text="Green", level=2), "From Hangzhou.", Heading(text="Coffee"), "Black."
    )
    assert [chunk.text.strip() for chunk in c.ByHeading().chunk(made)] == [
        "Tea\n\nHot.",
        "Green\n\nFrom Hangzhou.",
        "Coffee\n\nBlack.",
    ]
    found = (c.ByBlock(join_headings=False) | c.WithContext()).chunk(made)
    assert found[3].text.strip() == "Tea › Green\n\nFrom Hangzhou."
    assert found[3].span is None
    assert found[3].heading_path == ("Tea", "Green")


def test_markdown_headings_in_plain_text_are_found_outside_of_code() -> None:
    made = document("intro\n# One\n```\n# no heading\n```\n## Two\ntext")
    assert [chunk.text.strip() for chunk in c.ByHeading().chunk(made)] == [
        "intro",
        "# One\n```\n# no heading\n```",
        "## Two\ntext",
    ]


def test_pages_are_told_and_cut() -> None:
    made = document(*(Paragraph(text=f"page {n}", provenance=Provenance(page=n)) for n in (1, 1, 2, 3)))
    assert [(chunk.pages, chunk.text.strip()) for chunk in c.ByPage().chunk(made)] == [
        ((1,), "page 1\n\npage 1"),
        ((2,), "page 2"),
        ((3,), "page 3"),
    ]


def test_a_list_is_one_block() -> None:
    made = document("Buy:", ListItem(text="tea"), ListItem(text="milk"), "Thanks.")
    assert [chunk.text.strip() for chunk in c.ByBlock().chunk(made)] == ["Buy:", "tea\nmilk", "Thanks."]


def test_every_group_of_rows_has_the_headers_and_every_row_is_in_one() -> None:
    rows = [["name", "age"], *([f"person {n}", str(n)] for n in range(40))]
    made = document("Before.", Table(grid=TableGrid.from_rows(rows), caption="People"), "After.")
    found = [chunk for chunk in c.TableRows(64, "estimate").chunk(made) if "table" in chunk.metadata]
    assert len(found) > 3
    for chunk in found:
        assert chunk.text.startswith("People\n| name | age |\n| --- | --- |\n| person ")
        assert chunk.tokens <= 64
    assert [line for chunk in found for line in chunk.text.splitlines()[3:]] == [
        f"| person {n} | {n} |" for n in range(40)
    ]


def test_headers_are_kept_where_no_row_fits_beside_them() -> None:
    table = Table(grid=TableGrid.from_rows([["name", "note"], ["Ann", "tea " * 60], ["Bo", "oil " * 60]]))
    made = document(table)
    found = c.TableRows(48, "estimate").chunk(made)
    assert "".join(chunk.text for chunk in found).replace("\n", "") == made.text.replace("\n", "")
    (header,) = [chunk for chunk in found if "| name | note |" in chunk.text]
    assert header.metadata["rows"] == (1, 2)


def test_groups_of_rows_are_as_full_as_they_can_be() -> None:
    rows = [["name", "note"], *([f"person {n}", "long " * (n * 7 % 11)] for n in range(90))]
    made = document(Table(grid=TableGrid.from_rows(rows)))
    grid = made.blocks[0].grid  # type: ignore[attr-defined]
    for tokenizer in ("estimate", "cl100k_base"):
        count = get_tokenizer(tokenizer).count
        found = c.TableRows(96, tokenizer).chunk(made)
        assert [chunk.metadata["rows"][0] for chunk in found] == [
            1,
            *(chunk.metadata["rows"][1] for chunk in found[:-1]),
        ]
        for chunk in found[:-1]:
            following = grid.row_spans[chunk.metadata["rows"][1]]
            more = f"{chunk.text}\n{made.text[following.start : following.end]}"
            # Headers and rows are counted apart, and each count is rounded up.
            assert chunk.tokens == count(chunk.text) <= 96 <= count(more)


def test_records_and_columns_say_what_each_value_is() -> None:
    table = Table(grid=TableGrid.from_rows([["name", "age"], ["Ann", "41"], ["Bo", ""]]))
    assert c.TableRecords().chunk(document(table))[0].text == "name: Ann; age: 41\nname: Bo"
    assert c.TableColumns().chunk(document(table))[0].text == "age\nAnn: 41\nBo:"


_SOURCES = {
    "bash": "{n}() {{\n  echo {n}\n  echo done\n}}\n",
    "c": "int {n}(int x) {{\n  x += 1;\n  return x;\n}}\n",
    "cpp": "int {n}(int x) {{\n  x += 1;\n  return x;\n}}\n",
    "csharp": "class {n} {{\n  int F(int x) {{ return x; }}\n  int G() {{ return 1; }}\n}}\n",
    "go": "func {n}(x int) int {{\n\tx++\n\treturn x\n}}\n",
    "java": "class {n} {{\n  int f(int x) {{ return x; }}\n  int g() {{ return 1; }}\n}}\n",
    "javascript": "function {n}(x) {{\n  x += 1;\n  return x;\n}}\n",
    "php": "function {n}($x) {{\n  $x += 1;\n  return $x;\n}}\n",
    "python": "def {n}(x):\n    x += 1\n    return x\n\n",
    "ruby": "def {n}(x)\n  x += 1\n  x\nend\n",
    "rust": "fn {n}(x: i32) -> i32 {{\n    let y = x;\n    y + 1\n}}\n",
    "scala": "def {n}(x: Int): Int = {{\n  val y = x\n  y + 1\n}}\n",
    "tsx": "function {n}(x: number) {{\n  x += 1;\n  return x;\n}}\n",
    "typescript": "function {n}(x: number) {{\n  x += 1;\n  return x;\n}}\n",
}


@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_functions_are_cut_apart(language: str) -> None:
    pytest.importorskip(LANGUAGES[language][0])
    names = [f"name{n}" for n in range(6)]
    head = "<?php\n" if language == "php" else ""
    source = head + "".join(_SOURCES[language].format(n=name) for name in names)
    found = c.ByCode(32, None, "estimate").chunk(document(Code(text=source, language=language)))
    assert "".join(chunk.text for chunk in found) == source
    for name in names:
        piece = _SOURCES[language].format(n=name).strip()
        holders = [chunk for chunk in found if piece in chunk.text]
        assert len(holders) == 1
        assert name in holders[0].metadata["symbols"]


def test_children_name_their_parent() -> None:
    made = document("One is here. " * 60)
    found = c.ParentChild(c.Recursive(128, "estimate"), c.Sentences(16, 0, "estimate")).chunk(made)
    parents = {chunk.id: chunk for chunk in found if chunk.metadata["role"] == "parent"}
    children = [chunk for chunk in found if chunk.metadata["role"] == "child"]
    assert len(parents) > 1
    assert len(children) > len(parents)
    for child in children:
        assert child.parent_id is not None
        parent = parents[child.parent_id]
        assert parent.span is not None
        assert child.span is not None
        assert parent.span.covers(child.span)


def test_settings_and_place_are_part_of_an_id() -> None:
    made = document("Same. Same. Same.")
    first, second = (c.Recursive(limit, "estimate").chunk(made)[0] for limit in (16, 32))
    assert first.text == second.text
    assert first.id != second.id


@pytest.mark.parametrize(
    "make", [lambda: c.Recursive(4), lambda: c.FixedTokens(64, 40), lambda: c.SlidingWindow(64, 8)]
)
def test_settings_that_cannot_hold_are_refused(make: object) -> None:
    with pytest.raises(ValueError, match=r"=\d+ (is too small|must be between)"):
        make()  # type: ignore[operator]


def test_a_tokenizer_that_is_not_here_is_refused_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(LookupError, match=r"tokenizer\.json"):
        HuggingFaceTokenizer(tmp_path)


def test_a_tokenizer_file_counts_exactly(tmp_path: Path) -> None:
    tokenizers = pytest.importorskip("tokenizers")
    made = tokenizers.Tokenizer(
        tokenizers.models.WordPiece({"[UNK]": 0, "tea": 1, "is": 2, "##s": 3}, unk_token="[UNK]")
    )
    made.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    made.save(str(tmp_path / "tokenizer.json"))
    found = get_tokenizer(str(tmp_path))
    assert found.count("teas is 茶") == 4
    for chunk in c.Recursive(8, found).chunk(document("teas is tea. " * 20)):
        assert chunk.tokens == found.count(chunk.text) <= 8


def test_the_estimate_counts_more_than_a_vocabulary_for_ordinary_text() -> None:
    exact, estimate = get_tokenizer("cl100k_base"), EstimateTokenizer()
    for text in (
        "The quick brown fox jumps over the lazy dog near the river bank.",
        "今天天气很好，我们一起去杭州喝龙井茶吧。",
    ):
        assert exact.count(text) <= estimate.count(text) <= 2 * exact.count(text)
