"""What holds inside a group of RTF, and ends with it."""

from __future__ import annotations

from dataclasses import dataclass

from polyport_gateway.knowledge.readers.office.text import Style

__all__ = ["State"]


@dataclass(slots=True)
class State:
    """The state of one group; one inside takes it over as it begins.

    Args:
        destination: What text goes to: ``body``, or another place; ``skip`` for none.
        font: Number of the font.
        unicode_skip: Characters that stand for a Unicode one, for older programs.
        link: What its text links to.
    """

    destination: str = "body"
    font: int | None = None
    unicode_skip: int = 1
    bold: bool = False
    italic: bool = False
    underline: bool = False
    strike: bool = False
    script: str = ""
    hidden: bool = False
    deleted: bool = False
    link: str = ""

    def plain(self) -> None:
        """Take all character formatting away."""
        self.bold = self.italic = self.underline = self.strike = self.hidden = self.deleted = False
        self.script = ""

    def marks(self) -> list[Style]:
        """Return it as marks."""
        found = [(kind, "") for kind in ("bold", "italic", "underline", "strike") if getattr(self, kind)]
        found += [(self.script, "")] if self.script else []
        return found + ([("link", self.link)] if self.link else [])
