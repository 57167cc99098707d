"""Names, titles, references, and the index of them all."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polyport_gateway.knowledge.links import LinkIndex, LinkLimits, Passage
from polyport_gateway.knowledge.links.names import names
from polyport_gateway.knowledge.links.references import address_key, addresses, labels, own_labels
from polyport_gateway.knowledge.links.titles import MentionFinder, aliases, fold_evenly, key_of


def leads(index: LinkIndex, source: int) -> set[tuple[str, int, str]]:
    """Return (clue, target, direction) of all that a passage leads to."""
    return {
        (clue.text, int(target), clue.direction(source, int(target)))
        for clue in index.clues(source)
        for target in (*clue.borne, *clue.held)
        if target != source
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It was made by Raoul Walsh.", ["Raoul Walsh"]),
        ("The film won. However it failed.", []),
        ("He lived in the House of Commons of Canada.", ["House of Commons of Canada"]),
        ("She met J. R. R. Tolkien's son.", ["J. R. R. Tolkien"]),
        ("born in Lyon and Paris", ["Lyon and Paris", "Lyon", "Paris"]),
        ("Émile Zola wrote.", ["Émile Zola"]),
        ("他写了《红楼梦》和「石头记」。", ["红楼梦", "石头记"]),
        ("no names here", []),
        ("", []),
    ],
)
def test_names_are_told_by_their_form(text: str, expected: list[str]) -> None:
    assert list(names(text)) == expected


@pytest.mark.parametrize("text", ["A" * 200_000, "A of " * 40_000, "A " * 100_000, "《" * 100_000, "A" + " " * 200_000])
def test_hostile_text_takes_no_time(text: str) -> None:
    began = time.process_time()
    assert sum(len(name) for name in names(text)) <= len(text) * 3
    list(labels(text)), list(addresses(text)), own_labels(text)
    assert time.process_time() - began < 5


def test_a_title_goes_by_several_names() -> None:
    assert list(aliases("Brand (play)").values()) == ["Brand (play)", "Brand"]
    assert "Midway" in aliases("Midway, White County").values()
    assert "Revenue" in aliases("2.1 Revenue").values()
    assert "总则" in aliases("第一章 总则").values()
    assert aliases("It") == {}
    assert aliases("") == {}


@settings(max_examples=50, deadline=None)
@given(st.text())
def test_folding_moves_no_character(text: str) -> None:
    assert len(fold_evenly(text)) == len(text)


def test_mentions_are_whole_words_and_the_longest_first() -> None:
    finder = MentionFinder([key_of(name) for name in ("New York", "New York City", "York", "北京", "Zoë Café")])
    text = "New York City is not Yorkshire; York is. 他在北京大学。 zoe cafe"
    assert [(text[m.start : m.end], m.key) for m in finder.find(text)] == [
        ("New York City", "new york city"),
        ("York", "york"),
        ("北京", "北京"),
        ("zoe cafe", "zoe cafe"),
    ]
    assert MentionFinder([]).find("anything") == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("see Table 3 and Fig. 2a", {"table 3", "figure 2"}),
        ("Appendix B, Section 2.1", {"appendix b", "section 2.1"}),
        ("见表3、附录B和第三章，第十二条", {"table 3", "appendix b", "chapter 3", "article 12"}),
        ("as shown [3, 5-7]", {"citation 3", "citation 5", "citation 6", "citation 7"}),
        ("a table of contents", set()),
    ],
)
def test_references_are_read(text: str, expected: set[str]) -> None:
    assert {label for label, _ in labels(text)} == expected


def test_what_bears_a_label_begins_with_it() -> None:
    assert own_labels("Table 3: Revenue\nas in Table 4") == {"table 3"}
    assert own_labels("表3 收入") == {"table 3"}
    assert own_labels("[12] Knuth, D. The art") == {"citation 12"}
    assert own_labels("We see Table 3.") == set()
    assert own_labels("text", ("2.1 Revenue",)) == {"section 2.1", "chapter 2.1"}


def test_links_lead_to_addresses() -> None:
    text = "See [the guide](../guide/start.md#top) and https://example.com/a/?q=1."
    assert list(addresses(text)) == ["start.md", "example.com/a"]
    assert address_key("docs/Start.md") == "start.md"


def test_clues_lead_forward_backward_and_sideways() -> None:
    index = LinkIndex(
        [
            Passage("A film directed by Raoul Walsh, with Miriam Cooper.", "Jump for Glory"),
            Passage("He was an American director.", "Raoul Walsh"),
            Passage("It starred Miriam Cooper, his wife.", "Betrayed (1917 film)"),
            Passage("Nothing of the kind.", "Elsewhere"),
        ]
    )
    assert leads(index, 0) == {("Raoul Walsh", 1, "forward"), ("Miriam Cooper", 2, "sideways")}
    assert leads(index, 1) == {("Raoul Walsh", 0, "backward")}
    assert leads(index, 3) == set()
    assert index.clues(0)[0].text == "Raoul Walsh"  # one that a passage bears comes first
    assert len(index) == 2


def test_an_ordinary_word_is_no_title() -> None:
    texts = ["Always is a film.", "it always rains", "she always came", "he always went"]
    index = LinkIndex([Passage(texts[0], "Film"), *(Passage(text, "Always") for text in texts[1:])])
    assert all(clue.text != "Always" or not len(clue.held) for clue in index.clues(0))


def test_chinese_titles_are_found_without_words() -> None:
    index = LinkIndex([Passage("曹雪芹写了这本小说。", "红楼梦"), Passage("清代小说家。", "曹雪芹")])
    assert leads(index, 0) == {("曹雪芹", 1, "forward")}


def test_labels_are_known_within_their_document_and_addresses_everywhere() -> None:
    index = LinkIndex(
        [
            Passage("As Table 1 shows, and [there](https://example.com/b)", document_id="a"),
            Passage("Table 1: Sales", document_id="a"),
            Passage("Table 1: Costs", document_id="b", address="https://example.com/b"),
        ]
    )
    assert {(target, direction) for _, target, direction in leads(index, 0)} == {(1, "forward"), (2, "forward")}


def test_what_too_many_have_is_no_clue() -> None:
    passages = [Passage(f"Number {n} knows Ann Lee.", "") for n in range(100)]
    assert leads(LinkIndex(passages), 0) == set()
    assert len(leads(LinkIndex(passages, LinkLimits(share=1)), 0)) == 99
    assert len(leads(LinkIndex(passages[:3]), 0)) == 2


def test_an_index_of_nothing() -> None:
    assert len(LinkIndex([])) == 0
    assert LinkIndex([Passage("")]).clues(0) == []
