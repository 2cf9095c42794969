"""Protecting messages and undoing it: PublicMessage (§6.2) and PrivateMessage (§6.3).

What the `unprotect_` functions return has been verified: tag or ciphertext, padding, and the sender's signature.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass

from ..crypto import Crypto
from ..errors import EpochError, UsageError, ValidationError, VerificationError
from .framing import (
    AnyContent,
    AuthenticatedContent,
    AuthenticatedContentTBM,
    ContentType,
    FramedContent,
    FramedContentAuthData,
    PrivateContentAAD,
    PrivateMessage,
    PrivateMessageContent,
    PublicMessage,
    Sender,
    SenderData,
    SenderDataAAD,
    SenderType,
    WireFormat,
    content_tbs,
    member,
    sign_content,
    verify_content,
)
from .group_context import GroupContext
from .key_schedule import EpochSecrets
from .padding import DEFAULT_PADDING, Padding
from .secret_tree import MessageKey, RatchetKind, SecretTree
from .tree_math import LeafIndex

_REUSE_GUARD_SIZE = 4

# Who may have sent a message: gives the signature key, or raises ValidationError.
SignatureKeyOf = Callable[[Sender], bytes]


@dataclass(frozen=True)
class Unprotected:
    """A verified private message, and the secret tree without its key."""

    message: AuthenticatedContent
    secret_tree: SecretTree
    generation: int


def framed_content(
    context: GroupContext,
    sender: Sender,
    content_type: ContentType,
    content: AnyContent,
    authenticated_data: bytes,
) -> FramedContent:
    """A message of the present epoch."""
    return FramedContent(
        group_id=context.group_id,
        epoch=context.epoch,
        sender=sender,
        authenticated_data=authenticated_data,
        content_type=content_type,
        content=content,
    )


def authenticate(
    crypto: Crypto,
    signature_key: bytes,
    wire_format: WireFormat,
    content: FramedContent,
    context: GroupContext,
    confirmation_tag: bytes | None = None,
) -> AuthenticatedContent:
    """`content` signed; a commit's tag is given by the caller, who needs the signature first (§6.1)."""
    signature = sign_content(crypto, signature_key, wire_format, content, context)
    auth = FramedContentAuthData(
        content_type=content.content_type, signature=signature, confirmation_tag=confirmation_tag
    )
    return AuthenticatedContent(wire_format=wire_format, content=content, auth=auth)


def protect_public(
    crypto: Crypto, membership_key: bytes, message: AuthenticatedContent, context: GroupContext
) -> PublicMessage:
    """A PublicMessage (§6.2).

    Raises:
        UsageError: application data must never be sent in the open.
    """
    if message.content.content_type == ContentType.application:
        raise UsageError("application data cannot be sent as a PublicMessage")
    from_member = message.content.sender.sender_type == SenderType.member
    return PublicMessage(
        content=message.content,
        auth=message.auth,
        membership_tag=_membership_tag(crypto, membership_key, message, context) if from_member else None,
    )


def unprotect_public(
    crypto: Crypto,
    membership_key: bytes,
    message: PublicMessage,
    context: GroupContext,
    signature_key_of: SignatureKeyOf,
) -> AuthenticatedContent:
    """Verify a PublicMessage of the epoch that `context` describes (§6.2).

    Raises:
        EpochError: it is for another group or epoch.
        ValidationError: code `public-application`, or what `signature_key_of` raises.
        VerificationError: its membership tag or signature does not fit.
    """
    _check_epoch(context, message.content.group_id, message.content.epoch)
    if message.content.content_type == ContentType.application:
        raise ValidationError(
            "application data that was not encrypted", code="public-application", section="6.2"
        )
    authenticated = AuthenticatedContent(
        wire_format=WireFormat.mls_public_message, content=message.content, auth=message.auth
    )
    if message.membership_tag is not None:
        expected = _membership_tag(crypto, membership_key, authenticated, context)
        if not hmac.compare_digest(expected, message.membership_tag):
            raise VerificationError(
                "the membership tag does not match", code="bad-membership-tag", section="6.2"
            )
    verify_content(crypto, signature_key_of(message.content.sender), authenticated, context)
    return authenticated


def protect_private(
    crypto: Crypto,
    secrets: EpochSecrets,
    secret_tree: SecretTree,
    message: AuthenticatedContent,
    padding: Padding = DEFAULT_PADDING,
) -> tuple[SecretTree, PrivateMessage]:
    """A PrivateMessage from a member, and the secret tree without the key that was used (§6.3).

    Args:
        padding: how much is added to hide the size.

    Raises:
        UsageError: the sender is no member, or the padding is negative.
    """
    content = message.content
    if content.sender.sender_type != SenderType.member or content.sender.index is None:
        raise UsageError("only members can send a PrivateMessage")
    leaf = LeafIndex(content.sender.index)
    secret_tree, generation, key = secret_tree.take_next(crypto, leaf, _ratchet_of(content.content_type))
    reuse_guard = crypto.random(_REUSE_GUARD_SIZE)
    plaintext = PrivateMessageContent(
        content_type=content.content_type, content=content.content, auth=message.auth, padding=b""
    ).encode()
    added = padding(len(plaintext))
    if added < 0:
        raise UsageError("padding cannot be negative")
    plaintext += bytes(added)
    ciphertext = crypto.aead_seal(key.key, _guarded(key, reuse_guard), _content_aad(content), plaintext)
    sender_data = SenderData(leaf_index=leaf, generation=generation, reuse_guard=reuse_guard)
    data_key = sender_data_key(crypto, secrets.sender_data_secret, ciphertext)
    sealed = crypto.aead_seal(
        data_key.key,
        data_key.nonce,
        _sender_data_aad(content.group_id, content.epoch, content.content_type),
        sender_data.encode(),
    )
    private = PrivateMessage(
        group_id=content.group_id,
        epoch=content.epoch,
        content_type=content.content_type,
        authenticated_data=content.authenticated_data,
        encrypted_sender_data=sealed,
        ciphertext=ciphertext,
    )
    return secret_tree, private


def open_sender_data(
    crypto: Crypto, secrets: EpochSecrets, message: PrivateMessage, context: GroupContext
) -> SenderData:
    """Who sent a private message, and with which generation (§6.3.2).

    Raises:
        EpochError: it is for another group or epoch.
        VerificationError: it does not authenticate.
        DecodeError: what was sealed is no SenderData.
    """
    _check_epoch(context, message.group_id, message.epoch)
    key = sender_data_key(crypto, secrets.sender_data_secret, message.ciphertext)
    aad = _sender_data_aad(message.group_id, message.epoch, message.content_type)
    return SenderData.decode(crypto.aead_open(key.key, key.nonce, aad, message.encrypted_sender_data))


def unprotect_private(
    crypto: Crypto,
    secrets: EpochSecrets,
    secret_tree: SecretTree,
    message: PrivateMessage,
    context: GroupContext,
    signature_key_of: SignatureKeyOf,
) -> Unprotected:
    """Decrypt and verify a PrivateMessage of the epoch that `context` describes (§6.3).

    Raises:
        EpochError: it is for another group or epoch, or code `replayed`.
        ValidationError: code `generation-too-far`, `bad-padding`, `not-a-member`.
        VerificationError: it does not authenticate, or its signature does not fit.
        DecodeError: what was encrypted is malformed.
    """
    sender_data = open_sender_data(crypto, secrets, message, context)
    leaf = LeafIndex(sender_data.leaf_index)
    signature_key = signature_key_of(member(leaf))  # refuses blank leaves before any secret is spent on them
    secret_tree, key = secret_tree.take(
        crypto, leaf, _ratchet_of(message.content_type), sender_data.generation
    )
    aad = PrivateContentAAD(
        group_id=message.group_id,
        epoch=message.epoch,
        content_type=message.content_type,
        authenticated_data=message.authenticated_data,
    ).encode()
    plaintext = crypto.aead_open(key.key, _guarded(key, sender_data.reuse_guard), aad, message.ciphertext)
    inner = PrivateMessageContent.decode(plaintext, content_type=message.content_type)
    if any(inner.padding):
        raise ValidationError("padding that is not all zeros", code="bad-padding", section="6.3.1")
    authenticated = AuthenticatedContent(
        wire_format=WireFormat.mls_private_message,
        content=framed_content(
            context, member(leaf), message.content_type, inner.content, message.authenticated_data
        ),
        auth=inner.auth,
    )
    verify_content(crypto, signature_key, authenticated, context)
    return Unprotected(authenticated, secret_tree, sender_data.generation)


def sender_data_key(crypto: Crypto, sender_data_secret: bytes, ciphertext: bytes) -> MessageKey:
    """The key of the sender data, from a sample of the ciphertext (§6.3.2)."""
    sample = ciphertext[: crypto.Nh]
    return MessageKey(
        key=crypto.expand_with_label(sender_data_secret, "key", sample, crypto.suite.aead.Nk),
        nonce=crypto.expand_with_label(sender_data_secret, "nonce", sample, crypto.suite.aead.Nn),
    )


def _membership_tag(
    crypto: Crypto, membership_key: bytes, message: AuthenticatedContent, context: GroupContext
) -> bytes:
    tbm = AuthenticatedContentTBM(
        content_tbs=content_tbs(message.wire_format, message.content, context), auth=message.auth
    )
    return crypto.mac(membership_key, tbm.encode())


def _check_epoch(context: GroupContext, group_id: bytes, epoch: int) -> None:
    if group_id != context.group_id:
        raise EpochError("a message for another group", code="wrong-group", section="6")
    if epoch != context.epoch:
        raise EpochError(f"a message of epoch {epoch}, where epoch {context.epoch} is", section="6")


def _content_aad(content: FramedContent) -> bytes:
    return PrivateContentAAD(
        group_id=content.group_id,
        epoch=content.epoch,
        content_type=content.content_type,
        authenticated_data=content.authenticated_data,
    ).encode()


def _sender_data_aad(group_id: bytes, epoch: int, content_type: ContentType) -> bytes:
    return SenderDataAAD(group_id=group_id, epoch=epoch, content_type=content_type).encode()


def _ratchet_of(content_type: ContentType) -> RatchetKind:
    return RatchetKind.application if content_type == ContentType.application else RatchetKind.handshake


def _guarded(key: MessageKey, reuse_guard: bytes) -> bytes:
    """The nonce with its first octets masked, should a state ever be restored and a generation used twice (§6.3.1)."""
    head = bytes(a ^ b for a, b in zip(key.nonce[:_REUSE_GUARD_SIZE], reuse_guard, strict=True))
    return head + key.nonce[_REUSE_GUARD_SIZE:]
