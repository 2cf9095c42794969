"""From outside a group: external commits (§12.4.3.2) and proposals of non-members (§12.1.8)."""

import pytest

from mls_federation.codec import encode_vector, replace
from mls_federation.crypto import Crypto
from mls_federation.errors import EpochError, MLSError, ValidationError, VerificationError
from mls_federation.mls import (
    CommitMessage,
    Group,
    GroupInfo,
    ProposalMessage,
    decode_message,
    group_info,
    join_by_external_commit,
    mls_message,
    propose_from_outside,
    propose_to_be_added,
    receive,
    remove,
)
from mls_federation.mls.credentials import basic_credential
from mls_federation.mls.extensions import Extension, ExtensionType, ExternalSender
from mls_federation.mls.ratchet_tree import decode_tree, encode_tree
from mls_federation.mls.tree_math import LeafIndex
from tests.support.pair import GROUP_ID, NOW, Client, Party, new_client


@pytest.fixture
def party(suite_1: Crypto) -> Party:
    return Party(suite_1, "ann", "ben", "cat")


def shown(group: Group) -> GroupInfo:
    """A GroupInfo as a stranger gets it."""
    message = decode_message(mls_message(group_info(group, with_external_pub=True)).encode())
    assert isinstance(message, GroupInfo)
    return message


def join_from_outside(party: Party, name: str, replacing: LeafIndex | None = None) -> None:
    """`name` joins by an external commit, which all others follow."""
    info = shown(next(iter(party.groups.values())))
    own = party.client(name).key_package()
    pending = join_by_external_commit(party.crypto, info, own, now=NOW, replacing=replacing)
    assert pending.sent_from is None
    for other, group in party.groups.items():
        received = receive(group, pending.message, now=NOW)
        assert isinstance(received, CommitMessage)
        assert received.added == pending.added == (pending.group.own_leaf,)
        party.groups[other] = received.group
    party.groups[name] = pending.group
    party.assert_agreement()


# -- external commits


@pytest.mark.rule("8.3-01", "12.4.3.2-04")
def test_joining_by_an_external_commit(party: Party) -> None:
    join_from_outside(party, "dan")
    join_from_outside(party, "eve")
    assert party.read("ann", party.send("eve", b"hello")).data == b"hello"
    for name in ("ben", "eve", "dan"):
        party.commit(name)
    party.remove("dan", "ann")


@pytest.mark.rule("12.4.3.2-06")
def test_resynchronising(party: Party) -> None:
    lost = party.groups.pop("ben")
    join_from_outside(party, "ben", replacing=lost.own_leaf)
    assert party.leaf("ben") == lost.own_leaf
    assert sorted(party.groups) == ["ann", "ben", "cat"]


@pytest.mark.rule("12.4.3.2-07")
def test_a_group_that_does_not_let_one_in(party: Party) -> None:
    own = party.client("dan").key_package()
    with pytest.raises(ValidationError) as caught:
        join_by_external_commit(party.crypto, group_info(party.groups["ann"]), own, now=NOW)
    assert caught.value.code == "no-external-pub"
    bare = group_info(party.groups["ann"], with_tree=False, with_external_pub=True)
    with pytest.raises(ValidationError) as caught:
        join_by_external_commit(party.crypto, bare, own, now=NOW)
    assert caught.value.code == "no-tree"
    tree = decode_tree(encode_tree(party.groups["ann"].tree))
    pending = join_by_external_commit(party.crypto, bare, own, now=NOW, tree=tree)
    assert isinstance(receive(party.groups["ben"], pending.message, now=NOW), CommitMessage)


@pytest.mark.rule("12.4.3-04")
def test_a_group_info_that_was_changed(party: Party) -> None:
    info = shown(party.groups["ann"])
    own = party.client("dan").key_package()
    for changed in (
        replace(info, signer=1),
        replace(info, confirmation_tag=bytes(32)),
        replace(info, signature=bytes(64)),
        replace(info, group_context=replace(info.group_context, epoch=9)),
    ):
        with pytest.raises(VerificationError):
            join_by_external_commit(party.crypto, changed, own, now=NOW)


@pytest.mark.rule("7.3-12", "16.7-01")
def test_a_member_cannot_join_twice(party: Party) -> None:
    again = party.client("ben").key_package()
    with pytest.raises(ValidationError) as caught:
        join_by_external_commit(party.crypto, shown(party.groups["ann"]), again, now=NOW)
    assert caught.value.code == "duplicate-signature-key"


@pytest.mark.rule("12.4.2-01")
def test_an_external_commit_of_an_epoch_that_has_ended(party: Party) -> None:
    late = join_by_external_commit(
        party.crypto, shown(party.groups["ann"]), party.client("dan").key_package(), now=NOW
    )
    party.commit("ben")
    with pytest.raises(EpochError) as caught:
        receive(party.groups["ann"], late.message, now=NOW)
    assert caught.value.code == "wrong-epoch"


def test_no_octet_of_an_external_commit_can_be_changed(party: Party) -> None:
    pending = join_by_external_commit(
        party.crypto, shown(party.groups["ann"]), party.client("dan").key_package(), now=NOW
    )
    message = pending.message
    for place in range(len(message)):
        changed = message[:place] + bytes([message[place] ^ 1 << place % 8]) + message[place + 1 :]
        with pytest.raises(MLSError):
            receive(party.groups["ann"], changed, now=NOW)


# -- proposals from outside


@pytest.fixture
def outsider(suite_1: Crypto) -> Client:
    return new_client(suite_1, "the service")


def open_party(suite: Crypto, outsider: Client) -> Party:
    """A group that names one external sender."""
    sender = ExternalSender(
        signature_key=outsider.signature_key.public_key, credential=basic_credential(outsider.name.encode())
    )
    extension = Extension(
        extension_type=ExtensionType.external_senders, extension_data=encode_vector([sender])
    )
    return Party(suite, "ann", "ben", "cat", extensions=(extension,))


def take_in(party: Party, message: bytes) -> None:
    for name, group in party.groups.items():
        received = receive(group, message, now=NOW)
        assert isinstance(received, ProposalMessage)
        party.groups[name] = received.group


@pytest.mark.rule("12.1.8-03")
def test_an_external_sender_proposes(suite_1: Crypto, outsider: Client) -> None:
    party = open_party(suite_1, outsider)
    epoch = party.groups["ann"].epoch
    body = remove(party.leaf("cat"))
    take_in(party, propose_from_outside(suite_1, GROUP_ID, epoch, 0, outsider.signature_key, body))
    party.commit("ben")
    assert list(party.groups) == ["ann", "ben"]


@pytest.mark.rule("6.1-03", "12.1.8-02")
def test_an_external_sender_signs_for_itself(suite_1: Crypto, outsider: Client) -> None:
    party = open_party(suite_1, outsider)
    epoch, body = party.groups["ann"].epoch, remove(party.leaf("cat"))
    stranger = new_client(suite_1, "stranger").signature_key
    forged = propose_from_outside(suite_1, GROUP_ID, epoch, 0, stranger, body)
    with pytest.raises(VerificationError):
        receive(party.groups["ann"], forged, now=NOW)
    unknown = propose_from_outside(suite_1, GROUP_ID, epoch, 1, outsider.signature_key, body)
    with pytest.raises(ValidationError) as caught:
        receive(party.groups["ann"], unknown, now=NOW)
    assert caught.value.code == "unknown-sender"


def test_somebody_asks_to_be_added(party: Party) -> None:
    own = party.client("dan").key_package()
    epoch = party.groups["ann"].epoch
    take_in(party, propose_to_be_added(party.crypto, GROUP_ID, epoch, own))
    party.commit("ann", joining={"dan": own})
    assert party.read("ben", party.send("dan", b"thanks")).data == b"thanks"
