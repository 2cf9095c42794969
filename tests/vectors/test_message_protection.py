"""Official vectors: PublicMessage and PrivateMessage (§6.2, §6.3), theirs and new ones of ours."""

import dataclasses

import pytest

from mls_federation.crypto import CipherSuite, CryptoProvider, crypto
from mls_federation.errors import UsageError
from mls_federation.mls import key_schedule
from mls_federation.mls.commit import Commit
from mls_federation.mls.framing import (
    AnyContent,
    AuthenticatedContent,
    ContentType,
    PrivateMessage,
    PublicMessage,
    Sender,
    WireFormat,
    decode_message,
    member,
    mls_message,
)
from mls_federation.mls.group_context import GroupContext
from mls_federation.mls.key_schedule import EpochSecrets
from mls_federation.mls.nodes import ProtocolVersion
from mls_federation.mls.proposals import Proposal
from mls_federation.mls.protection import (
    authenticate,
    framed_content,
    protect_private,
    protect_public,
    unprotect_private,
    unprotect_public,
)
from mls_federation.mls.secret_tree import SecretTree, secret_tree
from tests.support.vector_files import Vector, verify_each

SENDER = 1
MEMBERS = 2


def test_message_protection(provider: CryptoProvider, cipher_suite: CipherSuite) -> None:
    verify_each("message-protection", provider, cipher_suite, verify)


class Epoch:
    """What a member knows of the vector's epoch."""

    def __init__(self, provider: CryptoProvider, vector: Vector) -> None:
        self.vector = vector
        self.crypto = crypto(provider, vector["cipher_suite"])
        self.context = GroupContext(
            version=ProtocolVersion.mls10,
            cipher_suite=self.crypto.suite.cipher_suite,
            group_id=self.octets("group_id"),
            epoch=vector["epoch"],
            tree_hash=self.octets("tree_hash"),
            confirmed_transcript_hash=self.octets("confirmed_transcript_hash"),
            extensions=(),
        )
        self.secrets: EpochSecrets = dataclasses.replace(
            key_schedule.secrets_from(self.crypto, bytes(self.crypto.Nh)),
            encryption_secret=self.octets("encryption_secret"),
            sender_data_secret=self.octets("sender_data_secret"),
            membership_key=self.octets("membership_key"),
        )

    def octets(self, name: str) -> bytes:
        return bytes.fromhex(self.vector[name])

    def secret_tree(self) -> SecretTree:
        return secret_tree(self.secrets.encryption_secret, MEMBERS)

    def signature_key_of(self, sender: Sender) -> bytes:
        assert sender == member(SENDER)
        return self.octets("signature_pub")

    def signed(
        self, wire_format: WireFormat, content_type: ContentType, content: AnyContent
    ) -> AuthenticatedContent:
        framed = framed_content(self.context, member(SENDER), content_type, content, b"some data")
        tag = bytes(self.crypto.Nh) if content_type == ContentType.commit else None
        return authenticate(
            self.crypto, self.octets("signature_priv"), wire_format, framed, self.context, tag
        )

    def open_public(self, message: PublicMessage) -> AuthenticatedContent:
        return unprotect_public(
            self.crypto, self.secrets.membership_key, message, self.context, self.signature_key_of
        )

    def open_private(self, message: PrivateMessage) -> AuthenticatedContent:
        opened = unprotect_private(
            self.crypto, self.secrets, self.secret_tree(), message, self.context, self.signature_key_of
        )
        return opened.message


def verify(provider: CryptoProvider, vector: Vector) -> None:
    epoch = Epoch(provider, vector)
    contents: list[tuple[str, ContentType, AnyContent]] = [
        ("proposal", ContentType.proposal, Proposal.decode(epoch.octets("proposal"))),
        ("commit", ContentType.commit, Commit.decode(epoch.octets("commit"))),
        ("application", ContentType.application, epoch.octets("application")),
    ]
    for name, content_type, content in contents:
        verify_public(epoch, name, content_type, content)
        verify_private(epoch, name, content_type, content)


def verify_public(epoch: Epoch, name: str, content_type: ContentType, content: AnyContent) -> None:
    signed = epoch.signed(WireFormat.mls_public_message, content_type, content)
    if content_type == ContentType.application:
        with pytest.raises(UsageError):
            protect_public(epoch.crypto, epoch.secrets.membership_key, signed, epoch.context)
        return
    theirs = decode_message(epoch.octets(f"{name}_pub"))
    assert isinstance(theirs, PublicMessage)
    assert epoch.open_public(theirs).content.content == content

    ours = protect_public(epoch.crypto, epoch.secrets.membership_key, signed, epoch.context)
    received = decode_message(mls_message(ours).encode())
    assert isinstance(received, PublicMessage)
    assert epoch.open_public(received) == signed


def verify_private(epoch: Epoch, name: str, content_type: ContentType, content: AnyContent) -> None:
    theirs = decode_message(epoch.octets(f"{name}_priv"))
    assert isinstance(theirs, PrivateMessage)
    assert epoch.open_private(theirs).content.content == content

    signed = epoch.signed(WireFormat.mls_private_message, content_type, content)
    for padding in (0, 1, 100):
        _, ours = protect_private(epoch.crypto, epoch.secrets, epoch.secret_tree(), signed, padding)
        received = decode_message(mls_message(ours).encode())
        assert isinstance(received, PrivateMessage)
        assert epoch.open_private(received) == signed
