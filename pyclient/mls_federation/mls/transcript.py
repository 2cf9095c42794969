"""The transcript hashes: a running hash of all commits (§8.2)."""

from __future__ import annotations

from ..codec import Struct, opaque
from ..crypto import Crypto
from .framing import AuthenticatedContent, FramedContent, WireFormat


class ConfirmedTranscriptHashInput(Struct):
    """What a commit adds before it is confirmed."""

    wire_format: WireFormat
    content: FramedContent
    signature: opaque


class InterimTranscriptHashInput(Struct):
    """What its confirmation adds."""

    confirmation_tag: opaque


def confirmed_transcript_hash(
    crypto: Crypto, interim: bytes, wire_format: WireFormat, content: FramedContent, signature: bytes
) -> bytes:
    """The hash over all commits up to and with this one.

    Args:
        interim: the interim transcript hash of the epoch that the commit was sent in.
    """
    added = ConfirmedTranscriptHashInput(wire_format=wire_format, content=content, signature=signature)
    return crypto.hash(interim + added.encode())


def confirmed_by(crypto: Crypto, interim: bytes, message: AuthenticatedContent) -> bytes:
    """`confirmed_transcript_hash` for a whole commit message."""
    return confirmed_transcript_hash(
        crypto, interim, message.wire_format, message.content, message.auth.signature
    )


def interim_transcript_hash(crypto: Crypto, confirmed: bytes, confirmation_tag: bytes) -> bytes:
    """The hash that the next commit is added to."""
    return crypto.hash(confirmed + InterimTranscriptHashInput(confirmation_tag=confirmation_tag).encode())
