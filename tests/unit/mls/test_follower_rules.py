"""What a follower without secrets refuses as members do (§6, §12): senders, signatures, epochs and lists of proposals.

What it cannot check is in `test_public_group`.
"""

from __future__ import annotations

import pytest

from mls_federation.codec import replace
from mls_federation.crypto import Crypto
from mls_federation.errors import DecodeError, MLSError, UnsupportedError
from mls_federation.mls import (
    MLSMessage,
    PublicGroup,
    PublicMessage,
    WireFormat,
    add,
    commit,
    decode_message,
    follow,
    group_info,
    mls_message,
    observe,
    propose,
    propose_to_be_added,
    receive,
    remove,
)
from mls_federation.mls.framing import (
    ContentType,
    Sender,
    SenderType,
    member,
)
from mls_federation.mls.key_package import key_package_tbs
from mls_federation.mls.nodes import ProtocolVersion
from mls_federation.mls.protection import authenticate, framed_content
from tests.support.forge import forge, forge_commit, send_framed, valid_path
from tests.support.pair import GROUP_ID, NOW, Party

from .test_proposal_rules import RULE_IDS, RULES, Rule

PUBLIC = WireFormat.mls_public_message


@pytest.fixture
def party(suite_1: Crypto) -> Party:
    """Eve keeps no rule."""
    party = Party(suite_1, "ann", "ben", "eve")
    party.psks[b"known"] = b"secret"
    return party


def follower(party: Party) -> PublicGroup:
    return follow(party.crypto, group_info(party.groups["ann"]), now=NOW)


def refused(party: Party, message: bytes, code: str, *, by_members: bool = True) -> None:
    with pytest.raises(MLSError) as caught:
        observe(follower(party), message, now=NOW)
    assert caught.value.code == code
    if by_members:
        with pytest.raises(MLSError) as caught:
            receive(party.groups["ann"], message, now=NOW)
        assert caught.value.code == code


# A follower cannot know which PSKs there are, nor proposals that were sent encrypted.
SEEN = {name: rule for name, rule in RULES.items() if rule.by_value and rule.code != "unknown-psk"}


@pytest.mark.parametrize(
    "rule",
    [
        pytest.param(rule, marks=pytest.mark.rule("12.2-01", *RULE_IDS.get(name, ())), id=name)
        for name, rule in SEEN.items()
    ],
)
def test_lists_of_proposals(party: Party, rule: Rule) -> None:
    forged = forge_commit(party.groups["eve"], rule.forge(party), valid_path(party.groups["eve"]))
    refused(party, forged, rule.code, by_members=False)


@pytest.mark.rule("6-02")
def test_application_data_in_the_open(party: Party) -> None:
    eve = party.groups["eve"]
    framed = framed_content(eve.context, member(eve.own_leaf), ContentType.application, b"data", b"")
    signed = authenticate(party.crypto, eve.signature_key, PUBLIC, framed, eve.context)
    forged = PublicMessage(content=framed, auth=signed.auth, membership_tag=bytes(32))
    refused(party, mls_message(forged).encode(), "public-application")


@pytest.mark.rule("6.1-01", "12.1-01")
def test_a_proposal_in_anothers_name(party: Party) -> None:
    ben = party.groups["ben"]
    content = framed_content(
        ben.context, member(ben.own_leaf), ContentType.proposal, remove(party.leaf("ann")), b""
    )
    refused(party, send_framed(party.groups["eve"], content), "bad-signature")
    stranger = party.client("stranger").signature_key.private_key
    forged = forge(party.groups["eve"], remove(party.leaf("ann")), signature_key=stranger)
    refused(party, forged, "bad-signature")


@pytest.mark.rule("6.1-02")
def test_a_signature_of_another_epoch(party: Party) -> None:
    eve = party.groups["eve"]
    content = framed_content(
        eve.context, member(eve.own_leaf), ContentType.proposal, remove(party.leaf("ann")), b""
    )
    elsewhere = replace(eve.context, tree_hash=bytes(32))
    with pytest.raises(MLSError) as caught:
        observe(follower(party), send_framed(eve, content, context=elsewhere), now=NOW)
    assert caught.value.code == "bad-signature"


@pytest.mark.rule("6-04", "12.4.2-01", "12.1-02")
def test_messages_of_another_group_or_epoch(party: Party) -> None:
    eve = party.groups["eve"]
    body = remove(party.leaf("ann"))
    content = framed_content(eve.context, member(eve.own_leaf), ContentType.proposal, body, b"")
    for changes, code in (
        ({"group_id": b"another"}, "wrong-group"),
        ({"epoch": eve.epoch - 1}, "wrong-epoch"),
    ):
        refused(party, send_framed(eve, replace(content, **changes)), code)
    early = send_framed(eve, replace(content, epoch=eve.epoch + 1))
    with pytest.raises(MLSError) as caught:
        observe(follower(party), early, now=NOW)
    assert caught.value.code in ("wrong-epoch", "future-epoch")
    # A proposal ends with its epoch, and so does the right to commit it.
    group = observe(follower(party), propose(eve, body, wire_format=PUBLIC).message, now=NOW).group
    assert len(group.proposals) == 1
    group = observe(group, commit(party.groups["ben"], now=NOW, wire_format=PUBLIC).message, now=NOW).group
    assert group.proposals == {}


@pytest.mark.rule("6.1-06")
def test_a_new_member_asks_for_itself(party: Party) -> None:
    own, other = (party.client(name).key_package() for name in ("dan", "other"))
    message = decode_message(propose_to_be_added(party.crypto, GROUP_ID, party.groups["ann"].epoch, own))
    assert isinstance(message, PublicMessage)
    for body, code in (
        (add(other.key_package), "bad-signature"),
        (remove(party.leaf("ben")), "sender-not-allowed"),
    ):
        content = replace(message.content, content=body)
        refused(party, mls_message(replace(message, content=content)).encode(), code)


@pytest.mark.rule("12.1.8-02", "6.1-03")
def test_an_external_sender_of_a_group_that_names_none(party: Party) -> None:
    message = decode_message(
        propose_to_be_added(
            party.crypto, GROUP_ID, party.groups["ann"].epoch, party.client("dan").key_package()
        )
    )
    assert isinstance(message, PublicMessage)
    sender = Sender(sender_type=SenderType.external, index=0)
    forged = replace(message, content=replace(message.content, sender=sender))
    refused(party, mls_message(forged).encode(), "unknown-sender")


@pytest.mark.rule("6-03")
def test_another_version(party: Party) -> None:
    sent = propose(party.groups["ben"], remove(party.leaf("eve")), wire_format=PUBLIC).message
    later = replace(MLSMessage.decode(sent), version=ProtocolVersion(2))
    refused(party, later.encode(), "unsupported-version")


@pytest.mark.rule("10-05", "10.1-01")
def test_a_key_package_of_another_version_than_its_message(party: Party) -> None:
    client = party.client("dan")
    package = replace(client.key_package().key_package, version=ProtocolVersion(2))
    tbs = key_package_tbs(package)
    signature = party.crypto.sign_with_label(client.signature_key.private_key, "KeyPackageTBS", tbs)
    package = replace(package, signature=signature)
    message = mls_message(package)
    # The other way round it is not even looked into.
    with pytest.raises(UnsupportedError):
        decode_message(replace(message, version=ProtocolVersion(2)).encode())
    received = decode_message(message.encode())
    with pytest.raises(UnsupportedError):
        commit(party.groups["ann"], [add(received)], now=NOW)  # type: ignore[arg-type]


@pytest.mark.rule("2.1-01", "12.2-13")
def test_a_proposal_of_an_unknown_type(party: Party) -> None:
    for unknown in (b"\x0a\x0a", b"\xf1\x23"):
        sent = forge(party.groups["eve"], remove(party.leaf("ben")))
        place = sent.index(remove(party.leaf("ben")).encode())
        changed = sent[:place] + unknown + sent[place + 2 :]
        with pytest.raises(DecodeError):
            observe(follower(party), changed, now=NOW)
        with pytest.raises(DecodeError):
            receive(party.groups["ann"], changed, now=NOW)
