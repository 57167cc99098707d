"""Bring a database's schema to `REVISION`.

Alembic (0.4 s to import) is only loaded for a database that is older than this program.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, inspect, select

from polyport.errors import ConfigurationError
from polyport_gateway.storage.schema import REVISION, VERSION_TABLE, metadata, schema_version

if TYPE_CHECKING:
    from alembic.config import Config

__all__ = ["alembic_config", "bring_up_to_date", "current_revision"]


def current_revision(connection: Connection) -> str | None:
    """Return the revision a database is at; None if it holds no records yet."""
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    return connection.execute(select(schema_version.c.version_num)).scalar_one_or_none()


def bring_up_to_date(connection: Connection, *, where: str) -> None:
    """Create or migrate the tables, in the connection's transaction.

    Args:
        connection: Holds a lock against others who open the same database.
        where: The database's URL, without its password, for messages.

    Raises:
        ConfigurationError: The database was written by a newer version, or its tables are another program's.
    """
    current = current_revision(connection)
    if current == REVISION:
        return
    if current is None:
        _create(connection, where)
    else:
        _upgrade(connection, current, where)


def _create(connection: Connection, where: str) -> None:
    taken = sorted(set(inspect(connection).get_table_names()) & set(metadata.tables))
    if taken:
        raise ConfigurationError(
            f"the database {where} has tables named {', '.join(taken)} that Polyport did not make;"
            " set database_url to an empty database"
        )
    metadata.create_all(connection, checkfirst=False)
    schema_version.create(connection, checkfirst=True)
    connection.execute(schema_version.insert().values(version_num=REVISION))


def _upgrade(connection: Connection, current: str, where: str) -> None:
    from alembic import command
    from alembic.script import ScriptDirectory

    config = alembic_config(connection)
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if current not in known:
        raise ConfigurationError(
            f"the database {where} was written by a newer version of Polyport (schema {current}, this version knows"
            f" up to {REVISION}); upgrade Polyport, or set database_url to another database"
        )
    command.upgrade(config, REVISION)


def alembic_config(connection: Connection) -> Config:
    """Return what Alembic's commands need to work on this connection."""
    from alembic.config import Config

    config = Config()
    folder = Path(__file__).parent / "migrations"
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config
