"""Following a group without its secrets, as a delivery service does."""

import pytest

from mls_federation.codec import replace
from mls_federation.crypto import CipherSuite, Crypto, crypto
from mls_federation.errors import (
    DecodeError,
    EpochError,
    UnsupportedError,
    ValidationError,
    VerificationError,
)
from mls_federation.mls import (
    OwnKeyPackage,
    PublicGroup,
    WireFormat,
    add,
    commit,
    decode_public_group,
    encode_public_group,
    follow,
    group_info,
    join_by_external_commit,
    observe,
    propose,
    propose_update,
    receive,
    reinit,
    remove,
)
from mls_federation.mls.nodes import ProtocolVersion
from mls_federation.mls.proposals import Proposal
from tests.support.forge import forge_commit
from tests.support.pair import NOW, Party

PUBLIC = WireFormat.mls_public_message


def follower(party: Party) -> PublicGroup:
    return follow(party.crypto, group_info(party.groups["ann"]), now=NOW)


def test_it_reaches_what_the_members_reach(suite_1: Crypto) -> None:
    party = Party(suite_1, "ann", "ben", "cat")
    group = follower(party)
    dan = party.client("dan").key_package()
    steps: tuple[tuple[str, list[Proposal], dict[str, OwnKeyPackage]], ...] = (
        ("ben", [add(dan.key_package)], {"dan": dan}),
        ("ann", [], {}),
        ("dan", [remove(party.leaf("cat"))], {}),
    )
    for by, proposals, joining in steps:
        pending = party.commit(by, proposals, joining=joining, wire_format=PUBLIC)
        followed = observe(group, pending.message, now=NOW)
        group = followed.group
        assert group.context == party.groups["ann"].context
        assert group.interim_transcript_hash == party.groups["ann"].interim_transcript_hash
        assert followed.added == pending.added
        assert followed.removed == tuple(leaf for leaf, _ in pending.removed)
        assert followed.updated == (party.leaf(by),)
        assert followed.committer == party.leaf(by)
        assert followed.confirmation_tag == party.groups["ann"].confirmation_tag
        assert not followed.from_outside


def test_it_follows_proposals_and_external_commits(suite_1: Crypto) -> None:
    party = Party(suite_1, "ann", "ben", "cat")
    group = follower(party)
    sent = propose(party.groups["ben"], remove(party.leaf("cat")), wire_format=PUBLIC)
    group = observe(group, sent.message, now=NOW).group
    party.groups["ben"] = sent.group
    for name in ("ann", "cat"):
        party.groups[name] = receive(party.groups[name], sent.message, now=NOW).group  # type: ignore[union-attr]
    group = observe(group, party.commit("ann", wire_format=PUBLIC).message, now=NOW).group
    info = group_info(party.groups["ann"], with_external_pub=True)
    pending = join_by_external_commit(suite_1, info, party.client("dan").key_package(), now=NOW)
    party.deliver_commit("dan", pending)
    followed = observe(group, pending.message, now=NOW)
    assert followed.added == pending.added == (followed.committer,)
    assert followed.from_outside
    assert followed.updated == ()
    assert followed.group.context == party.groups["ann"].context


def test_it_tells_who_was_updated_and_what_the_group_begins_anew_as(suite_1: Crypto) -> None:
    party = Party(suite_1, "ann", "ben")
    group = follower(party)
    sent = propose_update(party.groups["ben"], wire_format=PUBLIC)
    group = observe(group, sent.message, now=NOW).group
    party.groups["ben"] = sent.group
    party.groups["ann"] = receive(party.groups["ann"], sent.message, now=NOW).group  # type: ignore[union-attr]
    followed = observe(group, party.commit("ann", wire_format=PUBLIC).message, now=NOW)
    assert followed.updated == (party.leaf("ben"), party.leaf("ann"))
    assert followed.reinit is None
    again = reinit(b"another", suite_1.suite.cipher_suite, ())
    ended = party.commit("ann", [again], path=False, wire_format=PUBLIC)
    followed = observe(followed.group, ended.message, now=NOW)
    assert followed.reinit == again.proposal
    assert followed.updated == ()


def test_what_is_stored_of_a_followed_group_goes_on_where_it_stopped(suite_1: Crypto) -> None:
    party = Party(suite_1, "ann", "ben", "cat")
    group = follower(party)
    for by in ("ann", "cat"):
        sent = propose_update(party.groups["ben"], wire_format=PUBLIC)
        group = decode_public_group(suite_1.provider, encode_public_group(group))
        assert observe(group, sent.message, now=NOW).group.proposals
        group = observe(group, party.commit(by, wire_format=PUBLIC).message, now=NOW).group
        assert group.context == party.groups["ann"].context
        assert decode_public_group(suite_1.provider, encode_public_group(group)).context == group.context


def test_a_stored_group_that_cannot_be_read(suite_1: Crypto) -> None:
    data = encode_public_group(follower(Party(suite_1, "ann", "ben")))
    with pytest.raises(UnsupportedError) as refused:
        decode_public_group(suite_1.provider, b"\0\2" + data[2:])
    assert refused.value.code == "unknown-state-version"
    for end in (0, 1, len(data) - 1):
        with pytest.raises(DecodeError):
            decode_public_group(suite_1.provider, data[:end])


@pytest.mark.rule("12.2-03", "12.4-02")
def test_what_members_refuse_it_refuses(suite_1: Crypto) -> None:
    party = Party(suite_1, "ann", "ben", "eve")
    group = follower(party)
    forged = forge_commit(party.groups["eve"], [remove(party.leaf("eve"))])
    with pytest.raises(ValidationError) as refused:
        observe(group, forged, now=NOW)
    assert refused.value.code == "committer-removed"


@pytest.mark.rule("12.4.2-01")
def test_it_reads_neither_private_messages_nor_other_epochs(suite_1: Crypto) -> None:
    party = Party(suite_1, "ann", "ben")
    group = follower(party)
    with pytest.raises(UnsupportedError):
        observe(group, commit(party.groups["ann"], now=NOW).message, now=NOW)
    message = commit(party.groups["ann"], now=NOW, wire_format=PUBLIC).message
    group = observe(group, message, now=NOW).group
    with pytest.raises(EpochError):
        observe(group, message, now=NOW)


def test_a_changed_commit_is_refused(suite_1: Crypto) -> None:
    party = Party(suite_1, "ann", "ben")
    group = follower(party)
    message = bytearray(commit(party.groups["ann"], now=NOW, wire_format=PUBLIC).message)
    message[-40] ^= 1  # in the confirmation tag, which it cannot check
    observe(group, bytes(message), now=NOW)
    message[len(message) // 2] ^= 1
    with pytest.raises(VerificationError):
        observe(group, bytes(message), now=NOW)


@pytest.mark.rule("12.4.3.1-06")
def test_a_group_of_another_suite_or_version_is_not_followed(suite_1: Crypto) -> None:
    party = Party(suite_1, "ann", "ben")
    info = group_info(party.groups["ann"])
    chacha = crypto(suite_1.provider, CipherSuite.MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_Ed25519)
    with pytest.raises(ValidationError) as refused:
        follow(chacha, info, now=NOW)
    assert refused.value.code == "wrong-cipher-suite"
    later = replace(info, group_context=replace(info.group_context, version=ProtocolVersion(2)))
    with pytest.raises(UnsupportedError):
        follow(suite_1, later, now=NOW)
