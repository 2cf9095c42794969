"""What delivery services say to each other: messages on their way, and what became of them (docs/protocol.md)."""

from __future__ import annotations

from ..codec import Struct, Vec, opaque
from .binding import Notice, SubmitResponse


class RelayedMessage(Struct):
    """A message for identities of the domain that it is relayed to; otherwise as in a `SubmitRequest`."""

    message_id: opaque
    recipients: Vec[opaque]
    message: opaque


class RelayRequest(Struct):
    """As many messages and notices as fit, the oldest first."""

    messages: Vec[RelayedMessage]
    notices: Vec[Notice]


class RelayResponse(Struct):
    """A result for each message of the request, in its order; notices are taken on as a whole."""

    results: Vec[SubmitResponse]
