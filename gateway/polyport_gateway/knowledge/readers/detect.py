"""What a file is: by its first bytes, then, where these leave it open, by its name."""

from __future__ import annotations

import io
import re
import zipfile
from dataclasses import dataclass
from pathlib import PurePosixPath

__all__ = ["FORMATS", "Detected", "detect"]


@dataclass(frozen=True, slots=True)
class Detected:
    """What a file is.

    Args:
        format: The reader's term, such as ``docx`` or ``text``.
        mime: Its media type.
        by_content: Its bytes say so; otherwise its name did, or nothing.
        warning: Its name says something else.
    """

    format: str
    mime: str
    by_content: bool
    warning: str | None = None


_OOXML = "application/vnd.openxmlformats-officedocument."
FORMATS: dict[str, tuple[str, tuple[str, ...]]] = {
    "pdf": ("application/pdf", ("pdf",)),
    "docx": (_OOXML + "wordprocessingml.document", ("docx", "docm", "dotx", "dotm")),
    "xlsx": (_OOXML + "spreadsheetml.sheet", ("xlsx", "xlsm", "xltx", "xltm")),
    "pptx": (_OOXML + "presentationml.presentation", ("pptx", "pptm", "ppsx", "ppsm", "potx")),
    "doc": ("application/msword", ("doc", "dot")),
    "xls": ("application/vnd.ms-excel", ("xls", "xlt")),
    "ppt": ("application/vnd.ms-powerpoint", ("ppt", "pps")),
    "msg": ("application/vnd.ms-outlook", ("msg",)),
    "ole": ("application/x-ole-storage", ()),
    "odt": ("application/vnd.oasis.opendocument.text", ("odt", "ott")),
    "ods": ("application/vnd.oasis.opendocument.spreadsheet", ("ods", "ots")),
    "odp": ("application/vnd.oasis.opendocument.presentation", ("odp", "otp")),
    "epub": ("application/epub+zip", ("epub",)),
    "zip": ("application/zip", ("zip",)),
    "rtf": ("application/rtf", ("rtf",)),
    "html": ("text/html", ("html", "htm", "xhtml", "shtml")),
    "markdown": ("text/markdown", ("md", "markdown", "mdown", "mkd", "qmd", "rmd")),
    "csv": ("text/csv", ("csv",)),
    "tsv": ("text/tab-separated-values", ("tsv", "tab")),
    "json": ("application/json", ("json", "geojson", "webmanifest")),
    "jsonl": ("application/x-ndjson", ("jsonl", "ndjson")),
    "yaml": ("application/yaml", ("yaml", "yml")),
    "xml": ("application/xml", ("xml", "xsd", "xsl", "xslt", "rss", "atom", "rdf", "opml", "plist", "wsdl")),
    "eml": ("message/rfc822", ("eml", "mht", "mhtml")),
    "srt": ("application/x-subrip", ("srt",)),
    "vtt": ("text/vtt", ("vtt",)),
    "text": ("text/plain", ("txt", "text", "log", "rst", "adoc", "org", "tex")),
    "code": ("text/x-source", ()),  # its extensions are the reader's, in code.py
    "png": ("image/png", ("png",)),
    "jpeg": ("image/jpeg", ("jpg", "jpeg", "jpe")),
    "tiff": ("image/tiff", ("tif", "tiff")),
    "gif": ("image/gif", ("gif",)),
    "webp": ("image/webp", ("webp",)),
    "bmp": ("image/bmp", ("bmp",)),
    "tar": ("application/x-tar", ("tar",)),
    "gzip": ("application/gzip", ("gz", "tgz")),
    "bzip2": ("application/x-bzip2", ("bz2", "tbz2")),
    "xz": ("application/x-xz", ("xz", "txz")),
    "7z": ("application/x-7z-compressed", ("7z",)),
    "rar": ("application/vnd.rar", ("rar",)),
    "executable": ("application/octet-stream", ("exe", "dll", "so", "bin")),
    "binary": ("application/octet-stream", ()),
    "empty": ("application/x-empty", ()),
}
"""Each format: its media type, and the extensions that name it."""

_BY_EXTENSION = {extension: name for name, (_, extensions) in FORMATS.items() for extension in extensions}
_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"\xff\xd8\xff", "jpeg"),
    (b"II*\x00", "tiff"),
    (b"MM\x00*", "tiff"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"{\\rtf", "rtf"),
    (b"\x1f\x8b", "gzip"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"7z\xbc\xaf\x27\x1c", "7z"),
    (b"Rar!\x1a\x07", "rar"),
    (b"\x7fELF", "executable"),
)
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_OLE_STREAMS = (
    ("WordDocument", "doc"),
    ("Workbook", "xls"),
    ("Book", "xls"),
    ("PowerPoint Document", "ppt"),
    ("__properties_version1.0", "msg"),
)
_TEXTUAL = frozenset(
    {"html", "markdown", "csv", "tsv", "json", "jsonl", "yaml", "xml", "eml", "srt", "vtt", "text", "code"}
)
_BOMS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")
_HTML = re.compile(rb"\s*(?:<!--.*?-->\s*)*<(?:!doctype\s+html|html[\s>])", re.IGNORECASE | re.DOTALL)
_MAIL = re.compile(
    rb"(?:(?:From|Return-Path|Received|Delivered-To|MIME-Version|Message-ID|Date|Subject|To):\s)", re.IGNORECASE
)
_MAIL_HEADERS = re.compile(
    rb"^(?:From|To|Date|Subject|Message-ID|MIME-Version|Received):[ \t]", re.IGNORECASE | re.MULTILINE
)
_VTT = re.compile(rb"WEBVTT[ \t\r\n]")
_SRT = re.compile(rb"\d+\r?\n\d{1,2}:\d\d:\d\d[,.]\d{1,3} +--> +\d{1,2}:\d\d:\d\d[,.]\d")
_LOOKED_AT = 8192


def detect(data: bytes, name: str = "") -> Detected:
    """Tell what a file is; what its bytes say wins over its name.

    Args:
        data: The whole file: an archive's list stands at its end.
        name: Its name.
    """
    extension = PurePosixPath(name).suffix.lower().lstrip(".")
    named = _BY_EXTENSION.get(extension) or ("code" if is_code(name) else None)
    if not data:
        return _detected("empty", by_content=True)
    found = _by_content(data, named)
    if found is None:
        return _detected(named if named in _TEXTUAL else "text", by_content=False)
    warning = None
    if named and found != named and not (named in _TEXTUAL and found in _TEXTUAL and found not in ("html", "xml")):
        warning = f"The name ends in .{extension}, and the content is {found}; it was read as {found}."
    return _detected(found, by_content=True, warning=warning)


def is_code(name: str) -> bool:
    """Tell whether a file's name is that of source code."""
    from .code import language_of

    return language_of(name) is not None


def _detected(name: str, *, by_content: bool, warning: str | None = None) -> Detected:
    return Detected(name, FORMATS[name][0], by_content, warning)


def _by_content(data: bytes, named: str | None) -> str | None:
    head = data[:_LOOKED_AT]
    if b"%PDF-" in head[:1024]:
        return "pdf"
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")):
        return _zip(data, named)
    if head.startswith(_OLE):
        return _ole(data)
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "webp"
    if head.startswith(b"BM") and len(data) > 26 and int.from_bytes(data[2:6], "little") == len(data):
        return "bmp"
    if head.startswith(b"MZ") and b"\x00" in head:
        return "executable"
    if head[257:262] == b"ustar":
        return "tar"
    if head.startswith(b"BZh") and head[4:10] == b"1AY&SY":
        return "bzip2"
    for magic, name in _MAGIC:
        if head.startswith(magic):
            return name
    return _textual(head, named)


def _textual(head: bytes, named: str | None) -> str | None:
    if head.startswith(_BOMS) or named in _TEXTUAL - {"text", "xml", "csv", "tsv"}:
        # With a name that says which text it is, only HTML is plain enough to overrule it.
        return "html" if named not in ("markdown", "code", "eml") and _HTML.match(head.removeprefix(_BOMS[0])) else None
    if _looks_binary(head):
        return "binary"
    if _HTML.match(head):
        return "html"
    start = head.lstrip()
    if _VTT.match(head):
        return "vtt"
    if named is None and _SRT.match(start):
        return "srt"
    if start.startswith(b"<?xml"):
        return "html" if re.search(rb"<html[\s>]", head, re.IGNORECASE) else "xml"
    if named is None and _MAIL.match(head) and len(_MAIL_HEADERS.findall(head)) >= 2:
        return "eml"
    return None


def _looks_binary(head: bytes) -> bool:
    # UTF-16 and UTF-32 without a mark have NULs too, but at every second or fourth place.
    zeros = head.count(0)
    if not zeros:
        return sum(byte < 9 or 13 < byte < 27 for byte in head) > len(head) // 20
    even, odd = head[::2].count(0), head[1::2].count(0)
    return min(even, odd) > len(head) // 50 and head[:4].count(0) != 3 if zeros > len(head) // 5 else True


def _zip(data: bytes, named: str | None) -> str:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = set(archive.namelist())
            if "mimetype" in names and archive.getinfo("mimetype").file_size < 200:
                mime = archive.read("mimetype").decode("ascii", "replace").strip()
                for name in ("odt", "ods", "odp", "epub"):
                    if mime.startswith(FORMATS[name][0]):
                        return name
    except Exception:  # noqa: BLE001 - a broken archive raises many kinds; the reader says what is broken
        return named if named in ("docx", "xlsx", "pptx", "odt", "ods", "odp", "epub") else "zip"
    for folder, name in (("word/", "docx"), ("xl/", "xlsx"), ("ppt/", "pptx")):
        if "[Content_Types].xml" in names and any(member.startswith(folder) for member in names):
            return name
    return "zip"


def _ole(data: bytes) -> str:
    # Names of streams stand in the directory as UTF-16; an encrypted OOXML file is such a container too.
    if "EncryptedPackage".encode("utf-16-le") in data:
        return "ole"
    for stream, name in _OLE_STREAMS:
        if stream.encode("utf-16-le") in data:
            return name
    return "ole"
