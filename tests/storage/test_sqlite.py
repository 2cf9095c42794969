"""The storage on SQLite: what was saved is there, whatever happens, for its owner alone."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mls_federation.client import ClientState
from mls_federation.client.session import send
from mls_federation.client.state import Outgoing
from mls_federation.client.state_codec import PartKind, encode_state
from mls_federation.crypto import CryptoProvider
from mls_federation.errors import StorageError
from mls_federation.storage.sqlite import SqliteStorage
from tests.support.network import Peer, deliver, group_of, without_waiting


@pytest.fixture
def bob(provider: CryptoProvider) -> Peer:
    """Somebody in two groups, with keys and a message that waits."""
    alice, bob = (Peer(provider, f"{name}@{name[0]}.example") for name in ("alice", "bob"))
    group_id = group_of(alice, bob)
    group_of(bob, alice)
    for _ in range(3):
        bob.publish()
    alice.renew(group_id)
    deliver(alice, bob)
    bob.send(group_id, b"waiting")
    return bob


def saved(path: Path, *states: ClientState) -> None:
    with SqliteStorage(path) as storage:
        for state in states:
            without_waiting(storage.save(state))


def loaded(provider: CryptoProvider, path: Path) -> ClientState:
    with SqliteStorage(path) as storage:
        state = storage.load(provider)
    assert state is not None
    return state


def rows(path: Path) -> dict[tuple[int, int], int]:
    """The number that each row has, by kind and place: a row that was written again has another."""
    with sqlite3.connect(path) as database:
        found = {
            (kind, place): row for kind, place, row in database.execute("SELECT kind, place, rowid FROM part")
        }
    database.close()
    return found


def test_nothing_is_there_at_first(provider: CryptoProvider, tmp_path: Path) -> None:
    with SqliteStorage(tmp_path / "state") as storage:
        assert storage.load(provider) is None


def test_what_was_saved_is_loaded(provider: CryptoProvider, tmp_path: Path, bob: Peer) -> None:
    saved(tmp_path / "state", bob.state)
    assert encode_state(loaded(provider, tmp_path / "state")) == encode_state(bob.state)


def test_what_was_loaded_is_saved_again(provider: CryptoProvider, tmp_path: Path, bob: Peer) -> None:
    path = tmp_path / "state"
    saved(path, bob.state)
    before = rows(path)
    with SqliteStorage(path) as storage:
        state = storage.load(provider)
        assert state is not None
        without_waiting(storage.save(replace(state, cursor=7)))
    assert loaded(provider, path).cursor == 7
    assert len([row for row in rows(path).items() if row not in before.items()]) == 1


def written(provider: CryptoProvider, path: Path, change: Callable[[ClientState], ClientState]) -> list[str]:
    """The kinds of the parts that a storage writes when a state has changed."""
    before = rows(path)
    with SqliteStorage(path) as storage:
        state = storage.load(provider)
        assert state is not None
        without_waiting(storage.save(change(state)))
    return sorted(
        PartKind(kind).name
        for (kind, place), row in rows(path).items()
        if (kind, place, row) not in [(*key, value) for key, value in before.items()]
    )


def test_only_what_has_changed_is_written(provider: CryptoProvider, tmp_path: Path, bob: Peer) -> None:
    path = tmp_path / "state"
    saved(path, bob.state)
    first, second = bob.state.groups

    def hello(group_id: bytes) -> Callable[[ClientState], ClientState]:
        return lambda state: send(provider, state, group_id, b"hello")[0]

    assert written(provider, path, lambda state: state) == []
    assert written(provider, path, hello(first)) == ["group", "outgoing"]
    assert written(provider, path, hello(second)) == ["group", "outgoing"]
    assert written(provider, path, lambda state: replace(state, outbox=state.outbox[1:])) == []
    assert written(provider, path, lambda state: replace(state, key_sets=state.key_sets[:1])) == []
    assert written(provider, path, lambda state: replace(state, cursor=state.cursor + 1)) == ["cursor"]
    assert written(provider, path, lambda state: state.without_group(first)) == []
    assert [part for part, _ in rows(path)].count(PartKind.group) == 1


def test_a_new_client_takes_the_place_of_another(provider: CryptoProvider, tmp_path: Path, bob: Peer) -> None:
    path = tmp_path / "state"
    saved(path, bob.state)
    other = Peer(provider, "bea@b.example").state
    saved(path, other)
    assert encode_state(loaded(provider, path)) == encode_state(other)


@settings(max_examples=60)
@given(
    outboxes=st.lists(st.lists(st.integers(0, 6), max_size=7), min_size=1, max_size=5),
    groups=st.lists(st.permutations([0, 1]), min_size=1, max_size=5),
)
def test_any_order_is_kept(
    outboxes: Sequence[Sequence[int]],
    groups: Sequence[Sequence[int]],
    provider: CryptoProvider,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Messages and groups in whatever order, some twice, one state after the other in one file."""
    path = tmp_path_factory.mktemp("order") / "state"
    bob = Peer(provider, "bob@b.example")
    known = [(group_id, bob.group(group_id)) for group_id in (bob.begin(), bob.begin())]
    pool = [Outgoing(bytes([number]), "b.example", ("a@b.example",), b"") for number in range(7)]
    for number in range(max(len(outboxes), len(groups))):
        chosen = outboxes[number % len(outboxes)]
        order = groups[number % len(groups)]
        bob.state = replace(
            bob.state,
            outbox=tuple(pool[index] for index in chosen),
            strays=tuple(pool[index].message_id for index in chosen),
            groups=dict(known[index] for index in order[: number % 3]),
        )
        with SqliteStorage(path) as storage:
            storage.load(provider)
            without_waiting(storage.save(replace(bob.state, outbox=bob.state.outbox[:3])))
            without_waiting(storage.save(bob.state))
        assert encode_state(loaded(provider, path)) == encode_state(bob.state)


def test_a_state_that_cannot_be_written_has_never_been(
    provider: CryptoProvider, tmp_path: Path, bob: Peer
) -> None:
    path = tmp_path / "state"
    with SqliteStorage(path) as storage:
        without_waiting(storage.save(bob.state))
        before = encode_state(bob.state)
        [pages] = storage._database.execute("PRAGMA page_count").fetchone()
        storage._database.execute(f"PRAGMA max_page_count = {pages}")
        larger = replace(bob.state, cursor=9, strays=(bytes(1 << 20),))
        with pytest.raises(StorageError) as caught:
            without_waiting(storage.save(larger))
        assert caught.value.code == "storage-failed"
        storage._database.execute("PRAGMA max_page_count = 100000")
        assert encode_state(loaded_by(storage, provider)) == before
        without_waiting(storage.save(larger))
    assert encode_state(loaded(provider, path)) == encode_state(larger)


def loaded_by(storage: SqliteStorage, provider: CryptoProvider) -> ClientState:
    state = storage.load(provider)
    assert state is not None
    return state


# -- the file


@pytest.mark.skipif(os.name != "posix", reason="modes are those of POSIX")
@pytest.mark.parametrize("there_before", [False, True])
def test_the_file_is_for_its_owner_alone(tmp_path: Path, bob: Peer, there_before: bool) -> None:
    path = tmp_path / "state"
    if there_before:
        path.touch(0o666)
    before = os.umask(0)
    try:
        with SqliteStorage(path) as storage:
            without_waiting(storage.save(bob.state))
            modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()}
    finally:
        os.umask(before)
    assert modes.keys() >= {"state", "state-wal"}
    assert set(modes.values()) == {0o600}


def test_a_second_storage_is_refused(tmp_path: Path, bob: Peer) -> None:
    path = tmp_path / "state"
    with SqliteStorage(path), pytest.raises(StorageError) as caught:
        SqliteStorage(path)
    assert caught.value.code == "in-use"
    saved(path, bob.state)


def test_a_second_process_is_refused_until_the_first_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "state"
    program = (
        "import sys; from mls_federation.storage.sqlite import SqliteStorage\n"
        "storage = SqliteStorage(sys.argv[1]); print('open', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"open\n"
        with pytest.raises(StorageError) as caught:
            SqliteStorage(path)
        assert caught.value.code == "in-use"
        other.kill()
        other.wait()
        SqliteStorage(path).close()


def test_a_file_of_something_else_is_left_alone(tmp_path: Path) -> None:
    text = tmp_path / "letter"
    text.write_text("Dear Bob, " * 100)
    database = tmp_path / "other.sqlite3"
    with sqlite3.connect(database) as other:
        other.execute("CREATE TABLE part (kind INTEGER)")
    other.close()
    for path in (text, database):
        with pytest.raises(StorageError) as caught:
            SqliteStorage(path)
        assert caught.value.code == "not-a-state"
    assert text.read_text() == "Dear Bob, " * 100
    with pytest.raises(StorageError) as caught:
        SqliteStorage(tmp_path / "no-such-folder" / "state")
    assert caught.value.code == "storage-failed"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ("PRAGMA user_version = 9", "unknown-state-version"),
        ("UPDATE part SET content = x'0009' WHERE kind = 2", "unknown-state-version"),
        ("UPDATE part SET content = x'0001' WHERE kind = 4", "unreadable-state"),
        ("UPDATE part SET kind = 77 WHERE kind = 4", "unreadable-state"),
        ("DELETE FROM part WHERE kind = 1", "unreadable-state"),
    ],
)
def test_a_state_that_is_none_of_ours_is_refused(
    provider: CryptoProvider, tmp_path: Path, bob: Peer, change: str, code: str
) -> None:
    path = tmp_path / "state"
    saved(path, bob.state)
    with sqlite3.connect(path) as database:
        database.execute(change)
    database.close()
    with pytest.raises(StorageError) as caught:
        loaded(provider, path)
    assert caught.value.code == code


def test_used_keys_are_gone_from_the_file(tmp_path: Path, bob: Peer) -> None:
    path = tmp_path / "state"
    used = bob.state.key_sets[0].packages[0][1].init_key.private_key
    saved(path, bob.state)
    assert used in path.read_bytes()
    with SqliteStorage(path) as storage:
        without_waiting(storage.save(bob.state))
        without_waiting(storage.save(replace(bob.state, key_sets=bob.state.key_sets[1:])))
    assert all(used not in file.read_bytes() for file in tmp_path.iterdir())
