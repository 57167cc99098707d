"""Whatever is done to a file: a document that holds together, or an error that names the file. Of every format."""

from __future__ import annotations

import random
import time
from functools import cache
from itertools import pairwise

import pytest

from polyport_gateway.knowledge.documents import Document, Parsed, UnreadableDocumentError
from polyport_gateway.knowledge.readers import ReadOptions, detect, read, readers

from .samples import EXTENSIONS, SAMPLES, TEXT, sample

FORMATS = sorted(readers())
SECONDS = 20.0
# What OCR does to a broken picture takes seconds, and a password takes 100,000 rounds: a few of each are enough here.
READ_AS = {"encrypted-office": "docx"}  # what is inside
SLOW = frozenset({"encrypted-office", "png", "jpeg", "tiff", "gif", "webp", "bmp", "pdf"})
QUICK = [
    pytest.param(kind, marks=pytest.mark.slow) if kind in SLOW - {"pdf", "png"} else kind for kind in FORMATS
]  # fmt: skip
TEXTUAL = ["text", "markdown", "csv", "html", "json", "yaml", "xml", "eml", "srt", "vtt", "code", "tsv", "jsonl"]


@cache
def made(kind):
    found = sample(kind)
    if found is None:
        pytest.fail(f"nothing here makes a sample of {kind}: make setup installs what does")
    return found


def sound(error, name):
    """Check that an error says of which file, and why."""
    assert error.file == name
    assert name in str(error)
    assert len(error.reason) > 8
    return error


def attempt(data, name, **options):
    """Read, and check all that must hold whatever the file is; return what came of it."""
    started = time.perf_counter()
    try:
        parsed = read(data, name, ReadOptions(**options))
    except UnreadableDocumentError as error:
        return sound(error, name)
    finally:
        assert time.perf_counter() - started < SECONDS
    document = parsed.document
    assert document.source.size == len(data)
    assert parsed.receipt.format
    assert parsed.receipt.blocks == len(document.blocks)
    again = Document.from_json(document.to_json())
    assert again == document
    assert again.content_hash == document.content_hash
    document.text.encode()
    return parsed


def test_every_format_has_a_sample():
    assert [kind for kind in FORMATS if kind not in SAMPLES] == []


@pytest.mark.parametrize("kind", FORMATS)
def test_a_sound_file_is_read_whole(kind):
    data, name = made(kind)
    parsed = attempt(data, name)
    assert isinstance(parsed, Parsed), parsed
    assert parsed.receipt.format == READ_AS.get(kind, kind)
    assert parsed.receipt.skipped == ()
    assert parsed.receipt.warnings == ()


@pytest.mark.parametrize("kind", FORMATS)
def test_nothing_in_it(kind):
    error = attempt(b"", made(kind)[1])
    assert "empty" in error.reason


@pytest.mark.parametrize("kind", QUICK)
def test_cut_off_anywhere(kind):
    data, name = made(kind)
    many = 3 if kind in SLOW else 12
    for number in range(1, many):
        attempt(data[: max(1, len(data) * number // many)], name)
    attempt(data[:-1], name)


def flips(kind, many, seed):
    data, name = made(kind)
    maker = random.Random(seed)
    for _ in range(many):
        broken = bytearray(data)
        for _ in range(maker.choice((1, 1, 3, 20))):
            broken[maker.randrange(len(broken))] = maker.randrange(256)
        attempt(bytes(broken), name, format=kind if maker.random() < 0.5 else None)


@pytest.mark.parametrize("kind", QUICK)
def test_bytes_changed_at_random(kind):
    flips(kind, 2 if kind in SLOW else 15, 1)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("seed", range(2, 6))
def test_many_bytes_changed_at_random(kind, seed):
    flips(kind, 25 if kind in SLOW else 400, seed)


@pytest.mark.parametrize("kind", FORMATS)
def test_any_bytes_under_its_name(kind):
    name, maker = made(kind)[1], random.Random(5)
    for size in (1, 2, 7, 100, 5000):
        attempt(maker.randbytes(size), name)
        attempt(maker.randbytes(size), name, format=kind)
    attempt(bytes(5000), name)
    attempt(b"\xff" * 5000, name, format=kind)


@pytest.mark.parametrize("kind", QUICK)
def test_under_another_name_it_is_read_as_what_it_is(kind):
    data, _ = made(kind)
    others = ("docx", "pdf", "txt", "png", "zip", "html", "csv", "xyz")
    for other in others[:2] if kind in SLOW else others:
        found = detect(data, f"sample.{other}")
        if kind in TEXTUAL and other in ("txt", "html", "csv", "xyz"):
            continue  # a text may be any text
        parsed = attempt(data, f"sample.{other}")
        assert isinstance(parsed, Parsed), (kind, other, parsed)
        if kind not in TEXTUAL or kind in ("html", "xml", "vtt"):
            assert parsed.receipt.format == READ_AS.get(kind, kind)
        if other not in ("xyz", EXTENSIONS.get(kind, kind), "txt") and found.by_content:
            assert f".{other}" in " ".join(parsed.receipt.warnings), (kind, other)


def bombs(deep):
    """Return files whose size is small beside what a careless reader makes of them."""
    letters = "abcdefghijklmnopqrst"
    aliases = "".join(f"{c}: &{c} [*{b}, *{b}]\n" for b, c in pairwise(letters))
    mails = "".join(f"Content-Type: multipart/mixed; boundary=b{n}\n\n--b{n}\n" for n in range(min(deep, 400)))
    return [
    ("a.html", "<div>" * deep + "x"),
    ("a.html", "<ul><li>" * (deep // 20) + "x"),
    ("a.html", "<table><tr><td>" * (deep // 50) + "x"),
    ("a.html", "<b>" * (deep // 20) + "x"),
    ("a.json", "[" * deep + "]" * deep),
    ("a.jsonl", "[" * deep),
    ("a.xml", "<a>" * deep + "</a>" * deep),
    ("a.yaml", "[" * deep + "]" * deep),
    ("a.yaml", "".join(" " * n + "a:\n" for n in range(min(deep, 2000)))),
    ("a.md", "> " * deep + "x"),
    ("a.md", "- " * deep + "x"),
    ("a.md", "*" * deep + "x" + "*" * deep),
    ("a.md", "[" * deep),
    ("a.md", "![" * deep),
    ("a.md", "`" * deep + "x"),
    ("a.md", "<b>" * deep),
    ("a.md", "---\na: " + "[" * deep + "\n---\nx"),
    ("a.yaml", "a: &a [x, x]\n" + aliases),
    ("a.md", "---\na: &a [x, x]\nb: [*a, *a]\n---\nx"),
    ("a.xml", '<!DOCTYPE l [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]><l>&b;</l>'),
    ("a.html", '<!DOCTYPE html [<!ENTITY a "ha">]><p>&a;'),
    ("a.eml", "Subject: x\n" + mails),
    ("a.vtt", "WEBVTT\n\n00:01.000 --> 00:02.000\n" + "<b>" * deep),
    ("a.csv", '"' * deep),
    ("a.csv", "," * deep),
    ("a.html", "<td colspan=1000 rowspan=65534>" * 50),
    ("a.html", "<table><tr>" + "<td colspan=1000 rowspan=9999>x" * 50),
    ("a.html", "<!--" * deep),
    ("a.html", "<a b=" * deep),
    ("a.html", "<table" * (deep // 10)),
    ]  # fmt: skip


@pytest.mark.parametrize("number", range(len(bombs(1))))
def test_bombs_of_depth_and_growth(number):
    name, data = bombs(4000)[number]
    attempt(data.encode(), name)


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(bombs(1))))
def test_bombs_a_hundred_thousand_deep(number):
    name, data = bombs(100_000)[number]
    attempt(data.encode(), name)


def test_ten_thousand_pages():
    parsed = read(b"\f".join(b"page" for _ in range(10_000)), "a.txt")
    assert (parsed.receipt.pages_in, parsed.receipt.pages_out) == (10_000, 10_000)


def test_a_table_of_a_hundred_thousand_rows():
    rows = "\n".join(f"{n},茶,x" for n in range(100_000))
    parsed = read(rows.encode(), "a.csv")
    assert parsed.document.blocks[0].grid.rows == 100_000


@pytest.mark.slow
@pytest.mark.parametrize("kind", TEXTUAL)
def test_one_line_of_fifty_megabytes(kind):
    name = made(kind)[1]
    started = time.perf_counter()
    try:
        assert read(b"x" * 50_000_000, name).document.text
    except UnreadableDocumentError as error:
        sound(error, name)
    assert time.perf_counter() - started < 60


SAID = {
    "gbk": "人工智能是计算机科学的一个分支，它企图了解智能的实质。",
    "big5": "人工智慧是電腦科學的一個分支，企圖瞭解智慧的實質。",
    "shift_jis": "これは日本語の文章です。今日は天気がいいですね。",
    "utf-16-le": "Plain words in a line, with a few more of them.",
    "latin-1": "Ça va très bien, merci à vous tous, à bientôt.",
    "utf-8": "مرحبا بالعالم، كيف الحال؟ שלום עולם 👩‍👩‍👧‍👦 e\u0301",
}
FORMS = {
    "txt": "{}",
    "md": "# {}",
    "csv": 'a,b\n"{}",1\n',
    "html": "<p>{}</p>",
    "json": '{{"a": "{}"}}',
    "yaml": "a: '{}'",
    "srt": "1\n00:00:01,000 --> 00:00:02,000\n{}\n",
    "py": "# {}",
}


@pytest.mark.parametrize("encoding", SAID)
@pytest.mark.parametrize("form", FORMS)
def test_any_encoding(encoding, form):
    parsed = attempt(FORMS[form].format(SAID[encoding]).encode(encoding), f"a.{form}")
    assert SAID[encoding] in parsed.document.text


@pytest.mark.parametrize("said", ["utf-8", "iso-8859-1", "gb2312", "shift_jis", "utf-16", "none-such", "utf-7", "hex"])
def test_a_declared_encoding_that_is_wrong(said):
    page = f'<html><head><meta charset="{said}"></head><p>{SAID["gbk"]}</p></html>'.encode("gbk")
    assert "\ufffd" not in attempt(page, "a.html").document.text or said == "shift_jis"
    attempt(f'<?xml version="1.0" encoding="{said}"?><a>{SAID["gbk"]}</a>'.encode("gbk"), "a.xml")
    mail = f"Subject: x\nFrom: a@b.c\nContent-Type: text/plain; charset={said}\n\n{SAID['gbk']}"
    attempt(mail.encode("gbk"), "a.eml")


def test_a_user_may_say_the_encoding():
    for said in ("gbk", "none-such", "hex", "utf-16", "idna", "punycode", "unicode_escape"):
        attempt(TEXT.encode(), "a.txt", encoding=said)


@pytest.mark.parametrize(
    "name", ["", ".", "/", "a" * 5000 + ".txt", "\ud800.txt", "a\0b.txt", "..\\..\\a.txt", "a\n.txt"]
)
def test_any_name(name):
    attempt(b"tea", name)
