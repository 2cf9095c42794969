"""The end points of devices: who claims an identity, which clients it has, and what shows that."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from mls_federation.federation.binding import MEDIA_TYPE
from mls_federation.federation.devices import DeviceEvent, DeviceEventType, verify_event
from mls_federation.federation.log import HistoryRequest, IdentityHistory, LoggedEvent

from . import service as rules
from .admission import limit
from .bodies import read_struct, reply
from .context import ENDPOINTS, DeliveryService, service_of
from .log_routes import signed_head
from .refusals import Refused
from .store import devices


async def add_device_event(request: Request) -> Response:
    """`POST /v1/devices`. There is no session: the event proves itself."""
    service = service_of(request)
    limit(request, service, service.rates.devices_by_source)
    event = await read_struct(request, DeviceEvent, service.limits, MEDIA_TYPE)
    rules.check_identity(event.identity, service.domain)
    verify_event(service.provider, event)
    if event.event_type is DeviceEventType.claim and not await service.store.read(devices.is_known, event):
        await service.sign_in.check(event.identity.decode("utf-8"), _bearer_token(request))
    added = await service.store.write(devices.add, event, service.clock(), service.limits.clients)
    return reply(identity_history(service, added))


async def show_history(request: Request) -> Response:
    """`POST /v1/history`."""
    service = service_of(request)
    limit(request, service, service.rates.devices_by_source)
    asked = await read_struct(request, HistoryRequest, service.limits, MEDIA_TYPE)
    rules.check_identity(asked.identity, service.domain)
    found = await service.store.read(devices.history, asked.identity)
    if not found.events:
        raise Refused("unknown-identity", "Nobody has claimed this identity.")
    return reply(identity_history(service, found))


def identity_history(service: DeliveryService, history: devices.History) -> IdentityHistory:
    """The history of an identity as the service stands by it."""
    events = tuple(
        LoggedEvent(event=event, index=number, inclusion_path=path)
        for event, number, path in zip(history.events, history.numbers, history.paths, strict=True)
    )
    return IdentityHistory(events=events, head=signed_head(service, history.head))


def _bearer_token(request: Request) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


ROUTES = (
    Route(ENDPOINTS["devices"], add_device_event, methods=["POST"]),
    Route(ENDPOINTS["history"], show_history, methods=["POST"]),
)
