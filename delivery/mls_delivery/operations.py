"""What the operator asks: is the service well (`/health`), and what has it done (`/metrics`)?

They have a listener of their own. The service's other one usually has a reverse proxy before it, on the same machine, so that
"only from this machine" would mean everybody there.
"""

from __future__ import annotations

import asyncio

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from .context import DeliveryService, service_of
from .logs import log_failure
from .store import accounts, messages, relay

_STORE_SECONDS = 3


def operations(service: DeliveryService) -> Starlette:
    """The operator's application."""
    app = Starlette(
        routes=[
            Route("/health", health, methods=["GET"]),
            Route("/metrics", metrics, methods=["GET"]),
        ]
    )
    app.state.service = service
    return app


async def health(request: Request) -> Response:
    """`GET /health`: 200 if the service can serve, which it can if its store answers; else 503."""
    service = service_of(request)
    try:
        async with asyncio.timeout(_STORE_SECONDS):
            await service.store.read(accounts.client_of, b"", service.clock())
    except Exception as fault:  # noqa: BLE001 - whatever it is, it is what is asked for
        log_failure("the store does not answer", fault)
        return _health(503, "failing")
    return _health(200, "ok")


def _health(status: int, store: str) -> Response:
    return JSONResponse(
        {"status": "ok" if status == 200 else "failing", "store": store},
        status,
        {"Cache-Control": "no-store"},
    )


async def metrics(request: Request) -> Response:
    """`GET /metrics`, in Prometheus' text format."""
    service = service_of(request)
    service.metrics.waiting_messages.set(await service.store.read(messages.waiting))
    service.metrics.relay_waiting.set(await service.store.read(relay.waiting))
    return Response(
        generate_latest(service.metrics.registry),
        media_type=CONTENT_TYPE_LATEST,
        headers={"Cache-Control": "no-store"},
    )
