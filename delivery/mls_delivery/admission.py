"""Requests are refused when there are too many. Inboxes see to that themselves (`inbox.py`)."""

from __future__ import annotations

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from .context import DeliveryService
from .problems import problem_response
from .rates import Buckets
from .refusals import Refused
from .signed_requests import signer_of
from .sources import source_of


class Admitted:
    """An application that serves no more requests, at once and in a minute, than the service's limits allow."""

    def __init__(self, app: ASGIApp, service: DeliveryService) -> None:
        self._app = app
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        service = self._service
        try:
            source = source_of(Request(scope), service.trusted_proxies)
            service.rates.requests_by_source.spend(source, service.clock())
            with service.connections.enter(source):
                await self._app(scope, receive, send)
        except Refused as refused:
            service.metrics.refusals.labels(refused.code).inc()
            await problem_response(refused)(scope, receive, send)


def limit(request: Request, service: DeliveryService, buckets: Buckets) -> None:
    """Count a request of a kind of which there are fewer than of others.

    Raises:
        Refused: code `rate-limited`: its source has made too many.
    """
    # A service that has signed asks for all its people, and is counted with requests of any kind alone.
    if signer_of(request) is None:
        buckets.spend(source_of(request, service.trusted_proxies), service.clock())
