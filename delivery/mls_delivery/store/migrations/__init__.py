"""Bringing a database to this version's tables: by alembic, in one transaction, whoever else starts at the same time.

`versions/` has one module for each change since the first release. Until then there is one, `initial.py`, which is made from the
tables themselves, anew after each change to them: `python -m dev.initial_migration`. A test compares what it makes with the tables.
"""

from __future__ import annotations

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect

from ..errors import StoreError

# Its own, so that a database that another program's alembic looks after is not taken for ours.
VERSION_TABLE = "mls_delivery_version"


def migrate(connection: Connection) -> None:
    """Make the tables in an empty database, or change those of an earlier version. To be called in a writer's transaction.

    Raises:
        StoreError: it is no database of this version's or an earlier one's.
    """
    config = Config()
    config.set_main_option("script_location", "mls_delivery.store:migrations")
    config.attributes["connection"] = connection
    scripts = ScriptDirectory.from_config(config)
    revision = _revision_of(connection)
    if revision is not None and revision not in {script.revision for script in scripts.walk_revisions()}:
        raise StoreError(
            f"A newer version of the service has used the database (revision {revision!r}). Run that version, or "
            "restore a backup from before."
        )
    if revision != scripts.get_current_head():
        command.upgrade(config, "head")


def _revision_of(connection: Connection) -> str | None:
    """The revision of a database of ours; None if it is empty."""
    inspector = inspect(connection)
    present = set(inspector.get_table_names())
    if VERSION_TABLE in present:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
        return context.get_current_revision()
    if not present:
        return None
    if "service" in present and "schema" in {column["name"] for column in inspector.get_columns("service")}:
        # Its identities have no device events. These are signed by their owners' devices, and in the log from the claim on:
        # nobody else can make them, so there is no way to take such a database over.
        raise StoreError(
            "The database is one of before the first release, when devices did not yet sign for each other; it cannot be "
            "taken over. Move it away and start with an empty one: people claim their names again, from their devices."
        )
    raise StoreError("The database holds something else than a delivery service.")
