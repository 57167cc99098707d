"""Chunkers from their descriptions, and what wrong ones are told."""

from __future__ import annotations

import pytest

from polyport_gateway.knowledge import chunkers as c
from polyport_gateway.knowledge.chunkers.spec import ChunkerSpecError, parse_steps
from polyport_gateway.knowledge.tokenizers import EstimateTokenizer


@pytest.mark.parametrize(
    ("text", "step"),
    [
        ("Recursive", c.Recursive()),
        ("recursive()", c.Recursive()),
        (" Recursive(256) ", c.Recursive(256)),
        ("by-heading(level=None)", c.ByHeading()),
        ("BY_HEADING(level=2) | sentence-window", c.ByHeading(2) | c.SentenceWindow()),
        ("ByHeading()|Sentences(max_tokens=256, overlap=32)|WithContext(separator=' by-x - ')",
         c.ByHeading() | c.Sentences(256, 32) | c.WithContext(separator=" by-x - ")),
        ("ParentChild(parent=ByHeading | Recursive(1024), child=Sentences(64, tokenizer='estimate'))",
         c.ParentChild(c.ByHeading() | c.Recursive(1024), c.Sentences(64, 0, "estimate"))),
        ("ByHeading\n| Recursive", c.ByHeading() | c.Recursive()),
    ],
)  # fmt: skip
def test_a_description_is_the_step(text: str, step: c.Step) -> None:
    assert parse_steps(text) == step


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "describes no chunker"),
        ("ByHeading(", "describes no chunker: .*never closed"),
        ("x" * 5000, "5,000 characters"),
        ("By-Headings", r"no step named 'By_Headings'\. Did you mean ByHeading\?"),
        ("Qwertz()", r"no step named 'Qwertz'\. There is Auto, ByBlock"),
        ("ByHeading() + Sentences()", "is no step"),
        ("__import__('os').system('true')", "is no step"),
        ("[Recursive()]", "is no step"),
        ("Recursive(max_token=3)", r"argument of Recursive named 'max_token'\. Did you mean max_tokens\?"),
        ("Recursive(**{})", r"argument of Recursive named '\*\*'"),
        ("Recursive(1, 2, 3)", "takes max_tokens, tokenizer; 3 values were given"),
        ("Recursive(64, max_tokens=64)", "max_tokens twice"),
        ("Recursive(max_tokens='64')", r"Recursive\(max_tokens=…\) can't be '64'; give a whole number\."),
        ("Recursive(max_tokens=True)", "give a whole number"),
        ("Recursive(max_tokens=2 ** 9)", "is no plain value; give a whole number"),
        ("Recursive(max_tokens=4)", r"Recursive: max_tokens=4 is too small"),
        ("ByHeading(level=1.5)", "give a whole number or None"),
        ("Recursive(tokenizer='/etc/passwd')", "no tokenizer in .* named '/etc/passwd'"),
        ("ParentChild(parent='x')", "can't be 'x'; give a step"),
        ("ParentChild(" * 60 + ")" * 60, "deep in each other"),
        (" | ".join(["Auto"] * 60), "deep in each other"),
    ],
)
def test_a_wrong_description_is_told_what_is_wrong(text: str, message: str) -> None:
    with pytest.raises(ChunkerSpecError, match=message):
        parse_steps(text)


def test_tokenizers_beyond_the_built_in_ones_are_found_by_whom_allows_them() -> None:
    own = EstimateTokenizer()
    assert parse_steps("Recursive(tokenizer='mine')", tokenizers={"mine": own}) == c.Recursive(tokenizer=own)
    with pytest.raises(ChunkerSpecError, match="there is no tokenizer named"):
        parse_steps("Recursive(tokenizer='x')", tokenizers={"mine": own}.__getitem__)
