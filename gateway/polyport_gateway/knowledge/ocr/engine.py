"""The models: loaded once per process, when the first picture comes, from the wheel and from nowhere else."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from polyport.errors import MissingDependencyError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]

__all__ = ["Engine", "Reading", "engine", "is_installed"]

_NEEDED = ("rapidocr", "onnxruntime", "cv2", "PIL")
_MOST_THREADS = 4
_LINE_HEIGHT = 48
"""Pixels: the height at which the recognition model reads."""
_MOST_LINES = 6
_MOST_WIDTH = 3072  # pixels of all lines of a batch
_NO_MEMORY = re.compile(r"bad_alloc|allocate|out of memory|Resource temporarily unavailable", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Reading:
    """What one strip of pixels says.

    Args:
        text: From left to right.
        confidences: Of each character.
        places: Middle of each character, from 0 (the strip's left edge) to 1.
    """

    text: str
    confidences: tuple[float, ...]
    places: tuple[float, ...]

    @property
    def confidence(self) -> float:
        """Mean over the characters; 0 for nothing."""
        return sum(self.confidences) / len(self.confidences) if self.confidences else 0.0


def is_installed() -> bool:
    """Tell whether text can be recognised here, without loading anything."""
    return all(importlib.util.find_spec(name) is not None for name in _NEEDED)


@cache
def engine() -> Engine:
    """Return this process's engine.

    Raises:
        MissingDependencyError: The extra ``ocr`` is not installed.
    """
    if not is_installed():
        raise MissingDependencyError("Recognising text in pictures", extra="ocr")
    with _memory_errors():
        return Engine()


class Engine:
    """PP-OCR's detection, direction and recognition models (Chinese and English), as rapidocr runs them."""

    def __init__(self) -> None:
        import rapidocr

        folder = Path(rapidocr.__file__).parent / "models"
        threads = max(1, min(_MOST_THREADS, _processors()))
        self._rapid: Any = rapidocr.RapidOCR(
            params={
                "Global.log_level": "error",
                "Global.use_cls": False,
                "Global.use_rec": False,
                "Global.return_word_box": True,
                # The picture comes at the size at which it should be looked at.
                "Global.max_side_len": 1 << 15,
                "Global.min_side_len": 1,
                "Det.limit_side_len": 1,
                # With its path given, a model is never looked for on a hub.
                "Det.model_path": str(_model(folder, "det")),
                "Cls.model_path": str(_model(folder, "cls")),
                "Rec.model_path": str(_model(folder, "rec")),
                "EngineConfig.onnxruntime.intra_op_num_threads": threads,
                "EngineConfig.onnxruntime.inter_op_num_threads": 1,
            }
        )

    def detect(self, image: Pixels) -> NDArray[np.float64]:
        """Return where text stands: corners (n, 4, 2) of each line, clockwise from its top left, in pixels."""
        import numpy as np

        with _memory_errors():
            result = self._rapid(image[:, :, ::-1], use_det=True, use_cls=False, use_rec=False)
        found = getattr(result, "boxes", None)
        if found is None or not len(found):
            return np.zeros((0, 4, 2))
        return np.asarray(found, dtype=np.float64)

    def read(self, strips: Sequence[Pixels]) -> list[Reading]:
        """Return what lines of text say; each is one line from left to right."""
        lines = [_at_line_height(strip) for strip in strips]
        readings: list[Reading | None] = [None] * len(lines)
        for batch in _batches([line.shape[1] for line in lines]):
            with _memory_errors():
                result = self._rapid.recognize_txt([lines[index] for index in batch])
            for index, text, info in zip(batch, result.txts, result.word_results, strict=True):
                readings[index] = _reading(text, info)
        return [reading for reading in readings if reading is not None]

    def upside_down(self, strips: Sequence[Pixels]) -> list[float]:
        """Return for each line of text how sure it is that it stands on its head: from -1 (upright) to 1."""
        if not strips:
            return []
        with _memory_errors():
            found = self._rapid.cls_and_rotate([_bgr(strip) for strip in strips])[1].cls_res
        return [float(score) * (1 if label == "180" else -1) for label, score in found]


@contextlib.contextmanager
def _memory_errors() -> Iterator[None]:
    """Make Python's own error of the runtime's: it has none of its own for memory that ran out."""
    try:
        yield
    except Exception as error:
        if _NO_MEMORY.search(str(error)):
            raise MemoryError from None
        raise


def _batches(widths: Sequence[int]) -> Iterator[list[int]]:
    """Group lines of nearly one width, so many that a batch takes bounded memory."""
    batch: list[int] = []
    for index in sorted(range(len(widths)), key=widths.__getitem__):
        if batch and (len(batch) == _MOST_LINES or (len(batch) + 1) * widths[index] > _MOST_WIDTH):
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _model(folder: Path, task: str) -> Path:
    # Somebody may have had rapidocr fetch more models into its folder; the ones that came with it are PP-OCR's newest.
    found = sorted(folder.glob(f"*_{task}_*.onnx"), key=lambda path: (path.name.startswith("PP-OCR"), path.name))
    if not found:
        raise MissingDependencyError("Recognising text in pictures", extra="ocr")
    return found[-1]


def _bgr(strip: Pixels) -> Pixels:
    import numpy as np

    return np.ascontiguousarray(strip[:, :, ::-1])


def _at_line_height(strip: Pixels) -> Pixels:
    import cv2
    import numpy as np

    height, width = strip.shape[:2]
    bgr = _bgr(strip)
    if height <= _LINE_HEIGHT:
        return bgr
    # The recogniser samples a few points only when it shrinks; averaging keeps thin strokes.
    size = (max(1, round(width * _LINE_HEIGHT / height)), _LINE_HEIGHT)
    return np.asarray(cv2.resize(bgr, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _reading(text: str, info: Any) -> Reading:
    columns = [column for word in info.word_cols for column in word]
    length = max(float(info.line_txt_len), 1.0)
    places: list[float] = []
    taken = iter(columns)
    for character in text:
        # A blank has no place of its own there; it stands where the last character does.
        column = next(taken, None) if not character.isspace() else None
        places.append((column + 0.5) / length if column is not None else (places[-1] if places else 0.0))
    confidences = tuple(map(float, info.confs[: len(text)]))
    return Reading(text, confidences, tuple(min(place, 1.0) for place in places))
