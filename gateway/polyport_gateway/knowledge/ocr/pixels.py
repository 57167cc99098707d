"""A picture of any mode as plain 8-bit RGB."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

    Pixels = NDArray[np.uint8]

__all__ = ["grey", "rgb"]

_BRIGHT = 160


def rgb(image: Image) -> Pixels:
    """Return height × width × 3 bytes; what is transparent shows a ground on which the rest stands out."""
    import numpy as np

    if image.mode.startswith(("I", "F")):
        return _deep(np.asarray(image, dtype=np.float32))
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        return _on_ground(np.asarray(image.convert("RGBA")))
    return np.asarray(image.convert("RGB"))


def grey(image: Pixels) -> Pixels:
    """Return height × width bytes, dark on light."""
    import cv2
    import numpy as np

    plain = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), dtype=np.uint8)
    return 255 - plain if plain[::4, ::4].mean() < 110 else plain


def _deep(values: NDArray[np.float32]) -> Pixels:
    """Bring 16 or 32 bits a pixel down to 8."""
    import numpy as np

    low, high = float(np.nanmin(values, initial=0)), float(np.nanmax(values, initial=0))
    if low >= 0 and high > 255:
        low, high = 0.0, max(high, 65535.0)  # 16 bits: as dark as it is, not stretched
    elif low >= 0:
        low, high = 0.0, 255.0 if high > 1 else 1.0
    scaled = np.clip((np.nan_to_num(values) - low) * (255.0 / max(high - low, 1e-9)), 0, 255).astype(np.uint8)
    return np.repeat(scaled[:, :, None], 3, axis=2)


def _on_ground(values: NDArray[np.uint8]) -> Pixels:
    import numpy as np

    colour, alpha = values[:, :, :3], values[:, :, 3:]
    seen = colour[alpha[:, :, 0] > 127]
    # White letters on nothing are meant for a dark page.
    ground = 0 if len(seen) and alpha.min() < 128 and float(seen.mean()) > _BRIGHT else 255
    mixed = colour * (alpha / np.float32(255)) + ground * (1 - alpha / np.float32(255))
    return mixed.astype(np.uint8)
