"""RFC 9420, feature by feature, where no other file is about it alone: that each does what it is for, seen by every member."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator

import pytest

from mls_federation.codec import encode_vector, replace
from mls_federation.crypto import Crypto
from mls_federation.errors import EpochError, ValidationError, VerificationError
from mls_federation.mls import (
    CommitMessage,
    Group,
    PublicMessage,
    Welcome,
    WireFormat,
    add,
    change_extensions,
    commit,
    create_group,
    decode_message,
    find_key_package,
    follow,
    group_info,
    join,
    join_by_external_commit,
    key_package_ref,
    observe,
    pre_shared_key,
    psk_lookup,
    receive,
    reinit,
    remove,
    verify_key_package,
)
from mls_federation.mls.commit import Commit
from mls_federation.mls.credentials import CredentialType, basic_credential
from mls_federation.mls.extensions import (
    Extension,
    ExtensionType,
    ExternalSender,
    ProposalType,
    RequiredCapabilities,
    find_extension,
)
from mls_federation.mls.proposals import ExternalInit, Proposal
from mls_federation.mls.psk import ExternalPSK, PreSharedKeyID, PSKType, ResumptionPSK, ResumptionPSKUsage
from mls_federation.mls.secret_tree import MAX_FORWARD, MAX_SKIPPED
from tests.support.pair import GROUP_ID, NOW, Party, join_by, new_client

# What every member's new group is after a proposal has been committed, in one value.
Effect = Callable[[Party, Group], object]

PSK = ExternalPSK(psk_id=b"a PSK")
EXTERNAL_SENDERS = Extension(
    extension_type=ExtensionType.external_senders,
    extension_data=encode_vector(
        [ExternalSender(signature_key=bytes(32), credential=basic_credential(b"a service"))]
    ),
)


@pytest.fixture
def party(suite_1: Crypto) -> Party:
    party = Party(suite_1, "ann", "ben", "cat")
    party.psks[PSK.psk_id] = b"its secret"
    return party


def external(party: Party) -> PreSharedKeyID:
    return PreSharedKeyID(psktype=PSKType.external, psk=PSK, psk_nonce=party.crypto.random(party.crypto.Nh))


def names(group: Group) -> list[bytes]:
    return [getattr(member.leaf_node.credential.credential, "identity", b"") for member in group.members]


PROPOSALS: dict[ProposalType, tuple[Callable[[Party], Proposal], Effect, object]] = {
    ProposalType.remove: (
        lambda party: remove(party.leaf("cat")),
        lambda _, group: names(group),
        [b"ann", b"ben"],
    ),
    ProposalType.psk: (lambda party: pre_shared_key(external(party)), lambda _, group: group.epoch, 2),
    ProposalType.reinit: (
        lambda party: reinit(b"a new one", party.crypto.suite.cipher_suite),
        lambda _, group: group.reinit and group.reinit.group_id,
        b"a new one",
    ),
    ProposalType.group_context_extensions: (
        lambda _: change_extensions([EXTERNAL_SENDERS]),
        lambda _, group: group.context.extensions,
        (EXTERNAL_SENDERS,),
    ),
}


# -- all proposal types


@pytest.mark.parametrize("reference", [False, True], ids=["by value", "by reference"])
@pytest.mark.parametrize("kind", PROPOSALS, ids=lambda kind: kind.name)
def test_the_other_proposals(party: Party, kind: ProposalType, reference: bool) -> None:
    make, effect, expected = PROPOSALS[kind]
    body = make(party)
    assert body.proposal_type == kind
    if reference:
        party.propose("ben", body)
    party.commit("ann", [] if reference else [body])
    assert [effect(party, group) for group in party.groups.values()] == [expected] * len(party.groups)


@pytest.mark.parametrize("reference", [False, True], ids=["by value", "by reference"])
def test_add_proposals(party: Party, reference: bool) -> None:
    own = party.client("dan").key_package()
    if reference:
        party.propose("ben", add(own.key_package))
    party.commit("ann", [] if reference else [add(own.key_package)], joining={"dan": own})
    for group in party.groups.values():
        assert names(group) == [b"ann", b"ben", b"cat", b"dan"]


def test_update_proposals(party: Party) -> None:
    before = party.groups["ann"].tree.member(party.leaf("ben"))
    party.propose_update("ben")
    party.commit("ann")
    for group in party.groups.values():
        after = group.tree.member(party.leaf("ben"))
        assert after.encryption_key != before.encryption_key
        assert after.signature_key == before.signature_key


def test_external_init_proposals(party: Party) -> None:
    info = group_info(party.groups["ann"], with_external_pub=True)
    pending = join_by_external_commit(party.crypto, info, party.client("dan").key_package(), now=NOW)
    message = decode_message(pending.message)
    assert isinstance(message, PublicMessage)
    assert isinstance(message.content.content, Commit)
    (only,) = message.content.content.proposals
    assert isinstance(only.proposal_or_ref, Proposal)
    assert isinstance(only.proposal_or_ref.proposal, ExternalInit)
    received = receive(party.groups["ann"], pending.message, now=NOW)
    assert isinstance(received, CommitMessage)
    assert received.group.epoch_authenticator == pending.group.epoch_authenticator


def test_these_are_all_proposal_types() -> None:
    others = {ProposalType.add, ProposalType.update, ProposalType.external_init}
    assert others | set(PROPOSALS) == set(ProposalType)


def test_proposals_are_applied_in_the_rfcs_order_whatever_theirs_is(party: Party) -> None:
    """§12.3: GroupContextExtensions, Updates, Removes, Adds, PSKs."""
    required = RequiredCapabilities(
        extension_types=(), proposal_types=(), credential_types=(CredentialType.basic,)
    )
    demand = Extension(extension_type=ExtensionType.required_capabilities, extension_data=required.encode())
    party.propose_update("ben")
    dan, gone = party.client("dan").key_package(), party.leaf("cat")
    pending = party.commit(
        "ann",
        [
            pre_shared_key(external(party)),
            add(dan.key_package),
            remove(gone),
            change_extensions([demand]),
        ],
        joining={"dan": dan},
    )
    assert pending.added == (gone,)  # the Add came first in the list, and yet has the place of who is removed
    assert party.groups["dan"].context.extensions == (demand,)
    assert names(party.groups["ben"]) == [b"ann", b"ben", b"dan"]


# -- PSKs


def test_external_psks(party: Party) -> None:
    pending = commit(party.groups["ann"], [pre_shared_key(external(party))], now=NOW, psks=party.look_up)
    received = receive(party.groups["ben"], pending.message, now=NOW, psks=party.look_up)
    assert isinstance(received, CommitMessage)
    assert received.group.epoch_authenticator == pending.group.epoch_authenticator
    with pytest.raises(ValidationError) as unknown:
        receive(party.groups["ben"], pending.message, now=NOW)
    assert unknown.value.code == "unknown-psk"
    with pytest.raises(VerificationError) as wrong:
        receive(party.groups["ben"], pending.message, now=NOW, psks=psk_lookup({PSK.psk_id: b"another"}))
    assert wrong.value.code == "bad-confirmation-tag"


@pytest.mark.parametrize("past", [0, 1, 2, 3])
def test_resumption_psks(party: Party, past: int) -> None:
    epoch = party.groups["ann"].epoch
    for _ in range(past):
        party.commit("cat")
    psk = ResumptionPSK(usage=ResumptionPSKUsage.application, psk_group_id=GROUP_ID, psk_epoch=epoch)
    nonce = party.crypto.random(party.crypto.Nh)
    party.commit(
        "ben", [pre_shared_key(PreSharedKeyID(psktype=PSKType.resumption, psk=psk, psk_nonce=nonce))]
    )


# -- extensions


def test_required_capabilities(suite_1: Crypto) -> None:
    private = ExtensionType(0xF001)
    required = RequiredCapabilities(
        extension_types=(private, ExtensionType.application_id),
        proposal_types=tuple(ProposalType),
        credential_types=(CredentialType.basic,),
    )
    demand = Extension(extension_type=ExtensionType.required_capabilities, extension_data=required.encode())
    plain = new_client(suite_1, "dan")
    able = replace(plain.capabilities, extensions=(private,))
    party = Party(suite_1, "ann", "ben", extensions=(demand,), capabilities=able)
    party.add("ben", "cat")
    with pytest.raises(ValidationError) as caught:
        commit(party.groups["ann"], [add(plain.key_package().key_package)], now=NOW)
    assert caught.value.code == "missing-capability"
    with pytest.raises(ValidationError) as caught:
        create_group(suite_1, b"g", plain.key_package(), (demand,))
    assert caught.value.code == "missing-capability"
    info = group_info(party.groups["ann"], with_external_pub=True)
    with pytest.raises(ValidationError) as caught:
        join_by_external_commit(suite_1, info, plain.key_package(), now=NOW)
    assert caught.value.code == "missing-capability"


def test_application_id(party: Party) -> None:
    """§5.3.3: the application's own name of a client, in its leaf; nobody needs to list the type."""
    named = Extension(extension_type=ExtensionType.application_id, extension_data=b"phone 7")
    own = party.client("dan").key_package(leaf_extensions=[named])
    party.commit("ann", [add(own.key_package)], joining={"dan": own})
    for name in ("dan", "ben"):
        party.commit(name)
        for group in party.groups.values():
            leaf = group.tree.member(party.leaf("dan"))
            assert find_extension(leaf.extensions, ExtensionType.application_id) == b"phone 7"
    assert find_extension(party.groups["ann"].own_leaf_node.extensions, ExtensionType.application_id) is None


def test_ratchet_tree_and_external_pub(party: Party) -> None:
    group = party.groups["ann"]
    for with_tree in (False, True):
        for with_external_pub in (False, True):
            info = group_info(group, with_tree=with_tree, with_external_pub=with_external_pub)
            tree = find_extension(info.extensions, ExtensionType.ratchet_tree)
            key = find_extension(info.extensions, ExtensionType.external_pub)
            assert (tree is not None, key is not None) == (with_tree, with_external_pub)


def test_last_resort_key_packages(suite_1: Crypto) -> None:
    """§16.8: one KeyPackage for several groups, marked so; each Welcome finds it, and opens with its keys."""
    mark = Extension(extension_type=ExtensionType.last_resort, extension_data=b"")
    own = new_client(suite_1, "dan").key_package(extensions=[mark])
    verify_key_package(suite_1, own.key_package, NOW)
    assert find_extension(own.key_package.extensions, ExtensionType.last_resort) == b""
    ref = key_package_ref(suite_1, own.key_package)
    joined = []
    for _ in range(2):
        party = Party(suite_1, "ann", "ben")
        pending = commit(party.groups["ann"], [add(own.key_package)], now=NOW)
        assert pending.welcome is not None
        welcome = decode_message(pending.welcome)
        assert isinstance(welcome, Welcome)
        assert find_key_package(welcome, [(ref, own)]) is own
        joined.append(join_by(suite_1, pending.welcome, own))
        assert joined[-1].epoch_authenticator == pending.group.epoch_authenticator
    # What is of the leaf alone is the same in both; a commit with a path parts them.
    assert joined[0].own_leaf_node == joined[1].own_leaf_node
    after = [commit(group, now=NOW).group for group in joined]
    assert after[0].own_leaf_node.encryption_key != after[1].own_leaf_node.encryption_key


# -- lifetimes


def test_lifetimes_are_checked_by_default_and_now_is_an_argument() -> None:
    """Nobody forgets the time: it must be said, if only that it is None."""
    for function in (commit, follow, join, join_by_external_commit, observe, receive, verify_key_package):
        assert inspect.signature(function).parameters["now"].default is inspect.Parameter.empty


# -- messages


def sent(party: Party, count: int) -> Iterator[bytes]:
    for number in range(count):
        yield party.send("ann", b"%d" % number)


def test_out_of_order_and_skipped_messages(party: Party) -> None:
    messages = list(sent(party, 20))
    for number in (19, 0, 7, 18, 3):
        received = party.read("ben", messages[number])
        assert (received.data, received.generation) == (b"%d" % number, number)


def test_how_many_skipped_messages_can_still_be_read(party: Party) -> None:
    """The bounds are stated, and are those of one sender's ratchet."""
    assert MAX_FORWARD == MAX_SKIPPED == 1000
    messages = list(sent(party, MAX_SKIPPED + 3))
    party.read("ben", messages[MAX_SKIPPED - 1])
    party.read("ben", messages[-1])
    # 1,001 were passed over; the oldest of them is gone.
    with pytest.raises(EpochError) as caught:
        party.read("ben", messages[0])
    assert caught.value.code == "replayed"
    for number in (1, 2, MAX_SKIPPED, MAX_SKIPPED + 1):
        assert party.read("ben", messages[number]).data == b"%d" % number


def test_how_far_a_generation_may_jump(party: Party) -> None:
    *_, within, beyond = sent(party, MAX_FORWARD + 2)
    with pytest.raises(ValidationError) as caught:
        party.read("ben", beyond)
    assert caught.value.code == "generation-too-far"
    assert party.read("ben", within).generation == MAX_FORWARD
    assert party.read("ben", beyond).generation == MAX_FORWARD + 1


def test_replays_are_rejected(party: Party) -> None:
    application, early = party.send("ann", b"data"), party.send("cat", b"of an epoch that ends")
    for message in (application, early):
        party.read("ben", message)
    for _ in range(2):
        for message in (application, early):
            with pytest.raises(EpochError) as caught:
                party.read("ben", message)
            assert caught.value.code == "replayed"
        party.commit("ann")


@pytest.mark.parametrize("wire_format", [WireFormat.mls_private_message, WireFormat.mls_public_message])
def test_own_echoed_messages_are_recognised(party: Party, wire_format: WireFormat) -> None:
    """Those of the present epoch, and the commit by which we ended the last one, if it was private."""
    data = party.send("ann", b"data")
    pending = commit(party.groups["ann"], now=NOW, wire_format=wire_format)
    echoed = {"present": [data, pending.message], "next": [data]}
    if wire_format == WireFormat.mls_private_message:
        echoed["next"].append(pending.message)
    for group, messages in ((party.groups["ann"], echoed["present"]), (pending.group, echoed["next"])):
        for message in messages:
            with pytest.raises(EpochError) as caught:
                receive(group, message, now=NOW)
            assert caught.value.code == "own-message"
