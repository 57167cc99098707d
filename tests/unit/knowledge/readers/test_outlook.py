"""Outlook's messages: every form of a body, attachments, messages inside, and what a damaged one gets."""

from __future__ import annotations

import base64
import contextlib
import random
import struct

import pytest

from polyport_gateway.knowledge.documents import UnreadableDocumentError
from polyport_gateway.knowledge.readers.outlook import rtf
from tests.support.compound import compound

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
SENT = 133_500_000_000_000_000  # in ticks since 1601: a day in January 2024


def fixed(head, **values):
    """Write fixed properties; each is a number of 8 bytes."""
    return bytes(head) + b"".join(
        struct.pack("<LLQ", int(tag[1:], 16) << 16 | 3, 6, value) for tag, value in values.items()
    )


def texts(**values):
    return {
        f"__substg1.0_{tag[1:]}{'0102' if isinstance(value, bytes) else '001F'}": (
            value if isinstance(value, bytes) else value.encode("utf-16-le")
        )
        for tag, value in values.items()
    }


def message(head=32, codepage=936, **values):
    attachments = values.pop("attachments", [])
    entry = {
        "__properties_version1.0": fixed(head, t0039=SENT, t3FFD=codepage),
        **texts(t001A="IPM.Note", t0037="茶会", t0C1A="Ann", t5D01="ann@example.org", **values),
        "__recip_version1.0_#00000000": {
            "__properties_version1.0": fixed(8, t0C15=1), **texts(t3001="Bob", t39FE="bob@example.org"),
        },
        "__recip_version1.0_#00000001": {
            "__properties_version1.0": fixed(8, t0C15=2), **texts(t3001="Eve", t3003="/o=ex"),
        },
    }  # fmt: skip
    for number, attachment in enumerate(attachments):
        entry[f"__attach_version1.0_#{number:08X}"] = {"__properties_version1.0": bytes(8), **attachment}
    return entry


def compressed(data):
    """Pack RTF without a single reference: eight literals after each flag."""
    body = b"".join(b"\0" + data[i : i + 8] for i in range(0, len(data), 8))
    return struct.pack("<4L", len(body) + 12, len(data), 0x75465A4C, 0) + body


def test_a_message(read_file):
    attachments = [
        texts(t3707="t.csv", t3701=b"a,b\n1,2\n"),
        texts(t3707="cup.png", t3712="cup@x", t3701=PNG),
        texts(t3707="t.bin", t3701=bytes(range(256))),
        {"__substg1.0_3701000D": message(24, t1000="Inner words.", t3701="x"), **texts(t3001="Old letter")},
    ]
    html = '<p>你好</p><img src="cid:cup@x" alt="A cup">'.encode("gbk")
    parsed = read_file(compound(message(t1013=html, attachments=attachments)), "tea.msg")
    document = parsed.document
    assert [(block.kind, block.text) for block in document.blocks[:5]] == [
        ("heading", "茶会"),
        ("paragraph", "From: Ann <ann@example.org>\nTo: Bob <bob@example.org>\nCc: Eve\n"
                      "Date: Wed, 17 Jan 2024 21:20:00 +0000"),
        ("paragraph", "你好"), ("picture", "A cup"), ("heading", "t.csv"),
    ]  # fmt: skip
    assert PNG in document.assets.values()
    assert "Inner words." in document.text
    assert [left.part for left in parsed.receipt.skipped] == ["t.bin"]
    assert [b.level for b in document.blocks if b.kind == "heading" and b.provenance.part == "Old letter"] == [2, 3]


RTF = (
    rb"{\rtf1\ansi\ansicpg936\fromhtml1 \deff0{\fonttbl{\f0\fswiss Arial;}{\f1\fcharset134 SimSun;}}"
    rb"{\*\htmltag19 <html>}{\*\htmltag64 <p>}\htmlrtf {\htmlrtf0 hot \'b2\'e8 \u8364\'3f \u-10180?\u-8381? \{x\}"
    rb"{\*\htmltag84 <b>}\htmlrtf {\b \htmlrtf0 bold{\*\htmltag92 </b>}\htmlrtf }\htmlrtf0"
    rb"\htmlrtf\par}\htmlrtf0{\*\htmltag72 </p>}{\*\htmltag244 <table><tr><td>1</td></tr></table>}{\*\mhtmltag0 no}}"
)


def test_html_inside_rtf_is_read(read_file):
    data = compound(message(t1000="plain", t1009=compressed(RTF)))
    blocks = read_file(data, "tea.msg").document.blocks[2:]
    assert [(block.kind, block.text) for block in blocks[:1]] == [("paragraph", "hot 茶 € 🍃 {x}bold")]
    assert blocks[0].marks == ((13, 17, "bold", ""),)
    assert blocks[1].kind == "table"


@pytest.mark.parametrize(
    ("body", "shown"),
    [({"t1000": "plain 茶\r\n"}, "plain 茶"), ({"t1013": "<p>wide 茶</p>"}, "wide 茶"), ({"t1000": ""}, None)],
)
def test_other_bodies(read_file, body, shown):
    blocks = read_file(compound(message(**body)), "tea.msg").document.blocks[2:]
    assert [block.text for block in blocks] == ([shown] if shown else [])


def test_compressed_rtf_with_references():
    # The example of MS-OXRTFCP 3.1.1.
    packed = bytes.fromhex(
        "2d0000002b0000004c5a4675f1c5c7a703000a007263706731323542320af3206865 6c090020627705b06c647d0a800fa0".replace(
            " ", ""
        )
    )
    assert rtf.unpacked(packed) == b"{\\rtf1\\ansi\\ansicpg1252\\pard hello world}\r\n"


def test_text_that_is_no_unicode(read_file):
    entry = message(t1000="x")
    entry["__substg1.0_1000001E"] = "茶叶".encode("gbk") + b"\0"
    del entry["__substg1.0_1000001F"]
    assert read_file(compound(entry), "tea.msg").document.blocks[-1].text == "茶叶"


def test_messages_in_messages_end(read_file):
    entry = message(24, t1000="the last")
    for _ in range(5):
        entry = message(24, t1000="one", attachments=[{"__substg1.0_3701000D": entry}])
    parsed = read_file(compound(message(attachments=[{"__substg1.0_3701000D": entry}])), "tea.msg", max_depth=3)
    assert "the last" not in parsed.document.text
    assert "max_depth" in parsed.receipt.skipped[0].why


def test_other_than_letters_are_told(read_file):
    entry = message(t1000="At five.")
    entry.update(texts(t001A="IPM.Appointment"))
    assert "IPM.Appointment" in read_file(compound(entry), "tea.msg").receipt.warnings[0]


def test_a_damaged_message_is_an_error(read_file):
    data = compound(message(t1000="words " * 2000))
    with pytest.raises(UnreadableDocumentError, match=r"tea\.msg"):
        read_file(data[:700], "tea.msg", format="msg")
    with pytest.raises(UnreadableDocumentError, match=r"tea\.msg"):
        read_file(compound({"__properties_version1.0": bytes(32)}), "tea.msg")
    maker = random.Random(3)
    for _ in range(60):
        broken = bytearray(data)
        for _ in range(20):
            broken[maker.randrange(len(broken))] = maker.randrange(256)
        with contextlib.suppress(UnreadableDocumentError):
            read_file(bytes(broken), "tea.msg", format="msg")
