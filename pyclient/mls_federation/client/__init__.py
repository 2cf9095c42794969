"""The client: commands in, events out; network, storage and clock are ports that the adapters fill."""

from .client import Client, new_client
from .delivery_service import DeliveryService
from .devices import DeviceDetails
from .events import (
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
from .ports import Connection, ConnectionEnded, Ports, Response, Storage, Transport
from .results import Delivery, FetchedKeys, GroupDetails, MemberDetails, Sent, WithoutKeys
from .state import ClientState, Fanout

__all__ = [
    "BackgroundFailure",
    "Client",
    "ClientState",
    "Connection",
    "ConnectionChanged",
    "ConnectionEnded",
    "Delivery",
    "DeliveryFailed",
    "DeliveryService",
    "DeviceDetails",
    "EpochChanged",
    "Event",
    "Fanout",
    "FetchedKeys",
    "GroupDetails",
    "GroupJoined",
    "GroupReinitialized",
    "LogFault",
    "MemberDetails",
    "MessageNotDelivered",
    "MessageReceived",
    "MessageRefused",
    "OrderingFault",
    "OwnDevicesChanged",
    "Ports",
    "RemovedFromGroup",
    "Response",
    "Sent",
    "Storage",
    "ThreadLost",
    "Transport",
    "WithoutKeys",
    "new_client",
]
