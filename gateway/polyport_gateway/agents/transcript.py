"""`Transcript`: what running code gave, as one text in the order in which it came, and its pictures."""

from __future__ import annotations

import base64
import binascii
import codecs
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from polyport_sandbox.types import CodeError, Display, RunEvent, RunResult

__all__ = ["Transcript"]

_PICTURES = {"image/png": "png", "image/jpeg": "jpg"}
_MAGIC = {"png": b"\x89PNG\r\n\x1a\n", "jpg": b"\xff\xd8\xff"}


class Transcript:
    """Gathers the events of one run.

    Attributes:
        pictures: The pictures that were shown, as (``png`` or ``jpg``, bytes).
        result: How it ended; None until then.
    """

    def __init__(self) -> None:
        self.pictures: list[tuple[str, bytes]] = []
        self.result: RunResult | None = None
        self._pieces: list[str] = []
        # A character may be cut in two between events.
        decoder = codecs.getincrementaldecoder("utf-8")
        self._decoders = {"stdout": decoder("replace"), "stderr": decoder("replace")}
        self._at_line_start = True

    def add(self, event: RunEvent) -> None:
        """Take the next event."""
        match event.type:
            case "stdout" | "stderr":
                self._write(self._decoders[event.type].decode(event.data))
            case "display" | "result":
                self._show(event.display)
            case "error":
                self._tell(event.error)
            case "end":
                for decoder in self._decoders.values():
                    self._write(decoder.decode(b"", final=True))
                self.result = event.result

    def logs(self) -> str:
        """Return all that was written, as it came."""
        return "".join(self._pieces)

    def text(self, wall_s: float) -> str:
        """Return the same for the model, with how the run ended where that was not well.

        Args:
            wall_s: Seconds that a run may take.
        """
        notes = [*self._how_it_ended(wall_s), *self._what_is_missing()]
        logs = self.logs()
        if not notes:
            return logs or ("" if self.pictures else "[The code ran and printed nothing.]")
        return "\n".join([*([logs.rstrip("\n")] if logs else []), *(f"[{note}]" for note in notes)])

    def _how_it_ended(self, wall_s: float) -> list[str]:
        result = self.result
        if result is None or result.status == "ok":
            return []
        ends = {
            "timeout": f"The code was stopped: it took longer than {wall_s:g} s.",
            "out_of_memory": "The code was stopped: it took more memory than the container has.",
            "output_limit": "The code was stopped: it printed too much.",
            "killed": "The code was stopped.",
        }
        notes = [ends[result.status]] if result.status in ends else []
        if result.status == "error" and result.error is None:
            notes.append(f"The code ended with exit code {result.exit_code}.")
        return [*notes, *([result.detail] if result.detail else [])]

    def _what_is_missing(self) -> list[str]:
        result = self.result
        if result is not None and (result.stdout_truncated or result.stderr_truncated):
            return ["Some of what was printed is left out: it was too much."]
        return []

    def _write(self, text: str) -> None:
        if text:
            self._pieces.append(text)
            self._at_line_start = text.endswith("\n")

    def _line(self, text: str) -> None:
        self._write(f"{'' if self._at_line_start else chr(10)}{text.rstrip(chr(10))}\n")

    def _show(self, display: Display) -> None:
        for mime, kind in _PICTURES.items():
            data = _decode(display.data.get(mime))
            # It comes from untrusted code, and is handed on as what it says it is.
            if data is not None and data.startswith(_MAGIC[kind]):
                self.pictures.append((kind, data))
                return
        if display.text is not None:
            self._line(display.text)
        elif display.data:
            self._line(f"[shown as {', '.join(sorted(display.data))}]")

    def _tell(self, error: CodeError) -> None:
        told = (error.traceback or f"{error.name}: {error.value}").strip()
        if told not in self.logs():
            self._line(told)


def _decode(value: object) -> bytes | None:
    if not isinstance(value, str):
        return None
    try:
        return base64.b64decode(value)
    except (binascii.Error, ValueError):
        return None
