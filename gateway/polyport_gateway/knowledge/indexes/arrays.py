"""Arrays that grow at their end, the room doubled where it is full."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

__all__ = ["Growing"]

Kind = TypeVar("Kind", bound=np.generic)


class Growing(Generic[Kind]):
    """An array of rows.

    Args:
        kind: Of its values.
        width: Values in a row; None for single ones.
    """

    def __init__(self, kind: DTypeLike, width: int | None = None) -> None:
        self._kept: NDArray[Any] = np.empty((16,) if width is None else (16, width), kind)
        self._used = 0

    def __len__(self) -> int:
        return self._used

    @property
    def rows(self) -> NDArray[Kind]:
        """What it holds; what is written to it is kept."""
        return self._kept[: self._used]

    def extend(self, values: ArrayLike) -> None:
        """Put more at the end."""
        added = np.asarray(values, self._kept.dtype)
        needed = self._used + len(added)
        if needed > len(self._kept):
            grown = np.empty((max(needed, 2 * len(self._kept)), *self._kept.shape[1:]), self._kept.dtype)
            grown[: self._used] = self._kept[: self._used]
            self._kept = grown
        self._kept[self._used : needed] = added
        self._used = needed
