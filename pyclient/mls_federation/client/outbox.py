"""The outbox: messages that are stored here until the delivery services of their recipients have taken them.

     client fanout: a lane for each domain              server fanout: one lane
       ┌──► DS of a.example                               ┌──► our DS ──┬──► DS of b.example
     us├──► DS of b.example                             us┘             └──► DS of c.example
       └──► DS of c.example

Lanes are worked through side by side, each in the order of the outbox, so that a service that is away holds up only its own.
In a lane, a recipient whose inbox is full holds up only their own messages. What is left is tried again, after pauses that grow,
for as long as the client runs.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from ..errors import RemoteError, ServiceError, StateError, StorageError, TransportError, UsageError
from ..federation.binding import RecipientStatus, domain_of
from .core import Core, Lane
from .delivery_service import DeliveryService, submit
from .events import BackgroundFailure, DeliveryFailed
from .refusals import is_final
from .results import Delivery
from .state import Fanout, GroupState, Outgoing

# Octets that encryption, framing and up to a few hundred recipients' names add to an application message at most.
_MESSAGE_OVERHEAD = 80 * 1024
# Recipients of one submission, if the service does not say.
_RECIPIENTS = 256
# Seconds before a lane is tried again: at first, and at most; and how long the loop sleeps at most, since others may come to be due.
_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 60.0
_LONGEST_SLEEP = 5.0
# A command does not wait for a service that was not reached so many times in a row: it is tried again in the background.
_PATIENCE = 2

# For these, the message waits here, and what comes after it for the same recipient too.
_LATER = frozenset({RecipientStatus.inbox_full, RecipientStatus.queue_full})
_FAILED = {"unknown": "unknown", "refused": "refused"}


@dataclass(frozen=True)
class _Submission:
    """One message on one lane: entries of the outbox that share it."""

    entries: tuple[Outgoing, ...]

    @property
    def message(self) -> Outgoing:
        return self.entries[0]

    @property
    def recipients(self) -> list[str]:
        return [identity for entry in self.entries for identity in entry.recipients]


async def deliver(core: Core, reported: Collection[bytes] | None = None) -> tuple[Delivery, ...]:
    """Hand over the outbox; what is not reached keeps its messages.

    Args:
        reported: of which messages to report; then what was not reached several times in a row is not waited for. If it
            is not given, everything is tried, and of everything is reported.
    """
    outbox = core.state.outbox
    messages = [entry for entry in outbox if reported is None or entry.message_id in reported]
    awaited = {
        (entry.message_id, who): _pending(entry, who) for entry in messages for who in entry.recipients
    }
    core.awaited.append(awaited)
    try:
        lanes = dict.fromkeys(_lane_of(core, entry) for entry in outbox)
        await _all(core, [key for key in lanes if reported is None or _is_well(core, key)])
    finally:
        core.awaited = [others for others in core.awaited if others is not awaited]
    return tuple(awaited.values())


def try_again(core: Core) -> None:
    """What kept messages from going out may be over."""
    for lane in core.lanes.values():
        lane.not_before = 0.0
    if core.state.outbox:
        core.something_left.set()


async def keep_trying(core: Core) -> None:
    """Hand over what is left in the outbox, again and again, until cancelled."""
    while True:
        core.something_left.clear()
        now = core.ports.now()
        lanes = dict.fromkeys(_lane_of(core, entry) for entry in core.state.outbox)
        waits = {key: _lane(core, key).not_before - now for key in lanes}
        due = [key for key, wait in waits.items() if wait <= 0]
        if due:
            await _all(core, due)
        elif waits:
            await core.ports.sleep(min(*waits.values(), _LONGEST_SLEEP))
        else:
            await core.something_left.wait()


async def _all(core: Core, lanes: Sequence[str]) -> None:
    works = [_work_through(core, key) for key in lanes]
    if len(works) == 1:
        await works[0]
    elif works:
        await core.ports.gather(*works)


def _lane_of(core: Core, entry: Outgoing) -> str:
    return core.state.account.domain if core.state.fanout is Fanout.server else entry.domain


def _lane(core: Core, key: str) -> Lane:
    lane = core.lanes.get(key)
    if lane is None:
        lane = core.lanes[key] = Lane(core.ports.new_lock())
    return lane


def _is_well(core: Core, key: str) -> bool:
    lane = _lane(core, key)
    return lane.failures < _PATIENCE or not (lane.busy or core.ports.now() < lane.not_before)


async def _work_through(core: Core, key: str) -> None:
    """Hand over what is in a lane, as far as it gets."""
    lane = _lane(core, key)
    async with lane.lock:
        lane.busy = True
        wanted = 0
        given_up = False
        try:
            left = await _hand_over_lane(core, key)
        except (TransportError, RemoteError, StateError, StorageError) as error:
            left = True
            # Whoever waited for it waits no more, which says nothing of the service.
            given_up = error.code == "aborted"
            if not given_up:
                core.tell(BackgroundFailure(error))
            if isinstance(error, ServiceError) and error.retry_after:
                wanted, lane.failures = error.retry_after, max(lane.failures, _PATIENCE)
        finally:
            lane.busy = False
        if left:
            core.something_left.set()
        if given_up:
            return
        if left:
            now = core.ports.now()
            lane.failures += 1
            # Commands try before their time, and must not make the pauses grow.
            if now >= lane.not_before:
                lane.not_before = now + _pause(core, lane.pauses)
                lane.pauses += 1
            lane.not_before = max(lane.not_before, now + wanted)
        else:
            lane.failures, lane.pauses, lane.not_before = 0, 0, 0.0


def _pause(core: Core, pauses: int) -> float:
    """Between a half and one and a half of what it should be, so that not all who wait come at once."""
    chance = core.ports.provider.random(1)[0] / 255
    return float(min(_FIRST_PAUSE * 2 ** min(pauses, 16), _LONGEST_PAUSE) * (0.5 + chance))


async def _hand_over_lane(core: Core, key: str) -> bool:
    """Returns whether something is left for later though the service was there."""
    held: set[str] = set()
    for submission in _submissions(entry for entry in core.state.outbox if _lane_of(core, entry) == key):
        recipients = [identity for identity in submission.recipients if identity not in held]
        limit = core.service(key).description.limits.get("recipients", _RECIPIENTS)
        for at in range(0, len(recipients), limit):
            held |= await _hand_over(core, key, submission, recipients[at : at + limit])
    return bool(held)


def _submissions(entries: Iterable[Outgoing]) -> list[_Submission]:
    """Entries that follow each other and share a message go together."""
    together: list[list[Outgoing]] = []
    for entry in entries:
        if together and together[-1][0].message_id == entry.message_id:
            together[-1].append(entry)
        else:
            together.append([entry])
    return [_Submission(tuple(group)) for group in together]


async def _hand_over(core: Core, key: str, submission: _Submission, recipients: list[str]) -> set[str]:
    """Hand over one message, and take it from the outbox for those for whom that is settled, for good or ill.

    Returns:
        Those for whom it is not.
    """
    message = submission.message
    service = core.service(key)
    try:
        if core.state.fanout is Fanout.server:
            results = await core.in_session(
                lambda token: submit(core.ports.transport, service, message, recipients, token)
            )
        else:
            results = await submit(core.ports.transport, service, message, recipients)
        statuses = {result.identity.decode("utf-8"): RecipientStatus(result.status) for result in results}
    except ServiceError as error:
        if not is_final(error):
            raise
        # It would be refused again; keeping it would only hold up what comes after it.
        core.tell(BackgroundFailure(error))
        statuses = dict.fromkeys(recipients, RecipientStatus.refused)
    settled = {who for who, status in statuses.items() if status not in _LATER}
    async with core.changing:
        await core.keep(replace(core.state, outbox=_without(core.state.outbox, message.message_id, settled)))
    for who, status in statuses.items():
        _report(core, Delivery(who, status.name, message.message_id, _via(service, who, status)))
    return set(recipients) - settled


def _without(outbox: Iterable[Outgoing], message_id: bytes, settled: Collection[str]) -> tuple[Outgoing, ...]:
    left = []
    for entry in outbox:
        if entry.message_id == message_id:
            recipients = tuple(who for who in entry.recipients if who not in settled)
            if not recipients:
                continue
            if recipients != entry.recipients:
                entry = replace(entry, recipients=recipients)
        left.append(entry)
    return tuple(left)


def _report(core: Core, delivery: Delivery) -> None:
    """Tell whoever waits to hear of it; else the application, if it failed."""
    this = (delivery.message_id, delivery.identity)
    waiting = [awaited for awaited in core.awaited if this in awaited]
    for awaited in waiting:
        awaited[this] = delivery
    if not waiting and delivery.status in _FAILED:
        core.tell(DeliveryFailed(delivery.message_id, delivery.identity, _FAILED[delivery.status]))


def _pending(entry: Outgoing, identity: str) -> Delivery:
    return Delivery(identity, "pending", entry.message_id)


def _via(service: DeliveryService, identity: str, status: RecipientStatus) -> tuple[str, ...]:
    """The services that a message goes through."""
    if status is RecipientStatus.relayed:
        return service.domain, domain_of(identity)
    return (service.domain,) if status is RecipientStatus.accepted else ()


def check_size(core: Core, known: GroupState, data: bytes) -> None:
    """Refuse data that cannot be delivered before a key is spent on it.

    Raises:
        UsageError: code `message-too-large`.
    """
    domains = {domain_of(address) for address in known.addresses} | {core.state.account.domain}
    limits = [
        description.limits["body"]
        for domain, description in core.descriptions.items()
        if domain in domains and "body" in description.limits
    ]
    if limits and len(data) > min(limits) - _MESSAGE_OVERHEAD:
        raise UsageError(
            f"the message has {len(data)} octets; the members' delivery services take at most"
            f" {min(limits) - _MESSAGE_OVERHEAD}",
            code="message-too-large",
        )
