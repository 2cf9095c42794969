"""Vectors of the transcript hashes and the confirmation tag (§8.2, §6.1)."""

from __future__ import annotations

from ..crypto import CipherSuite, CryptoProvider, crypto
from ..mls import key_schedule
from ..mls.commit import Commit
from ..mls.framing import (
    AuthenticatedContent,
    ContentType,
    FramedContent,
    FramedContentAuthData,
    WireFormat,
    member,
)
from ..mls.transcript import confirmed_by, interim_transcript_hash
from .entry import Entry, Family, Vector, VectorFormatError, VectorMismatch


def verify(provider: CryptoProvider, entry: Entry) -> None:
    """The hashes before and after confirmation, and the tag of the commit between them."""
    suite = entry.crypto(provider)
    message = AuthenticatedContent.decode(entry.octets("authenticated_content"))
    entry.check("authenticated_content", message.encode())
    tag = message.auth.confirmation_tag
    if not isinstance(message.content.content, Commit) or tag is None:
        raise VectorFormatError("authenticated_content is no commit")

    confirmed = confirmed_by(suite, entry.octets("interim_transcript_hash_before"), message)
    entry.check("confirmed_transcript_hash_after", confirmed)
    entry.check("interim_transcript_hash_after", interim_transcript_hash(suite, confirmed, tag))

    key = entry.octets("confirmation_key")
    expected = key_schedule.confirmation_tag(suite, key, confirmed)
    if expected != tag:
        raise VectorMismatch("authenticated_content.auth.confirmation_tag", tag, expected)
    key_schedule.verify_confirmation_tag(suite, key, confirmed, tag)


def generate(provider: CryptoProvider, cipher_suite: CipherSuite, wire_format: WireFormat) -> Vector:
    """An entry for a commit without proposals and path, sent in one of the two ways."""
    suite = crypto(provider, cipher_suite)
    interim, key = suite.random(suite.Nh), suite.random(suite.Nh)
    content = FramedContent(
        group_id=suite.random(16),
        epoch=2**40,
        sender=member(3),
        authenticated_data=suite.random(8),
        content_type=ContentType.commit,
        content=Commit(proposals=(), path=None),
    )
    signature = suite.random(64)

    def message(tag: bytes) -> AuthenticatedContent:
        auth = FramedContentAuthData(
            content_type=ContentType.commit, signature=signature, confirmation_tag=tag
        )
        return AuthenticatedContent(wire_format=wire_format, content=content, auth=auth)

    # The hash does not cover the tag.
    confirmed = confirmed_by(suite, interim, message(b""))
    tag = key_schedule.confirmation_tag(suite, key, confirmed)
    return {
        "cipher_suite": cipher_suite,
        "confirmation_key": key.hex(),
        "authenticated_content": message(tag).encode().hex(),
        "interim_transcript_hash_before": interim.hex(),
        "confirmed_transcript_hash_after": confirmed.hex(),
        "interim_transcript_hash_after": interim_transcript_hash(suite, confirmed, tag).hex(),
    }


FAMILY = Family(
    name="transcript-hashes",
    keys=frozenset(
        {
            "cipher_suite",
            "confirmation_key",
            "authenticated_content",
            "interim_transcript_hash_before",
            "confirmed_transcript_hash_after",
            "interim_transcript_hash_after",
        }
    ),
    verify=verify,
    generate=generate,
    parameters=(WireFormat.mls_public_message, WireFormat.mls_private_message),
)
