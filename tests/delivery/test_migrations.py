"""Databases of this version, of others, and of somebody else."""

from __future__ import annotations

import asyncio
import re
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, inspect, text

from mls_delivery.store import StoreError, accounts, open_store
from mls_delivery.store.migrations import VERSION_TABLE
from mls_delivery.store.schema import metadata
from tests.delivery.support import sqlite_url
from tests.support.postgres import Server

# As the service made it before devices signed for each other, with one identity.
_LAYOUT_1 = """
    CREATE TABLE service (schema INTEGER NOT NULL, domain TEXT NOT NULL, signing_key BLOB NOT NULL, PRIMARY KEY (domain));
    CREATE TABLE identities (id INTEGER NOT NULL, identity BLOB NOT NULL, credential BLOB NOT NULL, claimed_at BIGINT NOT NULL,
        PRIMARY KEY (id), UNIQUE (identity));
    CREATE TABLE clients (id INTEGER NOT NULL, identity INTEGER NOT NULL, client_id BLOB NOT NULL, last_sequence BIGINT NOT NULL,
        acknowledged BIGINT NOT NULL, PRIMARY KEY (id), UNIQUE (identity, client_id),
        FOREIGN KEY(identity) REFERENCES identities (id));
    INSERT INTO service VALUES (1, 'b.example', x'01');
    INSERT INTO identities VALUES (1, x'626f62', x'02', 1);
"""


@pytest.fixture
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database with nothing in it."""
    if request.param == "sqlite":
        return sqlite_url(tmp_path / "b.sqlite3")
    server: Server = request.getfixturevalue("postgres")
    return server.url(server.fresh())


on_both = pytest.mark.parametrize("empty_url", ["sqlite", "postgresql"], indirect=True)


def _engine(url: str) -> Engine:
    return create_engine(url.replace("postgresql:", "postgresql+psycopg:"))


def _open_and_close(url: str) -> None:
    asyncio.run(open_store(url).close())


def _layout(engine: Engine) -> dict[str, Any]:
    """Everything that the database says about its tables."""
    inspector = inspect(engine)
    layout: dict[str, Any] = {
        table: {
            "columns": [{**column, "type": str(column["type"])} for column in inspector.get_columns(table)],
            "key": inspector.get_pk_constraint(table),
            "references": _sorted(inspector.get_foreign_keys(table)),
            "unique": _sorted(inspector.get_unique_constraints(table)),
            "indexes": _sorted(inspector.get_indexes(table)),
            "checks": _sorted(inspector.get_check_constraints(table)),
        }
        for table in inspector.get_table_names()
        if table != VERSION_TABLE
    }
    if engine.dialect.name == "sqlite":
        # What SQLite alone has, as AUTOINCREMENT, is in no inspector.
        with engine.connect() as connection:
            for name, statement in connection.execute(text("SELECT name, sql FROM sqlite_master")):
                if name in layout:
                    layout[name]["sql"] = sorted(re.split(r"[\s,]+", statement))
    return layout


def _sorted(found: list[Any]) -> list[Any]:
    return sorted(found, key=lambda item: str(item["name"]))


@on_both
def test_the_migrations_make_the_tables(
    empty_url: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    _open_and_close(empty_url)
    migrated = _engine(empty_url)
    if migrated.dialect.name == "sqlite":
        wanted = _engine(sqlite_url(tmp_path / "wanted.sqlite3"))
    else:
        server: Server = request.getfixturevalue("postgres")
        wanted = _engine(server.url(server.fresh()))
    metadata.create_all(wanted)
    try:
        # If not: python -m dev.initial_migration
        assert _layout(migrated) == _layout(wanted)
    finally:
        migrated.dispose()
        wanted.dispose()


@on_both
def test_those_who_start_together_migrate_once(empty_url: str) -> None:
    together = threading.Barrier(4)

    def start(number: int) -> bytes:
        async def run() -> bytes:
            store = open_store(empty_url)
            key = await store.write(accounts.signing_key, "b.example", b"%d" % number)
            await store.close()
            return key

        together.wait()
        return asyncio.run(run())

    with ThreadPoolExecutor(4) as threads:
        keys = set(threads.map(start, range(4)))
    assert len(keys) == 1


@on_both
def test_a_database_of_somebody_else(empty_url: str) -> None:
    engine = _engine(empty_url)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE identities (name TEXT)"))
    with pytest.raises(StoreError, match="something else"):
        open_store(empty_url)
    assert inspect(engine).get_table_names() == ["identities"]
    engine.dispose()


@on_both
def test_a_database_of_a_newer_version(empty_url: str) -> None:
    _open_and_close(empty_url)
    engine = _engine(empty_url)
    with engine.begin() as connection:
        connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = 'from_the_future'"))  # noqa: S608
    with pytest.raises(StoreError, match="newer version"):
        open_store(empty_url)
    engine.dispose()


def test_a_database_of_before_the_first_release(tmp_path: Path) -> None:
    """It cannot be taken over, and is left as it is."""
    file = tmp_path / "old.sqlite3"
    with sqlite3.connect(file) as connection:
        connection.executescript(_LAYOUT_1)
    connection.close()
    with pytest.raises(StoreError, match="Move it away and start with an empty one"):
        open_store(sqlite_url(file))
    with sqlite3.connect(file) as connection:
        assert connection.execute("SELECT identity FROM identities").fetchall() == [(b"bob",)]
    connection.close()
