"""A PostgreSQL server for the tests, and a fresh database for whoever asks for one."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
import pytest

from dev import postgresql
from dev.steps import SetupError

_DEADLINE_SECONDS = 60
_SETTINGS = ("listen_addresses=", "max_connections=300", "shared_buffers=32MB", "log_min_messages=panic")


@dataclass(frozen=True)
class Server:
    """A server that runs; it is reached by a socket in its folder alone."""

    folder: Path
    _numbers: Iterator[int] = field(default_factory=itertools.count)
    _used: list[str] = field(default_factory=list)

    def url(self, database: str) -> str:
        """Of a database, as the service takes it."""
        return f"postgresql://tests@/{database}?host={quote(str(self.folder), safe='')}"

    def execute(self, statement: str, *values: object, database: str = "postgres") -> list[tuple[Any, ...]]:
        """What a statement gives, in a transaction of its own."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            cursor = connection.execute(statement.encode(), values or None)
            return cursor.fetchall() if cursor.description else []

    def fresh(self, template: str = "template0") -> str:
        """The name of a new database, which is empty or as its template is. It is gone when the server is."""
        name = f"fresh_{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return name

    def disconnect(self, database: str, query: str = "%") -> int:
        """End connections to a database, with a pattern for what they did last; returns how many there were."""
        ended = self.execute(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = %s AND query LIKE %s",
            database,
            query,
        )
        return len(ended)

    @contextlib.contextmanager
    def lent(self, template: str) -> Iterator[str]:
        """The name of a database with the tables of its template and nothing in them.

        It is one that was lent before, if it is left alone by now: to make one takes longer than most tests.
        """
        connected = {name for (name,) in self.execute("SELECT datname FROM pg_stat_activity")}
        name = next((used for used in self._used if used not in connected), None)
        if name is None:
            name = self.fresh(template)
        else:
            self._used.remove(name)
            self._empty(name)
        yield name
        self._used.append(name)

    def _empty(self, database: str) -> None:
        tables = self.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public'", database=database
        )
        names = [name for (name,) in tables if not name.endswith("_version")]
        deletions = [f"DELETE FROM {name};" for name in names]  # noqa: S608 - the names are our own tables'
        # Rows of one table refer to those of another; this lets them go in any order.
        self.execute("".join(["SET session_replication_role = replica;", *deletions]), database=database)


@contextlib.contextmanager
def server_running() -> Iterator[Server]:
    """A server with data of its own, as durable as they are by default.

    Raises:
        SetupError: there are no programs to run.
    """
    programs = postgresql.find_or_install()
    folder = Path(tempfile.mkdtemp(prefix="postgres-"))
    try:
        owner = _owner(folder)
        data = folder / "data"
        # What is made here need not outlive a power cut; what is written later must, as in earnest.
        _run(
            [programs / "initdb", "-D", data, "-U", "tests", "-A", "trust", "-E", "UTF8", "--no-sync"], owner
        )
        settings = [part for setting in _SETTINGS for part in ("-c", setting)]
        command: list[str | Path] = [programs / "postgres", "-D", data, "-k", folder, *settings]
        with (folder / "log").open("wb") as log:
            server: subprocess.Popen[bytes] = subprocess.Popen(command, stdout=log, stderr=log, **owner)
        try:
            running = Server(folder)
            _wait_until_it_answers(server, running)
            yield running
        finally:
            server.send_signal(
                signal.SIGQUIT
            )  # "immediate shutdown": nobody will want what it has not yet tidied up
            server.wait(_DEADLINE_SECONDS)
    finally:
        shutil.rmtree(folder)


@contextlib.contextmanager
def server_or_skip() -> Iterator[Server]:
    """`server_running` for a fixture: a test that needs it is skipped where there is none, but never in CI."""
    with contextlib.ExitStack() as stack:
        try:
            server = stack.enter_context(server_running())
        except SetupError as error:
            if os.environ.get("CI") == "true":
                raise
            pytest.skip(str(error))
        yield server


def _owner(folder: Path) -> dict[str, Any]:
    """As whom the server runs in a folder. It refuses to run as root."""
    if sys.platform == "win32" or os.geteuid() != 0:
        return {}
    import pwd  # there is none on Windows

    names = {entry.pw_name: entry for entry in pwd.getpwall()}
    user = names.get("postgres") or names["nobody"]
    os.chown(folder, user.pw_uid, user.pw_gid)
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def _run(command: Sequence[str | Path], owner: dict[str, Any]) -> None:
    done = subprocess.run(
        command, cwd="/", stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, **owner
    )
    assert done.returncode == 0, done.stdout


def _wait_until_it_answers(process: subprocess.Popen[bytes], server: Server) -> None:
    while process.poll() is None:
        with contextlib.suppress(psycopg.OperationalError):
            server.execute("SELECT 1")
            return
    raise AssertionError((server.folder / "log").read_text())
