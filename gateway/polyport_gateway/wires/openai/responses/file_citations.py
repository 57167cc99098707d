"""Where a text names files of a container: OpenAI's ``container_file_citation`` annotations."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

from polyport_gateway.sandboxes.containers import FOLDER, ContainerFile

__all__ = ["cite_files"]

# A name goes on with these; a full stop only where more of the name follows it.
_NOT_LONGER = r"(?![\w-]|\.\w|/\w)"


def cite_files(text: str, files: Mapping[str, ContainerFile]) -> Iterator[dict[str, Any]]:
    """Give an annotation for each place where a file's path stands, in the text's order.

    A path stands for itself with ``sandbox:`` before it or without, and as a URL writes it.

    Args:
        text: What the model said.
        files: By path.
    """
    if not files or FOLDER not in text:
        return
    written = {form: file for path, file in files.items() for form in (path, quote(path))}
    # The longest first: of a path and one that goes on with " (1)", the longer is meant.
    forms = "|".join(re.escape(form) for form in sorted(written, key=len, reverse=True))
    for match in re.finditer(rf"(?:sandbox:)?(?<![\w/.-])({forms}){_NOT_LONGER}", text):
        file = written[match[1]]
        yield {
            "type": "container_file_citation",
            "container_id": file.container_id,
            "file_id": file.id,
            "filename": file.filename,
            "start_index": match.start(),
            "end_index": match.end(),
        }
