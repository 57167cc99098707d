"""Reach the records (keys, usage) of the gateway on this machine."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from polyport.errors import ConfigurationError

if TYPE_CHECKING:
    from polyport_gateway.storage.database import Database

__all__ = ["open_records", "parse_span", "parse_time"]

_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}


@asynccontextmanager
async def open_records(config: Path | None, data_dir: Path | None, database_url: str | None) -> AsyncIterator[Database]:
    """Open the database that the settings name.

    Raises:
        ConfigurationError: It can't be opened.
    """
    from polyport_gateway.cli.serve import prepare_data_dir
    from polyport_gateway.settings import load_settings
    from polyport_gateway.storage.database import Database

    settings = load_settings(config=config, data_dir=data_dir, database_url=database_url)
    prepare_data_dir(settings)
    database = Database(settings.records_url)
    await database.open()
    try:
        yield database
    finally:
        await database.close()


def parse_span(text: str) -> timedelta | None:
    """Return what ``30d``, ``12h``, ``2w`` or ``90m`` stands for; None for anything else."""
    number, unit = text[:-1], text[-1:]
    if unit not in _UNITS or not number.isascii() or not number.isdigit():
        return None
    try:
        return int(number) * _UNITS[unit]
    except OverflowError:
        return None


def parse_time(text: str, *, future: bool, option: str) -> datetime:
    """Return the time that an option means: a span from now (or before now), or a date.

    Raises:
        ConfigurationError: It is neither.
    """
    span = parse_span(text)
    try:
        if span is not None:
            return datetime.now(UTC) + (span if future else -span)
        found = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        raise ConfigurationError(
            f"{option} takes a span such as 30d, 12h or 2w, or a date such as 2027-01-31, not {text!r}"
        ) from None
    # A date without a zone is the person's own.
    return found if found.tzinfo is not None else found.astimezone()
