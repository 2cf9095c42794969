"""What an external commit must be (§12.2, §12.4.3.2): each rule, by the code of its error, for members and followers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from mls_federation.codec import replace
from mls_federation.crypto import Crypto, hpke
from mls_federation.errors import MLSError, UsageError
from mls_federation.mls import (
    CommitMessage,
    Group,
    OwnKeyPackage,
    WireFormat,
    add,
    decode_message,
    follow,
    group_info,
    join_by_external_commit,
    mls_message,
    observe,
    pre_shared_key,
    propose,
    receive,
    reinit,
    remove,
)
from mls_federation.mls.commit import Commit, ProposalOrRef, UpdatePath, by_reference, by_value
from mls_federation.mls.extensions import ExtensionType, ExternalPub, find_extension
from mls_federation.mls.framing import (
    AuthenticatedContent,
    ContentType,
    FramedContentAuthData,
    PrivateMessage,
    PublicMessage,
    Sender,
    SenderType,
    sign_content,
)
from mls_federation.mls.key_schedule import received_init_secret, sent_init_secret
from mls_federation.mls.nodes import LeafNodeSource, sign_leaf_node
from mls_federation.mls.proposals import ExternalInit, GroupContextExtensions, Proposal, Update, proposal
from mls_federation.mls.protection import protect_private
from mls_federation.mls.psk import ExternalPSK, PreSharedKeyID, PSKType
from mls_federation.mls.tree_math import LeafIndex
from tests.support.pair import NOW, Party

PUBLIC = WireFormat.mls_public_message
JOINER = Sender(sender_type=SenderType.new_member_commit, index=None)


@pytest.fixture
def party(suite_1: Crypto) -> Party:
    party = Party(suite_1, "ann", "ben", "cat")
    party.psks[b"known"] = b"secret"
    return party


def honest(party: Party, own: OwnKeyPackage, replacing: LeafIndex | None = None) -> PublicMessage:
    info = group_info(party.groups["ann"], with_external_pub=True)
    pending = join_by_external_commit(party.crypto, info, own, now=NOW, replacing=replacing)
    message = decode_message(pending.message)
    assert isinstance(message, PublicMessage)
    return message


def body_of(message: PublicMessage) -> Commit:
    assert isinstance(message.content.content, Commit)
    return message.content.content


def signed(
    party: Party, own: OwnKeyPackage, message: PublicMessage, body: Commit, sender: Sender = JOINER
) -> bytes:
    """`message` with another body, signed by the joiner. Its confirmation tag is that of the honest one."""
    content = replace(message.content, content=body, sender=sender)
    group = party.groups["ann"]
    signature = sign_content(party.crypto, own.signature_key, PUBLIC, content, group.context)
    auth = FramedContentAuthData(
        content_type=ContentType.commit,
        signature=signature,
        confirmation_tag=message.auth.confirmation_tag,
    )
    return mls_message(PublicMessage(content=content, auth=auth, membership_tag=None)).encode()


def refused(party: Party, forged: bytes, code: str) -> None:
    group = follow(party.crypto, group_info(party.groups["ann"]), now=NOW)
    for name in ("ann", "ben"):
        with pytest.raises(MLSError) as caught:
            receive(party.groups[name], forged, now=NOW, psks=party.look_up)
        assert caught.value.code == code
    with pytest.raises(MLSError) as caught:
        observe(group, forged, now=NOW)
    assert caught.value.code == code
    party.commit("cat")


def external_init(party: Party) -> Proposal:
    info = group_info(party.groups["ann"], with_external_pub=True)
    data = find_extension(info.extensions, ExtensionType.external_pub)
    assert data is not None
    kem_output, _ = sent_init_secret(party.crypto, ExternalPub.decode(data).external_pub)
    return proposal(ExternalInit(kem_output=kem_output))


def known_psk() -> Proposal:
    psk = PreSharedKeyID(psktype=PSKType.external, psk=ExternalPSK(psk_id=b"known"), psk_nonce=bytes(32))
    return pre_shared_key(psk)


def update_of_ann(party: Party) -> Proposal:
    leaf = replace(party.groups["ann"].own_leaf_node, leaf_node_source=LeafNodeSource.update, source=None)
    return proposal(Update(leaf_node=leaf))


Changed = Callable[[Party, list[Proposal]], Sequence[Proposal]]
LISTS = {
    "no ExternalInit": ("12.2-15", "external-init-missing", lambda _, honest: honest[1:]),
    "two ExternalInits": (
        "12.2-15",
        "external-init-missing",
        lambda party, honest: [*honest, external_init(party)],
    ),
    "nothing at all": ("12.2-15", "external-init-missing", lambda _, __: []),
    "two Removes": (
        "12.2-16",
        "external-commit-proposals",
        lambda party, honest: [*honest, remove(party.leaf("ben")), remove(party.leaf("cat"))],
    ),
    "an Add": (
        "12.2-19",
        "external-commit-proposals",
        lambda party, honest: [*honest, add(party.client("eve").key_package().key_package)],
    ),
    "an Update": (
        "12.2-19",
        "external-commit-proposals",
        lambda party, honest: [*honest, update_of_ann(party)],
    ),
    "new group extensions": (
        "12.2-19",
        "external-commit-proposals",
        lambda _, honest: [*honest, proposal(GroupContextExtensions(extensions=()))],
    ),
    "a ReInit": (
        "12.2-19",
        "external-commit-proposals",
        lambda party, honest: [*honest, reinit(b"new", party.crypto.suite.cipher_suite)],
    ),
    "one PSK twice": ("12.2-08", "duplicate-psk", lambda _, honest: [*honest, known_psk(), known_psk()]),
    "a Remove of a blank leaf": (
        "12.1.3-01",
        "not-a-member",
        lambda _, honest: [*honest, remove(LeafIndex(3))],
    ),
}


@pytest.mark.parametrize(
    ("code", "change"),
    [
        pytest.param(code, change, marks=pytest.mark.rule(rule), id=name)
        for name, (rule, code, change) in LISTS.items()
    ],
)
def test_lists_of_proposals(party: Party, code: str, change: Changed) -> None:
    own = party.client("dan").key_package()
    message = honest(party, own)
    body = body_of(message)
    proposals = [item.proposal_or_ref for item in body.proposals]
    changed = change(party, [item for item in proposals if isinstance(item, Proposal)])
    refused(
        party,
        signed(party, own, message, replace(body, proposals=tuple(by_value(item) for item in changed))),
        code,
    )


@pytest.mark.rule("12.2-19")
def test_psks_may_stand_beside_the_external_init(party: Party) -> None:
    own = party.client("dan").key_package()
    info = group_info(party.groups["ann"], with_external_pub=True)
    psk = known_psk().proposal
    pending = join_by_external_commit(
        party.crypto,
        info,
        own,
        now=NOW,
        psk_ids=[psk.psk],  # type: ignore[union-attr]
        psks=party.look_up,
    )
    received = receive(party.groups["ben"], pending.message, now=NOW, psks=party.look_up)
    assert isinstance(received, CommitMessage)
    assert received.group.epoch_authenticator == pending.group.epoch_authenticator


@pytest.mark.rule("12.4.3.2-02")
def test_a_proposal_by_reference(party: Party) -> None:
    sent = propose(party.groups["cat"], remove(party.leaf("ben")), wire_format=PUBLIC)
    party.groups["cat"] = sent.group
    for name in ("ann", "ben"):
        party.groups[name] = receive(party.groups[name], sent.message, now=NOW).group  # type: ignore[union-attr]
    (ref,) = sent.group.proposals
    own = party.client("dan").key_package()
    message = honest(party, own)
    body = body_of(message)
    items: tuple[ProposalOrRef, ...] = (*body.proposals, by_reference(ref))
    forged = signed(party, own, message, replace(body, proposals=items))
    group = follow(party.crypto, group_info(party.groups["ann"]), now=NOW)
    group = observe(group, sent.message, now=NOW).group
    for check in (
        lambda: receive(party.groups["ann"], forged, now=NOW),
        lambda: observe(group, forged, now=NOW),
    ):
        with pytest.raises(MLSError) as caught:
            check()
        assert caught.value.code == "external-commit-proposals"


@pytest.mark.rule("12.4.3.2-01", "6.1-05")
def test_without_a_path(party: Party) -> None:
    own = party.client("dan").key_package()
    message = honest(party, own)
    refused(party, signed(party, own, message, replace(body_of(message), path=None)), "sender-not-allowed")


@pytest.mark.rule("12.4.3.2-03", "6.1-05")
def test_signed_by_another_key_than_the_paths(party: Party) -> None:
    own, other = (party.client(name).key_package() for name in ("dan", "eve"))
    message = honest(party, own)
    refused(party, signed(party, other, message, body_of(message)), "bad-signature")


@pytest.mark.rule("12.4.3.2-05", "6.1-04", "6.1-06")
@pytest.mark.parametrize("sender_type", [SenderType.external, SenderType.new_member_proposal])
def test_sent_as_somebody_else(party: Party, sender_type: SenderType) -> None:
    own = party.client("dan").key_package()
    message = honest(party, own)
    sender = Sender(sender_type=sender_type, index=0 if sender_type == SenderType.external else None)
    refused(party, signed(party, own, message, body_of(message), sender=sender), "sender-not-allowed")


@pytest.mark.rule("6.1-05")
def test_a_new_member_who_commits_sends_nothing_else(party: Party) -> None:
    own = party.client("dan").key_package()
    content = replace(
        honest(party, own).content,
        content_type=ContentType.proposal,
        content=add(own.key_package),
        sender=JOINER,
    )
    signature = sign_content(party.crypto, own.signature_key, PUBLIC, content, party.groups["ann"].context)
    auth = FramedContentAuthData(
        content_type=ContentType.proposal, signature=signature, confirmation_tag=None
    )
    forged = PublicMessage(content=content, auth=auth, membership_tag=None)
    refused(party, mls_message(forged).encode(), "sender-not-allowed")


def with_leaf(party: Party, own: OwnKeyPackage, message: PublicMessage, **changes: object) -> bytes:
    """The commit with another leaf in its path, signed by its owner for the place that it gets."""
    body, group = body_of(message), party.groups["ann"]
    path = body.path
    assert path is not None
    tree = group.tree.copy()
    for item in body.proposals:
        if isinstance(item.proposal_or_ref, Proposal) and hasattr(item.proposal_or_ref.proposal, "removed"):
            tree.remove_leaf(LeafIndex(item.proposal_or_ref.proposal.removed))
    leaf = sign_leaf_node(
        party.crypto,
        own.signature_key,
        replace(path.leaf_node, **changes),
        group.group_id,
        tree.leftmost_blank_leaf(),
    )
    changed: UpdatePath = replace(path, leaf_node=leaf)
    return signed(party, own, message, replace(body, path=changed))


@pytest.mark.rule("12.2-17", "7.3-10")
def test_a_former_leafs_key_again(party: Party) -> None:
    own = party.client("ben").key_package()
    message = honest(party, own, replacing=party.leaf("ben"))
    old = party.groups["ben"].own_leaf_node.encryption_key
    forged = with_leaf(party, own, message, encryption_key=old)
    with pytest.raises(MLSError) as caught:
        receive(party.groups["ann"], forged, now=NOW)
    assert caught.value.code == "key-reuse"
    group = follow(party.crypto, group_info(party.groups["ann"]), now=NOW)
    with pytest.raises(MLSError) as caught:
        observe(group, forged, now=NOW)
    assert caught.value.code == "key-reuse"


@pytest.mark.rule("12.4.2-03", "7.3-11")
def test_a_leaf_that_was_not_made_for_a_commit(party: Party) -> None:
    own = party.client("dan").key_package()
    forged = with_leaf(party, own, honest(party, own), leaf_node_source=LeafNodeSource.update, source=None)
    refused(party, forged, "wrong-leaf-source")


@pytest.mark.rule("12.4.2-06", "6.1-07")
def test_a_wrong_confirmation_tag(party: Party) -> None:
    # A follower cannot check it.
    own = party.client("dan").key_package()
    message = honest(party, own)
    message = replace(message, auth=replace(message.auth, confirmation_tag=bytes(32)))
    with pytest.raises(MLSError) as caught:
        receive(party.groups["ann"], signed(party, own, message, body_of(message)), now=NOW)
    assert caught.value.code == "bad-confirmation-tag"


@pytest.mark.rule("12.4.3.2-04", "8.3-01")
def test_another_init_secret_than_the_senders(party: Party) -> None:
    own = party.client("dan").key_package()
    message = honest(party, own)
    body = body_of(message)
    other = replace(body, proposals=(by_value(external_init(party)),))
    with pytest.raises(MLSError) as caught:
        receive(party.groups["ann"], signed(party, own, message, other), now=NOW)
    assert caught.value.code == "bad-confirmation-tag"


@pytest.mark.rule("8.3-01")
def test_how_the_init_secret_is_made(party: Party) -> None:
    # No official vector has an external commit, so the label and the form of the export are held against HPKE's here.
    keys = party.crypto.generate_key_pair()
    kem_output, sent = sent_init_secret(party.crypto, keys.public_key)
    suite = party.crypto.suite
    context = hpke.setup_base_receiver(party.crypto.provider, suite, kem_output, keys, b"")
    expected = context.export(b"MLS 1.0 external init secret", 32)
    assert sent == received_init_secret(party.crypto, keys, kem_output) == expected


@pytest.mark.rule("12.4.3.2-06")
def test_the_joiner_takes_the_leftmost_blank_leaf(suite_1: Crypto) -> None:
    party = Party(suite_1, "ann", "ben", "cat", "dan")
    party.remove("ann", "cat")
    party.remove("ann", "ben")
    assert honest_leaf(party, "eve") == 1
    party.add("ann", "ben")
    assert honest_leaf(party, "eve") == 2
    party.add("ann", "cat")
    assert honest_leaf(party, "eve") == 4


def honest_leaf(party: Party, name: str) -> LeafIndex:
    """Where members say that the joiner is."""
    info = group_info(party.groups["ann"], with_external_pub=True)
    own = party.client(name).key_package()
    pending = join_by_external_commit(party.crypto, info, own, now=NOW)
    received = receive(party.groups["dan"], pending.message, now=NOW)
    assert isinstance(received, CommitMessage)
    assert received.added == (received.sender,) == (pending.group.own_leaf,)
    return received.sender


@pytest.mark.rule("6.3.2-01", "12.1.8-01")
def test_only_members_send_private_messages(party: Party) -> None:
    group: Group = party.groups["ann"]
    content = replace(
        honest(party, party.client("dan").key_package()).content,
        sender=Sender(sender_type=SenderType.external, index=0),
    )
    auth = FramedContentAuthData(content_type=ContentType.commit, signature=b"", confirmation_tag=b"")
    message = AuthenticatedContent(wire_format=WireFormat.mls_private_message, content=content, auth=auth)
    with pytest.raises(UsageError):
        protect_private(party.crypto, group.secrets, group.secret_tree, message)
    assert not isinstance(honest(party, party.client("dan").key_package()), PrivateMessage)
