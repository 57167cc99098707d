"""Whether citations hold, and what is shown of a text while it is written."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polyport.events import CitationAdded, TextDelta
from polyport.types.knowledge import KnowledgeHit
from polyport_gateway.knowledge.answers.citations import CitationChecker, wire_citation
from polyport_gateway.knowledge.answers.stream import CitationStream, cited, claims_of
from polyport_gateway.knowledge.answers.support import Evidence


def hit(number: int, title: str, text: str, **more: object) -> KnowledgeHit:
    return KnowledgeHit.model_validate(
        {
            "knowledge": "k",
            "document": f"d{number}",
            "chunk": number,
            "title": title,
            "text": text,
            "score": 1.0,
            **more,
        }
    )


APA = hit(
    1,
    "American Psychological Association",
    "The APA was founded in July 1892 at Clark University. Its first president was G. Stanley Hall. "
    "It did not admit women before 1893. Revenue rose by 5% to $1.5 million.",
    span=(100, 266),
    source="https://example.org/apa",
    page=3,
)
MANUAL = hit(2, "产品手册", "本产品不支持无线充电。电池容量为三千毫安时，保修期为两年。2024年销量上升了12%。")
PARIS = hit(3, "Paris", "Paris is the capital of France. It lies on the Seine.")
HITS = [APA, MANUAL, PARIS]
CHECKER = CitationChecker(HITS, question="What is the capital of France?")


@pytest.mark.parametrize(
    ("place", "sentence", "quote"),
    [
        (0, "The first president of the American Psychological Association was G. Stanley Hall.", "first president"),
        (0, "The APA was founded in July 1892.", "July 1892"),
        (0, "Revenue rose by five percent to 1,500,000 dollars.", "5%"),
        (1, "该产品不支持无线充电。", "不支持"),
        (1, "保修期是2年。", "两年"),
        (1, "电池容量3000毫安时。", "三千"),
        (2, "The capital of France lies on the Seine.", "Seine"),
    ],
)
def test_what_a_passage_says_is_supported_by_its_words(place: int, sentence: str, quote: str) -> None:
    support = Evidence(HITS[place]).support(sentence)
    assert support.score >= 0.6, support
    assert quote in support.quote
    assert HITS[place].text[slice(*support.span)] == support.quote


@pytest.mark.parametrize(
    ("place", "sentence", "why"),
    [
        (0, "The first president was Mary Smith.", "name"),
        (0, "The APA was founded in July 1993.", "number 1993"),
        (0, "The APA was founded in 1893.", "elsewhere"),
        (0, "It admitted women before 1893.", "denies"),
        (0, "Revenue fell by 5 percent.", "opposite"),
        (1, "该产品支持无线充电。", "denies"),
        (1, "保修期是三年。", "number 3"),
        (1, "2024年销量下降了12%。", "opposite"),
        (2, "The weather is fine today.", ""),
        (2, "", "nothing"),
    ],
)
def test_what_it_does_not_say_is_not(place: int, sentence: str, why: str) -> None:
    support = Evidence(HITS[place]).support(sentence)
    assert support.score < 0.5, support
    assert why in support.why


def test_likeness_helps_a_paraphrase_but_not_a_contradiction() -> None:
    checker = CitationChecker([APA], likeness=lambda sentence, quotes: [0.9 for _ in quotes])
    assert checker.check("The organisation got going during the nineties.", [1]).kept
    assert not checker.check("It admitted women before 1893.", [1]).kept


def test_a_judge_has_the_last_word() -> None:
    asked: list[tuple[str, str]] = []

    def judge(sentence: str, quote: str) -> float:
        asked.append((sentence, quote))
        return 0.0

    checker = CitationChecker([PARIS], judge=judge)
    assert checker.check("Paris is the capital of France.", [1]).dropped == 1
    assert asked == [("Paris is the capital of France.", "Paris is the capital of France.")]
    assert checker.find("Paris is the capital of France.") is None
    assert not checker.check("Rome is the capital of Italy.", [1]).kept
    assert len(asked) == 2  # what the words rule out is not asked


def test_two_passages_support_a_sentence_together() -> None:
    one = hit(1, "Jump for Glory", "Jump for Glory is a film directed by Raoul Walsh.")
    two = hit(2, "Raoul Walsh", "Raoul Walsh was married to the actress Miriam Cooper.")
    three = hit(3, "Bees", "Bees make honey in summer.")
    checker = CitationChecker([one, two, three])
    claim = "The director of Jump for Glory, Raoul Walsh, was married to the actress Miriam Cooper."
    assert [number for number, _ in checker.check(claim, [1, 2, 3]).kept] == [1, 2]
    assert checker.check(claim, [3]).dropped == 1


def run(text: str, size: int, checker: CitationChecker = CHECKER) -> tuple[CitationStream, list[object]]:
    stream = CitationStream(checker)
    events: list[object] = []
    for at in range(0, len(text), size):
        events += stream.feed(text[at : at + size])
    events += stream.finish()
    return stream, events


@pytest.mark.parametrize(
    ("written", "shown", "dropped"),
    [
        ("The APA was founded in July 1892 [1].", "The APA was founded in July 1892 [1].", 0),
        ("The APA was founded in July 1892. [1]", "The APA was founded in July 1892. [1]", 0),
        ("The APA was founded in July 1892.[1] Next?", "The APA was founded in July 1892.[1] Next?", 0),
        ("Its first president was Mary Smith [1].", "Its first president was Mary Smith.", 1),
        ("Paris is the capital of France [3][1].", "Paris is the capital of France [1].", 1),
        ("Paris is the capital of France [1, 3].", "Paris is the capital of France [1].", 1),
        ("Paris is the capital of France [1-3].", "Paris is the capital of France [1].", 2),
        ("Paris is the capital of France [9].", "Paris is the capital of France [1].", 1),
        ("Paris is the capital of France[^3].", "Paris is the capital of France[1].", 0),
        ("Paris is the capital of France [Source 3].", "Paris is the capital of France [1].", 0),
        ("Paris is the capital of France【3†guide.pdf】.", "Paris is the capital of France[1].", 0),
        ("保修期是两年【2】。", "保修期是两年[1]。", 0),
        ("保修期是两年（2）。", "保修期是两年[1]。", 0),
        ("保修期是两年。", "保修期是两年[1]。", 0),
        ("该产品支持无线充电［2］。", "该产品支持无线充电。", 1),
        ("Paris is the capital of France.", "Paris is the capital of France [1].", 0),
        ("Paris [3].", "Paris [1].", 0),
        ("Rome [3].", "Rome.", 1),
        ("According to [3], Paris is the capital of France.", "According to [1], Paris is the capital of France.", 0),
        (
            "According to [3], Paris is the capital of France [3].",
            "According to [1], Paris is the capital of France [1].",
            0,
        ),
        ("[9] Hello there.", "Hello there.", 1),
        ("[3] Paris is the capital of France.", "[1] Paris is the capital of France.", 0),
        ("Revenue rose by 5% [1], and Paris lies on the Seine [3].", None, 0),
        ("- Paris lies on the Seine [3]\n- Rome [3]\n", "- Paris lies on the Seine [1]\n- Rome\n", 1),
        ("What is Paris?", "What is Paris?", 0),
        ("# Paris is the capital of France", "# Paris is the capital of France", 0),
    ],
)
def test_markers_stand_or_fall(written: str, shown: str | None, dropped: int) -> None:
    stream, events = run(written, 1)
    assert stream.dropped == dropped
    if shown is not None:
        assert stream.text == shown
    assert "".join(event.text for event in events if isinstance(event, TextDelta)) == stream.text
    assert [event.citation for event in events if isinstance(event, CitationAdded)] == [
        wire_citation(citation) for citation in stream.citations
    ]


@pytest.mark.parametrize(
    "text",
    [
        "Use a[1] and x_y[2] and rows.items[3] here",
        "Call f(x)[1] or `list[2]` or ``a [3] b``",
        "See [1](https://example.org) and [the guide](/x)",
        "In the range [1, 3] and the interval [0, 1]",
        "Published in [2024] and [note to self]",
        "（1）首先，（2）其次",
        "初三（2）班",
        "```python\nx[1] = y[2]  # [3]\n```\n",
        "~~~\n[1]\n~~~\n",
        "[1]: https://example.org",
        "an open [ bracket, [1 and [",
        "data[7] is out of range",
    ],
)
def test_what_is_no_marker_is_left_alone(text: str) -> None:
    for size in (1, 3, len(text)):
        stream, _ = run(text, size)
        assert stream.text == text
        assert stream.dropped == 0
        assert stream.citations == []


def test_a_whole_answer_in_a_markdown_fence_is_read() -> None:
    stream, _ = run("```markdown\nParis lies on the Seine [3] [9].\n```\nBye [8].", 2)
    assert stream.text == "```markdown\nParis lies on the Seine [1].\n```\nBye."
    assert stream.dropped == 2


_SENTENCES = "The APA was founded in July 1892|Paris is the capital of France|保修期是两年|该产品支持无线充电"
_ENDS = ". |.|。|! |\n|\n\n|, |，| |e.g. |Mr. Smith |3.14|“|”|)|:|\t|- |1. |range "
_MARKERS = "[1]|[2]|[3]|[9]|[1, 3]|[1][3]|【2】|（2）|［3］|[^1]|[source 3]|[1†a]|[1-3]|[0, 1]|[1](http://a.b)"
_PARTS = "[|]|【|（|[1|, 2]|†|a[1]|`x[1]`|`|```|\n```\n|\n```py\n|~|~~~"
PIECES = st.sampled_from(f"{_SENTENCES}|{_ENDS}|{_MARKERS}|{_PARTS}".split("|"))


@settings(max_examples=150, deadline=None)
@given(st.lists(PIECES, max_size=14).map("".join), st.lists(st.integers(1, 9), min_size=1, max_size=8))
def test_however_it_is_cut_the_same_comes_out(text: str, sizes: list[int]) -> None:
    whole, _ = run(text, max(1, len(text)))
    stream = CitationStream(CHECKER)
    shown = ""
    at = 0
    for turn in range(len(text)):
        if at >= len(text):
            break
        size = sizes[turn % len(sizes)]
        for event in stream.feed(text[at : at + size]):
            if isinstance(event, TextDelta):
                shown += event.text
            else:  # what is cited has been shown
                assert event.citation.end is not None
                assert event.citation.end <= len(shown)
        at += size
    for event in stream.finish():
        if isinstance(event, TextDelta):
            shown += event.text
    assert (stream.text, stream.citations, stream.dropped) == (whole.text, whole.citations, whole.dropped)
    assert shown == stream.text
    assert whole.text.startswith(stream.text[:5])


@settings(max_examples=100, deadline=None)
@given(st.lists(PIECES, max_size=14).map("".join))
def test_citations_are_exact(text: str) -> None:
    stream, _ = run(text, 3)
    for citation in stream.citations:
        source = HITS[citation.chunk - 1]
        assert 0 <= citation.start < citation.end <= len(stream.text)
        assert citation.quote in source.text
        assert citation.support >= 0.6
        if source.span is not None and citation.span is not None:
            assert source.text[citation.span[0] - 100 : citation.span[1] - 100] == citation.quote
        assert f"[{citation.number}]" in stream.text


def test_words_are_not_held_back() -> None:
    stream = CitationStream(CHECKER)
    assert stream.feed("Paris is the") == [TextDelta("Paris is the")]
    assert stream.is_quick(" capital of")
    assert stream.feed(" capital of France [") == [TextDelta(" capital of France")]
    assert not stream.is_quick("3")
    assert stream.feed("3") == []
    assert stream.feed("]") == []
    (text, citation, more) = stream.feed(" and ")
    assert (text, more) == (TextDelta(" [1]"), TextDelta(" and"))
    assert isinstance(citation, CitationAdded)


def test_a_thousand_markers_take_no_time() -> None:
    text = "".join(f"Paris is the capital of France [{n % 12}]. " for n in range(1000)) + "[1]" * 1000
    stream, _ = run(text, 5)
    assert len(stream.citations) == 1000
    assert stream.dropped > 900
    assert set(re.findall(r"\[\d+\]", stream.text)) == {"[1]"}


def test_a_bracket_without_end_is_given_up() -> None:
    stream, _ = run("[" + "1," * 5000, 7)
    assert stream.text == "[" + "1," * 5000
    stream, _ = run("[" * 3000 + "`" * 3000, 11)
    assert len(stream.text) == 6000


def test_a_citation_says_where_it_is_from() -> None:
    stream = cited("The APA was founded in July 1892 [1].", CHECKER)
    (citation,) = stream.citations
    assert citation.span == (100, 153)
    assert (citation.page, citation.source, citation.document) == (3, "https://example.org/apa", "d1")
    wire = wire_citation(citation)
    assert wire.url == "https://example.org/apa"
    assert stream.text[wire.start : wire.end] == "The APA was founded in July 1892"
    (other,) = cited("保修期是两年[2]。", CHECKER).citations
    assert other.span is None  # what was shown has no place of its own


def test_a_passage_that_was_expanded_has_no_exact_place() -> None:
    widened = APA.model_copy(update={"span": (100, 150)})
    (citation,) = cited("The APA was founded in July 1892 [1].", CitationChecker([widened])).citations
    assert citation.span is None
    assert citation.quote.startswith("The APA")


def test_claims_are_sentences_without_headings_and_questions() -> None:
    text = "# Head\nParis is big [1]. Is it? It is [2].\n- A list\n```\ncode.\n```\nThe end"
    assert [text[start:end] for start, end in claims_of(text)] == ["Paris is big", "It is", "A list", "The end"]
