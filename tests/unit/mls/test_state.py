"""A group's state as octets: what is loaded is what was stored, and goes on where that stopped."""

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mls_federation.codec import replace
from mls_federation.crypto import Crypto
from mls_federation.errors import (
    DecodeError,
    EpochError,
    RemoteError,
    StateError,
    UnsupportedError,
    ValidationError,
)
from mls_federation.mls import (
    Group,
    OwnKeyPackage,
    add,
    commit,
    decode_group,
    decode_key_package,
    encode_group,
    encode_key_package,
    send_application_data,
)
from mls_federation.mls.nodes import Node, NodeType, ParentNode
from mls_federation.mls.ratchet_tree import RatchetTreeNodes
from mls_federation.mls.state import StoredGroup
from tests.support.pair import NOW, Party, join_by, new_client


@pytest.fixture(scope="module")
def group(suite_1: Crypto) -> Group:
    """A state with something in every part of it: past epochs, skipped keys, proposals, an Update of our own."""
    party = Party(suite_1, "ann", "ben", "cat")
    party.commit("ben")
    messages = [party.send("ann", bytes([number])) for number in range(4)]
    party.read("ben", messages[3])
    party.commit("cat")
    messages = [party.send("ann", bytes([number])) for number in range(4)]
    party.read("ben", messages[2])
    party.propose_update("ben")
    party.propose("ann", add(party.client("dan").key_package().key_package))
    return party.groups["ben"]


def test_the_example_has_every_part(group: Group) -> None:
    assert group.past_epochs
    assert group.proposals
    assert group.own_updates
    assert any(ratchet.skipped for ratchet in group.secret_tree.ratchets.values())
    assert any(
        ratchet.skipped for past in group.past_epochs for ratchet in past.secret_tree.ratchets.values()
    )


def test_round_trip(suite_1: Crypto, group: Group) -> None:
    stored = encode_group(group)
    loaded = decode_group(suite_1.provider, stored)
    assert encode_group(loaded) == stored
    assert loaded.tree.nodes == group.tree.nodes
    for name in (
        "context",
        "own_leaf",
        "signature_key",
        "private_keys",
        "secrets",
        "secret_tree",
        "interim_transcript_hash",
        "confirmation_tag",
        "proposals",
        "own_updates",
        "past_epochs",
    ):
        assert getattr(loaded, name) == getattr(group, name), name


def test_everybody_goes_on_from_a_stored_state(suite_1: Crypto) -> None:
    party = Party(suite_1, "ann", "ben", "cat")
    late = party.send("cat", b"late")
    skipped = [party.send("ann", bytes([number])) for number in range(3)]
    party.read("ben", skipped[2])
    restart(party)
    party.commit("ann")
    restart(party)
    assert party.read("ben", late).data == b"late"
    assert party.read("ben", skipped[0]).data == b"\x00"
    with pytest.raises(EpochError):
        party.read("ben", skipped[2])
    party.propose_update("ben")
    restart(party)
    party.commit("cat")
    party.add("ben", "dan")
    restart(party)
    assert party.read("dan", party.send("ben", b"data")).data == b"data"


def restart(party: Party) -> None:
    """Everybody stores its state, forgets it and loads it."""
    party.groups = {
        name: decode_group(party.crypto.provider, encode_group(group)) for name, group in party.groups.items()
    }


def test_a_key_package_is_used_after_a_restart(suite_1: Crypto) -> None:
    party = Party(suite_1, "ann")
    own = party.client("ben").key_package()
    loaded = decode_key_package(encode_key_package(own))
    assert loaded == own
    pending = commit(party.groups["ann"], [add(own.key_package)], now=NOW)
    assert pending.welcome is not None
    group = join_by(suite_1, pending.welcome, loaded)
    assert group.epoch_authenticator == pending.group.epoch_authenticator


@pytest.fixture(scope="module")
def own(suite_1: Crypto) -> OwnKeyPackage:
    return new_client(suite_1, "ann").key_package()


def test_states_of_a_later_version(suite_1: Crypto, group: Group, own: OwnKeyPackage) -> None:
    for version in (b"\x00\x00", b"\x00\x03", b"\xff\xff"):
        with pytest.raises(UnsupportedError) as caught:
            decode_group(suite_1.provider, version + encode_group(group)[2:])
        assert caught.value.code == "unknown-state-version"
        with pytest.raises(UnsupportedError) as caught:
            decode_key_package(version + encode_key_package(own)[2:])
        assert caught.value.code == "unknown-state-version"


def test_states_cut_short(suite_1: Crypto, group: Group, own: OwnKeyPackage) -> None:
    stored = encode_group(group)
    for length in [*range(0, len(stored), 97), len(stored) - 1]:
        with pytest.raises(DecodeError):
            decode_group(suite_1.provider, stored[:length])
    stored = encode_key_package(own)
    for length in range(len(stored)):
        with pytest.raises(DecodeError):
            decode_key_package(stored[:length])


def test_states_that_contradict_themselves(suite_1: Crypto, group: Group) -> None:
    """Nobody stores such a thing; but what is loaded must not fail later in ways that nobody expects."""
    stored = StoredGroup.decode(encode_group(group))
    for leaf_count in (0, 3, 2**32 - 1):
        tree = replace(stored.secret_tree, leaf_count=leaf_count)
        with pytest.raises(DecodeError):
            decode_group(suite_1.provider, replace(stored, secret_tree=tree).encode())

    one = replace(stored.secret_tree, ratchets=stored.secret_tree.ratchets[:1])
    with pytest.raises(DecodeError):
        decode_group(suite_1.provider, replace(stored, secret_tree=one).encode())

    nodes = list(stored.tree.nodes)
    (place, parent) = next((at, node.node) for at, node in enumerate(nodes) if node and at % 2)
    assert isinstance(parent, ParentNode)
    beyond = replace(parent, unmerged_leaves=(2**20,))
    nodes[place] = Node(node_type=NodeType.parent, node=beyond)
    with pytest.raises(ValidationError) as unmerged:
        decode_group(suite_1.provider, replace(stored, tree=RatchetTreeNodes(nodes=tuple(nodes))).encode())
    assert unmerged.value.code == "bad-unmerged-leaves"

    nothing = replace(stored.secret_tree, node_secrets=(), ratchets=())
    loaded = decode_group(suite_1.provider, replace(stored, secret_tree=nothing, proposals=()).encode())
    with pytest.raises(StateError) as caught:
        send_application_data(loaded, b"data")
    assert caught.value.code == "bad-state"


@settings(max_examples=40)
@given(data=st.data())
def test_states_that_were_damaged(suite_1: Crypto, group: Group, data: st.DataObject) -> None:
    stored = bytearray(encode_group(group))
    for _ in range(data.draw(st.integers(1, 3))):
        stored[data.draw(st.integers(2, len(stored) - 1))] = data.draw(st.integers(0, 255))
    with suppress(RemoteError):
        decode_group(suite_1.provider, bytes(stored))
