"""What a sender owes (§6, §8.4, §11, §12.2, §12.4.1, §14): what we make is so, and what must not be made is refused."""

from __future__ import annotations

import pytest

from mls_federation.codec import replace
from mls_federation.crypto import Crypto
from mls_federation.errors import MLSError, StateError, UsageError, ValidationError
from mls_federation.mls import (
    CommitMessage,
    Group,
    OwnKeyPackage,
    PublicMessage,
    RemovedMessage,
    Welcome,
    WireFormat,
    add,
    change_extensions,
    commit,
    create_group,
    create_key_package,
    decode_message,
    encode_group,
    join,
    key_schedule,
    pre_shared_key,
    propose,
    propose_from_outside,
    propose_to_be_added,
    receive,
    reinit,
    remove,
)
from mls_federation.mls.commit import Commit, UpdatePath
from mls_federation.mls.credentials import basic_credential
from mls_federation.mls.epoch import psk_lookup
from mls_federation.mls.extensions import ProposalType
from mls_federation.mls.joining import open_welcome
from mls_federation.mls.nodes import LeafNodeSource, Lifetime
from mls_federation.mls.proposals import Proposal, Remove
from mls_federation.mls.psk import (
    ExternalPSK,
    PreSharedKeyID,
    PSKType,
    ResumptionPSK,
    ResumptionPSKUsage,
    check_psk_ids,
)
from mls_federation.mls.ratchet_tree import encode_tree
from mls_federation.mls.retention import DEFAULT_RETENTION
from mls_federation.mls.secret_tree import HashRatchet
from mls_federation.mls.transcript import interim_transcript_hash
from mls_federation.mls.tree_hashes import tree_hash
from mls_federation.mls.tree_math import LeafIndex, common_ancestor, node_of
from tests.support.pair import GROUP_ID, LIFETIME, NOW, Party

from .test_proposal_rules import PRIVATE_EXTENSION

PUBLIC = WireFormat.mls_public_message


@pytest.fixture
def party(suite_1: Crypto) -> Party:
    return Party(suite_1, "ann", "ben", "cat", "dan")


def body_of(message: bytes) -> Commit:
    decoded = decode_message(message)
    assert isinstance(decoded, PublicMessage)
    assert isinstance(decoded.content.content, Commit)
    return decoded.content.content


def welcome_of(message: bytes | None) -> Welcome:
    assert message is not None
    decoded = decode_message(message)
    assert isinstance(decoded, Welcome)
    return decoded


# -- a new group


@pytest.mark.rule("11-02")
def test_a_new_group(suite_1: Crypto) -> None:
    own = Party(suite_1, "x").client("ann").key_package()
    group, again = (create_group(suite_1, GROUP_ID, own) for _ in range(2))
    assert group.epoch == 0
    assert [member.leaf_node for member in group.members] == [own.key_package.leaf_node]
    assert group.context.tree_hash == tree_hash(suite_1, group.tree)
    assert group.context.confirmed_transcript_hash == b""
    tag = key_schedule.confirmation_tag(suite_1, group.secrets.confirmation_key, b"")
    assert group.confirmation_tag == tag
    assert group.interim_transcript_hash == interim_transcript_hash(suite_1, b"", tag)
    assert group.epoch_authenticator != again.epoch_authenticator


@pytest.mark.rule("13.4-04")
def test_no_list_has_two_extensions_of_one_type(party: Party) -> None:
    twice = (PRIVATE_EXTENSION, PRIVATE_EXTENSION)
    client = party.client("new")
    capabilities = replace(client.capabilities, extensions=(PRIVATE_EXTENSION.extension_type,))
    own = client.key_package(capabilities=capabilities)
    ann = party.groups["ann"]
    for make in (
        lambda: create_group(party.crypto, GROUP_ID, own, twice),
        lambda: client.key_package(capabilities=capabilities, extensions=twice),
        lambda: client.key_package(capabilities=capabilities, leaf_extensions=twice),
        lambda: commit(ann, [change_extensions(twice)], now=NOW),
        lambda: commit(ann, [reinit(b"new", party.crypto.suite.cipher_suite, twice)], now=NOW),
    ):
        with pytest.raises(ValidationError) as caught:
            make()
        assert caught.value.code == "duplicate-extension"


@pytest.mark.rule("10-06", "10-02")
def test_a_key_package(party: Party) -> None:
    client = party.client("new")
    packages = [
        create_key_package(
            party.crypto,
            credential=basic_credential(b"new"),
            signature_key=client.signature_key,
            capabilities=client.capabilities,
            lifetime=LIFETIME,
        ).key_package
        for _ in range(3)
    ]
    assert all(package.leaf_node.leaf_node_source == LeafNodeSource.key_package for package in packages)
    assert len({package.init_key for package in packages}) == 3


# -- proposals


@pytest.mark.rule("7.3-06", "10.1-05")
@pytest.mark.parametrize(
    ("lifetime", "now", "code"),
    [
        (Lifetime(not_before=0, not_after=NOW - 1), NOW, "outside-lifetime"),
        (Lifetime(not_before=NOW + 1, not_after=NOW + 2), NOW, "outside-lifetime"),
    ],
)
def test_nobody_is_proposed_whose_leaf_is_outside_its_lifetime(
    party: Party, lifetime: Lifetime, now: int, code: str
) -> None:
    package = party.client("new").key_package(lifetime=lifetime).key_package
    with pytest.raises(ValidationError) as caught:
        propose(party.groups["ann"], add(package), now=now)
    assert caught.value.code == code
    with pytest.raises(ValidationError) as caught:
        commit(party.groups["ann"], [add(package)], now=now)
    assert caught.value.code == code
    propose(party.groups["ann"], add(package), now=None)


@pytest.mark.rule("10.1-05")
def test_no_key_package_is_proposed_that_is_not_valid(party: Party) -> None:
    package = replace(party.client("new").key_package().key_package, signature=bytes(64))
    for now in (NOW, None):
        with pytest.raises(MLSError) as caught:
            propose(party.groups["ann"], add(package), now=now)
        assert caught.value.code == "bad-signature"


@pytest.mark.rule("12.1.8-01")
def test_outsiders_send_public_messages(party: Party) -> None:
    own = party.client("new").key_package()
    key = party.client("service").signature_key
    body = remove(LeafIndex(1))
    for message in (
        propose_to_be_added(party.crypto, GROUP_ID, 1, own),
        propose_from_outside(party.crypto, GROUP_ID, 1, 0, key, body),
    ):
        decoded = decode_message(message)
        assert isinstance(decoded, PublicMessage)
        assert decoded.membership_tag is None


@pytest.mark.rule("12.2-13", "13.2-01")
def test_proposals_of_unknown_types(party: Party) -> None:
    for unknown in (0x0A0A, 0xF123):
        with pytest.raises(UsageError):
            Proposal(proposal_type=ProposalType(unknown), proposal=Remove(removed=1)).encode()
        octets = unknown.to_bytes(2, "big") + remove(LeafIndex(1)).encode()[2:]
        with pytest.raises(MLSError) as caught:
            Proposal.decode(octets)
        assert caught.value.code == "malformed"


@pytest.mark.rule("12.2-05")
def test_of_several_proposals_for_one_leaf_a_remove_or_the_latest_update_is_committed(party: Party) -> None:
    party.propose_update("ben")
    latest = party.propose_update("ben")
    party.propose_update("cat")
    party.propose("dan", remove(party.leaf("cat")))
    party.propose("ben", remove(party.leaf("cat")))
    party.propose_update("cat")
    update = party.groups["ben"].own_updates[latest]
    pending = party.commit("ann")
    assert [leaf for leaf, _ in pending.removed] == [2]
    assert party.groups["ben"].own_leaf_node.encryption_key == update.encryption_key.public_key


@pytest.mark.rule("12.2-11")
def test_other_proposals_are_committed_before_a_reinit(party: Party) -> None:
    party.propose("ben", reinit(b"new", party.crypto.suite.cipher_suite))
    party.propose("cat", remove(party.leaf("dan")))
    party.commit("ann")
    assert list(party.groups) == ["ann", "ben", "cat"]
    assert party.groups["ann"].reinit is None
    party.propose("ben", reinit(b"new", party.crypto.suite.cipher_suite))
    party.commit("ann")
    assert party.groups["cat"].reinit is not None


# -- commits


@pytest.mark.rule("12.4.1-01")
def test_a_path_is_made_where_it_is_needed(party: Party) -> None:
    for proposals in ([], [remove(party.leaf("cat"))], [change_extensions([])]):
        made = commit(party.groups["ann"], proposals, now=NOW, path=False, wire_format=PUBLIC)
        assert body_of(made.message).path is not None
        assert isinstance(receive(party.groups["dan"], made.message, now=NOW), CommitMessage)
    party.propose_update("ben", PUBLIC)
    made = commit(party.groups["ann"], now=NOW, path=False, wire_format=PUBLIC)
    assert len(body_of(made.message).proposals) == 1
    assert body_of(made.message).path is not None


def known(party: Party, name: bytes) -> Proposal:
    party.psks.setdefault(name, b"secret of " + name)
    psk = ExternalPSK(psk_id=name)
    nonce = party.crypto.random(party.crypto.Nh)
    return pre_shared_key(PreSharedKeyID(psktype=PSKType.external, psk=psk, psk_nonce=nonce))


@pytest.mark.rule("12.4-05")
def test_a_path_may_be_left_out(party: Party) -> None:
    new = party.client("new").key_package().key_package
    for proposals in ([add(new)], [known(party, b"one")], [reinit(b"x", party.crypto.suite.cipher_suite)]):
        ann = party.groups["ann"]
        made = commit(ann, proposals, now=NOW, path=False, psks=party.look_up, wire_format=PUBLIC)
        assert body_of(made.message).path is None
        received = receive(party.groups["ben"], made.message, now=NOW, psks=party.look_up)
        assert isinstance(received, CommitMessage)
        assert received.group.epoch_authenticator == made.group.epoch_authenticator


@pytest.mark.rule("8.4-01", "12.4.1-03")
def test_a_welcome_names_the_psks_of_its_commit_in_their_order(party: Party) -> None:
    first, second, third = (known(party, name) for name in (b"one", b"two", b"three"))
    own = party.client("new").key_package()
    before = party.groups["ann"]
    made = commit(
        before, [third, first, add(own.key_package), second], now=NOW, psks=party.look_up, wire_format=PUBLIC
    )
    opened = open_welcome(party.crypto, welcome_of(made.welcome), own, party.look_up)
    expected = tuple(body.proposal.psk for body in (third, first, second))  # type: ignore[union-attr]
    assert opened.group_secrets.psks == expected
    joined = join(party.crypto, welcome_of(made.welcome), own, now=NOW, psks=party.look_up)
    received = receive(party.groups["ben"], made.message, now=NOW, psks=party.look_up)
    assert isinstance(received, CommitMessage)
    assert joined.epoch_authenticator == received.group.epoch_authenticator == made.group.epoch_authenticator
    # All three count.
    for name in party.psks:
        others = psk_lookup({**party.psks, name: b"another"})
        with pytest.raises(MLSError) as caught:
            receive(party.groups["ben"], made.message, now=NOW, psks=others)
        assert caught.value.code == "bad-confirmation-tag"


@pytest.mark.rule("7.5-04", "7.6-01")
def test_path_secrets_are_not_sealed_to_new_members(party: Party) -> None:
    party.commit("ann")
    owns = [party.client(f"new {number}").key_package() for number in range(3)]
    made = commit(party.groups["ann"], [add(own.key_package) for own in owns], now=NOW, wire_format=PUBLIC)
    path = body_of(made.message).path
    assert isinstance(path, UpdatePath)
    # Ben; Cat and Dan, below a blank parent; and in the new half nobody but the new members.
    assert [len(node.encrypted_path_secret) for node in path.nodes] == [1, 2, 0]
    for own in owns:
        joined = join(party.crypto, welcome_of(made.welcome), own, now=NOW)
        assert joined.epoch_authenticator == made.group.epoch_authenticator


@pytest.mark.rule("12.4.1-04", "12.4.1-05")
def test_each_new_member_is_welcomed_with_the_keys_above_it_and_the_committer(party: Party) -> None:
    owns: dict[LeafIndex, OwnKeyPackage] = {}
    packages = [party.client(f"new {number}").key_package() for number in range(3)]
    for path in (True, False):
        proposals = [add(own.key_package) for own in packages]
        made = commit(party.groups["ann"], proposals, now=NOW, path=path)
        owns = dict(zip(made.added, packages, strict=True))
        assert list(owns) == [4, 5, 6]
        for leaf, own in owns.items():
            group = join(party.crypto, welcome_of(made.welcome), own, now=NOW)
            meeting = common_ancestor(node_of(leaf), node_of(made.group.own_leaf))
            assert set(group.private_keys) == ({node_of(leaf), meeting} if path else {node_of(leaf)})
            assert encode_tree(group.tree) == encode_tree(made.group.tree)


@pytest.mark.rule("7.1-01", "12.1.1-02")
def test_unmerged_leaves_are_in_order(party: Party) -> None:
    party.add("ann", "eve")
    party.remove("eve", "ben", "dan")
    party.commit("cat")
    party.commit("eve")
    party.commit("ann")
    tree = party.groups["ann"].tree
    top = tree.root
    assert tree.parent_at(top) is not None
    party.add("cat", *(f"new {number}" for number in range(3)), path=False)
    party.add("eve", "last", path=False)
    parent = party.groups["ann"].tree.parent_at(top)
    assert parent is not None
    assert parent.unmerged_leaves == (1, 3, 5, 6)
    for name in party.groups:
        party.commit(name)


@pytest.mark.rule("14-02", "12.4.2-07")
def test_making_or_refusing_a_commit_changes_nothing(party: Party) -> None:
    ann, ben = party.groups["ann"], party.groups["ben"]
    before = encode_group(ann), encode_group(ben)
    made = commit(ann, [remove(party.leaf("cat"))], now=NOW, wire_format=PUBLIC)
    broken = bytearray(made.message)
    broken[-1] ^= 1
    with pytest.raises(MLSError):
        receive(ben, bytes(broken), now=NOW)
    received = receive(ben, made.message, now=NOW)
    assert isinstance(received, CommitMessage)
    assert (encode_group(ann), encode_group(ben)) == before
    # Who made it can still follow another one.
    other = commit(ben, now=NOW)
    assert isinstance(receive(ann, other.message, now=NOW), CommitMessage)


@pytest.mark.rule("12.4.2-08")
def test_nothing_is_proposed_in_a_group_that_has_ended(party: Party) -> None:
    party.commit("ann", [reinit(b"new", party.crypto.suite.cipher_suite)])
    with pytest.raises(StateError) as caught:
        propose(party.groups["ben"], remove(party.leaf("cat")))
    assert caught.value.code == "group-ended"


@pytest.mark.rule("12.4.2-09")
@pytest.mark.parametrize("wire_format", [PUBLIC, WireFormat.mls_private_message])
def test_who_is_removed_learns_it_from_the_commit(party: Party, wire_format: WireFormat) -> None:
    made = commit(party.groups["ann"], [remove(party.leaf("cat"))], now=NOW, wire_format=wire_format)
    received = receive(party.groups["cat"], made.message, now=NOW)
    assert received == RemovedMessage(
        sender=party.leaf("ann"),
        epoch=party.groups["cat"].epoch + 1,
        # What tells this commit from another of the same epoch, and equal to what the members have.
        confirmed_transcript_hash=made.group.context.confirmed_transcript_hash,
    )


@pytest.mark.rule("8.1-01")
def test_what_a_commit_changes_in_the_context(party: Party) -> None:
    for path in (True, False):
        before = party.groups["ann"].context
        party.add("ann", f"new {path}", path=path)
        after = party.groups["ben"].context
        assert (after.group_id, after.version, after.cipher_suite) == (
            before.group_id,
            before.version,
            before.cipher_suite,
        )
        assert after.epoch == before.epoch + 1
        assert after.extensions == before.extensions
        assert after.tree_hash == tree_hash(party.crypto, party.groups["ben"].tree) != before.tree_hash
        assert after.confirmed_transcript_hash != before.confirmed_transcript_hash


@pytest.mark.rule("15.2-02")
def test_data_after_a_commit_is_of_its_epoch(party: Party) -> None:
    before = party.groups["ann"].epoch
    assert party.read("ben", party.send("ann", b"one")).epoch == before
    party.commit("cat")
    received = party.read("ben", party.send("ann", b"two"))
    assert (received.epoch, received.generation) == (before + 1, 0)


# -- PSKs and ratchets


def resumption(group: Group, epoch: int, nonce: bytes) -> PreSharedKeyID:
    psk = ResumptionPSK(usage=ResumptionPSKUsage.application, psk_group_id=group.group_id, psk_epoch=epoch)
    return PreSharedKeyID(psktype=PSKType.resumption, psk=psk, psk_nonce=nonce)


@pytest.mark.rule("8.4-04")
def test_more_psks_than_can_be_counted(party: Party) -> None:
    group = party.groups["ann"]
    ids = [resumption(group, group.epoch, number.to_bytes(32, "big")) for number in range(1 << 16)]
    check_psk_ids(party.crypto, ids[:-1])
    with pytest.raises(ValidationError) as caught:
        check_psk_ids(party.crypto, ids)
    assert caught.value.code == "too-many-psks"


@pytest.mark.rule("8.6-01")
def test_resumption_psks_are_kept_for_a_number_of_epochs(party: Party) -> None:
    first = party.groups["ann"].epoch
    for _ in range(DEFAULT_RETENTION.epochs):
        party.commit("cat")
    ann = party.groups["ann"]
    for epoch in (first, ann.epoch):
        commit(ann, [pre_shared_key(resumption(ann, epoch, bytes(32)))], now=NOW)
    party.commit("cat")
    ann = party.groups["ann"]
    with pytest.raises(ValidationError) as caught:
        commit(ann, [pre_shared_key(resumption(ann, first, bytes(32)))], now=NOW)
    assert caught.value.code == "unknown-psk"


@pytest.mark.rule("9.1-01", "15.2-01")
def test_a_ratchet_that_has_come_to_its_end_seals_nothing(suite_1: Crypto) -> None:
    # A generation is a uint32, and so is the one that follows it, which a stored state has. One that came round again
    # would use a key twice.
    last = HashRatchet(bytes(32), 2**32 - 2)
    last, generation, _ = last.take_next(suite_1)
    assert generation == 2**32 - 2
    with pytest.raises(StateError) as caught:
        last.take_next(suite_1)
    assert caught.value.code == "ratchet-exhausted"
