"""Archives: every file in them, or a word on why not; and nothing that a hostile one wants."""

from __future__ import annotations

import base64
import bz2
import gzip
import io
import lzma
import stat
import struct
import tarfile
import zipfile
import zlib

import pytest

from polyport_gateway.knowledge.documents import (
    DocumentLossError,
    EncryptedDocumentError,
    ParsingLimitError,
    Picture,
    UnreadableDocumentError,
)

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def zipped(files, method=zipfile.ZIP_DEFLATED):
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", method) as archive:
        for name, data in files:
            archive.writestr(name, data)
    return target.getvalue()


def tarred(files):
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as archive:
        for name, data in files:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return target.getvalue()


def encrypted(name, data, password):
    """Encrypt one stored file as PKWARE's APPNOTE.TXT 6.1 says."""
    keys = [0x12345678, 0x23456789, 0x34567890]
    table = []
    for n in range(256):
        for _ in range(8):
            n = (n >> 1) ^ 0xEDB88320 if n & 1 else n >> 1
        table.append(n)

    def update(byte):
        keys[0] = (keys[0] >> 8) ^ table[(keys[0] ^ byte) & 0xFF]
        keys[1] = ((keys[1] + (keys[0] & 0xFF)) * 134775813 + 1) & 0xFFFFFFFF
        keys[2] = (keys[2] >> 8) ^ table[(keys[2] ^ (keys[1] >> 24)) & 0xFF]

    for byte in password:
        update(byte)
    crc, hidden = zlib.crc32(data), bytearray()
    for byte in bytes(11) + bytes([crc >> 24]) + data:
        temporary = (keys[2] | 2) & 0xFFFF
        hidden.append(byte ^ ((temporary * (temporary ^ 1) >> 8) & 0xFF))
        update(byte)
    common = struct.pack("<HHHHHLLLHH", 20, 1, 0, 0, 0, crc, len(hidden), len(data), len(name), 0)
    local = b"PK\x03\x04" + common + name + bytes(hidden)
    central = b"PK\x01\x02" + struct.pack("<H", 20) + common + struct.pack("<HHHLL", 0, 0, 0, 0, 0) + name
    return local + central + b"PK\x05\x06" + struct.pack("<HHHHLLH", 0, 0, 1, 1, len(central), len(local), 0)


def parts(parsed):
    return list(dict.fromkeys(block.provenance.part for block in parsed.document.blocks))


def test_each_file_stands_under_its_path(read_file):
    data = zipped([("docs/", b""), ("docs/a.md", b"# Tea\n\nhot"), ("t.csv", b"a,b\n1,2\n"), ("p.png", PNG)])
    parsed = read_file(data, "all.zip")
    kinds = [(block.kind, block.provenance.part) for block in parsed.document.blocks]
    assert kinds[:5] == [
        ("heading", "docs/a.md"), ("heading", "docs/a.md"), ("paragraph", "docs/a.md"), ("heading", "t.csv"),
        ("table", "t.csv"),
    ]  # fmt: skip
    assert [block.level for block in parsed.document.blocks[:2]] == [2, 3]
    assert PNG in parsed.document.assets.values()
    assert any(isinstance(block, Picture) for block in parsed.document.blocks)
    assert parsed.document.metadata["members"]["t.csv"]["delimiter"] == ","


@pytest.mark.parametrize(
    ("encoding", "name"),
    [
        ("gbk", "报告/第一季度销售数据.txt"),
        ("cp437", "Köln/Straße.txt"),
        ("utf-8", "报告/年度总结.txt"),
        ("big5", "報告/年度銷售資料.txt"),
        ("shift_jis", "報告書/売上データのまとめ.txt"),
    ],
)
def test_names_without_a_flag_are_decoded(read_file, encoding, name):
    data = zipped([("x" * len(name.encode(encoding)), b"tea")])
    data = data.replace(b"x" * len(name.encode(encoding)), name.encode(encoding))
    assert parts(read_file(data, "a.zip")) == [name]


def test_names_that_lead_outside_are_shown_harmlessly(read_file):
    files = [("../../etc/passwd.txt", b"a"), ("/abs/b.txt", b"b"), ("C:\\c.txt", b"c"), ("d\u202etxt.exe.txt", b"d")]
    parsed = read_file(zipped(files), "a.zip")
    assert parts(parsed) == ["etc/passwd.txt", "abs/b.txt", "c.txt", "dtxt.exe.txt"]
    assert len(parsed.receipt.warnings) == 4


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_the_same_name_twice_is_two_files(read_file):
    parsed = read_file(zipped([("a.txt", b"one"), ("a.txt", b"two")]), "a.zip")
    assert parts(parsed) == ["a.txt", "a (2).txt"]
    assert "one" in parsed.document.text
    assert "two" in parsed.document.text


def test_nested_archives_up_to_the_depth(read_file):
    data = b"tea"
    name = "a.txt"
    for level in range(6):
        data, name = zipped([(name, data)]), f"{level}.zip"
    with pytest.raises(UnreadableDocumentError, match="none of its 1 files"):
        read_file(data, name)
    assert read_file(data, name, max_depth=6).document.blocks[-1].text == "tea"


def test_a_member_that_is_damaged_is_left_out(read_file):
    data = zipped([("a.txt", b"first" * 50), ("b.txt", b"second" * 50)], zipfile.ZIP_STORED)
    parsed = read_file(data.replace(b"firstfirst", b"firstXirst", 1), "a.zip")
    assert parts(parsed) == ["b.txt"]
    assert [(item.what, item.part) for item in parsed.receipt.skipped] == [("file", "a.txt")]
    with pytest.raises(DocumentLossError, match=r"a\.txt"):
        read_file(data.replace(b"firstfirst", b"firstXirst", 1), "a.zip", strict=True)


def test_what_no_reader_reads_is_told(read_file):
    parsed = read_file(zipped([("a.txt", b"a"), ("b.exe", b"MZ\x00\x00"), ("c.txt", b"")]), "a.zip")
    assert [item.part for item in parsed.receipt.skipped] == ["b.exe", "c.txt"]


def test_a_password_opens(read_file):
    data = encrypted(b"a.txt", b"hot tea", b"tea")
    assert read_file(data, "a.zip", password="tea").document.blocks[-1].text == "hot tea"
    for password in (None, "coffee"):
        with pytest.raises(EncryptedDocumentError, match=r"a\.zip.*password"):
            read_file(data, "a.zip", password=password)


# Made by pyzipper 0.4.0: "a.txt", deflated and encrypted with AES-256, password "tea".
AES = base64.b64decode(
    "UEsDBBQAAQBjANcOe10AAAAAKgAAALIAAAAFAAsAYS50eHQBmQcAAgBBRQMIAIZzWEe7NdDeu3HyMbxYhPnZG16Jisn1+UZLh+Rq"
    "e5qHHIYUNYyk01M4slBLAQIUAxQAAQBjANcOe10AAAAAKgAAALIAAAAFAAsAAAAAAAAAAACAAQAAAABhLnR4dAGZBwACAEFFAwgA"
    "UEsFBgAAAAABAAEAPgAAAFgAAAAAAA=="
)


@pytest.mark.requires("cryptography")
def test_aes_opens_too(read_file):
    assert read_file(AES, "a.zip", password="tea").document.blocks[-1].text == "hot tea, " * 19 + "hot tea"
    for password in (None, "coffee"):
        with pytest.raises(EncryptedDocumentError, match=r"a\.zip.*password"):
            read_file(AES, "a.zip", password=password)
    broken = AES.replace(AES[70:80], bytes(10))
    with pytest.raises(UnreadableDocumentError, match="authentication code"):
        read_file(broken, "a.zip", password="tea")


@pytest.mark.parametrize("make", [lambda: zipped([]), lambda: zipped([("a/", b"")]), lambda: tarred([])])
def test_an_archive_without_a_file_is_refused(read_file, make):
    with pytest.raises(UnreadableDocumentError, match=r"a\.zip.*without a file"):
        read_file(make(), "a.zip", format="tar" if make().startswith(b"\0") else None)


def test_bombs_are_refused(read_file):
    zeros = bytes(40 << 20)
    with pytest.raises(UnreadableDocumentError, match="ZIP bomb"):
        read_file(zipped([("a.txt", zeros)]), "a.zip")
    with pytest.raises(ParsingLimitError, match="unpacks to more"):
        read_file(gzip.compress(bytes(80 << 20)), "a.txt.gz")


def test_what_is_unpacked_counts_over_all_levels(read_file):
    inner = zipped([(f"{n}.txt", bytes([65 + n]) * 1000) for n in range(5)])
    data = zipped([(f"{n}.zip", inner) for n in range(5)])
    parsed = read_file(data, "a.zip", max_unpacked_bytes=10_000 + 5 * len(inner))
    assert 0 < len([item for item in parsed.receipt.skipped if "max_unpacked_bytes" in item.why]) < 25
    assert sum(len(block.text) for block in parsed.document.blocks if block.kind == "paragraph") <= 10_000 + 5 * len(
        inner
    )


def test_a_lying_size_is_damage(read_file):
    data = zipped([("a.txt", b"x" * 5000), ("b.txt", b"b")])
    lie = data.replace(struct.pack("<L", 5000), struct.pack("<L", 50))
    assert [item.part for item in read_file(lie, "a.zip").receipt.skipped] == ["a.txt"]


def test_a_link_is_not_followed(read_file):
    entry = zipfile.ZipInfo("link.txt")
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    parsed = read_file(zipped([(entry, b"/etc/passwd"), ("a.txt", b"a")]), "a.zip")
    assert [(item.part, "link" in item.why) for item in parsed.receipt.skipped] == [("link.txt", True)]


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_a_compressed_file_is_the_file(read_file, pack):
    end = {gzip.compress: "gz", bz2.compress: "bz2", lzma.compress: "xz"}[pack]
    assert read_file(pack(b"# Tea"), f"tea.md.{end}").document.blocks[0].level == 1
    parsed = read_file(pack(tarred([("x/tea.md", b"# Tea"), ("y.csv", b"a,b\n1,2\n")])), f"all.tar.{end}")
    assert parts(parsed) == ["x/tea.md", "y.csv"]


def test_a_compressed_file_that_is_cut_off_gives_what_is_there(read_file):
    import random

    words = "\n".join(str(random.Random(1).random()) for _ in range(80_000)).encode()
    parsed = read_file(gzip.compress(words)[:-5], "a.txt.gz")
    assert parsed.receipt.skipped[0].what == "rest of the file"


def test_a_tar_that_is_damaged_says_from_where(read_file):
    data = bytearray(tarred([("a.txt", b"a" * 600), ("b.txt", b"b" * 600)]))
    data[1536:1700] = b"\xff" * 164
    parsed = read_file(bytes(data), "a.tar")
    assert parts(parsed) == ["a.txt"]
    assert parsed.receipt.skipped[0].what == "rest of the archive"


def test_files_of_a_system_are_no_loss(read_file):
    parsed = read_file(
        zipped([("a.txt", b"a"), ("__MACOSX/._a.txt", b"x"), (".DS_Store", b"\0")]), "a.zip", strict=True
    )
    assert parts(parsed) == ["a.txt"]
    assert "2 files" in parsed.receipt.warnings[0]
