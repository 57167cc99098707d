"""What becomes a term, and what meets what."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polyport_gateway.knowledge.retrieval.terms import Analyzer, fold, term_id, unspaced_share

ANALYZER = Analyzer()


def meet(query: str, document: str) -> bool:
    """Tell whether every term of the query is one of the document's."""
    return set(ANALYZER.query(query).ids.tolist()) <= set(ANALYZER.document(document).ids.tolist())


@pytest.mark.parametrize(
    ("query", "document"),
    [
        ("running cats", "The cat runs."),
        ("Ａｋｉｎｏｓｈū", "akinoshu Kenji"),
        ("Straße", "STRASSE"),
        ("U.S.A.", "the USA"),
        ("king's", "the king"),
        ("2026-11-27", "on 2026-11-27."),
        ("2026", "on 2026-11-27."),
        ("1,000", "1000 passages"),
        ("3.14", "π is 3.14."),
        ("10km", "a race of 10km"),
        ("max_tokens", "set `max_tokens` to 5"),
        ("RFC-2616", "see RFC-2616"),
        ("C++", "in C++, and in C"),
        ("首都", "北京是中国的首都。"),
        ("京", "北京是中国的首都。"),
        ("首都是哪里？", "中国首都是北京。"),
        ("서울", "서울은 대한민국의 수도이다"),
        ("東京タワー", "私は東京タワーを見た"),
        ("ﾀﾜｰ", "タワー"),
        ("हिन्दी", "हिन्दी भाषा"),
        ("café", "cafe"),
        ("مُحَمَّد", "محمد"),
        ("The Who", "The Who"),
        ("GPT模型", "一个GPT模型"),
    ],
)
def test_what_is_meant_is_found(query: str, document: str) -> None:
    assert len(ANALYZER.query(query).ids)
    assert meet(query, document)


@pytest.mark.parametrize(
    ("query", "document"),
    [("C#", "C"), ("C++", "C"), ("首都", "首先，都城"), ("3.14", "3 of 15"), ("ab", "abc"), ("1000", "100")],
)
def test_what_is_not_meant_is_not_found(query: str, document: str) -> None:
    assert not meet(query, document)


def test_the_words_a_question_asks_with_are_left_out_unless_there_are_no_others() -> None:
    asked = ANALYZER.query("What is the capital of France?")
    assert set(asked.ids.tolist()) == set(ANALYZER.document("capital France").ids.tolist())
    assert ANALYZER.query("什么是首都").ids.tolist() != ANALYZER.document("什么是首都").ids.tolist()
    assert len(ANALYZER.query("The Who").ids) == 2
    assert len(ANALYZER.query("什么").ids) == 1


def test_counts_and_length_leave_single_characters_out_of_the_length() -> None:
    terms = ANALYZER.document("北京 北京 cat")
    assert terms.length == 3
    assert sorted(terms.counts.tolist()) == [1, 2, 2, 2]
    assert (terms.ids[1:] > terms.ids[:-1]).all()


def test_other_languages_are_stemmed_by_their_own_rules() -> None:
    german = Analyzer("de")
    assert german.query("Häuser").ids.tolist() == german.document("Hauses").ids.tolist()
    with pytest.raises(KeyError):
        Analyzer("nonsense")


def test_term_numbers_never_change() -> None:
    # They are stored in indexes: another hash would lose every document.
    assert term_id("cat") == 3138554730
    assert 0 <= term_id("\ud800") < 2**32


def test_share_of_letters_without_blanks() -> None:
    assert unspaced_share("") == 0
    assert unspaced_share("What?") == 0
    assert unspaced_share("首都是？") == 1
    assert unspaced_share("GPT模型") == pytest.approx(0.4)


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=200))
def test_any_text_has_terms_or_none_and_a_query_asks_for_no_more_than_a_document_has(text: str) -> None:
    assert fold(fold(text)) == fold(fold(fold(text)))
    document = ANALYZER.document(text)
    assert document.length >= 0
    assert len(document.ids) == len(document.counts)
    assert len(ANALYZER.query(text).ids) <= len(document.ids) or "什" in text or "哪" in text


def test_a_hundred_thousand_characters_are_no_trouble() -> None:
    for text in ("a" * 100_000, "a." * 50_000, "山" * 100_000, "a'" * 50_000, "+" * 100_000, "1," * 50_000):
        assert ANALYZER.document(text).length <= 100_000
