"""The service as a process: starting, crashing, ending."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mls_federation.crypto import CryptoProvider
from tests.delivery.support import (
    MESSAGE,
    Device,
    fetch,
    service_process,
    submit,
    until_acknowledged,
)


def test_nothing_accepted_is_lost_in_a_crash(provider: CryptoProvider, tmp_path: Path) -> None:
    with service_process(tmp_path) as process:
        bob = Device.registered(provider, process)
        now = int(time.time())
        first, second = bob.key_set(now), bob.key_set(now)
        bob.publish(first, second)
        fetch(process, "bob@b.example")
        for number in range(1, 4):
            assert submit(process, "bob@b.example", message=MESSAGE + b"%d" % number) == [0]
        with bob.inbox() as inbox:
            inbox.ready()
            assert [inbox.delivery().sequence for _ in range(3)] == [1, 2, 3]
            inbox.acknowledge(1)
            assert until_acknowledged(bob) == 1
            assert submit(process, "bob@b.example", message=MESSAGE + b"4", message_id=bytes(16)) == [0]
            process.kill()
    with service_process(tmp_path) as process:
        bob.service = process
        # The sender saw the crash and does not know what became of its message.
        assert submit(process, "bob@b.example", message=MESSAGE + b"4", message_id=bytes(16)) == [0]
        with bob.inbox(cursor=1) as inbox:
            assert inbox.ready() == 1
            deliveries = [inbox.delivery() for _ in range(3)]
            assert [delivery.sequence for delivery in deliveries] == [2, 3, 4]
            assert [delivery.message[-1:] for delivery in deliveries] == [b"2", b"3", b"4"]
        (bundle,) = fetch(process, "bob@b.example")
        assert bundle.bundle.user_init_key == second.user_init_key
        assert bob.publish(first, second) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_promptly_though_clients_listen(
    provider: CryptoProvider, tmp_path: Path, number: signal.Signals
) -> None:
    with service_process(tmp_path) as process:
        bob = Device.registered(provider, process)
        with bob.inbox() as inbox:
            inbox.ready()
            started = time.monotonic()
            assert process.end(number) == 0
            assert time.monotonic() - started < 3
            assert inbox.close_code() == 1012
        log = process.log.read_text()
    assert "Traceback" not in log
    assert "bob" not in log
    assert not (tmp_path / "delivery.sqlite3-wal").exists()


def test_only_its_user_may_read_the_database(tmp_path: Path) -> None:
    with service_process(tmp_path):
        files = list(tmp_path.glob("delivery.sqlite3*"))
        assert len(files) >= 2
        assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}


def _start(*options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mls_delivery", "--port", "1", *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env=os.environ, check=False)


def test_a_database_belongs_to_one_domain(tmp_path: Path) -> None:
    with service_process(tmp_path, domain="b.example"):
        pass
    database = f"sqlite:///{(tmp_path / 'delivery.sqlite3').as_posix()}"
    result = _start("--domain", "c.example", "--database", database)
    assert (result.returncode, result.stderr) == (
        1,
        "mls-delivery: The database is that of b.example, not of c.example.\n",
    )


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    database = f"sqlite:///{(tmp_path / 'other.sqlite3').as_posix()}"
    with service_process(tmp_path) as process:
        port = process.url.rpartition(":")[2]
        result = _start("--domain", "b.example", "--database", database, "--port", port)
    assert result.returncode != 0
    assert f"cannot listen on 127.0.0.1:{port}: Address already in use" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("database", "reason"),
    [
        ("nonsense", "not a database URL"),
        ("postgresql://localhost", "A store is in"),
        ("sqlite://", "A store is in"),
        ("sqlite:///:memory:", "A store is in"),
        ("sqlite:////nowhere/at/all.sqlite3", "cannot be opened: unable to open database file"),
    ],
)
def test_databases_that_cannot_be_used(database: str, reason: str) -> None:
    result = _start("--domain", "b.example", "--database", database)
    assert result.returncode == 1
    assert reason in result.stderr
    assert "Traceback" not in result.stderr


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("Dear diary, today I was taken for a database. " * 100)
    result = _start("--domain", "b.example", "--database", f"sqlite:///{path.as_posix()}")
    assert (result.returncode, "not a database" in result.stderr) == (1, True)
    assert path.read_text().startswith("Dear diary")


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--domain", "B.example"], "domain name"),
        (["--domain", "b.example", "--allow-origin", "http://a.example/"], "origin"),
        (["--domain", "b.example", "--allow-origin", "*"], "origin"),
    ],
)
def test_options_that_make_no_sense(options: list[str], reason: str) -> None:
    result = _start("--database", "sqlite:///x", *options)
    assert result.returncode == 2
    assert reason in result.stderr
