"""What the tables of all topics have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import BigInteger, ClauseElement, Connection, CursorResult, Dialect, Integer, MetaData

metadata = MetaData(
    # Constraints have names, so that a migration can say which one it means.
    naming_convention={
        "ix": "%(table_name)s_by_%(column_0_N_name)s",
        "uq": "%(table_name)s_unique_%(column_0_N_name)s",
        "fk": "%(table_name)s_%(column_0_name)s",
        "pk": "%(table_name)s_key",
    }
)

# The type of a primary key that the database chooses: ascending in the order of insertion, and never shown outside.
# SQLite chooses keys only for a column that it calls INTEGER, which has 64 bits there.
Key = BigInteger().with_variant(Integer(), "sqlite")


class Prepared:
    """A statement that is run for every message. To put it together each time takes longer than to run it.

    Args:
        statement: each value that it needs is a `bindparam` of its own name.
    """

    def __init__(self, statement: ClauseElement) -> None:
        self._statement = statement
        self._made: dict[str, tuple[str, dict[str, object]]] = {}

    def run(self, connection: Connection, **values: object) -> CursorResult[*tuple[Any, ...]]:
        """Run it once."""
        statement, constants = self._for(connection.dialect)
        return connection.exec_driver_sql(statement, constants | values)

    def run_for_each(self, connection: Connection, rows: Sequence[dict[str, object]]) -> None:
        """Run it for each of some rows, at least one."""
        statement, constants = self._for(connection.dialect)
        complete = [constants | row for row in rows] if constants else list(rows)
        # Drivers make more of a list with one row than it needs.
        connection.exec_driver_sql(statement, complete[0] if len(complete) == 1 else complete)

    def _for(self, dialect: Dialect) -> tuple[str, dict[str, object]]:
        """The statement as a database wants it, and the values that are part of it."""
        made = self._made.get(dialect.name)
        if made is None:
            compiled = self._statement.compile(dialect=dialect)
            constants = {name: value for name, value in compiled.params.items() if value is not None}
            made = self._made[dialect.name] = (str(compiled), constants)
        return made
