"""The outbox: messages that are stored here until the delivery services of their recipients have taken them."""

from __future__ import annotations

from dataclasses import replace

from ..errors import RemoteError, ServiceError, StateError, TransportError, UsageError
from ..federation.binding import RecipientStatus, domain_of
from .core import Core
from .delivery_service import submit
from .events import BackgroundFailure
from .refusals import is_final
from .results import Delivery
from .state import GroupState, Outgoing

# Octets that encryption, framing and up to a few hundred recipients' names add to an application message at most.
_MESSAGE_OVERHEAD = 80 * 1024


async def deliver(core: Core, reported: set[bytes] | None = None) -> tuple[Delivery, ...]:
    """Hand over the outbox, in order for each domain; a domain that is not reached keeps its messages.

    To be called with `sending` held.

    Args:
        reported: of which messages to report; of all, if it is not given.
    """
    deliveries: list[Delivery] = []
    unreached: set[str] = set()
    for outgoing in core.state.outbox:
        statuses = [Delivery(identity, "pending") for identity in outgoing.recipients]
        if outgoing.domain not in unreached:
            try:
                statuses = await _submit(core, outgoing)
            except (TransportError, RemoteError, StateError) as error:
                core.tell(BackgroundFailure(error))
                unreached.add(outgoing.domain)
        if reported is None or outgoing.message_id in reported:
            deliveries += statuses
    return tuple(deliveries)


async def _submit(core: Core, outgoing: Outgoing) -> list[Delivery]:
    """Hand over one message, and take it from the outbox once that is settled, for good or ill."""
    try:
        results = await submit(core.ports.transport, core.service(outgoing.domain), outgoing)
        statuses = [
            Delivery(result.identity.decode("utf-8"), RecipientStatus(result.status).name)
            for result in results
        ]
    except ServiceError as error:
        if not is_final(error):
            raise
        # It would be refused again; keeping it would only hold up what comes after it.
        core.tell(BackgroundFailure(error))
        statuses = [Delivery(identity, "refused") for identity in outgoing.recipients]
    async with core.changing:
        left = tuple(waiting for waiting in core.state.outbox if waiting is not outgoing)
        await core.keep(replace(core.state, outbox=left))
    return statuses


def check_size(core: Core, known: GroupState, data: bytes) -> None:
    """Refuse data that cannot be delivered before a key is spent on it.

    Raises:
        UsageError: code `message-too-large`.
    """
    domains = {domain_of(address) for address in known.addresses}
    limits = [
        service.description.limits["body"]
        for domain, service in core.services.items()
        if domain in domains and "body" in service.description.limits
    ]
    if limits and len(data) > min(limits) - _MESSAGE_OVERHEAD:
        raise UsageError(
            f"the message has {len(data)} octets; the members' delivery services take at most"
            f" {min(limits) - _MESSAGE_OVERHEAD}",
            code="message-too-large",
        )
