"""Subtitles keep what is said, by whom, and when."""

from __future__ import annotations

import pytest

from polyport_gateway.knowledge.documents import Document, UnreadableDocumentError

SRT = """1
00:00:01,000 --> 00:00:02,500
<i>Hot</i> tea
{\\an8}and milk

2
00:00:03,5 --> 100:00:04,000 X1:1 X2:2
茶 &amp; 水
"""
VTT = """WEBVTT - Tea
Kind: captions
Language: en

NOTE
Checked twice.

STYLE
::cue { color: red }

intro
00:01.000 --> 00:02.000 align:start position:0%
<v.loud Ann Lee>Hot <b>tea</b></v> <00:01.500><c.x>now</c>

00:02.000 --> 00:03.000
2 < 3 and 4 > 3
"""


def test_subrip(read_file):
    blocks = read_file(SRT, "a.srt").document.blocks
    assert [block.text for block in blocks] == ["Hot tea\nand milk", "茶 & 水"]
    assert [block.provenance.time for block in blocks] == [(1.0, 2.5), (3.5, 360004.0)]
    assert blocks[0].marks == ((0, 3, "italic", ""),)


def test_webvtt(read_file):
    parsed = read_file(VTT, "a.vtt", strict=True)
    document = parsed.document
    assert [(block.kind, block.text) for block in document.blocks] == [
        ("note", "Checked twice."), ("paragraph", "Ann Lee: Hot tea now"), ("paragraph", "2 < 3 and 4 > 3"),
    ]  # fmt: skip
    assert document.blocks[1].provenance.part == "intro"
    assert document.blocks[1].marks == ((13, 16, "bold", ""),)
    assert document.metadata["title"] == "Tea"
    assert document.metadata["kind"] == "captions"
    assert Document.from_json(document.to_json()) == document


@pytest.mark.parametrize(("text", "format"), [(SRT, "srt"), (VTT, "vtt")])
def test_found_without_a_name(read_file, text, format):
    assert read_file(text, "captions").receipt.format == format


def test_a_cue_without_a_time_is_told(read_file):
    parsed = read_file(SRT + "\n3\n00:xx --> 00:00:05,000\nlost\n", "a.srt")
    assert "lost" in parsed.receipt.skipped[0].why


def test_no_cue_is_an_error(read_file):
    with pytest.raises(UnreadableDocumentError, match=r"a\.srt.*no cue"):
        read_file("tea\n", "a.srt")


@pytest.mark.parametrize("text", ["<" * 200_000, "<v " * 100_000, "1:" * 200_000 + "-->", "\n \n" * 200_000])
def test_no_text_takes_long(read_file, text):
    read_file(SRT + "\n" + text, "a.srt")
