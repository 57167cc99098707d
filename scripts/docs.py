"""Write the tables in docs/ that the code itself knows; `--check` only says which are out of date.

python scripts/docs.py [--check]
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from polyport import errors
from polyport.errors import CallError
from polyport_gateway.settings import Settings

DOCS = Path(__file__).resolve().parents[1] / "docs"


def settings_table() -> str:
    """Every setting: its name, its variable, its default, what it does."""
    rows = ["| setting | environment | default | what it does |", "|---|---|---|---|"]
    for name, field in Settings.model_fields.items():
        default = field.default
        shown = "unset" if default is None else "none" if default == () else f"`{default}`"
        rows.append(f"| `{name}` | `POLYPORT_{name.upper()}` | {shown} | {field.description} |")
    return "\n".join(rows)


def errors_table() -> str:
    """Every error a call can end with: class, status, type, code, meaning."""
    rows = ["| class | status | `type` | `code` | when |", "|---|---|---|---|---|"]
    for error in _tree(CallError):
        if error is CallError:
            continue
        status = str(error.status) if error.status else "–"
        when = (error.__doc__ or "").splitlines()[0].replace("|", "\\|")
        rows.append(f"| `{error.__name__}` | {status} | `{error.type}` | `{error.code}` | {when} |")
    return "\n".join(rows)


def _tree(cls: type[CallError]) -> Iterator[type[CallError]]:
    yield cls
    for sub in cls.__subclasses__():
        if sub.__module__ == errors.__name__:
            yield from _tree(sub)


TABLES: dict[str, dict[str, Callable[[], str]]] = {
    "configuration.md": {"settings": settings_table},
    "wires.md": {"errors": errors_table},
}


def renewed(text: str, name: str, table: str) -> str:
    """Put a table between its two marks.

    Raises:
        ValueError: The marks are not there.
    """
    begin, end = f"<!-- begin: {name} -->", f"<!-- end: {name} -->"
    pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    if not pattern.search(text):
        raise ValueError(f"the marks {begin} and {end} are missing")
    return pattern.sub(lambda _: f"{begin}\n{table}\n{end}", text)


def main() -> int:
    """Renew or check every table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; fail if a table is out of date")
    check = parser.parse_args().check
    stale = []
    for document, tables in TABLES.items():
        path = DOCS / document
        text = path.read_text(encoding="utf-8")
        wanted = text
        for name, table in tables.items():
            wanted = renewed(wanted, name, table())
        if wanted != text:
            stale.append(document)
            if not check:
                path.write_text(wanted, encoding="utf-8")
    for document in stale:
        print(f"docs/{document} {'is out of date: run python scripts/docs.py' if check else 'renewed'}")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
