"""Markdown that is deeper than its parser goes."""

import pytest

from polyport_gateway.knowledge import read


@pytest.mark.parametrize("sign", [">", "- "])
def test_what_stands_too_deep_is_read_as_text(sign):
    parsed = read((sign * 300 + " deepest\n\nand after").encode(), "a.md")
    assert "deepest" in parsed.document.text
    assert "and after" in parsed.document.text
    assert parsed.receipt.warnings
