"""Vectors of PublicMessage and PrivateMessage (§6.2, §6.3): their messages, and new ones of ours."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field

from ..crypto import CipherSuite, Crypto, CryptoProvider, crypto
from ..errors import UsageError
from ..mls import key_schedule
from ..mls.commit import Commit, by_value
from ..mls.framing import (
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
from ..mls.group_context import GroupContext
from ..mls.key_schedule import EpochSecrets
from ..mls.nodes import ProtocolVersion
from ..mls.padding import fixed_padding
from ..mls.proposals import Proposal, Remove, proposal
from ..mls.protection import (
    authenticate,
    framed_content,
    protect_private,
    protect_public,
    unprotect_private,
    unprotect_public,
)
from ..mls.secret_tree import SecretTree, secret_tree
from .entry import Entry, Family, Vector, VectorFormatError, VectorMismatch, check

_SENDER = 1
_MEMBERS = 2
_PADDINGS = (0, 1, 100)


@dataclass(frozen=True)
class _Epoch:
    """What a member knows of the entry's epoch, and the sender's signature key."""

    crypto: Crypto
    context: GroupContext
    secrets: EpochSecrets = field(repr=False)
    signature_priv: bytes = field(repr=False)
    signature_pub: bytes

    @property
    def secret_tree(self) -> SecretTree:
        """A fresh one: no key of it was used."""
        return secret_tree(self.secrets.encryption_secret, _MEMBERS)

    def signed(
        self, wire_format: WireFormat, content_type: ContentType, content: AnyContent
    ) -> AuthenticatedContent:
        """A message of the sender's. A commit's confirmation tag is of the right size, no more."""
        framed = framed_content(self.context, member(_SENDER), content_type, content, b"some data")
        tag = self.crypto.random(self.crypto.Nh) if content_type == ContentType.commit else None
        return authenticate(self.crypto, self.signature_priv, wire_format, framed, self.context, tag)

    def protect_public(self, message: AuthenticatedContent) -> PublicMessage:
        """Raises UsageError for application data."""
        return protect_public(self.crypto, self.secrets.membership_key, message, self.context)

    def protect_private(self, message: AuthenticatedContent, padding: int = 0) -> PrivateMessage:
        """With the first key of the sender's ratchet."""
        return protect_private(self.crypto, self.secrets, self.secret_tree, message, fixed_padding(padding))[
            1
        ]

    def opened(self, encoded: bytes, kind: type[PublicMessage | PrivateMessage]) -> AuthenticatedContent:
        """The verified message in an encoded MLSMessage of one of the two kinds."""
        message = decode_message(encoded)
        if not isinstance(message, kind):
            raise VectorFormatError(f"a {type(message).__name__} where a {kind.__name__} must be")
        if isinstance(message, PublicMessage):
            return unprotect_public(
                self.crypto, self.secrets.membership_key, message, self.context, self._signature_key_of
            )
        assert isinstance(message, PrivateMessage)
        return unprotect_private(
            self.crypto, self.secrets, self.secret_tree, message, self.context, self._signature_key_of
        ).message

    def _signature_key_of(self, sender: Sender) -> bytes:
        if sender != member(_SENDER):
            raise VectorFormatError(f"a message that is not from leaf {_SENDER}")
        return self.signature_pub


def verify(provider: CryptoProvider, entry: Entry) -> None:
    """Proposal, commit and application data, each sent in both ways by them and by us."""
    epoch = _epoch_of(
        entry.crypto(provider),
        entry.number("epoch", size=8),
        {name: entry.octets(name) for name in _OCTETS},
    )
    contents: list[tuple[str, ContentType, AnyContent]] = [
        ("proposal", ContentType.proposal, Proposal.decode(entry.octets("proposal"))),
        ("commit", ContentType.commit, Commit.decode(entry.octets("commit"))),
        ("application", ContentType.application, entry.octets("application")),
    ]
    for name, content_type, content in contents:
        if content_type == ContentType.application:
            _verify_never_public(epoch, name, content)
        else:
            _verify_public(epoch, entry, name, content_type, content)
        _verify_private(epoch, entry, name, content_type, content)


def _verify_never_public(epoch: _Epoch, name: str, content: AnyContent) -> None:
    signed = epoch.signed(WireFormat.mls_public_message, ContentType.application, content)
    try:
        epoch.protect_public(signed)
    except UsageError:
        return
    raise VectorMismatch(f"{name} as a PublicMessage", "a refusal", "a message")


def _verify_public(
    epoch: _Epoch, entry: Entry, name: str, content_type: ContentType, content: AnyContent
) -> None:
    theirs = epoch.opened(entry.octets(f"{name}_pub"), PublicMessage)
    check(f"content of {name}_pub", content, theirs.content.content)

    signed = epoch.signed(WireFormat.mls_public_message, content_type, content)
    ours = mls_message(epoch.protect_public(signed)).encode()
    check(f"{name} as a PublicMessage of ours", signed, epoch.opened(ours, PublicMessage))


def _verify_private(
    epoch: _Epoch, entry: Entry, name: str, content_type: ContentType, content: AnyContent
) -> None:
    theirs = epoch.opened(entry.octets(f"{name}_priv"), PrivateMessage)
    check(f"content of {name}_priv", content, theirs.content.content)

    signed = epoch.signed(WireFormat.mls_private_message, content_type, content)
    for padding in _PADDINGS:
        ours = mls_message(epoch.protect_private(signed, padding)).encode()
        check(f"{name} as a PrivateMessage of ours", signed, epoch.opened(ours, PrivateMessage))


def generate(provider: CryptoProvider, cipher_suite: CipherSuite, _: None) -> Vector:
    """An entry with random secrets."""
    suite = crypto(provider, cipher_suite)
    signer = suite.generate_signature_key()
    number = int.from_bytes(suite.random(4), "big")
    octets = {
        **{name: suite.random(suite.Nh) for name in _OCTETS},
        "signature_priv": signer.private_key,
        "signature_pub": signer.public_key,
    }
    epoch = _epoch_of(suite, number, octets)
    remove = proposal(Remove(removed=0))
    contents: list[tuple[str, ContentType, AnyContent]] = [
        ("proposal", ContentType.proposal, remove),
        ("commit", ContentType.commit, Commit(proposals=(by_value(remove),), path=None)),
        ("application", ContentType.application, suite.random(40)),
    ]
    for name, content_type, content in contents:
        octets[name] = content if isinstance(content, bytes) else content.encode()
        private = epoch.signed(WireFormat.mls_private_message, content_type, content)
        octets[f"{name}_priv"] = mls_message(epoch.protect_private(private)).encode()
        if content_type != ContentType.application:
            public = epoch.signed(WireFormat.mls_public_message, content_type, content)
            octets[f"{name}_pub"] = mls_message(epoch.protect_public(public)).encode()
    return {
        "cipher_suite": cipher_suite,
        "epoch": number,
        **{name: value.hex() for name, value in octets.items()},
    }


def _epoch_of(suite: Crypto, number: int, octets: dict[str, bytes]) -> _Epoch:
    context = GroupContext(
        version=ProtocolVersion.mls10,
        cipher_suite=suite.suite.cipher_suite,
        group_id=octets["group_id"],
        epoch=number,
        tree_hash=octets["tree_hash"],
        confirmed_transcript_hash=octets["confirmed_transcript_hash"],
        extensions=(),
    )
    secrets = dataclasses.replace(
        key_schedule.secrets_from(suite, bytes(suite.Nh)),
        encryption_secret=octets["encryption_secret"],
        sender_data_secret=octets["sender_data_secret"],
        membership_key=octets["membership_key"],
    )
    return _Epoch(suite, context, secrets, octets["signature_priv"], octets["signature_pub"])


_OCTETS = (
    "group_id",
    "tree_hash",
    "confirmed_transcript_hash",
    "signature_priv",
    "signature_pub",
    "encryption_secret",
    "sender_data_secret",
    "membership_key",
)
_MESSAGES = (
    "proposal",
    "proposal_pub",
    "proposal_priv",
    "commit",
    "commit_pub",
    "commit_priv",
    "application",
    "application_priv",
)
FAMILY = Family(
    name="message-protection",
    keys=frozenset({"cipher_suite", "epoch", *_OCTETS, *_MESSAGES}),
    verify=verify,
    generate=generate,
    parameters=(None,),
)
