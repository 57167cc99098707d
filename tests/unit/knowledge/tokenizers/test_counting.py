"""Whatever is remembered or guessed on the way, a count is what the vocabulary says."""

from __future__ import annotations

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from polyport_gateway.knowledge import chunkers as c
from polyport_gateway.knowledge.tokenizers import EstimateTokenizer, TiktokenTokenizer, get_tokenizer, seams, words
from tests.unit.knowledge.chunkers.texts import TEXTS, document

VOCABULARIES = ("cl100k_base", "o200k_base")
ALMOST_ANY = [chr(code) for code in range(1, 0x2FFFF, 61) if not 0xD800 <= code <= 0xDFFF]


def encoded(name: str, text: str) -> int:
    """Count as the vocabulary itself does, for `TiktokenTokenizer.count` looks words up."""
    tokenizer = get_tokenizer(name)
    assert isinstance(tokenizer, TiktokenTokenizer)
    return len(tokenizer._encoding.encode_ordinary(text))


@pytest.mark.parametrize("name", VOCABULARIES)
@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(text=TEXTS, data=st.data())
def test_a_part_has_the_tokens_that_it_has_alone(
    name: str, monkeypatch: pytest.MonkeyPatch, text: str, data: st.DataObject
) -> None:
    # So small that even a short text is looked up slice by slice, has stretches that are guessed, and is forgotten.
    for module, limit, value in (
        (seams, "_SLICE", 40),
        (seams, "_LARGE", 60),
        (seams, "_PART", 16),
        (words, "_MOST", 99),
    ):
        monkeypatch.setattr(module, limit, value)
    measure = get_tokenizer(name).measure(text)
    for _ in range(12):
        start = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(start, len(text)))
        assert measure.count(start, end) == encoded(name, text[start:end])


@pytest.mark.parametrize("name", VOCABULARIES)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(text=TEXTS)
def test_a_text_whose_words_are_looked_up_has_the_tokens_of_its_encoding(name: str, text: str) -> None:
    text += " and so on, for more than is encoded without looking it up: a word, a comma and a blank" * 2 + text
    assert get_tokenizer(name).count(text) == encoded(name, text)


@pytest.mark.parametrize("name", VOCABULARIES)
def test_a_line_that_begins_with_a_slash_may_belong_to_the_one_before(name: str) -> None:
    for text in ("It ends...\n/usr/bin is next.\n" * 40, "NoBlankHere...\n/usr/bin/is-next.\n" * 40):
        measure = get_tokenizer(name).measure(text)
        for start in range(60):
            assert measure.count(start, len(text)) == encoded(name, text[start:])


def test_long_texts_with_long_stretches_are_counted_exactly() -> None:
    chance = random.Random(7)
    parts = [
        "plain words in a row. " * 3000,
        "x" * 70_000,
        "没有标点的一行字" * 6000,
        "\n" * 50_000,
        "a line,\n" * 5000,
    ]
    text = "".join(chance.sample(parts * 2, 10))
    measure = get_tokenizer("cl100k_base").measure(text)
    for _ in range(200):
        start = chance.randrange(len(text))
        end = min(len(text), start + chance.randrange(4000))
        assert measure.count(start, end) == encoded("cl100k_base", text[start:end])


@pytest.mark.parametrize("stretch", ["x", "字", "\n", " ", ".", "e\u0301"])
def test_a_stretch_without_a_seam_is_cut_in_chunks_that_are_full(stretch: str) -> None:
    # Were each part encoded with all that stands around it, this would take minutes.
    text = "Begin. " + stretch * 200_000 + " End."
    found = c.Recursive(512, "cl100k_base").chunk(document(text))
    assert all(chunk.tokens == encoded("cl100k_base", chunk.text) <= 512 for chunk in found[:5] + found[-5:])
    if not stretch.isspace():
        assert "".join(chunk.text for chunk in found) == text
        assert sum(chunk.tokens > 400 for chunk in found) >= len(found) - 4


def test_characters_weigh_the_same_alone_and_among_others() -> None:
    count = EstimateTokenizer().count
    weights = {character: count(character * 12) for character in ALMOST_ANY}
    for text in ("".join(ALMOST_ANY), "".join(ALMOST_ANY[:40]), "plain", "mixed 字 with é and ȿ, 👍"):
        assert count(text * 12) == sum(weights.get(character, count(character * 12)) for character in text)
