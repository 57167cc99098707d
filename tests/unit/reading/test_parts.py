"""A long text in parts, and the documents kept at hand."""

from hypothesis import given
from hypothesis import strategies as st

from polyport_gateway.knowledge import read
from polyport_gateway.reading.parts import Recent, Rendered, part_of


@given(st.text(alphabet="ab \n茶🍵", max_size=400), st.integers(1, 60))
def test_parts_make_the_whole(text, most):
    parts, start = [], 0
    while True:
        part = part_of(text, start, most)
        assert len(part.text) <= most
        assert part.total == len(text)
        parts.append(part.text)
        if part.next is None:
            break
        assert part.next > start
        start = part.next
    assert "".join(parts) == text


def test_a_part_ends_with_a_line_or_else_a_word():
    assert part_of("one two nine\nten eleven", 0, 15).text == "one two nine\n"
    assert part_of("one two nine ten eleven", 0, 15).text == "one two nine "
    assert part_of("x" * 20, 0, 9).text == "x" * 9
    assert part_of("short", 99, 9).text == ""


def rendered(text):
    return Rendered(read(text.encode(), "a.txt"), text)


def test_the_documents_that_were_asked_for_longest_ago_go():
    recent = Recent(most=20_000)
    for name in "abc":
        recent.put(name, rendered(name * 300))
    assert recent.get("a") is not None
    for name in "defg":
        recent.put(name, rendered(name * 300))
    assert recent.get("b") is None
    assert recent.get("g") is not None
    recent.put("large", rendered("x" * 10_000))
    assert recent.get("large") is None
