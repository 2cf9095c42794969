"""What is delivered, and what is inside: the envelope that an inbox holds, and the payload that only members read."""

from __future__ import annotations

from ..codec import Opt, Struct, opaque
from .ordering import OrderingReceipt


class Envelope(Struct):
    """An MLSMessage, and for a commit or Welcome of a group whose commits are ordered, the receipt that goes with it."""

    message: opaque
    receipt: Opt[OrderingReceipt]


class ApplicationPayload(Struct):
    """The application data of each MLS message of the federation.

    `payload_id` is the same when the data is sent again in another epoch, so that it is shown once.
    """

    payload_id: opaque
    data: opaque
