"""Makes OpenDocument files of their XML."""

from __future__ import annotations

import io
import zipfile

NAMES = " ".join(
    f'xmlns:{prefix}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"'
    for prefix, name in (
        ("office", "office"), ("text", "text"), ("table", "table"), ("draw", "drawing"), ("style", "style"),
        ("meta", "meta"), ("number", "datastyle"), ("presentation", "presentation"), ("chart", "chart"),
        ("fo", "xsl-fo-compatible"), ("svg", "svg-compatible"), ("config", "config"),
    )
) + (
    ' xmlns:xlink="http://www.w3.org/1999/xlink" xmlns:dc="http://purl.org/dc/elements/1.1/"'
    ' xmlns:math="http://www.w3.org/1998/Math/MathML"'
)  # fmt: skip
KINDS = {"odt": "text", "ods": "spreadsheet", "odp": "presentation"}


def part(kind: str, inside: str) -> str:
    return f'<?xml version="1.0" encoding="UTF-8"?><office:document-{kind} {NAMES}>{inside}</office:document-{kind}>'


def parts_of(
    form: str, body: str, *, automatic: str = "", styles: str = "", meta: str = "", **more: str | bytes
) -> dict[str, bytes]:
    """Return the parts of a file whose body is given."""
    kind = KINDS[form]
    content = (
        f"<office:automatic-styles>{automatic}</office:automatic-styles>"
        f"<office:body><office:{kind}>{body}</office:{kind}></office:body>"
    )
    parts: dict[str, str | bytes] = {
        "mimetype": f"application/vnd.oasis.opendocument.{kind}",
        "content.xml": part("content", content),
        "styles.xml": part("styles", styles),
        "meta.xml": part("meta", f"<office:meta>{meta}</office:meta>"),
        **{name.replace("__", "/").replace("_xml", ".xml"): content for name, content in more.items()},
    }
    return {name: content.encode() if isinstance(content, str) else content for name, content in parts.items()}


def packed(parts: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content, zipfile.ZIP_STORED if name == "mimetype" else None)
    return buffer.getvalue()
