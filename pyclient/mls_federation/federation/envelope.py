"""What is delivered, and what is inside: the envelope that an inbox holds, and the payload that only members read."""

from __future__ import annotations

from ..codec import Opt, Struct, Vec, opaque
from .log import SignedTreeHead
from .ordering import OrderingReceipt


class Envelope(Struct):
    """An MLSMessage, and for a commit or Welcome of a group whose commits are ordered, the receipt that goes with it."""

    message: opaque
    receipt: Opt[OrderingReceipt]


class ApplicationPayload(Struct):
    """The application data of each MLS message of the federation.

    `payload_id` is the same when the data is sent again in another epoch, so that it is shown once.
    `heads` are tree heads of members' delivery services that the sender has verified since the group was last told of any, so
    that a service that shows different logs to different people is found out.
    """

    payload_id: opaque
    data: opaque
    heads: Vec[SignedTreeHead]
