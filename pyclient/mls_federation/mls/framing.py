"""Messages and what is signed of them (§6, §6.1)."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from ..codec import (
    ClosedEnum8,
    Fixed,
    OpenEnum16,
    Rest,
    Struct,
    given,
    implicit,
    opaque,
    select,
    uint32,
    uint64,
)
from ..crypto import Crypto
from ..errors import UnsupportedError
from .commit import Commit
from .group_context import GroupContext
from .key_package import KeyPackage
from .nodes import ProtocolVersion
from .proposals import Proposal
from .welcome import GroupInfo, Welcome


class WireFormat(OpenEnum16):
    """Registered wire formats (§17.2)."""

    mls_public_message = 0x0001
    mls_private_message = 0x0002
    mls_welcome = 0x0003
    mls_group_info = 0x0004
    mls_key_package = 0x0005


class ContentType(ClosedEnum8):
    """What a message carries."""

    application = 1
    proposal = 2
    commit = 3


class SenderType(ClosedEnum8):
    """Who sends."""

    member = 1
    external = 2
    new_member_proposal = 3
    new_member_commit = 4


class Sender(Struct):
    """The sender; `index` is a leaf index, or a place in `external_senders`."""

    sender_type: SenderType
    index: int | None = select(
        "sender_type",
        {
            SenderType.member: uint32,
            SenderType.external: uint32,
            SenderType.new_member_proposal: None,
            SenderType.new_member_commit: None,
        },
    )


AnyContent: TypeAlias = bytes | Proposal | Commit
_CONTENT = {ContentType.application: opaque, ContentType.proposal: Proposal, ContentType.commit: Commit}


class FramedContent(Struct, keep_octets=True):
    """A message before it is protected."""

    group_id: opaque
    epoch: uint64
    sender: Sender
    authenticated_data: opaque
    content_type: ContentType
    content: AnyContent = select("content_type", _CONTENT)


class FramedContentAuthData(Struct):
    """What authenticates a message to the group. Its content's type stands elsewhere on the wire."""

    content_type: ContentType = implicit()
    signature: opaque
    confirmation_tag: bytes | None = select(
        "content_type",
        {ContentType.commit: opaque, ContentType.application: None, ContentType.proposal: None},
    )


class AuthenticatedContent(Struct):
    """A message with its authentication, whichever way it was protected."""

    wire_format: WireFormat
    content: FramedContent
    auth: FramedContentAuthData = given(content_type="content.content_type")


class FramedContentTBS(Struct):
    """What a message's signature covers (§6.1)."""

    version: ProtocolVersion
    wire_format: WireFormat
    content: FramedContent
    context: GroupContext | None = select(
        "content.sender.sender_type",
        {
            SenderType.member: GroupContext,
            SenderType.new_member_commit: GroupContext,
            SenderType.external: None,
            SenderType.new_member_proposal: None,
        },
    )


class PublicMessage(Struct):
    """A message that is signed but not encrypted (§6.2)."""

    content: FramedContent
    auth: FramedContentAuthData = given(content_type="content.content_type")
    membership_tag: bytes | None = select(
        "content.sender.sender_type",
        {
            SenderType.member: opaque,
            SenderType.external: None,
            SenderType.new_member_commit: None,
            SenderType.new_member_proposal: None,
        },
    )


class AuthenticatedContentTBM(Struct):
    """What the membership tag covers (§6.2)."""

    content_tbs: FramedContentTBS
    auth: FramedContentAuthData = given(content_type="content_tbs.content.content_type")


class PrivateMessage(Struct):
    """A message that is encrypted for the group (§6.3)."""

    group_id: opaque
    epoch: uint64
    content_type: ContentType
    authenticated_data: opaque
    encrypted_sender_data: opaque
    ciphertext: opaque


class PrivateMessageContent(Struct):
    """What is encrypted (§6.3.1)."""

    content_type: ContentType = implicit()
    content: AnyContent = select("content_type", _CONTENT)
    auth: FramedContentAuthData = given(content_type="content_type")
    padding: Annotated[bytes, Rest()]


class PrivateContentAAD(Struct):
    """What is authenticated beside it (§6.3.1)."""

    group_id: opaque
    epoch: uint64
    content_type: ContentType
    authenticated_data: opaque


class SenderData(Struct):
    """Who sent a private message, and with which key (§6.3.2)."""

    leaf_index: uint32
    generation: uint32
    reuse_guard: Annotated[bytes, Fixed(4)]


class SenderDataAAD(Struct):
    """What is authenticated beside it (§6.3.2)."""

    group_id: opaque
    epoch: uint64
    content_type: ContentType


AnyMessage: TypeAlias = PublicMessage | PrivateMessage | Welcome | GroupInfo | KeyPackage

_MESSAGE_STRUCTS: dict[WireFormat, type[Struct]] = {
    WireFormat.mls_public_message: PublicMessage,
    WireFormat.mls_private_message: PrivateMessage,
    WireFormat.mls_welcome: Welcome,
    WireFormat.mls_group_info: GroupInfo,
    WireFormat.mls_key_package: KeyPackage,
}
_WIRE_FORMAT_OF = {struct: wire_format for wire_format, struct in _MESSAGE_STRUCTS.items()}


class MLSMessage(Struct):
    """What clients send to each other and to delivery services."""

    version: ProtocolVersion
    wire_format: WireFormat
    message: AnyMessage = select("wire_format", _MESSAGE_STRUCTS)


def mls_message(body: AnyMessage) -> MLSMessage:
    """`body`, ready to be sent."""
    return MLSMessage(version=ProtocolVersion.mls10, wire_format=_WIRE_FORMAT_OF[type(body)], message=body)


def decode_message(data: bytes) -> AnyMessage:
    """The message in an encoded MLSMessage.

    Raises:
        DecodeError: it is malformed.
        UnsupportedError: it is for another version of MLS.
    """
    message = MLSMessage.decode(data)
    if message.version != ProtocolVersion.mls10:
        raise UnsupportedError("a message of another version of MLS", code="unsupported-version", section="6")
    return message.message


def member(leaf_index: int) -> Sender:
    """The member at a leaf."""
    return Sender(sender_type=SenderType.member, index=leaf_index)


def content_tbs(
    wire_format: WireFormat, content: FramedContent, context: GroupContext | None
) -> FramedContentTBS:
    """What the signature of `content` covers; outsiders sign without the context, which they may not know."""
    inside = content.sender.sender_type in (SenderType.member, SenderType.new_member_commit)
    return FramedContentTBS(
        version=ProtocolVersion.mls10,
        wire_format=wire_format,
        content=content,
        context=context if inside else None,
    )


def sign_content(
    crypto: Crypto,
    signature_key: bytes,
    wire_format: WireFormat,
    content: FramedContent,
    context: GroupContext | None,
) -> bytes:
    """The signature of a message (§6.1).

    Args:
        context: of its epoch; senders from outside who only propose need not know it.
    """
    tbs = content_tbs(wire_format, content, context).encode()
    return crypto.sign_with_label(signature_key, "FramedContentTBS", tbs)


def verify_content(
    crypto: Crypto, public_key: bytes, message: AuthenticatedContent, context: GroupContext
) -> None:
    """Check the signature of a message (§6.1).

    Raises:
        VerificationError: it does not fit.
    """
    tbs = content_tbs(message.wire_format, message.content, context).encode()
    crypto.verify_with_label(public_key, "FramedContentTBS", tbs, message.auth.signature)


def proposal_ref(crypto: Crypto, message: AuthenticatedContent) -> bytes:
    """ProposalRef: names a proposal that was sent in a message of its own (§5.2)."""
    return crypto.ref_hash("MLS 1.0 Proposal Reference", message.encode())
