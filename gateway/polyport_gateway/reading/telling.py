"""What a tool says of a part of a document besides its text: what was left out, how to go on, its pictures."""

from __future__ import annotations

import re

from polyport.content import Content, Image, Text
from polyport.types.documents import DocumentReceipt
from polyport_gateway.knowledge.documents import Document, Picture, Receipt
from polyport_gateway.reading.parts import Part

__all__ = ["notes_on", "pictures_of", "shortened"]

# Pictures go into one event of a stream, of which clients take a megabyte, and are a third larger there.
_MOST_BYTES = 400 * 1024
_MOST_NOTES = 12
_MOST_SKIPPED = 100
_MOST_PAGES = 200
_SHOWN = ("image/png", "image/jpeg", "image/gif", "image/webp")
_ASSET = re.compile(r"asset:([0-9a-f]{64})")


def notes_on(part: Part, receipt: Receipt) -> list[str]:
    """Say what a reader of the text would not see in it."""
    found: list[str] = []
    if part.start == 0:
        skipped = receipt.skipped[:_MOST_NOTES]
        for item in skipped:
            where = f" (page {item.page})" if item.page else f" ({item.part})" if item.part else ""
            times = f"{item.count} × " if item.count > 1 else ""
            found.append(f"[left out: {times}{item.what}{where}: {item.why}]")
        if len(receipt.skipped) > len(skipped):
            found.append(f"[left out: {len(receipt.skipped) - len(skipped)} more; ask for the receipt]")
        found += [f"[warning: {warning}]" for warning in receipt.warnings[:_MOST_NOTES]]
    if part.next is not None:
        found.append(f"[characters {part.start} to {part.end} of {part.total}; go on with offset={part.next}]")
    elif not part.text:
        found.append(f"[there is nothing at {part.start}: the document has {part.total} characters]")
    return found


def pictures_of(document: Document, text: str) -> list[Content]:
    """Return the pictures that a part of a document points to, as far as they can be shown."""
    mimes = {block.sha256: block.mime for block in document.blocks if isinstance(block, Picture)}
    found: list[Content] = []
    left = _MOST_BYTES
    for sha256 in dict.fromkeys(_ASSET.findall(text)):
        data, mime = document.assets.get(sha256), mimes.get(sha256, "")
        if data is None or mime not in _SHOWN:
            found.append(Text(f"[asset:{sha256}: {mime or 'a picture'} can't be shown]"))
        elif len(data) > left:
            found.append(Text(f"[asset:{sha256}: {len(data)} bytes, too large to come along]"))
        else:
            left -= len(data)
            found += [Text(f"asset:{sha256}:"), Image(data, mime)]
    return found


def shortened(receipt: DocumentReceipt) -> DocumentReceipt:
    """Leave out of a receipt what would flood who reads it."""
    if len(receipt.characters) > _MOST_PAGES:
        receipt.characters = []
    receipt.skipped = receipt.skipped[:_MOST_SKIPPED]
    return receipt
