"""The payload of application messages: sent once or more often, shown once (docs/protocol.md)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

from ..crypto import CryptoProvider
from ..errors import ValidationError
from ..federation.envelope import ApplicationPayload
from ..federation.log import SignedTreeHead
from .state import GroupState

PAYLOAD_ID_SIZE = 16
# Payloads of a group that are remembered to have been shown. One comes again only while a branch may lose, or from a sender
# that does not know what has become of it.
MAX_SHOWN = 2000
_NAME_SIZE = 16


def new_payload_id(provider: CryptoProvider) -> bytes:
    """Names a payload of ours."""
    return provider.random(PAYLOAD_ID_SIZE)


def payload(payload_id: bytes, data: bytes, heads: Sequence[SignedTreeHead]) -> bytes:
    """What is encrypted for `data`.

    Args:
        heads: to tell the members of.
    """
    return ApplicationPayload(payload_id=payload_id, data=data, heads=tuple(heads)).encode()


def show(
    known: GroupState, sender_key: bytes, encoded: bytes
) -> tuple[GroupState, ApplicationPayload | None]:
    """A payload that has come, and the group that remembers it; None if it was shown before.

    Args:
        sender_key: the sender's identity key: nobody can take the id of another's payload, and so keep it from being shown.

    Raises:
        DecodeError: it is malformed.
        ValidationError: code `bad-payload-id`.
    """
    opened = ApplicationPayload.decode(encoded)
    if len(opened.payload_id) != PAYLOAD_ID_SIZE:
        raise ValidationError(
            f"a payload's id has {PAYLOAD_ID_SIZE} octets, not {len(opened.payload_id)}",
            code="bad-payload-id",
        )
    name = hashlib.sha256(sender_key + opened.payload_id).digest()[:_NAME_SIZE]
    if name in known.shown:
        return known, None
    return replace(known, shown=(*known.shown, name)[-MAX_SHOWN:]), opened
