"""Delivery services that are dishonest about their identities' keys: what is found out, by whom, and as what; and what is not.

docs/protocol.md, section "What is found out", names these codes.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import Connection, delete, update
from starlette.responses import Response

from mls_delivery.store import accounts, log
from mls_delivery.store.devices import device_events
from mls_federation.client import BackgroundFailure, GroupJoined, LogFault, MessageReceived, OwnDevicesChanged
from mls_federation.client.account import new_key_sets
from mls_federation.client.delivery_service import open_session, publish
from mls_federation.client.log import fetch_devices, settle, watch
from mls_federation.codec import replace
from mls_federation.errors import MLSError, StateError, ValidationError, VerificationError
from mls_federation.federation.binding import KeyBundle
from mls_federation.federation.devices import claim_event
from mls_federation.federation.log import (
    EntriesResponse,
    IdentityHistory,
    KeyResponse,
    SignedTreeHead,
    verify_growth,
    verify_tree_head,
)
from tests.federation.dishonest import Operator, operator, second_face
from tests.scenario.test_devices import another_device, receiving
from tests.support.services import Addresses, Person, person, unique, unregistered


async def refused(asking: Person, whose: str, kind: type[MLSError], code: str) -> None:
    """Keys are not believed, and so nobody is added by them."""
    with pytest.raises(kind) as caught:
        await asking.client.fetch_key_bundles(whose)
    assert caught.value.code == code


async def stopped_until_cleared(asking: Person, group_id: bytes, whose: str) -> None:
    """After a fault nobody is added from this domain, until the application says that it has looked into it."""
    with pytest.raises(StateError) as caught:
        await asking.client.add(group_id, whose)
    assert caught.value.code == "log-fault"
    await asking.client.clear_log_fault("c.example")
    assert not asking.client.log_faults


def check_evidence(fault: LogFault, service: Operator) -> tuple[SignedTreeHead, SignedTreeHead]:
    """Both heads are signed by the service, whoever looks at them."""
    one, other = fault.evidence
    for head in fault.evidence:
        verify_tree_head(service.service.provider, service.service.public_key, "c.example", head)
    return one, other


# -- different logs for different people


async def test_different_logs_of_one_size(addresses: Addresses, tmp_path: Path) -> None:
    async with (
        operator(tmp_path / "first.sqlite3") as first,
        person(unique("carol", "c.example"), addresses.but(c=first.url)) as carol,
        second_face(first, tmp_path) as second,
        person(unique("dave", "c.example"), addresses.but(c=first.url)),
        person(unique("eve", "c.example"), addresses.but(c=second.url)),
        person(unique("alice", "a.example"), addresses.but(c=first.url)) as alice,
        person(unique("bob", "b.example"), addresses.but(c=second.url)) as bob,
    ):
        await bob.client.fetch_key_bundles(carol.identity)
        group_id = (await alice.client.create_group()).group_id
        await alice.client.add(group_id, bob.identity)
        await alice.client.add(group_id, carol.identity)
        await alice.client.send(group_id, b"hello")

        # Each of them has seen a log that only grows. When they talk, they see that it is not the same.
        await bob.told(MessageReceived, data=b"hello")
        fault = await bob.told(LogFault, domain="c.example")
        assert fault.error.code == "log-forked"
        one, other = check_evidence(fault, first)
        assert one.tree_head.tree_size == other.tree_head.tree_size == 2
        assert one.tree_head.root_hash != other.tree_head.root_hash
        await stopped_until_cleared(bob, group_id, unique("frank", "c.example"))


async def test_different_logs_of_different_sizes(addresses: Addresses, tmp_path: Path) -> None:
    async with (
        operator(tmp_path / "first.sqlite3") as first,
        person(unique("carol", "c.example"), addresses.but(c=first.url)) as carol,
        second_face(first, tmp_path) as second,
        person(unique("dave", "c.example"), addresses.but(c=first.url)),
        person(unique("eve", "c.example"), addresses.but(c=second.url)),
        person(unique("frank", "c.example"), addresses.but(c=second.url)),
        person(unique("alice", "a.example"), addresses.but(c=first.url)) as alice,
        person(unique("bob", "b.example"), addresses.but(c=second.url)) as bob,
    ):
        await bob.client.fetch_key_bundles(carol.identity)
        group_id = (await alice.client.create_group()).group_id
        await alice.client.add(group_id, bob.identity)
        await alice.client.add(group_id, carol.identity)
        await alice.client.send(group_id, b"hello")

        # Bob's face of the service is asked how Alice's log of two entries grew into his of three. It cannot show that.
        fault = await bob.told(LogFault, domain="c.example")
        assert fault.error.code == "log-rewritten"
        assert {head.tree_head.tree_size for head in check_evidence(fault, first)} == {2, 3}
        await stopped_until_cleared(bob, group_id, unique("grace", "c.example"))


async def test_what_members_tell_is_remembered(addresses: Addresses, tmp_path: Path) -> None:
    """Bob has never asked for anybody of that domain when Alice tells him of its log. When he does, it is another."""
    async with (
        operator(tmp_path / "first.sqlite3") as first,
        person(unique("carol", "c.example"), addresses.but(c=first.url)) as carol,
        second_face(first, tmp_path) as second,
        person(unique("dave", "c.example"), addresses.but(c=first.url)),
        person(unique("eve", "c.example"), addresses.but(c=second.url)),
        person(unique("alice", "a.example"), addresses.but(c=first.url)) as alice,
        person(unique("bob", "b.example"), addresses.but(c=second.url)) as bob,
    ):
        group_id = (await alice.client.create_group()).group_id
        await alice.client.add(group_id, bob.identity)
        await alice.client.add(group_id, carol.identity)
        await alice.client.send(group_id, b"hello")
        await bob.told(MessageReceived, data=b"hello")
        await refused(bob, carol.identity, VerificationError, "log-forked")
        check_evidence(await bob.told(LogFault, domain="c.example"), first)


async def test_honest_logs_of_different_sizes(addresses: Addresses, tmp_path: Path) -> None:
    """The same, but the log is one, and has only grown between their looking at it: nobody is told of anything."""
    async with (
        operator(tmp_path / "c.sqlite3") as honest,
        person(unique("carol", "c.example"), addresses.but(c=honest.url)) as carol,
        person(unique("alice", "a.example"), addresses.but(c=honest.url)) as alice,
        person(unique("bob", "b.example"), addresses.but(c=honest.url)) as bob,
    ):
        await bob.client.fetch_key_bundles(carol.identity)
        async with person(unique("dave", "c.example"), addresses.but(c=honest.url)):
            group_id = (await alice.client.create_group()).group_id
            await alice.client.add(group_id, bob.identity)
            await alice.client.add(group_id, carol.identity)
            # At first the service cannot say how it has grown. That is no fault, and holds up nothing.
            honest.proxy.answer = Response("<h1>Try later</h1>", 503, media_type="text/html")
            honest.proxy.answer_to = "/v1/consistency"
            await alice.client.send(group_id, b"hello")
            await bob.told(MessageReceived, data=b"hello")
            failure = await bob.told(BackgroundFailure)
            assert failure.error.code == "service-error"
            honest.proxy.answer = None
            await settle(bob.client._core, "c.example")
        assert not bob.client._core.state.logs.unproven
        assert bob.client._core.state.logs.heads["c.example"].tree_head.tree_size == 2
        assert not any(isinstance(event, LogFault) for event in (*alice.events, *bob.events, *carol.events))


# -- a log that is rewritten


async def test_a_log_that_is_rewritten(addresses: Addresses, tmp_path: Path) -> None:
    async with (
        operator(tmp_path / "c.sqlite3") as dishonest,
        person(unique("carol", "c.example"), addresses.but(c=dishonest.url)) as carol,
        person(unique("dave", "c.example"), addresses.but(c=dishonest.url)),
        person(unique("alice", "a.example"), addresses.but(c=dishonest.url)) as alice,
    ):
        await alice.client.fetch_key_bundles(carol.identity)
        kept = alice.client._core.state.logs.heads["c.example"]

        def without_dave(connection: Connection) -> None:
            entries = log.entries(connection, 0, 2, 1 << 20)
            connection.execute(delete(log.log_entries))
            connection.execute(delete(log.log_hashes))
            for entry in (entries[0], b"nothing has happened here", b"and life goes on"):
                log.append(connection, entry, 2**31)

        await dishonest.change(without_dave)
        await refused(alice, carol.identity, VerificationError, "log-rewritten")
        fault = await alice.told(LogFault, domain="c.example")
        one, other = check_evidence(fault, dishonest)
        assert (one, other.tree_head.tree_size) == (kept, 3)
        with pytest.raises(VerificationError):
            verify_growth(one, other, ())
        group_id = (await alice.client.create_group()).group_id
        await stopped_until_cleared(alice, group_id, carol.identity)
        # Whoever clears it trusts what is shown then.
        await alice.client.add(group_id, carol.identity)
        await carol.told(GroupJoined, group_id=group_id)


async def test_an_old_head_again(addresses: Addresses, tmp_path: Path) -> None:
    async with (
        operator(tmp_path / "c.sqlite3") as dishonest,
        person(unique("carol", "c.example"), addresses.but(c=dishonest.url)) as carol,
        person(unique("alice", "a.example"), addresses.but(c=dishonest.url)) as alice,
    ):
        old = await dishonest.history(carol.identity)
        async with person(unique("dave", "c.example"), addresses.but(c=dishonest.url)):
            await alice.client.fetch_key_bundles(carol.identity)
            dishonest.show(lambda _: old)
            await refused(alice, carol.identity, VerificationError, "old-tree-head")
        # It was true once, so nothing is held against the service: it may be a proxy's fault.
        assert not alice.client.log_faults


async def test_a_head_that_nobody_signed(addresses: Addresses, tmp_path: Path) -> None:
    async with (
        operator(tmp_path / "c.sqlite3") as dishonest,
        person(unique("carol", "c.example"), addresses.but(c=dishonest.url)) as carol,
        person(unique("alice", "a.example"), addresses.but(c=dishonest.url)) as alice,
    ):

        def forged(history: IdentityHistory) -> IdentityHistory:
            larger = replace(history.head.tree_head, tree_size=1000)
            return replace(history, head=replace(history.head, tree_head=larger))

        dishonest.show(forged)
        await refused(alice, carol.identity, VerificationError, "bad-tree-head")


async def test_another_signing_key(addresses: Addresses, tmp_path: Path) -> None:
    """A service that has a second log, with a second key, for those whom it wants to deceive."""
    async with (
        operator(tmp_path / "c.sqlite3") as dishonest,
        operator(tmp_path / "other.sqlite3") as other,
        person(unique("carol", "c.example"), addresses.but(c=dishonest.url)) as carol,
        person(unique("alice", "a.example"), addresses.but(c=dishonest.url)) as alice,
    ):
        await alice.client.fetch_key_bundles(carol.identity)
        await alice.client.set_delivery_service("c.example", other.url)
        fault = await alice.told(LogFault, domain="c.example")
        assert fault.error.code == "pinned-key-changed"
        group_id = (await alice.client.create_group()).group_id
        await stopped_until_cleared(alice, group_id, carol.identity)


# -- keys that are not in the log


async def test_a_key_that_is_not_in_the_log(addresses: Addresses, tmp_path: Path) -> None:
    """The operator gives Carol a device of its own, and leaves it out of the log, where she would see it."""
    async with (
        operator(tmp_path / "c.sqlite3") as dishonest,
        person(unique("carol", "c.example"), addresses.but(c=dishonest.url)) as carol,
        person(unique("alice", "a.example"), addresses.but(c=dishonest.url)) as alice,
        unregistered(carol.identity, addresses.but(c=dishonest.url)) as mallory,
    ):
        account = mallory.client.account

        def add_device(connection: Connection) -> None:
            owner = accounts.identity_key(connection, carol.identity.encode())
            assert owner is not None
            accounts.add_client(connection, owner, account.client_id, account.credential.encode())

        await dishonest.change(add_device)
        ports = mallory.client._core.ports
        service = mallory.client.service_of(carol.identity)
        token = await open_session(ports.transport, service, ports.provider, account)
        [made] = new_key_sets(ports.provider, account, ports.now(), count=1, last_resort=False)
        assert made.unconfirmed is not None
        await publish(ports.transport, service, token, [made.unconfirmed])
        await refused(alice, carol.identity, ValidationError, "not-in-log")


async def test_an_event_that_is_not_where_it_is_said_to_be(addresses: Addresses, tmp_path: Path) -> None:
    async with (
        operator(tmp_path / "c.sqlite3") as dishonest,
        person(unique("carol", "c.example"), addresses.but(c=dishonest.url)) as carol,
        person(unique("dave", "c.example"), addresses.but(c=dishonest.url)),
        person(unique("alice", "a.example"), addresses.but(c=dishonest.url)) as alice,
    ):
        await dishonest.change(
            lambda connection: connection.execute(
                update(device_events).where(device_events.c.log_number == 0).values(log_number=1)
            )
        )
        await refused(alice, carol.identity, VerificationError, "bad-inclusion-proof")


async def test_the_keys_of_a_device_that_was_revoked(addresses: Addresses, tmp_path: Path) -> None:
    async with (
        operator(tmp_path / "c.sqlite3") as dishonest,
        person(unique("carol", "c.example"), addresses.but(c=dishonest.url)) as carol,
        person(unique("alice", "a.example"), addresses.but(c=dishonest.url)) as alice,
        unregistered(carol.identity, addresses.but(c=dishonest.url)) as laptop,
    ):
        await carol.client.admit_device(laptop.client.device_request())
        await laptop.client.register()
        answers: list[KeyResponse] = []

        def remembered(answer: KeyResponse) -> KeyResponse:
            answers.append(answer)
            return answer

        dishonest.answer_keys(remembered)
        await alice.client.fetch_key_bundles(carol.identity)
        await carol.client.revoke_device(laptop.client.account.client_id)
        # It has kept a set of the laptop's keys, and hands it out again.
        dishonest.answer_keys(lambda answer: replace(answer, clients=answers[0].clients))
        await refused(alice, carol.identity, ValidationError, "revoked-device")


async def test_a_device_that_is_left_out(addresses: Addresses, tmp_path: Path) -> None:
    async with (
        operator(tmp_path / "c.sqlite3") as dishonest,
        person(unique("carol", "c.example"), addresses.but(c=dishonest.url)) as carol,
        person(unique("alice", "a.example"), addresses.but(c=dishonest.url)) as alice,
        unregistered(carol.identity, addresses.but(c=dishonest.url)) as laptop,
    ):
        await carol.client.admit_device(laptop.client.device_request())
        await laptop.client.register()

        def without_laptop(answer: KeyResponse) -> KeyResponse:
            kept = [one for one in answer.clients if one.client_id != laptop.client.account.client_id]
            assert len(kept) == 1
            assert isinstance(kept[0].result, KeyBundle)
            return replace(answer, clients=tuple(kept))

        dishonest.answer_keys(without_laptop)
        await refused(alice, carol.identity, ValidationError, "device-left-out")


# -- what an append-only log cannot show, and who sees it all the same


async def test_a_revocation_that_is_kept_back(addresses: Addresses, tmp_path: Path) -> None:
    """Whoever has seen it is not deceived. Whoever has not cannot tell: every proof is right."""
    async with (
        operator(tmp_path / "c.sqlite3") as dishonest,
        person(unique("carol", "c.example"), addresses.but(c=dishonest.url)) as carol,
        person(unique("alice", "a.example"), addresses.but(c=dishonest.url)) as alice,
        person(unique("bob", "b.example"), addresses.but(c=dishonest.url)) as bob,
        unregistered(carol.identity, addresses.but(c=dishonest.url)) as laptop,
    ):
        await carol.client.admit_device(laptop.client.device_request())
        await carol.client.revoke_device(laptop.client.account.client_id)
        await fetch_devices(alice.client._core, carol.identity)
        dishonest.show(lambda history: replace(history, events=history.events[:-1]))
        with pytest.raises(ValidationError) as caught:
            await fetch_devices(alice.client._core, carol.identity)
        assert caught.value.code == "history-withheld"
        # Carol's own clients have seen it, too.
        with pytest.raises(ValidationError) as caught:
            await carol.client.devices()
        assert caught.value.code == "history-withheld"

        shown = await fetch_devices(bob.client._core, carol.identity)
        assert laptop.client.account.client_id in shown.active
        # Whoever reads the whole log sees what Bob does not.
        dishonest.show(lambda history: history)
        assert await bob.client.audit_log("c.example") == ()
        found = await fetch_devices(bob.client._core, carol.identity)
        assert laptop.client.account.client_id in found.revoked


async def test_another_first_claim(addresses: Addresses, tmp_path: Path) -> None:
    """The operator claims Carol's name a second time, and shows that to some. Both claims are in its log."""
    async with (
        operator(tmp_path / "c.sqlite3") as dishonest,
        unregistered(unique("carol", "c.example"), addresses.but(c=dishonest.url)) as carol,
        person(unique("alice", "a.example"), addresses.but(c=dishonest.url)) as alice,
        person(unique("bob", "b.example"), addresses.but(c=dishonest.url)) as bob,
        unregistered(carol.identity, addresses.by_domain) as mallory,
    ):
        await carol.client.register()
        await fetch_devices(alice.client._core, carol.identity)
        fake = mallory.client.account
        claim = claim_event(dishonest.service.provider, fake.client_id, fake.credential, fake.identity_key)
        swapped = await dishonest.logged(claim)
        dishonest.show(lambda _: swapped)

        # Alice has seen Carol before; Carol looks at herself whenever she connects.
        with pytest.raises(ValidationError) as caught:
            await fetch_devices(alice.client._core, carol.identity)
        assert caught.value.code == "history-forked"
        async with receiving(carol):
            fault = await carol.told(LogFault, domain="c.example")
            assert fault.error.code == "history-forked"
        # Bob has never seen her. He believes it; the log that he keeps a head of has the evidence.
        assert (await fetch_devices(bob.client._core, carol.identity)).root == fake.credential
        [finding] = await bob.client.audit_log("c.example")
        assert (finding.number, finding.identity, finding.error.code) == (
            1,
            carol.identity,
            "identity-claimed",
        )


async def test_entries_that_are_not_those_that_were_signed(addresses: Addresses, tmp_path: Path) -> None:
    async with (
        operator(tmp_path / "c.sqlite3") as dishonest,
        person(unique("carol", "c.example"), addresses.but(c=dishonest.url)),
        person(unique("alice", "a.example"), addresses.but(c=dishonest.url)) as alice,
    ):
        assert await alice.client.audit_log("c.example") == ()

        def other_entries(path: str, response: Response) -> Response:
            if path != "/v1/log-entries":
                return response
            body = EntriesResponse(entries=(b"nothing to be seen here",)).encode()
            return Response(body, media_type=response.media_type)

        dishonest.proxy.change = other_entries
        with pytest.raises(VerificationError) as caught:
            await alice.client.audit_log("c.example")
        assert caught.value.code == "bad-log-entries"


# -- ourselves


async def test_our_own_devices_are_watched(addresses: Addresses) -> None:
    """Somebody who has one of our devices admits one more, and revokes another. The rest of them hear of it."""
    async with (
        unregistered(unique("alice", "a.example"), addresses.by_domain) as phone,
        unregistered(phone.identity, addresses.by_domain) as tablet,
    ):
        await phone.client.register()
        async with another_device(phone, addresses) as (laptop, _):
            await laptop.client.admit_device(tablet.client.device_request())
            await laptop.client.revoke_device(tablet.client.account.client_id)
            # What a device has done itself is no news to it.
            assert not any(isinstance(event, OwnDevicesChanged) for event in (*phone.events, *laptop.events))
        async with receiving(phone):
            changed = await phone.told(OwnDevicesChanged)
            gone = tablet.client.account.client_id
            assert changed == OwnDevicesChanged(admitted=(gone,), revoked=(gone,))
            await watch(phone.client._core)
        assert not any(isinstance(event, OwnDevicesChanged) for event in phone.events)


async def test_a_service_that_cannot_be_asked_now(addresses: Addresses, tmp_path: Path) -> None:
    """No answer is no fault; what is signed is settled when it answers again."""
    async with (
        operator(tmp_path / "c.sqlite3") as honest,
        person(unique("carol", "c.example"), addresses.but(c=honest.url)) as carol,
        person(unique("alice", "a.example"), addresses.but(c=honest.url)) as alice,
    ):
        await alice.client.fetch_key_bundles(carol.identity)
        before = alice.client._core.state.logs
        async with person(unique("dave", "c.example"), addresses.but(c=honest.url)):
            honest.proxy.answer = Response("<h1>Try later</h1>", 503, media_type="text/html")
            honest.proxy.answer_to = "/v1/consistency"
            with pytest.raises(MLSError) as caught:
                await alice.client.fetch_key_bundles(carol.identity)
            assert caught.value.code == "service-error"
            assert alice.client._core.state.logs == before
            honest.proxy.answer = None
            await alice.client.fetch_key_bundles(carol.identity)
        assert alice.client._core.state.logs.heads["c.example"].tree_head.tree_size == 2
