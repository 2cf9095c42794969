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
        self._texts: dict[str, str] = {}

    def run(self, connection: Connection, **values: object) -> CursorResult[*tuple[Any, ...]]:
        """Run it once."""
        return connection.exec_driver_sql(self._text(connection.dialect), values)

    def run_for_each(self, connection: Connection, rows: Sequence[dict[str, object]]) -> None:
        """Run it for each of some rows, at least one."""
        connection.exec_driver_sql(self._text(connection.dialect), list(rows))

    def _text(self, dialect: Dialect) -> str:
        text = self._texts.get(dialect.name)
        if text is None:
            text = self._texts[dialect.name] = str(self._statement.compile(dialect=dialect))
        return text
