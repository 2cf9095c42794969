"""Message protection (§6): nothing in a message can be changed, moved or sent in another's name."""

from __future__ import annotations

from typing import Any

import pytest

from mls_federation.codec import replace
from mls_federation.crypto import Crypto
from mls_federation.errors import (
    DecodeError,
    EpochError,
    MLSError,
    RemoteError,
    UnsupportedError,
    UsageError,
    ValidationError,
    VerificationError,
)
from mls_federation.mls import (
    ApplicationMessage,
    WireFormat,
    add,
    commit,
    decode_message,
    group_info,
    mls_message,
    propose_update,
    receive,
)
from mls_federation.mls.framing import (
    ContentType,
    FramedContentAuthData,
    MLSMessage,
    PrivateContentAAD,
    PrivateMessage,
    PrivateMessageContent,
    PublicMessage,
    Sender,
    SenderData,
    SenderDataAAD,
    SenderType,
    member,
)
from mls_federation.mls.nodes import ProtocolVersion
from mls_federation.mls.padding import fixed_padding
from mls_federation.mls.protection import (
    authenticate,
    framed_content,
    protect_private,
    protect_public,
    sender_data_key,
)
from mls_federation.mls.secret_tree import RatchetKind
from tests.support.forge import send_framed
from tests.support.pair import NOW, Party


@pytest.fixture
def party(suite_1: Crypto) -> Party:
    return Party(suite_1, "ann", "ben", "cat")


def private_message(party: Party) -> PrivateMessage:
    message = decode_message(party.send("ann", b"the message", padding=fixed_padding(3)))
    assert isinstance(message, PrivateMessage)
    return message


def public_message(party: Party) -> PublicMessage:
    sent = propose_update(party.groups["ann"], wire_format=WireFormat.mls_public_message)
    message = decode_message(sent.message)
    assert isinstance(message, PublicMessage)
    return message


def refuse(party: Party, message: Any, code: str, error: type[MLSError] = MLSError) -> None:
    """Ben refuses a message, with this code."""
    with pytest.raises(error) as caught:
        receive(party.groups["ben"], mls_message(message).encode(), now=NOW)
    assert caught.value.code == code


# -- every octet counts


@pytest.mark.rule("6.3.1-06")
def test_no_octet_of_a_private_message_can_be_changed(party: Party) -> None:
    assert_every_octet_counts(party, party.send("ann", b"the message"))


@pytest.mark.rule("6.2-02")
def test_no_octet_of_a_public_message_can_be_changed(party: Party) -> None:
    assert_every_octet_counts(party, mls_message(public_message(party)).encode())


def test_no_octet_of_a_commit_can_be_changed(party: Party) -> None:
    for wire_format in (WireFormat.mls_private_message, WireFormat.mls_public_message):
        assert_every_octet_counts(
            party, commit(party.groups["ann"], now=NOW, wire_format=wire_format).message
        )


def assert_every_octet_counts(party: Party, message: bytes) -> None:
    group = party.groups["ben"]
    receive(group, message, now=NOW)
    for place in range(len(message)):
        changed = message[:place] + bytes([message[place] ^ 1 << place % 8]) + message[place + 1 :]
        with pytest.raises(RemoteError):
            receive(group, changed, now=NOW)
    for cut in (message[:-1], message + b"\x00", b""):
        with pytest.raises(DecodeError):
            receive(group, cut, now=NOW)


# -- private messages, field by field


@pytest.mark.rule("6-04", "6.3.1-06", "12.4.2-01")
def test_private_messages(party: Party) -> None:
    message = private_message(party)
    refuse(party, replace(message, group_id=b"another"), "wrong-group", EpochError)
    refuse(party, replace(message, epoch=message.epoch - 1), "epoch-forgotten", EpochError)
    refuse(party, replace(message, epoch=message.epoch + 1), "future-epoch", EpochError)
    refuse(party, replace(message, epoch=2**64 - 1), "future-epoch", EpochError)
    refuse(party, replace(message, content_type=ContentType.proposal), "decryption-failed", VerificationError)
    refuse(party, replace(message, authenticated_data=b"x"), "decryption-failed", VerificationError)
    refuse(party, replace(message, encrypted_sender_data=b""), "decryption-failed", VerificationError)
    refuse(party, replace(message, ciphertext=b""), "decryption-failed", VerificationError)
    other = private_message(party)
    refuse(
        party,
        replace(message, encrypted_sender_data=other.encrypted_sender_data),
        "decryption-failed",
        VerificationError,
    )
    receive(party.groups["ben"], mls_message(message).encode(), now=NOW)


@pytest.mark.rule("6.3.2-02")
def test_sender_data_of_nobody(party: Party) -> None:
    for leaf in (3, 4, 2**32 - 1):
        refuse(party, sealed_by(party, leaf=leaf), "not-a-member", ValidationError)


def test_sender_data_of_another_member(party: Party) -> None:
    refuse(party, sealed_by(party, leaf=party.leaf("cat")), "decryption-failed", VerificationError)


@pytest.mark.rule("15.3-01")
def test_a_generation_too_far(party: Party) -> None:
    refuse(party, sealed_by(party, generation=1001), "generation-too-far", ValidationError)
    refuse(party, sealed_by(party, generation=2**32 - 1), "generation-too-far", ValidationError)


def sealed_by(party: Party, *, leaf: int | None = None, generation: int = 0) -> PrivateMessage:
    """A message of Ann's whose sender data says something else."""
    group, message = party.groups["ann"], private_message(party)
    key = sender_data_key(party.crypto, group.secrets.sender_data_secret, message.ciphertext)
    aad = SenderDataAAD(group_id=message.group_id, epoch=message.epoch, content_type=message.content_type)
    sender = group.own_leaf if leaf is None else leaf
    data = SenderData(leaf_index=sender, generation=generation, reuse_guard=bytes(4))
    sealed = party.crypto.aead_seal(key.key, key.nonce, aad.encode(), data.encode())
    return replace(message, encrypted_sender_data=sealed)


@pytest.mark.rule("6.3.1-02")
def test_padding_is_all_zeros(party: Party) -> None:
    for padding, code in ((b"\x00\x00\x01", "bad-padding"), (b"\x01", "bad-padding")):
        refuse(party, with_padding(party, padding), code, ValidationError)
    receive(party.groups["ben"], mls_message(with_padding(party, bytes(300))).encode(), now=NOW)


def test_contents_that_are_malformed(party: Party) -> None:
    for plaintext in (b"", b"\xc0", b"\x05abc"):
        refuse(party, with_plaintext(party, plaintext), "malformed", DecodeError)


def with_padding(party: Party, padding: bytes) -> PrivateMessage:
    """A message of Ann's that is right but for its padding."""
    group = party.groups["ann"]
    framed = framed_content(group.context, member(group.own_leaf), ContentType.application, b"data", b"")
    signed = authenticate(
        party.crypto, group.signature_key, WireFormat.mls_private_message, framed, group.context
    )
    content = PrivateMessageContent(
        content_type=ContentType.application, content=b"data", auth=signed.auth, padding=padding
    )
    return with_plaintext(party, content.encode())


def with_plaintext(party: Party, plaintext: bytes) -> PrivateMessage:
    """A message of Ann's with any plaintext, sealed as the first of its epoch."""
    group = party.groups["ann"]
    _, generation, key = group.secret_tree.take_next(party.crypto, group.own_leaf, RatchetKind.application)
    place: dict[str, Any] = {
        "group_id": group.group_id,
        "epoch": group.epoch,
        "content_type": ContentType.application,
    }
    aad = PrivateContentAAD(**place, authenticated_data=b"").encode()
    ciphertext = party.crypto.aead_seal(key.key, key.nonce, aad, plaintext)
    data = SenderData(leaf_index=group.own_leaf, generation=generation, reuse_guard=bytes(4))
    data_key = sender_data_key(party.crypto, group.secrets.sender_data_secret, ciphertext)
    sealed = party.crypto.aead_seal(
        data_key.key, data_key.nonce, SenderDataAAD(**place).encode(), data.encode()
    )
    return PrivateMessage(
        **place, authenticated_data=b"", encrypted_sender_data=sealed, ciphertext=ciphertext
    )


# -- public messages, field by field


@pytest.mark.rule("6-04", "6.2-02", "12.1-02")
def test_public_messages(party: Party) -> None:
    message = public_message(party)
    content = message.content

    def changed(**changes: Any) -> PublicMessage:
        return replace(message, content=replace(content, **changes))

    refuse(party, changed(group_id=b"another"), "wrong-group", EpochError)
    refuse(party, changed(epoch=content.epoch - 1), "wrong-epoch", EpochError)
    refuse(party, changed(epoch=content.epoch + 1), "future-epoch", EpochError)
    refuse(party, changed(authenticated_data=b"x"), "bad-membership-tag", VerificationError)
    refuse(party, changed(sender=member(party.leaf("cat"))), "bad-membership-tag", VerificationError)
    refuse(party, replace(message, membership_tag=b""), "bad-membership-tag", VerificationError)
    other = FramedContentAuthData(
        content_type=content.content_type, signature=bytes(64), confirmation_tag=None
    )
    refuse(party, replace(message, auth=other), "bad-membership-tag", VerificationError)
    receive(party.groups["ben"], mls_message(message).encode(), now=NOW)


@pytest.mark.rule("6-01", "6-02")
def test_application_data_is_never_public(party: Party) -> None:
    group = party.groups["ann"]
    framed = framed_content(group.context, member(group.own_leaf), ContentType.application, b"data", b"")
    signed = authenticate(
        party.crypto, group.signature_key, WireFormat.mls_public_message, framed, group.context
    )
    with pytest.raises(UsageError):
        protect_public(party.crypto, group.secrets.membership_key, signed, group.context)
    forged = PublicMessage(content=framed, auth=signed.auth, membership_tag=bytes(32))
    refuse(party, forged, "public-application", ValidationError)


@pytest.mark.rule("6.1-01", "6.2-03", "6.3.1-05", "12.1-01")
def test_only_a_members_key_makes_a_signature(party: Party) -> None:
    stranger = party.client("stranger").signature_key.private_key
    framed = public_message(party).content
    for wire_format in (WireFormat.mls_public_message, WireFormat.mls_private_message):
        forged = send_framed(party.groups["ann"], framed, wire_format, signature_key=stranger)
        with pytest.raises(VerificationError) as caught:
            receive(party.groups["ben"], forged, now=NOW)
        assert caught.value.code == "bad-signature"


@pytest.mark.rule("6.1-01", "6.2-03")
def test_a_member_cannot_speak_for_another(party: Party) -> None:
    # Cat has the membership key and every secret of the epoch, but not Ann's signature key.
    framed = public_message(party).content
    forged = send_framed(party.groups["cat"], framed)
    with pytest.raises(VerificationError) as caught:
        receive(party.groups["ben"], forged, now=NOW)
    assert caught.value.code == "bad-signature"


@pytest.mark.rule("6.1-02")
def test_a_signature_is_for_one_epoch_and_one_wire_format(party: Party) -> None:
    ann = party.groups["ann"]
    framed = public_message(party).content
    elsewhere = replace(ann.context, tree_hash=bytes(32))
    signed = authenticate(party.crypto, ann.signature_key, WireFormat.mls_public_message, framed, elsewhere)
    refuse(
        party,
        protect_public(party.crypto, ann.secrets.membership_key, signed, ann.context),
        "bad-signature",
        VerificationError,
    )
    signed = authenticate(party.crypto, ann.signature_key, WireFormat.mls_public_message, framed, ann.context)
    moved = replace(signed, wire_format=WireFormat.mls_private_message)
    _, private = protect_private(party.crypto, ann.secrets, ann.secret_tree, moved)
    refuse(party, private, "bad-signature", VerificationError)


@pytest.mark.rule("6.1-04", "6.1-05", "6.1-06", "12.1.8-03")
@pytest.mark.parametrize(
    ("sender_type", "index"),
    [(SenderType.external, 0), (SenderType.new_member_proposal, None), (SenderType.new_member_commit, None)],
)
def test_senders_from_outside(party: Party, sender_type: SenderType, index: int | None) -> None:
    # An Update is for members alone.
    message = public_message(party)
    content = replace(message.content, sender=Sender(sender_type=sender_type, index=index))
    outside = replace(message, content=content, membership_tag=None)
    refuse(party, outside, "sender-not-allowed", ValidationError)


@pytest.mark.rule("12.1.8-02")
def test_an_external_sender_whom_the_group_does_not_name(party: Party) -> None:
    body = add(party.client("new").key_package().key_package)
    message = public_message(party)
    sender = Sender(sender_type=SenderType.external, index=0)
    content = replace(message.content, sender=sender, content=body)
    refuse(party, replace(message, content=content, membership_tag=None), "unknown-sender", ValidationError)


@pytest.mark.rule("12.1-02")
def test_late_messages_of_those_who_are_gone(party: Party) -> None:
    late = [
        propose_update(party.groups["cat"], wire_format=wire_format).message
        for wire_format in (WireFormat.mls_public_message, WireFormat.mls_private_message)
    ]
    party.remove("ann", "cat")
    for message in late:
        with pytest.raises(EpochError) as caught:
            receive(party.groups["ben"], message, now=NOW)
        assert caught.value.code == "wrong-epoch"


def test_a_blank_leaf_sends_nothing(party: Party) -> None:
    framed = replace(public_message(party).content, sender=member(3))
    forged = decode_message(send_framed(party.groups["ann"], framed))
    refuse(party, forged, "not-a-member", ValidationError)


# -- what is no message of the group


def test_other_messages(party: Party) -> None:
    ann = party.groups["ann"]
    package = party.client("new").key_package().key_package
    welcome = party.add("ann", "dan").welcome
    assert welcome is not None
    for message in (mls_message(package), mls_message(group_info(ann)), MLSMessage.decode(welcome)):
        with pytest.raises(UnsupportedError) as caught:
            receive(party.groups["ben"], message.encode(), now=NOW)
        assert caught.value.code == "unexpected-message"


@pytest.mark.rule("6-03")
def test_another_version(party: Party) -> None:
    message = replace(MLSMessage.decode(party.send("ann", b"data")), version=ProtocolVersion(0x0002))
    with pytest.raises(UnsupportedError) as caught:
        receive(party.groups["ben"], message.encode(), now=NOW)
    assert caught.value.code == "unsupported-version"


def test_an_unknown_wire_format(party: Party) -> None:
    message = party.send("ann", b"data")
    with pytest.raises(DecodeError) as caught:
        receive(party.groups["ben"], message[:2] + b"\x0a\x0a" + message[4:], now=NOW)
    assert (caught.value.struct, caught.value.field) == ("MLSMessage", "message")


@pytest.mark.rule("9.2-04")
def test_a_failure_spends_no_key(party: Party) -> None:
    message = party.send("ann", b"data")
    broken = message[:-1] + bytes([message[-1] ^ 1])
    for _ in range(3):
        with pytest.raises(VerificationError):
            party.read("ben", broken)
    received = party.read("ben", message)
    assert isinstance(received, ApplicationMessage)
    assert received.data == b"data"


@pytest.mark.rule("6.3.1-04")
def test_two_messages_of_one_state_have_different_nonces(party: Party) -> None:
    # A state that was restored from a backup sends with a key that was used; the reuse guard softens that (§6.3.1).
    before = party.groups["ann"]
    one = private_message(party)
    party.groups["ann"] = before
    other = private_message(party)
    assert one.ciphertext != other.ciphertext
