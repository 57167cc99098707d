"""The pages of an open PDF, one after another: what stands on each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from polyport.errors import MissingDependencyError, PolyportError
from polyport_gateway.knowledge import ocr
from polyport_gateway.knowledge.documents import Box, Skipped
from polyport_gateway.knowledge.layout import PageContent, PictureBox, Word
from polyport_gateway.knowledge.readers.base import ReadOptions

from .annotations import Comment, annotations_of, with_links
from .drawings import MOST_OBJECTS, Drawings, drawings_of
from .figures import figures_of
from .fonts import Fonts
from .frame import Frame, frame_of
from .pictures import PictureBytes, Pictures, page_image, region_image
from .scans import RESOLUTION, shows_more_than_text, text_is_garbage
from .words import PageText, page_text

__all__ = ["Page", "Pages"]

_MOST_PICTURES = 500  # of a page
_FEW_LETTERS = 12
_FEW_SIGNS = 5  # bullets of a font of signs have no meaning either
_SMALLEST = 12.0  # points: below that an image is a bullet or a rule


@dataclass(frozen=True, slots=True)
class Page:
    """What was found on a page.

    Args:
        number: From 1.
        content: For `arrange`.
        pictures: Bytes by the key of their place.
        comments: Remarks over it.
        outside: What stands beyond its edges, where it is not shown: marks for the printer and so on.
    """

    number: int
    content: PageContent
    pictures: dict[int, PictureBytes] = field(default_factory=dict)
    comments: tuple[Comment, ...] = ()
    outside: tuple[Word, ...] = ()


class Pages:
    """Goes through a document, and keeps no page open after it was read.

    Args:
        document: An open one.
        options: How it is read.
    """

    def __init__(self, document: Any, options: ReadOptions) -> None:
        self.document = document
        self.options = options
        self.count = len(document)
        self.skipped: list[Skipped] = []
        self.warnings: list[str] = []
        self.lost: set[int] = set()
        self._pace = ocr.Pace()
        self._images = Pictures()
        self._unread: list[int] = []
        self._filled: list[int] = []
        self._confidences: list[tuple[float, int]] = []

    @property
    def confidence(self) -> float | None:
        """Mean over all recognised characters."""
        total = sum(weight for _, weight in self._confidences)
        return sum(value * weight for value, weight in self._confidences) / total if total else None

    def __iter__(self) -> Iterator[Page]:
        for index in range(self.count):
            page = self._read(index)
            if page is not None:
                yield page
        if self._unread:
            self.warnings.append(
                f"Text may stand in the pictures of page {_ranges(self._unread)}; OCR was not asked for."
            )
        if self._filled:
            self.warnings.append(f"Pictures that fill page {_ranges(self._filled)} behind its text were left out.")

    def skip(self, what: str, why: str, page: int, *, count: int = 1) -> None:
        """Note that something is not in the document."""
        self.skipped.append(Skipped(what, why, page, count=count))

    def _read(self, index: int) -> Page | None:
        from pypdfium2 import PdfiumError

        number = index + 1
        try:
            page = self.document[index]
        except PdfiumError:
            self.lost.add(number)
            self.skip("page", "It is damaged: PDFium can't load it.", number)
            return None
        try:
            return self._content(page, number)
        except (PdfiumError, ValueError, OverflowError) as error:
            self.lost.add(number)
            self.skip("page", f"It is damaged ({type(error).__name__}: {error}).", number)
            return None
        finally:
            page.close()

    def _content(self, page: Any, number: int) -> Page:
        frame = frame_of(page)
        text = page_text(page, frame, Fonts())
        if text.turned:
            # Text that lies on its side on the page as it is shown: read the page the way its text stands.
            quarters = -text.turned % 4
            frame = frame.turned(quarters)
            text = page_text(page, frame, Fonts())
            self.warnings.append(f"Page {number} was turned by {90 * quarters} degrees to be read.")
        drawings = drawings_of(page, frame)
        if text.dropped:
            self.skip("characters", "The page has more text than is read of one.", number, count=text.dropped)
        if drawings.cut:
            self.warnings.append(
                f"Page {number} has more than {MOST_OBJECTS:,} drawn objects; the lines of tables and the pictures "
                "among the rest were not looked at."
            )
        notes = annotations_of(self.document, page, frame)
        if notes.cut:
            self.skip("annotations", "The page has more of them than are read of one.", number)
        comments = tuple(notes.comments)
        if self.options.ocr == "always" or (self.options.ocr == "auto" and shows_more_than_text(text, drawings, frame)):
            content = self._recognised(page, frame, number, text)
            if content is not None:
                return Page(number, content, {}, comments)
        elif text_is_garbage(text):
            self._warn_garbage(number)
        elif self.options.ocr == "never" and shows_more_than_text(text, drawings, frame):
            self._unread.append(number)
        elif text.garbage >= _FEW_SIGNS:
            self.warnings.append(
                f"{text.garbage} characters of page {number} are signs that its fonts give no meaning."
            )
        seen, outside = _on_page(text.words, frame)
        words = with_links([*seen, *notes.fields], notes.links)
        places, pictures = self._pictures(page, frame, drawings, words, number)
        content = PageContent(frame.width, frame.height, tuple(words), tuple(drawings.rulings), places)
        return Page(number, content, pictures, comments, tuple(outside) if self.options.hidden else ())

    def _warn_garbage(self, number: int) -> None:
        self.warnings.append(
            f"The fonts of page {number} don't say which characters their glyphs are; much of its text is wrong."
        )

    def _recognised(self, page: Any, frame: Frame, number: int, text: PageText) -> PageContent | None:
        """Return what was recognised on a page; None where nothing was, and the receipt then says why."""
        if not ocr.is_installed():
            self._without_ocr(number, text)
            return None
        if not self._pace.allows_another():
            self.lost.add(number)
            self.skip("text", "It is a picture of text; recognising those before took most of the time.", number)
            return None
        image, dpi = page_image(page, frame, RESOLUTION)
        try:
            with self._pace.page():
                found = ocr.recognise(image, dpi=dpi)
        except PolyportError as error:
            self.skip("text", f"It could not be recognised: {error}", number)
            return None
        letters = sum(len(word.text) for word in found.words)
        if not letters or (letters < text.characters // 2 and not text_is_garbage(text)):
            return None  # a picture without text, or text that is better read than recognised
        if found.confidence is not None:
            self._confidences.append((found.confidence, letters))
        if found.rotation:
            self.warnings.append(f"Page {number} was turned by {found.rotation} degrees to be read.")
        return PageContent(found.width, found.height, tuple(found.words), tuple(found.rulings))

    def _without_ocr(self, number: int, text: PageText) -> None:
        if text_is_garbage(text):
            self._warn_garbage(number)
        elif text.characters < _FEW_LETTERS:
            self.lost.add(number)
        missing = MissingDependencyError("Reading scanned pages", extra="ocr")
        self.skip("text", f"It is a picture of text, and was not recognised. {missing}", number)

    def _pictures(
        self, page: Any, frame: Frame, drawings: Drawings, words: list[Word], number: int
    ) -> tuple[tuple[PictureBox, ...], dict[int, PictureBytes]]:
        places: list[PictureBox] = []
        pictures: dict[int, PictureBytes] = {}
        images = [image for image in drawings.images if _is_seen(image.box)]
        if sum(len(word.text) for word in words) >= _FEW_LETTERS:
            # A scan whose text was recognised before, or the background of a slide.
            behind = [image for image in images if _fills(image.box, frame)]
            images = [image for image in images if image not in behind]
            self._filled += [number] * bool(behind)
        for image in images[:_MOST_PICTURES]:
            key = len(places)
            if self.options.pictures:
                data = self._images.image(self.document, page, image.handle)
                if data is None:
                    self.skip("picture", "Its pixels are damaged, or too many.", number)
                    continue
                pictures[key] = data
            places.append(PictureBox(image.box, key))
        if len(images) > _MOST_PICTURES:
            self.skip(
                "picture", "The page has more of them than are read of one.", number, count=len(images) - _MOST_PICTURES
            )
        for box in figures_of(drawings, [place.box for place in places], words, frame):
            key = len(places)
            if self.options.pictures:
                pictures[key] = region_image(page, frame, box)
            places.append(PictureBox(box, key))
        return tuple(places), pictures


def _on_page(words: Sequence[Word], frame: Frame) -> tuple[list[Word], list[Word]]:
    seen: list[Word] = []
    outside: list[Word] = []
    for word in words:
        left, top, right, bottom = word.box
        shown = right > 0 and bottom > 0 and left < frame.width and top < frame.height
        (seen if shown else outside).append(word)
    return seen, outside


def _fills(box: Box, frame: Frame) -> bool:
    return (box.right - box.left) * (box.bottom - box.top) > 0.85 * frame.width * frame.height


def _ranges(numbers: Sequence[int]) -> str:
    """Write numbers that rise as ranges: 1–3, 7."""
    parts: list[list[int]] = []
    for number in numbers:
        if parts and number == parts[-1][1] + 1:
            parts[-1][1] = number
        else:
            parts.append([number, number])
    return ", ".join(str(first) if first == last else f"{first}–{last}" for first, last in parts)


def _is_seen(box: Box) -> bool:
    return box.right - box.left >= _SMALLEST and box.bottom - box.top >= _SMALLEST
