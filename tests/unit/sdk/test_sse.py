from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from polyport.client.sse import ServerSentEvent, SSEDecoder


def decode(data: bytes) -> list[ServerSentEvent]:
    return SSEDecoder().feed(data)


def test_fields_comments_and_joined_data() -> None:
    events = decode(b": hello\nid: 7\nevent: news\ndata: a\ndata:b\ndata:  c\nretry: 250\nnonsense\n\n")
    assert events == [ServerSentEvent("news", "a\nb\n c", "7")]


def test_an_event_without_data_is_dropped_and_its_type_forgotten() -> None:
    assert decode(b"event: x\n\ndata: 1\n\n") == [ServerSentEvent("message", "1")]


def test_the_id_lasts_and_the_type_does_not() -> None:
    assert decode(b"id: 1\nevent: x\ndata: a\n\ndata: b\n\n") == [
        ServerSentEvent("x", "a", "1"),
        ServerSentEvent("message", "b", "1"),
    ]


def test_an_unfinished_event_is_not_given() -> None:
    assert decode(b"data: a\n") == []


def test_a_byte_order_mark_is_dropped() -> None:
    assert decode(b"\xef\xbb\xbfdata: a\n\n") == [ServerSentEvent("message", "a")]


def test_retry() -> None:
    decoder = SSEDecoder()
    decoder.feed(b"retry: 1x\n")
    assert decoder.retry is None
    decoder.feed(b"retry: 12\n")
    assert decoder.retry == 12


_text = st.text(st.characters(blacklist_characters="\r\n\0", blacklist_categories=("Cs",)), max_size=20)


@given(
    st.lists(
        st.tuples(st.sampled_from(["message", "error", "x"]), st.lists(_text, min_size=1, max_size=3)), max_size=5
    ),
    st.lists(st.sampled_from(["\n", "\r", "\r\n"]), min_size=1, max_size=7),
    st.lists(st.integers(1, 9), min_size=1),
)
def test_any_pieces_and_any_line_ends_give_the_same_events(
    events: list[tuple[str, list[str]]], ends: list[str], sizes: list[int]
) -> None:
    lines: list[str] = []
    for kind, data in events:
        lines += [f"event: {kind}", *(f"data: {part}" for part in data), ""]
    # An empty line ended by CR and followed by one ended by LF would read as one CRLF, so one kind per text.
    expected = [ServerSentEvent(kind, "\n".join(data)) for kind, data in events]
    for end in set(ends):
        encoded = "".join(line + end for line in lines).encode()
        decoder, found, position, turn = SSEDecoder(), [], 0, 0
        while position < len(encoded):
            size = sizes[turn % len(sizes)]
            found += decoder.feed(encoded[position : position + size])
            position, turn = position + size, turn + 1
        assert found == expected


@given(st.lists(st.binary(max_size=30)))
def test_any_bytes_are_read_the_same_whole_and_in_pieces(pieces: list[bytes]) -> None:
    decoder = SSEDecoder()
    found = [event for piece in pieces for event in decoder.feed(piece)]
    assert found == decode(b"".join(pieces))
