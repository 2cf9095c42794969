"""The log: what is appended stays, and every head and proof, of every size, is the one that RFC 9162 asks for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import TypeVar

import pytest
from sqlalchemy import Connection

from mls_delivery.service import Limits
from mls_delivery.store import Store, log, open_store
from mls_federation.crypto import CryptoProvider
from mls_federation.federation.binding import WELL_KNOWN_PATH, ServiceDescription
from mls_federation.federation.log import (
    ConsistencyProof,
    ConsistencyRequest,
    EntriesRequest,
    EntriesResponse,
    SignedTreeHead,
    verify_growth,
    verify_tree_head,
)
from mls_federation.transparency import EMPTY_ROOT, leaf_hash, root_of, verify_consistency, verify_inclusion
from tests.delivery.support import Clock, Running, checked, refusal, running_service

ENTRIES = [b"entry %d" % number for number in range(40)]

T = TypeVar("T")


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    """The store of the service, which a test may write to behind its back."""
    opened = open_store(database_url)
    yield opened
    asyncio.run(opened.close())


def write(store: Store, work: Callable[[Connection], T]) -> T:
    return asyncio.run(store.write(work))


def append(store: Store, *entries: bytes, now: int = 100) -> list[int]:
    return write(store, lambda connection: [log.append(connection, entry, now) for entry in entries])


# -- the store


def test_every_head_and_every_proof(store: Store) -> None:
    def work(connection: Connection) -> None:
        assert log.head(connection) == log.Head(0, 0, EMPTY_ROOT)
        for number, entry in enumerate(ENTRIES):
            assert log.append(connection, entry, 100 + number) == number
            size = number + 1
            head = log.head(connection)
            assert head == log.Head(size, 100 + number, root_of(ENTRIES[:size]))
            paths = log.inclusion_paths(connection, range(size), size)
            for index, nodes in enumerate(paths):
                verify_inclusion(leaf_hash(ENTRIES[index]), index, size, nodes, head.root_hash)
        for second in range(len(ENTRIES) + 1):
            for first in range(second + 1):
                path = log.consistency_path(connection, first, second)
                assert path is not None
                roots = root_of(ENTRIES[:first]), root_of(ENTRIES[:second])
                verify_consistency(first, second, *roots, path)

    write(store, work)


def test_a_transaction_that_fails_leaves_no_entry(store: Store) -> None:
    class Failed(Exception):
        pass

    def work(connection: Connection) -> None:
        log.append(connection, b"never", 100)
        raise Failed

    append(store, b"first")
    with pytest.raises(Failed):
        write(store, work)
    assert append(store, b"second") == [1]
    assert write(store, log.head).root_hash == root_of([b"first", b"second"])


def test_the_same_entry_twice(store: Store) -> None:
    assert append(store, b"again", b"again") == [0, 1]
    assert write(store, log.head).root_hash == root_of([b"again", b"again"])


def test_a_clock_that_is_set_back(store: Store) -> None:
    append(store, b"first", now=100)
    append(store, b"second", now=50)
    assert write(store, log.head).timestamp == 100
    append(store, b"third", now=101)
    assert write(store, log.head).timestamp == 101


def test_many_proofs_at_once(store: Store) -> None:
    """More hashes than one query asks for."""
    many = [b"%d" % number for number in range(1500)]
    append(store, *many)
    head = write(store, log.head)
    paths = write(store, lambda connection: log.inclusion_paths(connection, range(1500), head.size))
    for index, path in enumerate(paths):
        verify_inclusion(leaf_hash(many[index]), index, head.size, path, head.root_hash)


def test_entries_in_parts(store: Store) -> None:
    append(store, *ENTRIES)

    def read(start: int, count: int, max_octets: int = 1000) -> list[bytes]:
        return write(store, lambda connection: log.entries(connection, start, count, max_octets))

    assert read(0, 40) == ENTRIES
    assert read(3, 2) == ENTRIES[3:5]
    assert read(38, 100) == ENTRIES[38:]
    assert read(40, 1) == read(2**64 - 1, 2**32 - 1) == read(0, 0) == []
    assert read(0, 40, max_octets=15) == ENTRIES[:2]
    assert read(0, 40, max_octets=1) == ENTRIES[:1]


# -- the end points


def signing_key(service: Running) -> bytes:
    return ServiceDescription.decode(checked(service.request("GET", WELL_KNOWN_PATH))).signing_key


def tree_head(service: Running) -> SignedTreeHead:
    return SignedTreeHead.decode(checked(service.post("/v1/tree-head", b"")))


def test_an_empty_log(provider: CryptoProvider, service: Running) -> None:
    head = tree_head(service)
    assert (head.tree_head.tree_size, head.tree_head.root_hash) == (0, EMPTY_ROOT)
    verify_tree_head(provider, signing_key(service), "b.example", head)


def test_a_head_is_the_same_for_everybody_and_over_a_restart(
    provider: CryptoProvider, store: Store, database_url: str, service: Running, clock: Clock
) -> None:
    append(store, *ENTRIES[:5], now=clock())
    first = tree_head(service)
    assert first.tree_head.timestamp == clock()
    assert first.tree_head.root_hash == root_of(ENTRIES[:5])
    clock.now += 1000
    assert tree_head(service).encode() == first.encode()
    with running_service(provider, database_url, clock=clock) as again:
        assert tree_head(again).encode() == first.encode()
        verify_tree_head(provider, signing_key(again), "b.example", first)


def test_growth_is_shown(provider: CryptoProvider, store: Store, service: Running) -> None:
    append(store, *ENTRIES[:5])
    before = tree_head(service)
    append(store, *ENTRIES[5:11])
    after = tree_head(service)
    answer = service.post("/v1/consistency", ConsistencyRequest(first=5, second=11))
    verify_growth(before, after, ConsistencyProof.decode(checked(answer)).path)


@pytest.mark.parametrize(("first", "second"), [(0, 6), (5, 6), (3, 2), (2**64 - 1, 2**64 - 1)])
def test_sizes_that_the_log_never_had(store: Store, service: Running, first: int, second: int) -> None:
    append(store, *ENTRIES[:5])
    answer = service.post("/v1/consistency", ConsistencyRequest(first=first, second=second))
    assert refusal(answer) == (404, "no-such-tree")


@pytest.mark.parametrize(("first", "second"), [(0, 0), (0, 5), (5, 5)])
def test_nothing_needs_to_be_shown(store: Store, service: Running, first: int, second: int) -> None:
    append(store, *ENTRIES[:5])
    answer = service.post("/v1/consistency", ConsistencyRequest(first=first, second=second))
    assert ConsistencyProof.decode(checked(answer)).path == ()


def test_the_whole_log_can_be_read(
    provider: CryptoProvider, store: Store, database_url: str, clock: Clock
) -> None:
    entries = [bytes([number]) * 600 for number in range(10)]
    append(store, *entries)
    found: list[bytes] = []
    limits = Limits(body=2000)
    with running_service(provider, database_url, clock=clock, limits=limits) as service:
        while len(found) < 10:
            answer = service.post("/v1/log-entries", EntriesRequest(start=len(found), count=2**32 - 1))
            more = EntriesResponse.decode(checked(answer)).entries
            assert len(more) == min(3, 10 - len(found))
            found += more
        answer = service.post("/v1/log-entries", EntriesRequest(start=10, count=1))
        assert EntriesResponse.decode(checked(answer)).entries == ()
        assert tree_head(service).tree_head.root_hash == root_of(found)
    assert found == entries


@pytest.mark.parametrize("path", ["/v1/tree-head", "/v1/consistency", "/v1/log-entries"])
def test_bodies_that_are_none(service: Running, path: str) -> None:
    assert refusal(service.post(path, b"\x00" * 17)) == (400, "malformed")
    assert refusal(service.post(path, b"", "text/plain")) == (415, "unsupported-media-type")
    assert refusal(service.request("GET", path)) == (405, "method-not-allowed")
