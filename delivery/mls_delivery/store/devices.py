"""The chain of events that says which clients an identity has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import BigInteger, Column, Connection, ForeignKey, LargeBinary, Table, insert, select

from mls_federation.federation.devices import DeviceEvent, DeviceEventType, Devices, with_event

from ..refusals import Refused
from . import accounts, log, messages
from .announcements import announce
from .schema import metadata

device_events = Table(
    "device_events",
    metadata,
    Column("identity", ForeignKey(accounts.identities.c.id), primary_key=True),
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("event", LargeBinary, nullable=False),
    Column("log_number", BigInteger, nullable=False),
)


@dataclass(frozen=True)
class History:
    """The chain of an identity, and where its events are in the log.

    Attributes:
        events: in their order.
        numbers: of the log's entries that they are.
        paths: for each of them, the nodes that show it under the head.
        head: of the log.
    """

    events: Sequence[DeviceEvent]
    numbers: Sequence[int]
    paths: Sequence[tuple[bytes, ...]]
    head: log.Head


def add(connection: Connection, event: DeviceEvent, now: int, max_clients: int) -> History:
    """Put an event at the end of its identity's chain, and do what it says; one that is in the chain already changes nothing.
    Returns the chain.

    The clients of an identity are the devices that its chain makes active. Whoever is revoked loses sessions, key sets and
    inbox.

    Args:
        event: whose signatures are verified.
        max_clients: how many an identity may have.

    Raises:
        ValidationError: see `with_event`.
        Refused: code `too-many-clients`.
    """
    if is_known(connection, event):
        return history(connection, event.identity)
    devices = _followed(connection, event.identity)
    after = with_event(devices, event)
    if event.event_type is DeviceEventType.admit and len(after.active) > max_clients:
        raise Refused(
            "too-many-clients",
            f"An identity may have {max_clients} clients, and this one has. Revoke one that is not used any more.",
            limit=max_clients,
        )
    if event.event_type is DeviceEventType.claim:
        owner = accounts.add_identity(connection, event.identity, now)
    else:
        owner = _owner(connection, event.identity)
    if event.event_type is DeviceEventType.revoke:
        gone = accounts.remove_client(connection, owner, event.client_id)
        announce(connection, messages.OPENED, str(gone))
    else:
        accounts.add_client(connection, owner, event.client_id, event.credential.encode())
    octets = event.encode()
    number = log.append(connection, octets, now)
    connection.execute(
        insert(device_events).values(identity=owner, sequence=event.sequence, event=octets, log_number=number)
    )
    return history(connection, event.identity)


def is_known(connection: Connection, event: DeviceEvent) -> bool:
    """Whether an event is in its identity's chain."""
    kept = connection.scalar(
        select(device_events.c.event)
        .select_from(device_events.join(accounts.identities))
        .where(accounts.identities.c.identity == event.identity, device_events.c.sequence == event.sequence)
    )
    return kept == event.encode()


def history(connection: Connection, identity: bytes) -> History:
    """The chain of an identity, which has no events if nobody has claimed it, shown to be in the log."""
    kept = _kept(connection, identity)
    numbers = [number for _, number in kept]
    head = log.head(connection)
    paths = log.inclusion_paths(connection, numbers, head.size)
    return History([event for event, _ in kept], numbers, paths, head)


def _kept(connection: Connection, identity: bytes) -> list[tuple[DeviceEvent, int]]:
    rows = connection.execute(
        select(device_events.c.event, device_events.c.log_number)
        .select_from(device_events.join(accounts.identities))
        .where(accounts.identities.c.identity == identity)
        .order_by(device_events.c.sequence)
    )
    return [(DeviceEvent.decode(octets), number) for octets, number in rows]


def _followed(connection: Connection, identity: bytes) -> Devices | None:
    """What a chain comes to. Its signatures were verified when the events came."""
    devices = None
    for event, _ in _kept(connection, identity):
        devices = with_event(devices, event)
    return devices


def _owner(connection: Connection, identity: bytes) -> int:
    owner = accounts.identity_key(connection, identity)
    assert owner is not None  # `with_event` has seen the claim
    return owner
