"""State that is kept in a file: `Storage` on SQLite, for CPython.

A state is saved in one transaction, which writes the parts that are other objects than those saved before, and no others. It
is on the disk before `save` returns (write-ahead log, `synchronous=FULL`).

`save` writes where it is called, and does not go to a thread: a client serves one person, and nothing in it could go on
meanwhile, as nothing may leave it before its state is kept. It takes as long as the disk takes to confirm one write.

The file is for its owner alone (mode 0600), and one process at a time: it stays locked until `close`, or until the process
ends, however it does. What is deleted in it is overwritten with zeros, so that keys that were used are gone from it, when the
log is next written back; what a file system or a disk keeps of former contents is beyond us.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Self

from ..client import ClientState
from ..client.state_codec import PartKind, state_of
from ..crypto import CryptoProvider
from ..errors import RemoteError, StorageError
from .parts import Kept, changes

# Says that a database is one of ours ("MLSF").
_APPLICATION_ID = 0x4D4C5346
_LAYOUT_VERSION = 1
_CREATE = "CREATE TABLE part (kind INTEGER, place INTEGER, content BLOB NOT NULL, PRIMARY KEY (kind, place))"


class SqliteStorage:
    """`Storage` in a file. Used as a context manager, which closes it.

    Args:
        path: of the file; it is made if it is not there.

    Raises:
        StorageError: code `in-use`: another process, or another storage of this one, has it open; `not-a-state`: the file is
            none of ours; `unknown-state-version`: a later version of the package made it; `storage-failed`.
    """

    def __init__(self, path: str | Path) -> None:
        self._kept = Kept()
        try:
            # SQLite gives its other files the mode of this one.
            made = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                Path(path).chmod(0o600)
            finally:
                os.close(made)
            self._database = sqlite3.connect(path, timeout=0, isolation_level=None)
        except (OSError, sqlite3.Error) as error:
            raise StorageError(f"{path} cannot be opened: {error}") from error
        try:
            self._open(str(path))
        except BaseException:
            self._database.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file; nothing can be saved after that."""
        self._database.close()

    def load(self, provider: CryptoProvider) -> ClientState | None:
        """The state that was saved last; None if none was.

        Raises:
            StorageError: code `unknown-state-version`; `unreadable-state`: it is no state that we have saved.
        """
        found: dict[PartKind, list[bytes]] = {kind: [] for kind in PartKind}
        places: dict[PartKind, list[int]] = {kind: [] for kind in PartKind}
        try:
            for kind, place, content in self._database.execute(
                "SELECT kind, place, content FROM part ORDER BY kind, place"
            ):
                found[PartKind(kind)].append(content)
                places[PartKind(kind)].append(place)
            if not any(found.values()):
                return None
            state = state_of(provider, found)
        except (sqlite3.Error, ValueError) as error:
            raise StorageError(f"the state cannot be read: {error}", code="unreadable-state") from error
        except RemoteError as error:
            unknown = error.code == "unknown-state-version"
            raise StorageError(
                f"the state cannot be read: {error.message}",
                code=error.code if unknown else "unreadable-state",
            ) from error
        self._kept = Kept(state, places)
        return state

    async def save(self, state: ClientState) -> None:
        """Keep `state` in the place of what was kept before: wholly, before it returns, or not at all.

        Raises:
            StorageError: it could not be kept.
        """
        made = changes(self._kept, state)
        try:
            self._database.execute("BEGIN IMMEDIATE")
            try:
                if self._kept.state is None:
                    self._database.execute("DELETE FROM part")
                self._database.executemany("INSERT OR REPLACE INTO part VALUES (?, ?, ?)", made.writes)
                self._database.executemany("DELETE FROM part WHERE kind = ? AND place = ?", made.deletes)
                self._database.execute("COMMIT")
            except BaseException:
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
                raise
        except sqlite3.Error as error:
            raise StorageError(f"the state could not be kept: {error}") from error
        self._kept = made.kept

    def _open(self, path: str) -> None:
        """Lock the file, and see that it is ours, or make it so."""
        execute = self._database.execute
        try:
            # Before the first access: so the lock is for good, and needs no memory shared with others.
            execute("PRAGMA locking_mode = EXCLUSIVE")
            execute("PRAGMA journal_mode = WAL")
            execute("PRAGMA synchronous = FULL")
            execute("PRAGMA secure_delete = ON")
            execute("BEGIN IMMEDIATE")
            [application], [version] = (
                execute(f"PRAGMA {name}").fetchone() for name in ("application_id", "user_version")
            )
            [tables] = execute("SELECT count(*) FROM sqlite_schema").fetchone()
            if not tables:
                execute(f"PRAGMA application_id = {_APPLICATION_ID}")
                execute(f"PRAGMA user_version = {_LAYOUT_VERSION}")
                execute(_CREATE)
            elif application != _APPLICATION_ID:
                raise StorageError(f"{path} is a database of something else", code="not-a-state")
            elif version != _LAYOUT_VERSION:
                raise StorageError(
                    f"{path} was made by a later version of this program", code="unknown-state-version"
                )
            execute("COMMIT")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY:
                raise StorageError(
                    f"{path} is in use: one client can run only once at a time", code="in-use"
                ) from error
            raise StorageError(f"{path} cannot be opened: {error}") from error
        except sqlite3.DatabaseError as error:
            raise StorageError(f"{path} is no database of ours: {error}", code="not-a-state") from error
