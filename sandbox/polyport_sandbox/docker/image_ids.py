"""Which image a name meant when it was first used, so that all runs of one opening are given the same."""

from __future__ import annotations

import logging
import time

from polyport_sandbox.errors import SandboxUnavailableError

from .engine import Engine

__all__ = ["ImageIds"]

_log = logging.getLogger(__name__)

LOOK_AGAIN_S = 60.0


class ImageIds:
    """Look each name up once; now and then see whether it has moved to another image, and say so.

    Args:
        engine: The daemon that has the images.
        look_again_s: Seconds after which a name that is used is looked at again.
    """

    def __init__(self, engine: Engine, *, look_again_s: float = LOOK_AGAIN_S) -> None:
        self._engine = engine
        self._look_again_s = look_again_s
        self._known: dict[str, str] = {}
        self._looked: dict[str, float] = {}
        self._told: dict[str, str] = {}

    async def identity(self, name: str) -> str:
        """The id of the image that `name` meant at first; of the one it means now, where the first is gone.

        Raises:
            SandboxUnavailableError: If there is none.
        """
        known = self._known.get(name)
        if known is not None and time.monotonic() - self._looked[name] < self._look_again_s:
            return known
        self._looked[name] = time.monotonic()
        found = await self._engine.image(name)
        now = None if found is None else str(found["Id"])
        if known is None or (known != now and await self._engine.image(known) is None):
            if now is None:
                self._known.pop(name, None)
                raise SandboxUnavailableError(
                    f"Docker has no image {name!r} any more.", mend=f"python -m polyport_sandbox build --tag {name}"
                )
            if known is not None:
                _log.warning("image %s was removed; runs are now given what has its name, %s", known[:19], now[:19])
            self._known[name] = known = now
        elif now != known and self._told.get(name) != now:
            self._told[name] = str(now)
            what = "names no image any more" if now is None else f"names another image now, {now[:19]}"
            _log.warning("%s %s; runs are given %s until the sandbox is opened anew", name, what, known[:19])
        return known

    def forget(self, name: str) -> None:
        """Look a name up again at its next use, for its image seems to be gone."""
        if name in self._looked:
            self._looked[name] = float("-inf")
