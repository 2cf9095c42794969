"""A client's state as octets: nothing of it is forgotten, and it goes on where it stopped."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import MISSING, Field, fields, is_dataclass, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mls_federation.client import ClientState, Fanout, session
from mls_federation.client.account import Account, OwnKeySet, new_account, supported_suites
from mls_federation.client.events import MessageReceived
from mls_federation.client.group_codec import STATE_VERSION
from mls_federation.client.log_state import Fault, Logs
from mls_federation.client.reinitialization import plan
from mls_federation.client.state import (
    Anew,
    GroupState,
    HandedOut,
    Intent,
    Outgoing,
    OwnCommit,
    PastState,
    SentData,
    SFrameContexts,
    SpentKeyPackage,
)
from mls_federation.client.state_codec import (
    PartKind,
    decode_state,
    encode_part,
    encode_state,
    parts_of,
    state_of,
)
from mls_federation.crypto import CryptoProvider, SignatureScheme
from mls_federation.errors import DecodeError, RemoteError, UnsupportedError
from mls_federation.federation.identity import VerifiedIdentity
from mls_federation.federation.log import ChainTip, TreeHead, sign_tree_head
from mls_federation.mls import Group, OwnKeyPackage, encode_group, encode_key_package
from mls_federation.mls.tree_math import LeafIndex
from tests.support.devices import another_device
from tests.support.network import NOW, Orderer, Peer, deliver, group_of, messages_for, of_type

OURS = (
    ClientState,
    GroupState,
    Outgoing,
    OwnKeySet,
    Account,
    VerifiedIdentity,
    MessageReceived,
    Logs,
    Fault,
    ChainTip,
    Intent,
    OwnCommit,
    PastState,
    SentData,
    SpentKeyPackage,
    Anew,
    HandedOut,
    SFrameContexts,
)


def everything(provider: CryptoProvider) -> ClientState:
    """A state with something in every field of every part."""
    alice, carol = Peer(provider, "alice@a.example"), Peer(provider, "carol@c.example")
    # His second device: the first has admitted it.
    bob = Peer(provider, "bob@b.example", another_device(provider, new_account(provider, "bob@b.example")))
    group_id = group_of(alice, bob, carol)
    # Bob is away while carol begins an epoch; her next message comes to him too early. And he has a past epoch.
    bob.renew(group_id)
    deliver(bob, alice, carol)
    alice.send(group_id, b"what he has been shown")
    deliver(alice, bob)
    carol.renew(group_id)
    carol.send(group_id, b"from the epoch to come")
    _, early = messages_for(carol.post(), bob.identity)
    bob.take(early)
    # A second group, of which he knows only a message; messages that wait, and keys in each stage.
    other = group_of(alice, carol)
    alice.send(other, b"not for him yet")
    bob.take(messages_for(alice.post(), carol.identity)[0])
    bob.begin()
    bob.send(group_id, b"waiting")
    bob.publish()
    bob.publish(last_resort=True)
    [*sets, last] = bob.state.key_sets
    waiting = replace(last, unconfirmed=alice_key_set(alice))
    untold = MessageReceived(group_id, alice.identity, 1, 2, b"heard", 3, ("a.example", "b.example"))
    bob.state = bob.state.with_group(replace(bob.state.group(group_id), told={"a.example": 7}))
    # A third, from which carol has removed him while he added and removed others; of which he knows nothing yet.
    third = group_of(alice, bob, carol)
    bob.remove(third, alice.identity)
    bob.add(third, Peer(provider, "dave@d.example"))
    bob.send(third, b"on a branch that may lose")
    undone = replace(
        bob.group(third),
        again=(SentData(b"sixteen octets..", b"again", 3),),
        intents=tuple(past.intent for past in bob.group(third).line if past.intent),
    )
    bob.state = bob.state.with_group(undone)
    # A group that is to begin anew, and one that has.
    orderer = Orderer(provider)
    orderer.order(bob, _ending(orderer, bob))
    known = bob.group(_ending(orderer, bob))
    assert known.anew is not None
    package = carol.bundle().key_package
    anew = replace(known.anew, members=(package,), newcomers=(package,))
    bob.state = bob.state.with_group(replace(known, anew=anew, intents=(Intent(begins=anew.begins),)))
    fourth = group_of(alice, bob, carol)
    carol.remove(fourth, bob.identity)
    deliver(carol, bob)
    assert fourth in bob.state.departed
    # And one whose commits a service orders: his own waits for it.
    fifth = alice.begin(ordered_by=orderer.ordered_by)
    alice.add(fifth, bob, Peer(provider, "erin@e.example"))
    orderer.order(alice, fifth)
    for outgoing in alice.post():
        if bob.identity in outgoing.recipients:
            bob.take_envelope(outgoing.message)
    bob.remove(fifth, "erin@e.example")
    bob.add(bob.begin(ordered_by=orderer.ordered_by), Peer(provider, "frank@f.example"))
    waiting_for_service = bob.group(fifth).pending
    assert waiting_for_service is not None
    moving = replace(waiting_for_service, intent=Intent(ordered_by=("b.example", bytes(32))), rejoins=True)
    bob.state = bob.state.with_group(replace(bob.group(fifth), pending=moving, lost=True))
    return replace(
        bob.state,
        fanout=Fanout.server,
        key_sets=(*sets, waiting),
        received=3,
        untold=(untold,),
        logs=some_logs(provider),
        handed_out=(HandedOut(bytes(32), NOW),),
        sframe_contexts=(SFrameContexts(group_id, 3), SFrameContexts(b"another group", 1)),
    )


def some_logs(provider: CryptoProvider) -> Logs:
    """What a client may know of two services, of which the one was found out."""
    seed = bytes(32)
    smaller, larger, other = (
        sign_tree_head(
            provider,
            seed,
            TreeHead(domain=b"a.example", tree_size=size, timestamp=5, root_hash=bytes([root]) * 32),
        )
        for size, root in ((3, 1), (7, 1), (7, 2))
    )
    return Logs(
        pins={"a.example": provider.signature_public_key(SignatureScheme.ed25519, seed)},
        heads={"a.example": smaller},
        unproven=(larger,),
        faults={"a.example": Fault("log-forked", (larger, other))},
        chains={"alice@a.example": ChainTip(2, bytes(32))},
    )


def _ending(orderer: Orderer, peer: Peer) -> bytes:
    """A group that a service orders, and that a client wants to end; its id."""
    provider = peer.provider
    suite = supported_suites(provider)[0]
    group_id = peer.begin(suite, ordered_by=orderer.ordered_by)
    anew = plan(provider, peer.group(group_id), suite, [], [])
    peer.state = session.end_group(provider, peer.state, group_id, anew, NOW)
    return group_id


def alice_key_set(peer: Peer) -> Any:
    """Any set to be published."""
    peer.publish()
    return peer.published[-1][0]


@pytest.fixture(scope="module")
def state(provider: CryptoProvider) -> ClientState:
    return everything(provider)


def comparable(value: object) -> Any:
    """A value whose parts compare: dataclasses as mappings of all their fields, what the engine encodes as octets."""
    if isinstance(value, Group):
        return encode_group(value)
    if isinstance(value, OwnKeyPackage):
        return encode_key_package(value)
    if is_dataclass(value):
        return {field.name: comparable(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return [(key, comparable(item)) for key, item in value.items()]
    if isinstance(value, tuple):
        return [comparable(item) for item in value]
    return value


def parts_within(value: object) -> Iterator[object]:
    """The dataclasses of a state, itself among them; not those of the engine."""
    if isinstance(value, OURS):
        yield value
        for field in fields(value):
            yield from parts_within(getattr(value, field.name))
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from parts_within(item)
    elif isinstance(value, tuple):
        for item in value:
            yield from parts_within(item)


def default_of(field: Field[Any]) -> object:
    return field.default_factory() if field.default_factory is not MISSING else field.default


@pytest.mark.parametrize("kind", OURS, ids=lambda kind: kind.__name__)
def test_the_example_has_something_in_every_field(kind: Any, state: ClientState) -> None:
    """So a field that is added to a state, and that its encoding forgets, fails the next test; or this one."""
    found = [part for part in parts_within(state) if isinstance(part, kind)]
    for field in fields(kind):
        assert any(getattr(part, field.name) != default_of(field) for part in found), (
            f"the example has nothing in {kind.__name__}.{field.name}: put something there"
        )


def test_nothing_is_forgotten(provider: CryptoProvider, state: ClientState) -> None:
    loaded = decode_state(provider, encode_state(state))
    assert comparable(loaded) == comparable(state)
    assert encode_state(loaded) == encode_state(state)


def test_parts_are_what_was_changed(provider: CryptoProvider, state: ClientState) -> None:
    """A message in one group leaves all other groups, and all keys, the objects that they were."""
    bob = Peer(provider, state.account.identity, state.account)
    bob.state = state
    first, *_ = state.groups
    bob.send(first, b"hello")
    before, after = parts_of(state), parts_of(bob.state)
    changed = {
        kind: sum(part not in [id(old) for old in before[kind]] for part in map(id, after[kind]))
        for kind in PartKind
    }
    assert {kind for kind, count in changed.items() if count} == {PartKind.group, PartKind.outgoing}
    assert changed[PartKind.group] == 1
    assert changed[PartKind.outgoing] == 2


@settings(max_examples=30)
@given(
    steps=st.lists(st.tuples(st.integers(0, 2), st.sampled_from(["send", "renew", "restart"])), max_size=12)
)
def test_a_client_goes_on_after_any_restart(provider: CryptoProvider, steps: list[tuple[int, str]]) -> None:
    peers = [Peer(provider, f"{name}@{name[0]}.example") for name in ("alice", "bob", "carol")]
    group_id = group_of(*peers)
    for number, (who, what) in enumerate([*steps, (0, "send"), (1, "send"), (2, "send")]):
        peer = peers[who]
        others = [other for other in peers if other is not peer]
        if what == "restart":
            peer.state = decode_state(provider, encode_state(peer.state))
            continue
        if what == "renew":
            peer.renew(group_id)
        else:
            peer.send(group_id, b"%d" % number)
        peer.state = decode_state(provider, encode_state(peer.state))
        for other in others:
            other.events.clear()
        deliver(peer, *others)
        if what == "send":
            for other in others:
                assert [event.data for event in of_type(other.events, MessageReceived)] == [b"%d" % number]
    authenticators = {peer.group(group_id).group.epoch_authenticator for peer in peers}
    assert len(authenticators) == 1


# -- what is refused


def stored(state: ClientState) -> dict[PartKind, list[bytes]]:
    return {kind: [encode_part(kind, part) for part in parts] for kind, parts in parts_of(state).items()}


@pytest.mark.parametrize("kind", PartKind, ids=lambda kind: kind.name)
def test_a_part_of_a_later_version_is_refused(
    kind: PartKind, provider: CryptoProvider, state: ClientState
) -> None:
    parts = stored(state)
    parts[kind][0] = (STATE_VERSION + 1).to_bytes(2, "big") + parts[kind][0][2:]
    with pytest.raises(UnsupportedError) as caught:
        state_of(provider, parts)
    assert caught.value.code == "unknown-state-version"


def test_a_state_of_a_later_version_is_refused(provider: CryptoProvider, state: ClientState) -> None:
    with pytest.raises(UnsupportedError):
        decode_state(provider, (STATE_VERSION + 1).to_bytes(2, "big") + encode_state(state)[2:])
    with pytest.raises(DecodeError):
        decode_state(provider, b"\0")


@pytest.mark.parametrize(
    "kind", [PartKind.account, PartKind.cursor, PartKind.received], ids=lambda kind: kind.name
)
@pytest.mark.parametrize("times", [0, 2])
def test_there_is_one_account_and_one_cursor(
    kind: PartKind, times: int, provider: CryptoProvider, state: ClientState
) -> None:
    parts = stored(state)
    parts[kind] *= times
    with pytest.raises(DecodeError):
        state_of(provider, parts)


def test_no_group_stands_there_twice(provider: CryptoProvider, state: ClientState) -> None:
    parts = stored(state)
    with pytest.raises(DecodeError):
        state_of(provider, {**parts, PartKind.group: parts[PartKind.group] * 2})


def test_every_member_has_an_identity(provider: CryptoProvider, state: ClientState) -> None:
    known = next(iter(state.groups.values()))
    nobody: dict[LeafIndex, VerifiedIdentity] = {}
    for identities in (nobody, {**known.identities, LeafIndex(7): known.identities[LeafIndex(0)]}):
        changed = encode_part(PartKind.group, replace(known, identities=identities))
        with pytest.raises(DecodeError):
            state_of(provider, {**stored(state), PartKind.group: [changed]})


@settings(max_examples=200)
@given(data=st.data())
def test_changed_octets_are_refused_or_load(
    data: st.DataObject, provider: CryptoProvider, state: ClientState
) -> None:
    octets = bytearray(encode_state(state))
    place = data.draw(st.integers(0, len(octets) - 1))
    octets[place] ^= data.draw(st.integers(1, 255))
    with suppress(RemoteError):
        decode_state(provider, bytes(octets))


def test_a_state_shows_no_secret(state: ClientState) -> None:
    key = state.account.identity_key.private_key
    assert repr(key) not in repr(state)
    assert key.hex() not in repr(state)


@pytest.mark.parametrize(
    "kind",
    [
        kind
        for kind in PartKind
        if PartKind.tree <= kind <= PartKind.past_members or kind is PartKind.past_state
    ],
    ids=lambda kind: kind.name,
)
def test_every_group_and_past_state_has_all_its_parts(
    kind: PartKind, provider: CryptoProvider, state: ClientState
) -> None:
    parts = stored(state)
    for changed in (parts[kind][1:], [*parts[kind], parts[kind][0]]):
        with pytest.raises(DecodeError):
            state_of(provider, {**parts, kind: changed})
