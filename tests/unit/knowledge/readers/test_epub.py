"""Books: chapters in reading order, under the headings of the table of contents, with notes and pictures."""

from __future__ import annotations

import base64
import io
import zipfile

import pytest

from polyport_gateway.knowledge.documents import DocumentLossError, EncryptedDocumentError, UnreadableDocumentError

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
CONTAINER = '<container><rootfiles><rootfile full-path="OEBPS/book.opf"/></rootfiles></container>'
PACKAGE = """<?xml version="1.0"?>
<package xmlns="http://www.idpf.org/2007/opf" version="3.0">
<metadata xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>茶经</dc:title><dc:creator>陆羽</dc:creator>
<dc:creator>Ann</dc:creator><dc:language>zh-CN</dc:language><meta name="cover" content="cover"/></metadata>
<manifest>
<item id="ncx" href="toc.ncx" media-type="application/x-dtbncx+xml"/>NAV
<item id="b" href="text/b%20b.xhtml" media-type="application/xhtml+xml"/>
<item id="a" href="text/a.xhtml" media-type="application/xhtml+xml"/>
<item id="cover" href="img/cover.png" media-type="image/png"/>
<item id="pic" href="img/pic.png" media-type="image/png"/>
</manifest><spine toc="ncx"><itemref idref="a"/><itemref idref="b"/></spine></package>"""
NAV_ITEM = '<item id="nav" href="nav.xhtml" media-type="application/xhtml+xml" properties="nav"/>'
NAV = """<html xmlns="http://www.w3.org/1999/xhtml" xmlns:epub="http://www.idpf.org/2007/ops"><body>
<nav epub:type="landmarks"><ol><li><a href="x">no</a></li></ol></nav>
<nav epub:type="toc"><ol><li><a href="text/a.xhtml">Tea</a></li><li><span>Part</span><ol>
<li><a href="text/b%20b.xhtml#x">Water</a></li></ol></li></ol></nav></body></html>"""
NCX = """<?xml version="1.0"?><!DOCTYPE ncx PUBLIC "-//NISO//DTD ncx 2005-1//EN" "http://x/ncx-2005-1.dtd">
<ncx xmlns="http://www.daisy.org/z3986/2005/ncx/"><navMap>
<navPoint><navLabel><text>Tea</text></navLabel><content src="text/a.xhtml"/></navPoint>
<navPoint><navLabel><text>Part</text></navLabel><content src=""/><navPoint><navLabel><text>Water</text></navLabel>
<content src="text/b%20b.xhtml#x"/></navPoint></navPoint></navMap></ncx>"""
CHAPTER_A = """<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml" xmlns:epub="http://www.idpf.org/2007/ops">
<head><title/></head><body><h1>Tea</h1><p>Hot<a epub:type="noteref" href="#n1">1</a> <a id="q"/>tea.</p>
<p><a href="b%20b.xhtml">on</a><img src="../img/pic.png" alt="A cup"/></p>
<aside epub:type="footnote" id="n1"><p>1. Very. <a epub:type="backlink" href="#r">↩</a></p></aside></body></html>"""
CHAPTER_B = "<html><body><p>No heading.</p><section><h1>Wells</h1><p>Deep.</p></section></body></html>"


def book(nav=True, **changed):
    files = {
        "mimetype": "application/epub+zip",
        "META-INF/container.xml": CONTAINER,
        "OEBPS/book.opf": PACKAGE.replace("NAV", NAV_ITEM if nav else ""),
        "OEBPS/nav.xhtml": NAV,
        "OEBPS/toc.ncx": NCX,
        "OEBPS/text/a.xhtml": CHAPTER_A,
        "OEBPS/text/b b.xhtml": CHAPTER_B,
        "OEBPS/img/cover.png": PNG,
        "OEBPS/img/pic.png": PNG + b"2",
    } | changed
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name, data in files.items():
            if data is not None:
                archive.writestr(name, data)
    return target.getvalue()


@pytest.mark.parametrize("nav", [True, False])
def test_a_book(read_file, nav):
    parsed = read_file(book(nav), "tea.epub", strict=True)
    document = parsed.document
    found = [(block.kind, getattr(block, "level", None), block.text) for block in document.blocks]
    assert found == [
        ("picture", None, "Cover"), ("heading", 1, "Tea"), ("paragraph", None, "Hot1 tea."), ("paragraph", None, "on"),
        ("picture", None, "A cup"), ("note", None, "Very."), ("heading", 1, "Part"), ("heading", 2, "Water"),
        ("paragraph", None, "No heading."), ("heading", 3, "Wells"), ("paragraph", None, "Deep."),
    ]  # fmt: skip
    assert [block.provenance.part for block in document.blocks[:3:2]] == ["OEBPS/img/cover.png", "OEBPS/text/a.xhtml"]
    assert document.metadata["title"] == "茶经"
    assert document.metadata["author"] == "陆羽, Ann"
    assert document.metadata["outline"][2] == {"title": "Water", "level": 2, "part": "OEBPS/text/b b.xhtml#x"}
    assert document.language == "zh"
    assert set(document.assets.values()) == {PNG, PNG + b"2"}
    assert document.blocks[5].label == "1"
    assert document.blocks[3].marks[0].value == "b%20b.xhtml"


def test_what_is_missing_is_told(read_file):
    data = book(**{"OEBPS/img/pic.png": None, "OEBPS/text/b b.xhtml": None})
    assert [(left.what, left.part) for left in read_file(data, "tea.epub").receipt.skipped] == [
        ("picture", "OEBPS/img/pic.png"), ("chapter", "OEBPS/text/b b.xhtml"),
    ]  # fmt: skip
    with pytest.raises(DocumentLossError):
        read_file(data, "tea.epub", strict=True)


def encryption(algorithm, *parts):
    return "<encryption>" + "".join(
        f'<EncryptedData><EncryptionMethod Algorithm="{algorithm}"/><CipherData><CipherReference URI="{part}"/>'
        "</CipherData></EncryptedData>"
        for part in parts
    ) + "</encryption>"  # fmt: skip


def test_protection_is_said(read_file):
    chapters = ("OEBPS/text/a.xhtml", "OEBPS/text/b%20b.xhtml")
    locked = {"META-INF/encryption.xml": encryption("aes", *chapters), "META-INF/rights.xml": "<rights/>"}
    with pytest.raises(EncryptedDocumentError, match=r"tea\.epub.*Adobe ADEPT"):
        read_file(book(**locked), "tea.epub")
    one = {"META-INF/encryption.xml": encryption("aes", chapters[0])}
    assert [left.part for left in read_file(book(**one), "tea.epub").receipt.skipped] == [chapters[0]]
    fonts = {"META-INF/encryption.xml": encryption("http://www.idpf.org/2008/embedding", "OEBPS/font.otf")}
    read_file(book(**fonts), "tea.epub", strict=True)


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"META-INF/container.xml": None, "OEBPS/book.opf": None}, "no package document"),
        ({"OEBPS/book.opf": "<package/>"}, "names no file"),
        ({"OEBPS/book.opf": "<package>"}, "not readable"),
        ({"OEBPS/text/a.xhtml": None, "OEBPS/text/b b.xhtml": None, "OEBPS/img/cover.png": None}, "none of its chap"),
        ({"OEBPS/book.opf": '<!DOCTYPE a [<!ENTITY b "x">]><package/>'}, "document type"),
    ],
)
def test_a_damaged_book_is_an_error(read_file, changed, why):
    with pytest.raises(UnreadableDocumentError, match=rf"tea\.epub.*{why}"):
        read_file(book(**changed), "tea.epub")


def test_a_damaged_table_of_contents_is_no_loss_of_text(read_file):
    parsed = read_file(book(**{"OEBPS/nav.xhtml": "<nav"}), "tea.epub")
    assert "Deep." in parsed.document.text
    assert "table of contents" in parsed.receipt.warnings[0]
