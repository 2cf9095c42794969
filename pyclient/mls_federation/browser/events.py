"""Events as they cross to the page: those of `Events` in `web/src/protocol.d.ts`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias, TypedDict

from ..client import (
    BackgroundFailure,
    ConnectionChanged,
    DeliveryFailed,
    EpochChanged,
    Event,
    GroupJoined,
    GroupReinitialized,
    LogFault,
    MessageNotDelivered,
    MessageReceived,
    MessageRefused,
    OrderingFault,
    OwnDevicesChanged,
    RemovedFromGroup,
    ThreadLost,
)
from . import shapes
from .shapes import Shape, Uint64

PageEvent: TypeAlias = tuple[str, Mapping[str, Any]]
"""Name and detail."""


class GroupEvent(TypedDict):
    """A Welcome was accepted."""

    client: int
    group_id: bytes
    details: Shape


class MessageEvent(TypedDict):
    """Data from a member."""

    client: int
    group_id: bytes
    sender: str
    sender_leaf: int
    epoch: Uint64
    data: bytes
    number: int
    via: list[str]


class EpochEvent(TypedDict):
    """A group is in a new epoch."""

    client: int
    group_id: bytes
    details: Shape


class RemovedEvent(TypedDict):
    """The client is no longer a member."""

    client: int
    group_id: bytes


class LostEvent(TypedDict):
    """A group has gone on without us."""

    client: int
    group_id: bytes


class UnsentEvent(TypedDict):
    """A message of ours was sent on a branch that lost, and cannot be sent again."""

    client: int
    group_id: bytes
    data: bytes


class ConnectionEvent(TypedDict):
    """The inbox's connection."""

    client: int
    state: str


class UndeliveredEvent(TypedDict):
    """A message that was on its way will not reach one of its recipients."""

    client: int
    message_id: bytes
    identity: str
    reason: str


class DevicesEvent(TypedDict):
    """The identity has other devices than the client knew of."""

    client: int
    admitted: list[bytes]
    revoked: list[bytes]


class _OfSomeGroup(TypedDict, total=False):
    group_id: bytes


class ErrorEvent(_OfSomeGroup):
    """Something that arrived was refused, or something that the client does by itself failed."""

    client: int
    fault: Shape


EVENTS: dict[str, type] = {
    "group": GroupEvent,
    "message": MessageEvent,
    "epoch": EpochEvent,
    "removed": RemovedEvent,
    "lost": LostEvent,
    "unsent": UnsentEvent,
    "connection": ConnectionEvent,
    "undelivered": UndeliveredEvent,
    "devices": DevicesEvent,
    "error": ErrorEvent,
}


def page_event(number: int, event: Event, details: Callable[[bytes], Shape]) -> PageEvent:
    """What the page is told of an event of a client.

    Args:
        number: the client's.
        details: `GroupDetails` of a group in its present epoch, by its id.
    """
    match event:
        case GroupJoined(group_id=group_id) | GroupReinitialized(group_id=group_id):
            return "group", GroupEvent(client=number, group_id=group_id, details=details(group_id))
        case EpochChanged(group_id):
            return "epoch", EpochEvent(client=number, group_id=group_id, details=details(group_id))
        case MessageReceived():
            return "message", MessageEvent(
                client=number,
                group_id=event.group_id,
                sender=event.sender,
                sender_leaf=event.sender_leaf,
                epoch=Uint64(event.epoch),
                data=event.data,
                number=event.number,
                via=list(event.via),
            )
        case RemovedFromGroup(group_id):
            return "removed", RemovedEvent(client=number, group_id=group_id)
        case ThreadLost(group_id):
            return "lost", LostEvent(client=number, group_id=group_id)
        case MessageNotDelivered(group_id, data):
            return "unsent", UnsentEvent(client=number, group_id=group_id, data=data)
        case ConnectionChanged(state):
            return "connection", ConnectionEvent(client=number, state=state)
        case DeliveryFailed(message_id, identity, reason):
            return "undelivered", UndeliveredEvent(
                client=number, message_id=message_id, identity=identity, reason=reason
            )
        case OwnDevicesChanged(admitted, revoked):
            return "devices", DevicesEvent(client=number, admitted=list(admitted), revoked=list(revoked))
        case LogFault(domain, shown, evidence):
            fault = shapes.fault(shown)
            fault["details"] |= {"domain": domain, "evidence": [head.encode() for head in evidence]}
            return "error", ErrorEvent(client=number, fault=fault)
        case OrderingFault(group_id, shown, receipts):
            fault = shapes.fault(shown)
            fault["details"] |= {"evidence": [receipt.encode() for receipt in receipts]}
            return "error", ErrorEvent(client=number, group_id=group_id, fault=fault)
        case MessageRefused():
            refused = shapes.fault(event.error)
            refused["details"] |= {"refused": True, "held": event.held}
            error = ErrorEvent(client=number, fault=refused)
            if event.group_id is not None:
                error["group_id"] = event.group_id
            return "error", error
        case BackgroundFailure(failure):
            return "error", ErrorEvent(client=number, fault=shapes.fault(failure))
