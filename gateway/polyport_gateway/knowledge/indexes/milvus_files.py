"""What a killed process leaves in a folder of Milvus Lite (3.2) that it trips over itself at the next start.

Nothing here is lost by what is removed: the logs are those whose rows the manifest says to be in segments, and the
indexes of segments are made anew from them. Whoever calls these owns the folder, and has it closed.
"""

from __future__ import annotations

import json
import logging
import re
from pathlib import Path

__all__ = ["drop_derived", "drop_flushed"]

_log = logging.getLogger("polyport.knowledge.indexes")

_LOG = re.compile(r"wal_(?:data|delta)_(\d+)\.arrow")
_DERIVED = (".idx", ".sidx")


def drop_flushed(database: Path) -> None:
    """Remove logs of which all is in segments: read again, each of their rows would be there twice.

    Milvus Lite writes segments, then the manifest that names them and the log after them, and then removes the former
    logs. It reads whatever logs it finds.
    """
    for manifest in database.glob("collections/*/manifest.json"):
        try:
            active = json.loads(manifest.read_bytes())["active_wal_number"]
        except (OSError, ValueError, KeyError, TypeError):
            continue  # Milvus Lite has another one, or says what is wrong
        for file in manifest.parent.glob("wal/*"):
            number = _LOG.fullmatch(file.name)
            if isinstance(active, int) and number is not None and int(number[1]) < active:
                _log.info("%s is in segments already, and removed", file)
                file.unlink(missing_ok=True)


def drop_derived(database: Path) -> None:
    """Remove the indexes of segments: they are written where they stay, so one may be there in part."""
    for file in database.glob("collections/*/partitions/*/indexes/*"):
        if file.suffix in _DERIVED:
            file.unlink(missing_ok=True)
