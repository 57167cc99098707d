"""Any encoding, any size, nothing lost."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polyport_gateway.knowledge.documents import DocumentLossError, UnreadableDocumentError, UnsupportedFormatError
from polyport_gateway.knowledge.readers import read
from polyport_gateway.knowledge.readers.text import decode

CHINESE = "人工智能是计算机科学的一个分支，它企图了解智能的实质，并生产出一种新的智能机器。"
TRADITIONAL = "人工智慧是電腦科學的一個分支，企圖瞭解智慧的實質，並生產出一種新的智慧型機器。"


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (CHINESE, "gb18030"),
        (CHINESE, "gbk"),
        (TRADITIONAL, "big5"),
        ("안녕하세요 여러분, 오늘은 날씨가 참 좋습니다.", "euc_kr"),
        ("これは日本語の文章です。今日は天気がいいですね。", "shift_jis"),
        (CHINESE, "utf-8-sig"),
        (CHINESE, "utf-16"),
        ("Plain words in a line.\n", "utf-16-le"),
        ("Plain words in a line.\n", "utf-16-be"),
        ("Ça va très bien, merci à vous tous, à bientôt.", "cp1252"),
        ("مرحبا بالعالم", "utf-8"),
    ],
)
def test_the_encoding_is_found(text, encoding):
    assert decode(text.encode(encoding), "a.txt").text == text


def test_a_byte_that_is_none_is_said():
    found = decode(b"abc \xff def " + "é".encode() * 20, "a.txt")
    assert "\ufffd" in found.text
    assert "byte 4" in found.warnings[0]


def test_an_encoding_that_is_none_is_refused():
    with pytest.raises(UnreadableDocumentError, match="nonsense"):
        decode(b"a", "a.txt", "nonsense")


def test_paragraphs_and_pages(read_file):
    document = read_file("one\nline\n \n\n  two\r\n\fthree", "a.txt").document
    assert [(block.kind, block.text) for block in document.blocks] == [
        ("paragraph", "one\nline"),
        ("paragraph", "  two"),
        ("page_break", ""),
        ("paragraph", "three"),
    ]
    assert document.blocks[3].provenance.page == 2


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet=st.characters(exclude_categories=["Cs", "Cc"]) | st.sampled_from("\n\t"), min_size=1))
def test_no_word_is_lost_and_every_span_is_true(text):
    found = read(text.encode(), "a.txt").document
    assert found.text.split() == text.removeprefix("\ufeff").split()
    for block in found.blocks:
        start, end = block.provenance.source_span
        assert text.removeprefix("\ufeff")[start:end] == block.text


def test_one_line_of_many_megabytes(read_file):
    assert len(read_file(b"x" * 20_000_000, "a.txt").document.text) == 20_000_000


@pytest.mark.parametrize(
    ("data", "name", "error"),
    [
        (b"", "a.txt", UnreadableDocumentError),
        (b"\x7fELF\x02\x01", "a", UnsupportedFormatError),
        (bytes(range(256)) * 9, "a.dat", UnsupportedFormatError),
        (b"a", "a.txt", UnreadableDocumentError),
    ],
)
def test_what_cannot_be_read_is_refused_by_name(read_file, data, name, error):
    with pytest.raises(error, match=name):
        read_file(data, name, max_bytes=10_000 if len(data) != 1 else 0)


def test_code_is_one_block(read_file):
    block = read_file("def f():\n    return 1\n", "a.py").document.blocks[0]
    assert (block.kind, block.language, block.text) == ("code", "python", "def f():\n    return 1")


@pytest.mark.parametrize(
    ("text", "name", "warning"),
    [
        ('{"a": [1, 2]}', "a.json", None),
        ('{"a": [1, 2}', "a.json", "Not well-formed JSON"),
        ('{"a": 1}\n{"b"\n', "a.jsonl", "Line 2"),
        ("a: [1, 2]\n", "a.yaml", None),
        ("a: [1, 2\n", "a.yaml", "Not well-formed YAML"),
        ("<a><b>x</b></a>", "a.xml", None),
        ("<a><b>x</a>", "a.xml", "Not well-formed XML"),
        ("[" * 200_000, "a.json", "can't be followed|Not well-formed"),
    ],
)
def test_structured_text_is_kept_and_checked(read_file, text, name, warning):
    parsed = read_file(text, name)
    assert parsed.document.text == text.rstrip("\n")
    if warning is None:
        assert parsed.receipt.warnings == ()
    else:
        assert any(part in parsed.receipt.warnings[0] for part in warning.split("|"))


@pytest.mark.parametrize(
    "text",
    [
        '<!DOCTYPE a [<!ENTITY b "x"><!ENTITY c "&b;&b;&b;">]><a>&c;</a>',
        '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>',
        "<a>" * 5000 + "</a>" * 5000,
    ],
)
def test_xml_bombs_are_refused(read_file, text):
    with pytest.raises(UnreadableDocumentError, match=r"a\.xml"):
        read_file(text, "a.xml")


def test_a_wrong_name_is_noted(read_file):
    receipt = read_file("<!DOCTYPE html><p>x</p>", "a.json").receipt
    assert receipt.format == "html"
    assert ".json" in receipt.warnings[0]


MAIL = b"""From: Ann <ann@example.org>
To: bob@example.org
Subject: =?utf-8?b?5rWL6K+V?=
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=x

--x
Content-Type: multipart/alternative; boundary=y

--y
Content-Type: text/plain

plain
--y
Content-Type: text/html; charset=gb2312
Content-Transfer-Encoding: base64

PHA+xOO6wzwvcD4=
--y--
--x
Content-Type: text/csv
Content-Disposition: attachment; filename=t.csv

a,b
1,2
--x
Content-Type: application/octet-stream
Content-Disposition: attachment; filename=t.bin
Content-Transfer-Encoding: base64

AAECAwQFBgc=
--x--
"""


def test_mail_with_attachments(read_file):
    parsed = read_file(MAIL, "a.eml")
    blocks = parsed.document.blocks
    assert [block.kind for block in blocks] == ["heading", "paragraph", "paragraph", "heading", "table"]
    assert blocks[0].text == "测试"
    assert blocks[2].text == "你好"
    assert blocks[4].provenance.part == "t.csv"
    assert [item.part for item in parsed.receipt.skipped] == ["t.bin"]
    with pytest.raises(DocumentLossError, match=r"t\.bin"):
        read_file(MAIL, "a.eml", strict=True)
