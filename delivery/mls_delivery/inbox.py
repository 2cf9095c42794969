"""The inbox end point, `WS /v1/inbox`: deliveries out, acknowledgements in.

     client                                   service
       │ InboxHello(token, cursor) ──────────────►│
       │◄──────────────────────────────── ready   │
       │◄────── delivery, sequence cursor + 1 …   │   from the store, as fast as the client reads
       │ InboxAck(cursor) ───────────────────────►│   forgets up to cursor
       │◄──────────────────────────── key_count   │   when few key sets are left

A message leaves the store only by an acknowledgement, so whatever breaks in between is delivered again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

from starlette.websockets import WebSocket, WebSocketDisconnect

from mls_federation.codec import Struct
from mls_federation.errors import DecodeError
from mls_federation.federation.binding import (
    CLOSE_BAD_CURSOR,
    CLOSE_BAD_TOKEN,
    CLOSE_MALFORMED,
    CLOSE_REPLACED,
    CLOSE_REVOKED,
    CLOSE_TRY_LATER,
    InboxAck,
    InboxDelivery,
    InboxFrame,
    InboxFrameType,
    InboxHello,
    InboxKeyCount,
    InboxNotice,
    InboxReady,
    Notice,
)

from .context import DeliveryService, service_of, token_hash
from .inboxes import Listener, listening
from .refusals import Refused
from .sources import source_of
from .store import accounts, key_sets, messages
from .store.accounts import Client
from .store.messages import Message

S = TypeVar("S", bound=Struct)

_BATCH_OCTETS = 1 << 20
_OPENING_SIZE = 16


class _Close(Exception):
    """Ends the connection with a close code."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


@dataclass(eq=False)
class _Inbox:
    """One connection.

    Attributes:
        opening: by which the store knows whether the client has opened another one since.
        delivered: up to where its client has been served, and may acknowledge.
        acknowledged: up to where it has acknowledged.
        forgotten: up to where the store knows of that.
        acknowledgement: set when there is something to forget.
    """

    websocket: WebSocket
    service: DeliveryService
    client: Client
    listener: Listener
    opening: bytes
    delivered: int
    acknowledged: int
    forgotten: int
    acknowledgement: asyncio.Event = field(default_factory=asyncio.Event)


async def inbox(websocket: WebSocket) -> None:
    """`WS /v1/inbox`."""
    service = service_of(websocket)
    origin = websocket.headers.get("origin")
    # Browsers do not apply CORS to WebSockets: a page of another origin is turned away here.
    if origin is not None and origin not in service.allowed_origins:
        await websocket.close()
        return
    await websocket.accept()
    try:
        source = source_of(websocket, service.trusted_proxies)
        service.rates.requests_by_source.spend(source, service.clock())
        with (
            service.connections.enter(source),
            service.metrics.open_inboxes.track_inprogress(),
        ):
            await _serve(websocket, service)
    except Refused as refused:
        # Accepted first: a page cannot see why a handshake failed, but it sees a close code.
        await _close(websocket, service, CLOSE_TRY_LATER, refused.message)
    except _Close as end:
        await _close(websocket, service, end.code, end.reason)
    except WebSocketDisconnect as end:
        service.metrics.inboxes_closed.labels(_known_code(end.code)).inc()


async def _close(websocket: WebSocket, service: DeliveryService, code: int, reason: str) -> None:
    service.metrics.inboxes_closed.labels(str(code)).inc()
    await websocket.close(code, reason)


def _known_code(code: int) -> str:
    """A close code of a client's choice, as a label of which there are few."""
    return str(code) if 1000 <= code <= 1015 else "other"


async def _serve(websocket: WebSocket, service: DeliveryService) -> None:
    try:
        async with asyncio.timeout(service.limits.hello_seconds):
            hello = await _receive(websocket, InboxHello)
    except TimeoutError:
        raise _Close(CLOSE_MALFORMED, "no hello came") from None
    now = service.clock()
    client = await service.store.read(accounts.client_of, token_hash(hello.token_secret), now)
    if client is None:
        raise _Close(CLOSE_BAD_TOKEN, "the session is unknown or has ended")
    opening = service.provider.random(_OPENING_SIZE)
    with listening(service.store, client.key) as listener:
        try:
            state = await service.store.write(messages.open_inbox, client.key, opening, now)
        except Refused as fault:
            raise _Close(CLOSE_REVOKED, fault.message) from None
        if hello.cursor > state.last_sequence:
            raise _Close(CLOSE_BAD_CURSOR, "the inbox has not come as far as this cursor; begin again at 0")
        connection = _Inbox(
            websocket,
            service,
            client,
            listener,
            opening,
            delivered=hello.cursor,
            acknowledged=state.acknowledged,
            forgotten=state.acknowledged,
        )
        await _send(websocket, InboxFrameType.ready, InboxReady(last_acknowledged=state.acknowledged))
        try:
            await _first_end(
                _deliver(connection),
                _hear_acknowledgements(connection),
                _forget(connection),
                _replaced(connection),
            )
        finally:
            await _forget_acknowledged(connection)


async def _first_end(*works: Coroutine[Any, Any, None]) -> None:
    """Run several works until the first ends; how it ended is the outcome."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()


async def _deliver(connection: _Inbox) -> None:
    service, listener = connection.service, connection.listener
    while True:
        # Cleared before looking: what arrives from now on is either seen or announced again.
        listener.news.clear()
        if listener.keys_taken:
            listener.keys_taken = False
            await _tell_key_count(connection)
        batch = await service.store.read(
            messages.read_inbox, connection.client.key, connection.delivered, _BATCH_OCTETS
        )
        for message in batch:
            connection.delivered = message.sequence
            # Returns when there is room to write more, so a slow client holds one batch in memory, no more.
            await _send(connection.websocket, *_frame_of(message))
            service.metrics.messages_delivered.inc()
        if not batch:
            await listener.news.wait()


def _frame_of(message: Message) -> tuple[InboxFrameType, InboxDelivery | InboxNotice]:
    if not message.message_id:
        notice = Notice.decode(message.message)
        return InboxFrameType.notice, InboxNotice(sequence=message.sequence, notice=notice)
    return InboxFrameType.delivery, InboxDelivery(
        sequence=message.sequence,
        message_id=message.message_id,
        received_at=message.received_at,
        relayed_by=message.relayed_by.encode("ascii"),
        message=message.message,
    )


async def _tell_key_count(connection: _Inbox) -> None:
    service = connection.service
    available = await service.store.read(key_sets.available, connection.client.key, service.clock())
    if available <= service.limits.key_count_low:
        await _send(connection.websocket, InboxFrameType.key_count, InboxKeyCount(available=available))


async def _hear_acknowledgements(connection: _Inbox) -> None:
    while True:
        ack = await _receive(connection.websocket, InboxAck)
        if ack.cursor > connection.delivered:
            raise _Close(CLOSE_BAD_CURSOR, "more was acknowledged than was delivered")
        connection.acknowledged = max(connection.acknowledged, ack.cursor)
        connection.acknowledgement.set()


async def _forget(connection: _Inbox) -> None:
    # Apart from hearing them: acknowledgements that come faster than the disk can follow become one transaction.
    while True:
        await connection.acknowledgement.wait()
        connection.acknowledgement.clear()
        await _forget_acknowledged(connection)


async def _forget_acknowledged(connection: _Inbox) -> None:
    cursor = connection.acknowledged
    if cursor > connection.forgotten:
        await connection.service.store.write(messages.acknowledge, connection.client.key, cursor)
        connection.forgotten = cursor


async def _replaced(connection: _Inbox) -> None:
    store, opened = connection.service.store, connection.listener.opened
    while True:
        await opened.wait()
        opened.clear()
        if not await store.read(messages.is_open, connection.client.key, connection.opening):
            if not await store.read(accounts.is_active, connection.client.key):
                raise _Close(CLOSE_REVOKED, "this device was revoked")
            raise _Close(CLOSE_REPLACED, "this client has opened another inbox")


async def _send(
    websocket: WebSocket,
    frame_type: InboxFrameType,
    frame: InboxReady | InboxDelivery | InboxKeyCount | InboxNotice,
) -> None:
    await websocket.send_bytes(InboxFrame(frame_type=frame_type, frame=frame).encode())


async def _receive(websocket: WebSocket, struct: type[S]) -> S:
    event = await websocket.receive()
    if event["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(event["code"])
    data = event.get("bytes")
    if data is None:
        raise _Close(CLOSE_MALFORMED, "frames must be binary")
    try:
        return struct.decode(data)
    except DecodeError as fault:
        raise _Close(CLOSE_MALFORMED, fault.message) from None
