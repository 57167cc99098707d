"""A picture file's pages, decoded one at a time and within bounds."""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from polyport.errors import MissingDependencyError
from polyport_gateway.knowledge.documents import JSON, Box, UnreadableDocumentError

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["MOST_PAGES", "MOST_PIXELS", "Opened", "Page", "opened"]

MOST_PIXELS = 150_000_000
"""Of one page; A4 at 1200 dpi has 139 million."""
MOST_PAGES = 5000
_READ_AT_MOST = 40_000_000  # pixels; more is averaged down: A3 at 300 dpi has 17 million
_FORMATS = ("PNG", "JPEG", "TIFF", "GIF", "BMP", "DIB", "WEBP")  # not the ones that start other programs
_LEAST_DPI, _MOST_DPI = 50.0, 2400.0
_SCREEN_DPI = 96.0
_A4_RATIO, _LETTER_RATIO = 2**0.5, 11 / 8.5
_LONG_SIDE = 11.69  # inches
_EXIF = {
    270: "description",
    271: "camera_make",
    272: "camera_model",
    305: "software",
    306: "date",
    315: "author",
    33432: "copyright",
    36867: "taken",
}
_EXIF_IFD = 0x8769


@dataclass(frozen=True, slots=True)
class Page:
    """One page, decoded.

    Args:
        image: As its EXIF orientation says that it should be seen.
        dpi: Pixels per inch, as the file says or as its size suggests.
        truncated: The file ends before it does; the rest is blank.
    """

    image: Image
    dpi: float
    truncated: bool = False


@dataclass(frozen=True, slots=True)
class Opened:
    """A picture file, its header read and nothing decoded.

    Args:
        image: Pillow's.
        name: Of the file.
        frames: How many it has.
        paged: Its frames are pages, and not an animation's.
    """

    image: Image
    name: str
    frames: int
    paged: bool

    @property
    def pages(self) -> int:
        """How many pages are to be read."""
        return min(self.frames, MOST_PAGES) if self.paged else 1

    def metadata(self) -> dict[str, JSON]:
        """Return size, resolution and what EXIF tells of its origin."""
        width, height = self.image.size
        found: dict[str, JSON] = {"width": width, "height": height, "mode": self.image.mode, "frames": self.frames}
        given = _given_dpi(self.image)
        if given:
            found["dpi"] = round(given, 1)
        try:
            exif = self.image.getexif()
            values = {**exif, **exif.get_ifd(_EXIF_IFD)}
        except Exception:  # noqa: BLE001 - damaged EXIF raises many kinds, and is no part of the picture
            return found
        for tag, key in _EXIF.items():
            value = values.get(tag)
            text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value or "")
            if text := " ".join(text.replace("\x00", " ").split())[:1000]:
                found[key] = text
        return found

    def page(self, number: int) -> Page:
        """Decode a page, from 1.

        Raises:
            UnreadableDocumentError: It can't be decoded, or is too large.
        """
        from PIL import ImageOps

        try:
            self.image.seek(number - 1)
            _check_size(self.name, self.image.size, number if self.paged else None)
            truncated = self._load()
            dpi = _dpi(self.image)
            image = ImageOps.exif_transpose(self.image)
            copied = image.copy() if image is self.image else image
        except (UnreadableDocumentError, MemoryError):
            raise
        except Exception as error:  # noqa: BLE001 - damaged pictures raise many kinds
            raise UnreadableDocumentError(
                self.name,
                f"it can't be decoded: it is damaged or cut short ({_reason(error)}).",
                page=number if self.paged and self.frames > 1 else None,
            ) from None
        return Page(*_shrunk(copied, dpi), truncated)

    def box(self) -> Box:
        """Return the place that the first page takes, before it is turned any way."""
        dpi = _dpi(self.image)
        return Box(0, 0, round(self.image.size[0] * 72 / dpi, 2), round(self.image.size[1] * 72 / dpi, 2))

    def _load(self) -> bool:
        """Decode; what is there of a file that is cut short is kept. Tell whether it was."""
        from PIL import ImageFile

        try:
            self.image.load()
        except (OSError, SyntaxError, ValueError):
            if self.paged:  # what libtiff gives of a damaged page is all black
                raise
            number, strict = self.image.tell(), ImageFile.LOAD_TRUNCATED_IMAGES
            ImageFile.LOAD_TRUNCATED_IMAGES = True
            try:
                self.image.seek(number)
                self.image.load()
            finally:
                ImageFile.LOAD_TRUNCATED_IMAGES = strict
            return True
        return False


@contextmanager
def opened(data: bytes, name: str) -> Iterator[Opened]:
    """Open a picture file for the length of a ``with`` block.

    Raises:
        UnreadableDocumentError: It is damaged, or so large that decoding it would take all memory.
    """
    try:
        from PIL import Image, UnidentifiedImageError
    except ImportError:
        raise MissingDependencyError("Reading pictures", extra="documents,ocr") from None
    with warnings.catch_warnings():
        # The sizes are checked here; damaged metadata is none of the picture's text.
        warnings.simplefilter("ignore")
        try:
            image = Image.open(io.BytesIO(data), formats=_FORMATS)
        except Image.DecompressionBombError:
            raise UnreadableDocumentError(name, _too_large(None)) from None
        except UnidentifiedImageError:
            raise UnreadableDocumentError(name, "it is no picture, or its header is damaged.") from None
        with image:
            _check_size(name, image.size, None)
            paged = image.format == "TIFF"
            yield Opened(image, name, _frames(image), paged)


def _shrunk(image: Image, dpi: float) -> tuple[Image, float]:
    """Average a page down that has more pixels than reading it needs."""
    factor = math.ceil((image.size[0] * image.size[1] / _READ_AT_MOST) ** 0.5)
    if factor < 2:
        return image, dpi
    plain = image.convert({"1": "L", "P": "RGBA"}[image.mode]) if image.mode in ("1", "P") else image
    return plain.reduce(factor), dpi / factor


def _frames(image: Image) -> int:
    try:
        return max(1, int(getattr(image, "n_frames", 1)))
    except Exception:  # noqa: BLE001 - the list of frames is damaged; the first may be whole
        return 1
    finally:
        image.seek(0)


def _check_size(name: str, size: tuple[int, int], page: int | None) -> None:
    if size[0] * size[1] > MOST_PIXELS:
        raise UnreadableDocumentError(name, _too_large(size), page=page)


def _too_large(size: tuple[int, int] | None) -> str:
    what = f"{size[0]:,} × {size[1]:,} pixels" if size else "far too many pixels"
    return f"it has {what}; at most {MOST_PIXELS:,} are decoded. Scale it down."


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:120] or type(error).__name__


def _given_dpi(image: Image) -> float | None:
    """Return what the file says, where it can be true."""
    try:
        dpi = float(image.info.get("dpi", (0, 0))[0])
    except (TypeError, ValueError, IndexError, ZeroDivisionError):
        return None
    return dpi if _LEAST_DPI <= dpi <= _MOST_DPI else None


def _dpi(image: Image) -> float:
    """Return what the file says unless that makes no page of it; else what makes a page or a screen of it."""
    given = _given_dpi(image)
    long, short = max(image.size), max(1, min(image.size))
    page_like = long > 1000 and min(abs(long / short - _A4_RATIO), abs(long / short - _LETTER_RATIO)) < 0.02
    # Cameras and programs write 72, or 300, without meaning it.
    if given and (given not in (72.0, _SCREEN_DPI) or long / given < 25) and not (page_like and long / given < 8):
        return given
    if long > 2600 or page_like:
        return long / _LONG_SIDE
    return _SCREEN_DPI
