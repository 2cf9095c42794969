"""Who may replace whom: the application's word on new credentials of members, and on external commits that remove (§5.3.1, §12.2)."""

from collections.abc import Callable

import pytest

from mls_federation.codec import replace
from mls_federation.crypto import Crypto
from mls_federation.errors import ValidationError
from mls_federation.mls import (
    CommitMessage,
    Group,
    GroupInfo,
    PendingCommit,
    ProposalMessage,
    SuccessorCheck,
    WireFormat,
    commit,
    follow,
    group_info,
    join_by_external_commit,
    observe,
    propose,
    receive,
    same_identity,
)
from mls_federation.mls.credentials import Credential, basic_credential
from mls_federation.mls.nodes import LeafNodeSource, sign_leaf_node
from mls_federation.mls.proposals import Proposal, Update, proposal
from mls_federation.mls.tree_math import LeafIndex
from tests.support.forge import forge_commit, path_with_leaf, valid_path
from tests.support.pair import NOW, Party

# Each gets a message and a policy, and returns once it is accepted.
Receiver = Callable[[Party, bytes, SuccessorCheck], None]


@pytest.fixture
def party(suite_1: Crypto) -> Party:
    return Party(suite_1, "ann", "ben", "cat")


def shown(party: Party) -> GroupInfo:
    return group_info(party.groups["ann"], with_external_pub=True)


def by_a_member(party: Party, message: bytes, check: SuccessorCheck) -> None:
    received = receive(party.groups["ann"], message, now=NOW, check_successor=check)
    assert isinstance(received, CommitMessage)


def by_a_follower(party: Party, message: bytes, check: SuccessorCheck) -> None:
    observe(follow(party.crypto, shown(party), now=NOW), message, now=NOW, check_successor=check)


RECEIVERS = pytest.mark.parametrize("receiver", [by_a_member, by_a_follower])


def anybody(_: Credential, __: Credential) -> None:
    """An application that lets everybody replace everybody."""


def nobody(_: Credential, __: Credential) -> None:
    raise ValidationError("nobody is replaced here", code="our-own-code")


def joining(party: Party, name: str, replacing: LeafIndex | None) -> PendingCommit:
    """`name` joins by an external commit that it does not judge itself."""
    own = party.client(name).key_package()
    return join_by_external_commit(
        party.crypto, shown(party), own, now=NOW, replacing=replacing, check_successor=anybody
    )


def assert_refused(
    receiver: Receiver, party: Party, message: bytes, check: SuccessorCheck, code: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        receiver(party, message, check)
    assert caught.value.code == code


# -- external commits


@pytest.mark.rule("12.2-18")
@RECEIVERS
def test_an_external_commit_may_remove_a_leaf_of_the_same_identity(party: Party, receiver: Receiver) -> None:
    message = joining(party, "ben", party.leaf("ben")).message
    receiver(party, message, same_identity)
    assert_refused(receiver, party, message, nobody, "our-own-code")


@pytest.mark.rule("12.2-18")
@RECEIVERS
def test_an_external_commit_may_not_remove_somebody_else(party: Party, receiver: Receiver) -> None:
    message = joining(party, "eve", party.leaf("ben")).message
    assert_refused(receiver, party, message, same_identity, "not-a-successor")
    receiver(party, message, anybody)


@RECEIVERS
def test_an_external_commit_that_removes_nobody_replaces_nobody(party: Party, receiver: Receiver) -> None:
    receiver(party, joining(party, "eve", None).message, nobody)


@pytest.mark.rule("12.2-18")
def test_the_default_is_that_the_identity_stays(party: Party) -> None:
    message = joining(party, "eve", party.leaf("ben")).message
    for refused in (
        lambda: receive(party.groups["ann"], message, now=NOW),
        lambda: observe(follow(party.crypto, shown(party), now=NOW), message, now=NOW),
        lambda: join_by_external_commit(
            party.crypto,
            shown(party),
            party.client("eve").key_package(),
            now=NOW,
            replacing=party.leaf("ben"),
        ),
    ):
        with pytest.raises(ValidationError) as caught:
            refused()
        assert caught.value.code == "not-a-successor"


def test_the_check_is_given_both_credentials(party: Party) -> None:
    asked: list[tuple[Credential, Credential]] = []
    message = joining(party, "eve", party.leaf("ben")).message
    by_a_member(party, message, lambda old, new: asked.append((old, new)))
    assert asked == [(basic_credential(b"ben"), basic_credential(b"eve"))]


# -- members who take on another credential


@pytest.mark.rule("5.3.1-07")
@RECEIVERS
def test_a_commit_with_another_credential(party: Party, receiver: Receiver) -> None:
    ben = party.groups["ben"]
    path = valid_path(ben)
    renamed = path_with_leaf(ben, path, replace(path.leaf_node, credential=basic_credential(b"benjamin")))
    message = forge_commit(ben, [], renamed)
    assert_refused(receiver, party, message, same_identity, "not-a-successor")


def renaming_update(group: Group) -> Proposal:
    """An Update with another name."""
    leaf = replace(
        group.own_leaf_node,
        credential=basic_credential(b"benjamin"),
        encryption_key=group.crypto.generate_key_pair().public_key,
        leaf_node_source=LeafNodeSource.update,
        source=None,
    )
    return proposal(
        Update(
            leaf_node=sign_leaf_node(group.crypto, group.signature_key, leaf, group.group_id, group.own_leaf)
        )
    )


@pytest.mark.rule("5.3.1-07")
def test_an_update_with_another_credential(party: Party) -> None:
    sent = propose(
        party.groups["ben"], renaming_update(party.groups["ben"]), wire_format=WireFormat.mls_public_message
    )
    follower = follow(party.crypto, shown(party), now=NOW)
    follower = observe(follower, sent.message, now=NOW).group
    for name in ("ann", "cat"):
        received = receive(party.groups[name], sent.message, now=NOW)
        assert isinstance(received, ProposalMessage)
        party.groups[name] = received.group

    left_out = commit(party.groups["cat"], now=NOW, wire_format=WireFormat.mls_public_message)
    assert left_out.group.tree.member(party.leaf("ben")).credential == basic_credential(b"ben")
    taken = commit(
        party.groups["cat"], now=NOW, wire_format=WireFormat.mls_public_message, check_successor=anybody
    )
    for refused in (
        lambda: receive(party.groups["ann"], taken.message, now=NOW),
        lambda: observe(follower, taken.message, now=NOW),
    ):
        with pytest.raises(ValidationError) as caught:
            refused()
        assert caught.value.code == "not-a-successor"
    received = receive(party.groups["ann"], taken.message, now=NOW, check_successor=anybody)
    assert isinstance(received, CommitMessage)
    followed = observe(follower, taken.message, now=NOW, check_successor=anybody)
    assert received.group.context == followed.group.context
