"""Receiving: the connection to our inbox, and what is done with each frame that comes."""

from __future__ import annotations

from dataclasses import replace

from ..errors import RemoteError, StateError, StorageError, TransportError
from ..federation.binding import (
    CLOSE_BAD_CURSOR,
    CLOSE_BAD_TOKEN,
    CLOSE_REPLACED,
    CLOSE_REVOKED,
    InboxAck,
    InboxDelivery,
    InboxFrame,
    InboxHello,
    InboxKeyCount,
    InboxNotice,
    InboxReady,
    NoticeReason,
)
from . import log
from .accepting import accept
from .core import Core
from .delivery_service import open_inbox
from .devices import session_token
from .events import BackgroundFailure, ConnectionChanged, DeliveryFailed, Event, MessageReceived
from .keys import KEY_SETS, publish_key_sets, renew_key_sets
from .ordering import Ordering
from .outbox import keep_trying, try_again
from .ports import Connection, ConnectionEnded

# Seconds before connecting again: at first, and at most.
_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 30.0


class _Closed(Exception):
    """Nothing more is to be received."""


class Receiver:
    """Receives from the inbox of a client until it is closed."""

    def __init__(self, core: Core, ordering: Ordering) -> None:
        self._core = core
        self._ordering = ordering
        self._inbox: Connection | None = None
        self._heads_came = core.ports.new_event()
        self._closed = False

    async def run(self) -> None:
        """Receive until `close`, connecting again whenever the connection breaks.

        Raises:
            StateError: code `replaced`: this client is connected from elsewhere, and that one goes on; `device-revoked`,
                `not-admitted`: this is no device of our identity, or no more.
        """
        try:
            await self._core.ports.gather(
                self._run(), keep_trying(self._core), self._ordering.run(), self._settle()
            )
        except _Closed:
            return

    async def _run(self) -> None:
        core = self._core
        await core.tell_untold()
        pause = _FIRST_PAUSE
        while not self._closed:
            core.tell(ConnectionChanged("connecting"))
            try:
                received = await self._receive_all()
                pause = _FIRST_PAUSE if received else min(2 * pause, _LONGEST_PAUSE)
            except (TransportError, RemoteError, StorageError) as error:
                # What could not be stored was not acknowledged either, so it comes again.
                core.tell(BackgroundFailure(error))
                pause = min(2 * pause, _LONGEST_PAUSE)
            finally:
                self._inbox = None
                core.tell(ConnectionChanged("disconnected"))
            if not self._closed:
                await core.ports.sleep(pause)
        raise _Closed

    async def close(self) -> None:
        """Stop receiving."""
        self._closed = True
        if self._inbox is not None:
            await self._inbox.close()

    async def _receive_all(self) -> bool:
        """One connection, from hello to its end. Returns whether it came to stand."""
        core = self._core
        token = await session_token(core)
        inbox = self._inbox = await open_inbox(core.ports.transport, core.own_service)
        ready = False
        try:
            if self._closed:
                # While it was being opened, there was nothing that `close` could have closed.
                return False
            await inbox.send(InboxHello(token_secret=token, cursor=core.state.cursor).encode())
            while True:
                frame = InboxFrame.decode(await inbox.receive())
                if not ready:
                    ready = True
                    core.tell(ConnectionChanged("connected"))
                    await self._watch()
                    self._heads_came.set()
                    # What broke our connection may have kept messages from going out, too.
                    try_again(core)
                await self._take(inbox, frame)
        except ConnectionEnded as end:
            await self._after(end, ready)
            return ready
        finally:
            await inbox.close()

    async def _after(self, end: ConnectionEnded, was_ready: bool) -> None:
        """Prepare the next connection by what ended the last one."""
        core = self._core
        if end.code == CLOSE_BAD_TOKEN:
            core.end_session()
        elif end.code == CLOSE_BAD_CURSOR:
            # The service has lost its database, and begins to count again.
            async with core.changing:
                await core.keep(replace(core.state, cursor=0))
        elif end.code == CLOSE_REPLACED:
            self._closed = True
            raise StateError("this client is connected from elsewhere", code="replaced") from None
        elif end.code == CLOSE_REVOKED:
            self._closed = True
            core.end_session()
            raise StateError(
                f"another device of {core.state.account.identity} has revoked this one; begin anew as a new device",
                code="device-revoked",
            ) from None
        elif not was_ready and not self._closed:
            raise TransportError(f"the delivery service closed our inbox at once ({end})") from None

    async def _take(self, inbox: Connection, frame: InboxFrame) -> None:
        core = self._core
        if isinstance(frame.frame, InboxDelivery):
            await self._take_message(frame.frame)
            await inbox.send(InboxAck(cursor=core.state.cursor).encode())
            if log.unsettled_domains(core):
                self._heads_came.set()
        elif isinstance(frame.frame, InboxNotice):
            await self._take_notice(frame.frame)
            await inbox.send(InboxAck(cursor=core.state.cursor).encode())
        else:
            await self._see_to_keys(frame.frame)

    async def _see_to_keys(self, frame: InboxReady | InboxKeyCount) -> None:
        core = self._core
        try:
            if isinstance(frame, InboxReady):
                await renew_key_sets(core)
            else:
                await publish_key_sets(core, KEY_SETS - frame.available)
        except (TransportError, RemoteError) as error:
            core.tell(BackgroundFailure(error))

    async def _take_message(self, delivery: InboxDelivery) -> None:
        core = self._core
        async with core.changing:
            if delivery.sequence <= core.state.cursor:
                return  # Delivered again, because the acknowledgement was lost.
            accepted = accept(
                core.ports.provider, core.state, delivery.sequence, delivery.message, core.ports.now()
            )
            await core.keep_and_tell(accepted.state, _with_way(core, delivery, accepted.events))
        self._ordering.look()

    async def _watch(self) -> None:
        """See what our delivery service says of ourselves."""
        try:
            await log.watch(self._core)
        except (TransportError, RemoteError) as error:
            self._core.tell(BackgroundFailure(error))

    async def _settle(self) -> None:
        """Have compared what members tell us of logs, beside receiving: nobody waits for a service that does not answer. It is
        asked again when there is more to compare, or we connect again."""
        core = self._core
        while True:
            await self._heads_came.wait()
            self._heads_came.clear()
            for domain in log.unsettled_domains(core):
                try:
                    await log.settle(core, domain)
                except (TransportError, RemoteError, StateError, StorageError) as error:
                    core.tell(BackgroundFailure(error))

    async def _take_notice(self, frame: InboxNotice) -> None:
        core, notice = self._core, frame.notice
        identity = notice.identity.decode("utf-8", "replace")
        failed = DeliveryFailed(notice.message_id, identity, NoticeReason(notice.reason).name)
        async with core.changing:
            if frame.sequence <= core.state.cursor:
                return
            # Told first: should we end in between, it is told again rather than never.
            core.tell(failed)
            await core.keep(replace(core.state, cursor=frame.sequence))


def _with_way(core: Core, delivery: InboxDelivery, events: tuple[Event, ...]) -> tuple[Event, ...]:
    """The events of a delivery, with the way that its message came. Messages that were held until now have come another."""
    if not events or not isinstance(events[0], MessageReceived):
        return events
    relayed_by = delivery.relayed_by.decode("ascii", "replace")
    via = (relayed_by, core.state.account.domain) if relayed_by else (core.state.account.domain,)
    return (replace(events[0], via=via), *events[1:])
