"""The end points of server fanout: what a client hands over, asks through us, and what other domains relay to us."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import Response

from mls_federation.errors import ValidationError
from mls_federation.federation.binding import (
    MEDIA_TYPE,
    RecipientResult,
    RecipientStatus,
    SubmitRequest,
    SubmitResponse,
    is_domain,
    split_identity,
)
from mls_federation.federation.relay import RelayRequest, RelayResponse

from . import service as rules
from .bodies import media_type, read_body, read_struct, reply
from .context import DeliveryService, service_of
from .refusals import Refused
from .sessions import client_of
from .signed_requests import peer_of
from .store import relay

# What clients may ask of other domains through us: what needs no session there.
PROXIED = frozenset(
    {
        "bundles",
        "history",
        "tree_head",
        "consistency",
        "log_entries",
        "groups",
        "commits",
        "missed",
        "group_info",
    }
)
DESCRIPTION = "description"
# What comes from another domain is not for a browser to make sense of.
_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


async def take_outgoing(request: Request) -> Response:
    """`POST /v1/outgoing`."""
    service = service_of(request)
    client = await client_of(request, service)
    service.rates.messages_by_source.spend(("client", client.key), service.clock())
    asked = await read_struct(request, SubmitRequest, service.limits, MEDIA_TYPE)
    named = rules.check_submission(asked, service.limits)
    recipients: list[tuple[bytes, str]] = []
    settled: dict[bytes, RecipientStatus] = {}
    for recipient in asked.recipients:
        try:
            domain = split_identity(recipient)[1]
        except ValidationError:
            settled[recipient] = RecipientStatus.unknown
            continue
        if domain == service.domain and _flooded(service, [recipient]):
            settled[recipient] = RecipientStatus.inbox_full
        else:
            recipients.append((recipient, domain))
    statuses = await service.store.write(
        relay.take_on,
        client.key,
        asked.message_id,
        asked.message,
        recipients,
        service.domain,
        {domain for _, domain in recipients if not service.peers.allows(domain)} - {service.domain},
        service.clock(),
        _bounds(service),
        named,
    )
    service.metrics.messages_accepted.inc(statuses.count(RecipientStatus.accepted))
    settled |= dict(zip((recipient for recipient, _ in recipients), statuses, strict=True))
    return reply(_response(asked.recipients, [settled[recipient] for recipient in asked.recipients]))


async def proxy(request: Request) -> Response:
    """`POST /v1/proxy/{domain}/{endpoint}`."""
    service = service_of(request)
    client = await client_of(request, service)
    domain, endpoint = request.path_params["domain"], request.path_params["endpoint"]
    if not is_domain(domain) or domain == service.domain or endpoint not in PROXIED | {DESCRIPTION}:
        raise Refused("not-found", f"Nothing is asked of {domain} through here at {endpoint}.")
    if endpoint == "bundles":
        service.rates.bundles_by_source.spend(("client", client.key), service.clock())
    body = await read_body(request, service.limits)
    with service.proxying.one_more(client.key):
        if endpoint == DESCRIPTION:
            peer = await service.peers.find(domain)
            return Response(peer.description.encode(), media_type="application/json", headers=_HEADERS)
        answer = await service.peers.post(domain, endpoint, media_type(request), body)
    headers = dict(_HEADERS)
    for name in ("content-type", "retry-after"):
        if name in answer.headers:
            headers[name] = answer.headers[name]
    return Response(answer.body, answer.status, headers)


async def take_relayed(request: Request) -> Response:
    """`POST /v1/relay`."""
    service = service_of(request)
    domain = peer_of(request)
    with service.relaying.one_more(domain):
        asked = await read_struct(request, RelayRequest, service.limits, MEDIA_TYPE)
        relayed = [
            relay.Arrived(
                message,
                rules.check_submission(message, service.limits),
                _flooded(service, message.recipients),
            )
            for message in asked.messages
        ]
        results = await service.store.write(
            relay.receive,
            domain,
            relayed,
            asked.notices,
            service.clock(),
            rules.room(service.limits),
        )
    return reply(
        RelayResponse(
            results=tuple(
                _response(message.recipients, statuses)
                for message, statuses in zip(asked.messages, results, strict=True)
            )
        )
    )


def _response(recipients: Sequence[bytes], statuses: Sequence[RecipientStatus]) -> SubmitResponse:
    return SubmitResponse(
        results=tuple(
            RecipientResult(identity=recipient, status=status)
            for recipient, status in zip(recipients, statuses, strict=True)
        )
    )


def _flooded(service: DeliveryService, recipients: Sequence[bytes]) -> frozenset[bytes]:
    """Those who have had more messages in the last minute than they may. Their inboxes are as good as full."""
    now = service.clock()
    return frozenset(
        recipient for recipient in recipients if service.rates.messages_by_identity.take(recipient, now)
    )


def _bounds(service: DeliveryService) -> relay.Bounds:
    limits = service.limits
    return relay.Bounds(
        rows=limits.relay_messages,
        octets=limits.relay_octets,
        seconds=limits.relay_seconds,
        room=rules.room(limits),
    )
