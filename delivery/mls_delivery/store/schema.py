"""What the tables of all topics have in common."""

from __future__ import annotations

from sqlalchemy import BigInteger, Integer, MetaData

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
