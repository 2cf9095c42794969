"""The ASGI application of a delivery service."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect
from starlette.routing import Route, WebSocketRoute
from starlette.types import ASGIApp

from mls_federation.errors import RemoteError
from mls_federation.federation.binding import WELL_KNOWN_PATH

from . import device_routes, group_routes, log_routes, peer_routes, problems, routes
from .admission import Admitted
from .context import ENDPOINTS, DeliveryService
from .inbox import inbox
from .observing import Observed
from .relay import Relay
from .signed_requests import SignedRequests
from .upkeep import kept_up

_PREFLIGHT_SECONDS = 3600


def application(service: DeliveryService) -> ASGIApp:
    """The application; it keeps the service in order, and closes its store when the server shuts down."""

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        relaying = asyncio.create_task(Relay(service).run())
        async with kept_up(service):
            yield
        relaying.cancel()
        await asyncio.wait([relaying])
        await service.peers.close()
        await service.sign_in.close()
        await service.store.close()

    app = Starlette(
        routes=[
            Route(WELL_KNOWN_PATH, routes.describe, methods=["GET"]),
            Route(ENDPOINTS["challenge"], routes.issue_challenge, methods=["POST"]),
            *device_routes.ROUTES,
            Route(ENDPOINTS["sessions"], routes.open_session, methods=["POST"]),
            Route(ENDPOINTS["key_sets"], routes.publish_key_sets, methods=["PUT"]),
            Route(ENDPOINTS["bundles"], routes.fetch_bundles, methods=["POST"]),
            Route(ENDPOINTS["messages"], routes.submit_message, methods=["POST"]),
            Route(ENDPOINTS["outgoing"], peer_routes.take_outgoing, methods=["POST"]),
            Route(ENDPOINTS["proxy"] + "/{domain}/{endpoint}", peer_routes.proxy, methods=["POST"]),
            Route(ENDPOINTS["relay"], peer_routes.take_relayed, methods=["POST"]),
            *log_routes.ROUTES,
            WebSocketRoute(ENDPOINTS["inbox"], inbox),
            *group_routes.ROUTES,
        ],
        exception_handlers={
            RemoteError: problems.on_remote_error,
            HTTPException: problems.on_http_exception,
            ClientDisconnect: problems.on_disconnect,
            Exception: problems.on_failure,
        },
        middleware=[Middleware(SignedRequests, service=service)],
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False
    app.state.service = service
    # Outermost, so that a page can read every answer, that to a failure too.
    return CORSMiddleware(
        Observed(Admitted(app, service), service.metrics),
        allow_origins=service.allowed_origins,
        allow_methods=("GET", "POST", "PUT"),
        allow_headers=("Authorization", "Content-Type"),
        expose_headers=("Retry-After",),
        max_age=_PREFLIGHT_SECONDS,
    )
