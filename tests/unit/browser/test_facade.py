"""What the worker does for `mls.js`, without a browser: its state, and what it sends."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from mls_federation.browser.facade import Facade
from mls_federation.browser.facade.state import Part, Place, RecordKind
from mls_federation.crypto import CryptoProvider
from mls_federation.errors import MLSError, StorageError
from mls_federation.mls import KeyPackage, PrivateMessage, PublicMessage, Welcome, decode_message
from mls_federation.mls.commit import Commit
from mls_federation.mls.proposals import Proposal

NOW = 1_767_225_600

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.cpython_only,
]  # Pyodide has one event loop, which waits for the test


@dataclass
class Records:
    """A storage in memory that can have no room; it remembers whether somebody is at work."""

    kept: dict[Place, bytes] = field(default_factory=dict)
    full: bool = False
    busy: bool = False

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        assert not self.busy
        self.busy = True
        try:
            yield
        finally:
            self.busy = False

    async def read(self) -> Sequence[Part]:
        assert self.busy
        return [(*place, octets) for place, octets in self.kept.items()]

    async def write(self, writes: Sequence[Part], deletes: Sequence[Place]) -> None:
        assert self.busy
        if self.full:
            raise StorageError("there is no room")
        for kind, number, octets in writes:
            self.kept[kind, number] = octets
        for place in deletes:
            del self.kept[place]

    async def erase(self) -> None:
        assert self.busy
        self.kept.clear()


@dataclass(frozen=True)
class Someone:
    """A client, and what names it in a group."""

    facade: Facade
    client_id: bytes
    credential: bytes

    async def key_package(self) -> bytes:
        made = await self.facade.generate_key_package(client_id=self.client_id, credential=self.credential)
        octets: bytes = made["content"]
        return octets

    async def create(self) -> dict[str, bytes]:
        group_id = await self.facade.group_create(client_id=self.client_id, credential=self.credential)
        return {"group_id": group_id, "client_id": self.client_id}

    async def join(self, welcome: bytes) -> dict[str, bytes]:
        group_id = await self.facade.group_join(client_id=self.client_id, welcome=welcome)
        return {"group_id": group_id, "client_id": self.client_id}


@pytest.fixture
def records() -> Records:
    return Records()


@pytest.fixture
def facade(provider: CryptoProvider, records: Records) -> Facade:
    return new_facade(provider, records)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def new_facade(provider: CryptoProvider, records: Records) -> Facade:
    return Facade(provider, records, lambda: NOW)


async def someone(facade: Facade, name: str) -> Someone:
    identity = await facade.generate_identity()
    credential = await facade.generate_credential(content=name.encode())
    return Someone(facade, identity["content"], credential["content"])


async def pair(facade: Facade) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """Views of Alice and Bob in a group of theirs."""
    alice, bob = await someone(facade, "alice"), await someone(facade, "bob")
    ann = await alice.create()
    added = await facade.add(**ann, key_package=await bob.key_package())
    await facade.receive(**ann, message=added["commit"])
    return ann, await bob.join(added["welcome"])


async def code_of(call: Any) -> str:
    with pytest.raises(MLSError) as caught:
        await call
    return caught.value.code


async def test_messages_have_the_wire_formats_of_firefox(facade: Facade) -> None:
    ann, ben = await pair(facade)
    carol = await someone(facade, "carol")
    package = await carol.key_package()
    decoded = decode_message(package)
    assert isinstance(decoded, KeyPackage)
    assert carol.client_id == hashlib.sha256(decoded.leaf_node.signature_key).digest()

    proposal = decode_message((await facade.propose_add(**ben, key_package=package))["content"])
    assert isinstance(proposal, PublicMessage)
    assert isinstance(proposal.content.content, Proposal)

    adding = await facade.add(**ann, key_package=package)
    commit = decode_message(adding["commit"])
    assert isinstance(commit, PublicMessage)
    assert isinstance(commit.content.content, Commit)
    assert commit.content.content.path is None
    assert isinstance(decode_message(adding["welcome"]), Welcome)
    await facade.clear_pending_commit(**ann)

    removing = await facade.remove(**ann, removed=ben["client_id"])
    commit = decode_message(removing["commit"])
    assert isinstance(commit, PublicMessage)
    assert isinstance(commit.content.content, Commit)
    assert commit.content.content.path is not None
    assert isinstance(decode_message((await facade.send(**ann, message=b"text"))["content"]), PrivateMessage)


async def test_the_state_is_all_in_the_storage(
    provider: CryptoProvider, facade: Facade, records: Records
) -> None:
    ann, ben = await pair(facade)
    carol = await someone(facade, "carol")
    adding = await facade.add(**ann, key_package=await carol.key_package())
    sent = await facade.send(**ben, message=b"before")

    again = new_facade(provider, records)
    assert (await again.receive(**ann, message=sent["content"]))["content"] == b"before"
    assert await again.has_pending_commit(**ann)
    applied = await again.receive(**ann, message=adding["commit"])
    assert applied["groupEpoch"] == (2).to_bytes(8, "little")
    await again.group_join(client_id=carol.client_id, welcome=adding["welcome"])


async def test_two_that_share_a_storage_never_send_by_one_key(
    provider: CryptoProvider, facade: Facade, records: Records
) -> None:
    ann, ben = await pair(facade)
    other = new_facade(provider, records)
    for sender in (facade, other, other, facade, other, facade):
        sent = await sender.send(**ann, message=b"text")
        assert (await facade.receive(**ben, message=sent["content"]))["content"] == b"text"


async def test_nothing_leaves_that_was_not_kept(facade: Facade, records: Records) -> None:
    ann, ben = await pair(facade)
    before = dict(records.kept)
    records.full = True
    for call in (
        facade.send(**ann, message=b"text"),
        facade.remove(**ann, removed=ben["client_id"]),
        facade.propose_remove(**ann, removed=ben["client_id"]),
        facade.generate_identity(),
    ):
        assert await code_of(call) == "storage-failed"
    assert records.kept == before

    records.full = False
    assert not await facade.has_pending_commit(**ann)
    assert not await facade.has_pending_proposals(**ann)
    sent = await facade.send(**ann, message=b"text")
    assert (await facade.receive(**ben, message=sent["content"]))["content"] == b"text"


async def test_what_is_used_or_deleted_is_erased(facade: Facade, records: Records) -> None:
    ann, ben = await pair(facade)

    def count(kind: RecordKind) -> int:
        return sum(of == kind for of, _ in records.kept)

    assert (count(RecordKind.identity), count(RecordKind.key_package), count(RecordKind.view)) == (2, 0, 2)
    await facade.delete_view(**ben)
    assert count(RecordKind.view) == 1
    assert await code_of(facade.details(**ben)) == "no-such-group"
    await facade.delete_view(**ben)
    await facade.delete_state()
    assert records.kept == {}
    assert await code_of(facade.details(**ann)) == "no-such-group"
    await facade.delete_state()


async def test_a_joiner_takes_the_place_of_what_it_was(facade: Facade, records: Records) -> None:
    ann, _ = await pair(facade)
    carol = await someone(facade, "carol")
    for _ in range(2):
        adding = await facade.add(**ann, key_package=await carol.key_package())
        await facade.receive(**ann, message=adding["commit"])
        view = await carol.join(adding["welcome"])
        assert len((await facade.details(**view))["members"]) == 3
        removing = await facade.remove(**ann, removed=carol.client_id)
        await facade.receive(**ann, message=removing["commit"])
        gone = await facade.receive(**view, message=removing["commit"])
        assert gone["groupEpoch"] == b"\xff" * 8
    assert sum(of == RecordKind.view for of, _ in records.kept) == 3


async def test_each_refusal_has_a_code_of_its_own(facade: Facade) -> None:
    ann, ben = await pair(facade)
    carol, dave = await someone(facade, "carol"), await someone(facade, "dave")
    package = await carol.key_package()
    message = (await facade.send(**ann, message=b"text"))["content"]

    assert await code_of(facade.apply_pending_commit(**ann)) == "no-pending-commit"
    assert await code_of(facade.remove(**ann, removed=ann["client_id"])) == "cannot-remove-self"
    assert await code_of(facade.remove(**ann, removed=carol.client_id)) == "not-a-member"
    assert await code_of(facade.add(**ann, key_package=message)) == "unexpected-message"
    assert await code_of(facade.group_epoch_of(message=package)) == "unexpected-message"
    assert (
        await code_of(facade.group_join(client_id=carol.client_id, welcome=package)) == "unexpected-message"
    )
    assert await code_of(facade.receive(**ann, message=message)) == "own-message"
    assert await code_of(facade.export_secret(**ann, label=b"l", context=b"", length=0)) == "bad-argument"
    assert (
        await code_of(facade.generate_key_package(client_id=bytes(32), credential=dave.credential))
        == "unknown-client"
    )
    assert (
        await code_of(facade.generate_key_package(client_id=dave.client_id, credential=b"\0\2\0"))
        == "unsupported-credential"
    )

    adding = await facade.add(**ann, key_package=package)
    assert await code_of(facade.add(**ann, key_package=package)) == "commit-pending"
    proposal = (await facade.propose_remove(**ben, removed=ben["client_id"]))["content"]
    assert await code_of(facade.receive(**ann, message=proposal)) == "commit-pending"
    assert await code_of(dave.join(adding["welcome"])) == "not-for-us"
    await carol.join(adding["welcome"])
    assert await code_of(carol.join(adding["welcome"])) == "not-for-us"


async def test_no_two_members_have_one_credential(facade: Facade) -> None:
    ann, ben = await pair(facade)
    twin, carol = await someone(facade, "bob"), await someone(facade, "carol")
    assert await code_of(facade.add(**ann, key_package=await twin.key_package())) == "duplicate-credential"

    # Left out of a commit, as Firefox does.
    proposal = await facade.propose_add(**ben, key_package=await twin.key_package())
    received = await facade.receive(**ann, message=proposal["content"])
    assert "welcome" not in received["commitOutput"]
    await facade.clear_pending_commit(**ann)
    await facade.clear_pending_proposals(**ann)
    await facade.clear_pending_proposals(**ben)

    # Who goes makes room for who comes.
    first = await facade.propose_remove(**ann, removed=ben["client_id"])
    await facade.receive(**ann, message=first["content"])
    await facade.clear_pending_commit(**ann)
    replacing = await facade.add(**ann, key_package=await twin.key_package())
    await facade.receive(**ann, message=replacing["commit"])
    await twin.join(replacing["welcome"])
    names = [member["credential"][3:] for member in (await facade.details(**ann))["members"]]
    assert names == [b"alice", b"bob"]
    assert await code_of(carol.join(replacing["welcome"])) == "not-for-us"


async def test_what_cannot_be_read_is_told(
    provider: CryptoProvider, facade: Facade, records: Records
) -> None:
    ann, _ = await pair(facade)
    (place, octets), *_ = records.kept.items()
    for found, code in (
        (b"\0\x09" + octets[2:], "unknown-state-version"),
        (octets[:-1], "unreadable-state"),
        (b"", "unreadable-state"),
    ):
        records.kept[place] = found
        assert await code_of(new_facade(provider, records).details(**ann)) == code
    records.kept[place] = octets
    records.kept[77, 1] = octets
    assert await code_of(new_facade(provider, records).details(**ann)) == "unreadable-state"


async def test_secrets_are_in_no_repr(provider: CryptoProvider, facade: Facade, records: Records) -> None:
    ann, _ = await pair(facade)
    carol = await someone(facade, "carol")
    await facade.add(**ann, key_package=await carol.key_package())
    shown = repr(facade._state)
    for place, record in facade._state.records.items():
        if place[0] == RecordKind.identity:
            assert repr(record.keys.private_key)[2:-1] not in shown  # type: ignore[union-attr]
    assert "group=" not in shown
    assert "own=" not in shown
