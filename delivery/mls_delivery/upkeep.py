"""What a service does by itself, now and then: it gives up messages that nobody has taken in time."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from sqlalchemy import Connection

from mls_federation.federation.binding import NoticeReason

from .context import DeliveryService
from .logs import log_failure
from .store import messages, relay
from .store.messages import Expired

_PAUSE_SECONDS = 60
# Inboxes that one look finds; nobody has to wait long for the one who reads them all.
_INBOXES = 100


@contextlib.asynccontextmanager
async def kept_up(service: DeliveryService) -> AsyncIterator[None]:
    """Inside this, the service is kept in order. With several processes for one domain, each does it, which does no harm."""
    task = asyncio.create_task(_keep_up(service))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def _keep_up(service: DeliveryService) -> None:
    while True:
        try:
            await expire_messages(service)
        except Exception as fault:  # noqa: BLE001 - it is tried again
            log_failure("upkeep failed", fault)
        await asyncio.sleep(_PAUSE_SECONDS)


async def expire_messages(service: DeliveryService) -> None:
    """Take messages that are too old out of the inboxes."""
    before = service.clock() - service.limits.message_seconds
    while inboxes := await service.store.read(messages.with_expired, before, _INBOXES):
        for client in inboxes:
            expired = await service.store.write(
                _expire, client, before, service.domain, service.clock(), service.limits.relay_seconds
            )
            service.metrics.messages_expired.inc(len(expired))


def _expire(
    connection: Connection, client: int, before: int, domain: str, now: int, seconds: int
) -> list[Expired]:
    """In one transaction with the loss of a message belongs whatever is to become known of it."""
    expired = messages.expire(connection, client, before)
    for one in expired:
        if one.message_id:  # else it is a notice itself
            relay.undelivered(
                connection, one.message_id, one.identity, domain, NoticeReason.expired, now, seconds
            )
    return expired
