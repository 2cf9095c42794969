"""The HTTP end points: decode, ask the rules, ask the store, encode."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import asdict

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from mls_federation.federation.binding import (
    MEDIA_TYPE,
    MEDIA_TYPE_KEY_REQUEST,
    MEDIA_TYPE_KEY_RESPONSE,
    TOKEN_SIZE,
    VERSION,
    Challenge,
    PublishRequest,
    PublishResponse,
    RecipientResult,
    RecipientStatus,
    ServiceDescription,
    SessionRequest,
    SessionResponse,
    SubmitRequest,
    SubmitResponse,
)
from mls_federation.federation.seed import MEDIA_TYPE_REQUEST, MEDIA_TYPE_RESPONSE, GetUserInitKeyRequest

from . import service as rules
from .admission import limit
from .bodies import check_media_type, media_type, read_body, read_struct, reply
from .context import ENDPOINTS, service_of, token_hash
from .device_routes import identity_history
from .refusals import Refused, malformed
from .sessions import client_of
from .store import accounts, challenges, devices, key_sets, messages
from .store.accounts import SessionOutcome


async def describe(request: Request) -> Response:
    """`GET /.well-known/mls-federation`."""
    service = service_of(request)
    description = ServiceDescription(
        service.domain, (VERSION,), service.public_key, ENDPOINTS, asdict(service.limits)
    )
    return Response(
        description.encode(), media_type="application/json", headers={"Cache-Control": "max-age=60"}
    )


async def issue_challenge(request: Request) -> Response:
    """`POST /v1/challenge`."""
    service = service_of(request)
    limit(request, service, service.rates.sessions_by_source)
    if await read_body(request, service.limits):
        raise malformed("(none)", "(start)", "the body must be empty")
    return reply(Challenge(challenge=service.challenges.issue(service.provider.random(8), service.clock())))


async def open_session(request: Request) -> Response:
    """`POST /v1/sessions`."""
    service = service_of(request)
    limit(request, service, service.rates.sessions_by_source)
    asked = await read_struct(request, SessionRequest, service.limits, MEDIA_TYPE)
    now = service.clock()
    ends = service.challenges.check(asked.challenge, now)
    rules.check_session(service.provider, service.domain, asked)
    await service.store.write(challenges.redeem, asked.challenge, ends, now)
    token_secret = service.provider.random(TOKEN_SIZE)
    expires = now + service.limits.session_seconds
    outcome = await service.store.write(
        accounts.open_session,
        identity=asked.identity,
        credential=asked.credential.encode(),
        client_id=asked.client_id,
        token_hash=token_hash(token_secret),
        now=now,
        expires=expires,
    )
    if outcome is SessionOutcome.unknown_identity:
        raise Refused(
            "unknown-identity", "Nobody has claimed this identity. Claim it at the end point `devices`."
        )
    if outcome is SessionOutcome.not_a_device:
        raise Refused(
            "not-a-device", "This is no device of the identity. One that is there can admit it, at `devices`."
        )
    return reply(SessionResponse(token_secret=token_secret, expires=expires))


async def publish_key_sets(request: Request) -> Response:
    """`PUT /v1/key-sets`."""
    service = service_of(request)
    check_media_type(request, MEDIA_TYPE)
    client = await client_of(request, service)
    asked = await read_struct(request, PublishRequest, service.limits, MEDIA_TYPE)
    now = service.clock()
    # Many signatures: in a thread, so that nobody else has to wait for them.
    checked = await asyncio.to_thread(rules.check_publication, service.provider, client, asked, now)
    available = await service.store.write(key_sets.publish, client.key, checked, now, service.limits.key_sets)
    return reply(PublishResponse(available=available))


async def fetch_bundles(request: Request) -> Response:
    """`POST /v1/bundles`, for clients of the seed and for ours."""
    service = service_of(request)
    limit(request, service, service.rates.bundles_by_source)
    asked = await read_struct(
        request, GetUserInitKeyRequest, service.limits, MEDIA_TYPE_REQUEST, MEDIA_TYPE_KEY_REQUEST
    )
    rules.check_identity(asked.identity, service.domain)
    now = service.clock()
    # Whoever fetches too much gets the last resort: others can still be added, and keep keys for one use.
    wait = service.rates.key_sets_by_identity.take(asked.identity, now)
    taken, history = await service.store.write(
        _take_keys,
        asked.identity,
        lambda offered: rules.choose_suite(asked.supported_suites, offered) is not None,
        now,
        sparing=wait > 0,
    )
    rules.check_taken(taken, wait)
    for one in taken:
        if one.key_set is not None:
            service.metrics.key_sets.labels("last_resort" if one.key_set.last_resort else "single").inc()
    if media_type(request) == MEDIA_TYPE_REQUEST:
        return reply(rules.seed_response(asked.identity, taken), MEDIA_TYPE_RESPONSE)
    return reply(
        rules.key_response(
            service.provider,
            asked.supported_suites,
            taken,
            asked.identity,
            identity_history(service, history),
        ),
        MEDIA_TYPE_KEY_RESPONSE,
    )


def _take_keys(
    connection: Connection, identity: bytes, suits: Callable[[bytes], bool], now: int, *, sparing: bool
) -> tuple[tuple[key_sets.Taken, ...], devices.History]:
    """Keys of each client of an identity, and what says at the same moment which clients it has."""
    return key_sets.take(connection, identity, suits, now, sparing=sparing), devices.history(
        connection, identity
    )


async def submit_message(request: Request) -> Response:
    """`POST /v1/messages`."""
    service = service_of(request)
    limit(request, service, service.rates.messages_by_source)
    asked = await read_struct(request, SubmitRequest, service.limits, MEDIA_TYPE)
    named = rules.check_submission(asked, service.limits)
    now = service.clock()
    # Their inboxes are as good as full: those who get more than anybody reads cannot take it now.
    flooded = {
        recipient for recipient in asked.recipients if service.rates.messages_by_identity.take(recipient, now)
    }
    recipients = [recipient for recipient in asked.recipients if recipient not in flooded]
    submitted = await service.store.write(
        messages.submit, recipients, asked.message_id, asked.message, now, rules.room(service.limits), named
    )
    service.metrics.messages_accepted.inc(submitted.inboxes)
    statuses = dict(zip(recipients, submitted.statuses, strict=True))
    return reply(
        SubmitResponse(
            results=tuple(
                RecipientResult(
                    identity=recipient, status=statuses.get(recipient, RecipientStatus.inbox_full)
                )
                for recipient in asked.recipients
            )
        )
    )
