"""What a binary workbook holds that xlrd passes over, told by its records ([MS-XLS], section 2.3)."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["PassedOver", "passed_over"]

_BOF, _DRAWING_GROUP, _CONTINUE = 0x0809, 0x00EB, 0x003C
_IMAGE = 0x007F  # a bitmap in the way of Excel 95
_CHART = 0x0020  # a BOF's kind of substream
_PICTURE = b"\x07\xf0"  # an OfficeArtFBSE: one stored picture
_MOST_RECORDS = 20_000_000


@dataclass(frozen=True, slots=True)
class PassedOver:
    """How many of what kind."""

    charts: int
    pictures: int


def passed_over(stream: bytes) -> PassedOver:
    """Count charts and pictures in a workbook's stream."""
    position, charts, images = 0, 0, 0
    drawn = bytearray()
    last = 0
    for _ in range(_MOST_RECORDS):
        if position + 4 > len(stream):
            break
        kind = int.from_bytes(stream[position : position + 2], "little")
        size = int.from_bytes(stream[position + 2 : position + 4], "little")
        if kind == _BOF and size >= 4:
            charts += int.from_bytes(stream[position + 6 : position + 8], "little") == _CHART
        elif kind == _DRAWING_GROUP or (kind == _CONTINUE and last == _DRAWING_GROUP):
            drawn += stream[position + 4 : position + 4 + size]
        images += kind == _IMAGE
        last = last if kind == _CONTINUE else kind
        position += 4 + size
    return PassedOver(charts, images + _pictures(bytes(drawn)))


def _pictures(drawn: bytes) -> int:
    """Count the entries of the store of pictures (``OfficeArtBStoreContainer``) whose count its header keeps."""
    position = drawn.find(b"\x01\xf0")  # its type; the instance before it is the number of entries
    if position < 2:
        return 0
    entries = int.from_bytes(drawn[position - 2 : position], "little") >> 4
    return min(entries, drawn.count(_PICTURE))
