"""The reader of picture files."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from polyport_gateway.knowledge.documents import (
    DocumentBuilder,
    PageBreak,
    Parsed,
    Picture,
    Provenance,
    Receipt,
    Skipped,
    UnreadableDocumentError,
    source_of,
)
from polyport_gateway.knowledge.layout import PageContent, Region, arrange, block_of, heading_levels, look_of
from polyport_gateway.knowledge.ocr import Pace, Recognised, is_installed, recognise
from polyport_gateway.knowledge.readers.base import ReadOptions
from polyport_gateway.knowledge.readers.detect import FORMATS, detect

from .opening import Opened, opened

__all__ = ["ImageReader"]

_INSTALL = 'pip install "polyport[ocr]"'


class ImageReader:
    """Keeps the picture, and reads the text in it; each picture of a TIFF is a page."""

    name = "images"
    formats = frozenset({"png", "jpeg", "tiff", "gif", "webp", "bmp"})

    def read(self, data: bytes, name: str, options: ReadOptions) -> Parsed:
        """Read a picture.

        Raises:
            UnreadableDocumentError: It can't be decoded, or is so large that decoding it would take all memory.
        """
        started = time.perf_counter()
        format = options.format or detect(data, name).format  # noqa: A001
        builder = DocumentBuilder(source_of(data, name, FORMATS[format][0]))
        with opened(data, name) as file:
            builder.metadata.update(file.metadata())
            _add_picture(builder, data, file, options)
            pages = _Pages(file)
            pages.read(options)
        pages.add_to(builder)
        document = builder.build()
        lost = sum(item.count for item in pages.skipped if item.what == "page")
        receipt = Receipt.of(
            document,
            reader=self.name,
            format=format,
            pages_in=file.frames if file.paged else 1,
            pages_out=(file.frames if file.paged else 1) - lost,
            ocr_confidence=pages.confidence,
            skipped=pages.skipped,
            warnings=pages.warnings,
            seconds=time.perf_counter() - started,
        )
        return Parsed(document, receipt)


def _add_picture(builder: DocumentBuilder, data: bytes, file: Opened, options: ReadOptions) -> None:
    where, mime = Provenance(page=1, bbox=file.box()), builder.source.mime
    alt = str(builder.metadata.get("description", ""))
    if options.pictures:
        builder.add_picture(data, mime, alt=alt, provenance=where)
    else:
        builder.add(Picture(mime=mime, alt=alt, provenance=where))


@dataclass
class _Pages:
    """What the pages of a file say."""

    file: Opened
    regions: dict[int, list[Region]] = field(default_factory=dict)
    rotations: dict[int, int] = field(default_factory=dict)
    letters: int = 0
    sure: float = 0.0
    skipped: list[Skipped] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @property
    def confidence(self) -> float | None:
        """Mean over the characters of all pages."""
        return round(self.sure / self.letters, 4) if self.letters else None

    def read(self, options: ReadOptions) -> None:
        """Read them, as long as there is time."""
        file = self.file
        if file.frames > 1 and not file.paged:
            self.warnings.append(f"It is an animation of {file.frames} frames; the text of the first was read.")
        if options.ocr == "never":
            self.warnings.append(f"Its text was not read, for `ocr` is never. Reading it needs {_INSTALL}.")
            return
        if not is_installed():
            why = f"it is a picture, and reading it needs packages that are not installed. Install them: {_INSTALL}."
            self.skipped.append(Skipped("text of the picture", why, count=file.pages))
            return
        pace = Pace()
        for number in range(1, file.pages + 1):
            if not pace.allows_another():
                why = "reading the pages before it took most of the time that one file may take."
                self.skipped.append(Skipped("page", why, page=number, count=file.frames - number + 1))
                return
            with pace.page():
                self._read_page(number)
        if file.paged and file.frames > file.pages:
            why = f"at most {file.pages:,} pages of a picture file are read."
            self.skipped.append(Skipped("page", why, page=file.pages + 1, count=file.frames - file.pages))

    def _read_page(self, number: int) -> None:
        try:
            page = self.file.page(number)
        except UnreadableDocumentError as error:
            if self.file.pages == 1:
                raise
            self.skipped.append(Skipped("page", error.reason, page=number))
            return
        where = f"Page {number}" if self.file.pages > 1 else "The picture"
        if page.truncated:
            why = "the file ends before the picture does; what is there was read."
            self.skipped.append(Skipped("part of the picture", why, page=number))
        found = recognise(page.image, dpi=page.dpi)
        self._count(found)
        self.rotations[number] = found.rotation
        content = PageContent(found.width, found.height, found.words, found.rulings)
        self.regions[number] = arrange(content)
        if not found.words:
            self.warnings.append(f"{where}: no text was found.")
        if found.unread:
            self.warnings.append(f"{where}: what looks like text in {found.unread} of its places could not be read.")

    def _count(self, found: Recognised) -> None:
        letters = sum(len(word.text) for word in found.words)
        self.letters += letters
        self.sure += letters * (found.confidence or 0.0)

    def add_to(self, builder: DocumentBuilder) -> None:
        """Add their blocks, and how they were turned."""
        looks = [look for regions in self.regions.values() for region in regions if (look := look_of(region))]
        levels = heading_levels(looks)
        for number in range(1, self.file.pages + 1):
            if number > 1:
                builder.add(PageBreak(page=number, provenance=Provenance(page=number)))
            for region in self.regions.get(number, ()):
                look = look_of(region)
                builder.add(block_of(region, page=number, heading_level=levels[look] if look else 1))
        if any(self.rotations.values()):
            turned = [self.rotations.get(number, 0) for number in range(1, self.file.pages + 1)]
            builder.metadata["rotation"] = turned if len(turned) > 1 else turned[0]
