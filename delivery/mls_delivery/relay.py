"""Sending what waits for other domains: one task for each domain, in every process, one of which has its turn.

A message leaves the store only when the other domain has answered for it. So whatever breaks in between, it is sent again,
and is known there by its id.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from sqlalchemy.exc import SQLAlchemyError

from mls_federation.errors import DecodeError
from mls_federation.federation.binding import MEDIA_TYPE, RecipientStatus, service_error
from mls_federation.federation.relay import RelayRequest, RelayResponse

from .context import DeliveryService
from .peers import Answer
from .refusals import Refused
from .store import peers, relay
from .store.peers import Turn
from .store.relay import Batch

_log = logging.getLogger("mls_delivery")

_HOLDER_SIZE = 16
# Seconds for which one process has its turn; it asks for more while it waits for an answer. After a crash, another waits so long.
_TURN_SECONDS = 5
_RENEWAL_SECONDS = 2.0
# Seconds before a domain that is not reached is tried again: at first, and at most; give or take a half, so that not all
# who wait for it come at once.
_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 300.0
_JITTER = 0.5
_MAX_MESSAGES = 500
# Of a request's body, for notices.
_NOTICES_OCTETS = 1 << 16
# How often what has waited for too long is looked for.
_TIDY_SECONDS = 60.0

# Answers that will be the same when the same request comes again.
_FINAL_CODES = frozenset({"malformed", "unsupported-media-type", "too-many-recipients"})
_TOO_LARGE = 413


class _NotReached(Exception):
    """A domain did not answer, or not so that anything is known of our request.

    Attributes:
        pause: seconds for which it wants to be left alone.
    """

    def __init__(self, reason: str, pause: float = 0.0) -> None:
        super().__init__(reason)
        self.pause = pause


@dataclass
class _Lane:
    """What goes to one domain.

    Attributes:
        news: set when there may be something to do.
        alone: whether messages go one by one, because several together were refused.
    """

    domain: str
    task: asyncio.Task[None] | None = None
    news: asyncio.Event = field(default_factory=asyncio.Event)
    alone: bool = False


class Relay:
    """The sending side of one process."""

    def __init__(self, service: DeliveryService) -> None:
        self._service = service
        self._holder = service.provider.random(_HOLDER_SIZE)
        self._lanes: dict[str, _Lane] = {}
        self._news = asyncio.Event()
        self._tidied_at = 0.0
        self._tidy_seconds = min(_TIDY_SECONDS, service.limits.relay_seconds / 4)

    async def run(self) -> None:
        """Send until cancelled; then others may have our turns."""
        try:
            with self._service.store.listening(peers.HEARD_OF, "", self._news.set):
                while True:
                    try:
                        await self._look()
                    except SQLAlchemyError:
                        _log.exception("what waits for other domains cannot be read")
                        await asyncio.sleep(_FIRST_PAUSE)
        finally:
            await self._end()

    async def _look(self) -> None:
        """See that everything that waits is attended to, until there may be more."""
        store = self._service.store
        self._news.clear()
        for domain in await store.read(relay.waiting_domains):
            self._wake(domain)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._tidy_seconds):
                await self._news.wait()
        # There may be news all the time.
        now = asyncio.get_running_loop().time()
        if now >= self._tidied_at + self._tidy_seconds:
            self._tidied_at = now
            await store.write(relay.expire, self._service.clock())

    def _wake(self, domain: str) -> None:
        lane = self._lanes.get(domain)
        if lane is None:
            lane = self._lanes[domain] = _Lane(domain)
            lane.task = asyncio.create_task(self._serve(lane))
        lane.news.set()

    async def _end(self) -> None:
        tasks = [lane.task for lane in self._lanes.values() if lane.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for domain in list(self._lanes):
            await self._service.store.write(peers.end_turn, domain, self._holder)

    async def _serve(self, lane: _Lane) -> None:
        """Send what waits for a domain, until nothing does."""
        while True:
            lane.news.clear()
            try:
                pause = await self._send_next(lane)
            except Exception:  # noqa: BLE001 - it is logged, with its traceback
                # A fault of ours or of the store must not be the last that this domain hears of us.
                _log.exception("sending to another domain failed")
                pause = _LONGEST_PAUSE
            if pause is None:
                if not lane.news.is_set():
                    del self._lanes[lane.domain]
                    return
                pause = 0.0
            if pause > 0:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await lane.news.wait()

    async def _send_next(self, lane: _Lane) -> float | None:
        """Send one request. Returns for how many seconds there is nothing to do; None if there is nothing at all."""
        store, domain, now = self._service.store, lane.domain, self._service.clock()
        turn = await self._take_turn(domain, now)
        if not turn.ours:
            return float(max(1, turn.not_before - now))
        try:
            batch = await self._next_batch(lane, now)
            if not batch.messages and not batch.notices:
                await store.write(peers.end_turn, domain, self._holder)
                return None if batch.held_until is None else float(max(1, batch.held_until - now))
            await self._send(lane, batch)
        except (_NotReached, Refused) as fault:
            await self._postpone(domain, fault)
        return 0.0

    async def _take_turn(self, domain: str, now: int) -> Turn:
        """Our turn, for a while to come, or why it is not."""
        store = self._service.store
        turn = await store.read(peers.turn_of, domain, self._holder, now)
        if turn.ours and turn.until < now + _RENEWAL_SECONDS:
            turn = await store.write(peers.take_turn, domain, self._holder, now, now + _TURN_SECONDS)
        return turn

    async def _next_batch(self, lane: _Lane, now: int) -> Batch:
        store, domain = self._service.store, lane.domain
        if not self._service.peers.allows(domain):
            # It was allowed when this was taken on.
            batch = await store.read(relay.next_batch, domain, now, _MAX_MESSAGES, 0)
            await self._settle(domain, batch, _all(batch, RecipientStatus.refused))
            return batch
        peer = await self._service.peers.find(domain, again=True)
        if not lane.alone:
            octets = max(0, peer.body_limit - _NOTICES_OCTETS)
            return await store.read(relay.next_batch, domain, now, _MAX_MESSAGES, octets)
        batch = await store.read(relay.next_batch, domain, now, 1, 0)
        return replace(batch, notices=() if batch.messages else batch.notices)

    async def _send(self, lane: _Lane, batch: Batch) -> None:
        domain = lane.domain
        request = RelayRequest(
            messages=tuple(waiting.message for waiting in batch.messages),
            notices=tuple(notice for _, notice in batch.notices),
        )
        answer = await self._ask(domain, request.encode())
        if answer.status == 200:
            await self._settle(domain, batch, _statuses(batch, answer.body))
            lane.alone = False
            return
        error = service_error(answer.status, answer.body)
        if (
            error.code != "peer-not-allowed"
            and error.code not in _FINAL_CODES
            and answer.status != _TOO_LARGE
        ):
            after = answer.headers.get("retry-after", "")
            # Its code alone: what else it says is its own choice, and goes into no log of ours.
            raise _NotReached(error.code, float(after) if after.isdecimal() else 0.0)
        if error.code != "peer-not-allowed" and not lane.alone:
            lane.alone = True  # One of them is at fault, and the others need not suffer for it.
            return
        _log.warning("%s refuses what is sent to it: %s", domain, error.code)
        await self._settle(domain, batch, _all(batch, RecipientStatus.refused))
        lane.alone = False

    async def _ask(self, domain: str, body: bytes) -> Answer:
        """The answer to a request, while which nobody else sends one."""
        service = self._service
        asking = asyncio.create_task(service.peers.post(domain, "relay", MEDIA_TYPE, body, again=True))
        try:
            while not (await asyncio.wait({asking}, timeout=_RENEWAL_SECONDS))[0]:
                await self._take_turn(domain, service.clock())
            return asking.result()
        finally:
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)

    async def _settle(
        self, domain: str, batch: Batch, statuses: Sequence[tuple[int, RecipientStatus]]
    ) -> None:
        for _, status in statuses:
            self._service.metrics.relay_settled.labels(status.name).inc()
        notices = [key for key, _ in batch.notices]
        await self._service.store.write(relay.settle, domain, statuses, notices, self._service.clock())

    async def _postpone(self, domain: str, fault: _NotReached | Refused) -> None:
        """Leave a domain alone for a while, the longer the more often it was not reached."""
        store = self._service.store
        self._service.metrics.relay_postponed.inc()
        failures = await store.read(peers.failures, domain)
        if failures == 0:
            _log.warning("%s is not reached: %s", domain, fault)
        pause = min(_FIRST_PAUSE * 2.0 ** min(failures, 20), _LONGEST_PAUSE)
        pause *= random.uniform(1 - _JITTER, 1 + _JITTER)  # noqa: S311 - nothing secret about it
        pause = max(pause, getattr(fault, "pause", 0.0))
        not_before = self._service.clock() + math.ceil(pause)
        await store.write(peers.not_reached, domain, self._holder, not_before)


def _all(batch: Batch, status: RecipientStatus) -> list[tuple[int, RecipientStatus]]:
    return [(row, status) for waiting in batch.messages for row in waiting.rows]


def _statuses(batch: Batch, body: bytes) -> list[tuple[int, RecipientStatus]]:
    """What a domain has answered, for each row of a batch.

    Raises:
        _NotReached: the answer is for something else.
    """
    try:
        results = RelayResponse.decode(body).results
    except DecodeError as fault:
        raise _NotReached(f"its answer cannot be read: {fault.message}") from None
    named = [tuple(result.identity for result in response.results) for response in results]
    if named != [waiting.message.recipients for waiting in batch.messages]:
        raise _NotReached("it answered for other recipients than it was asked for")
    return [
        (row, RecipientStatus(result.status))
        for waiting, response in zip(batch.messages, results, strict=True)
        for row, result in zip(waiting.rows, response.results, strict=True)
    ]
