"""Every request that says it is signed is verified, wherever it goes; what is behind this knows whom it is from."""

from __future__ import annotations

from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mls_federation.errors import RemoteError

from .bodies import read_body
from .context import DeliveryService
from .problems import problem_response
from .refusals import Refused, refusal
from .signatures import SignedRequest

_PEER = "peer"


class SignedRequests:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp, service: DeliveryService) -> None:
        self._app = app
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Verify the request if it is signed, and pass it on."""
        if scope["type"] != "http" or not (signed := _signed_request(scope)).is_signed:
            await self._app(scope, receive, send)
            return
        try:
            body = await read_body(Request(scope, receive), self._service.limits)
            peer = await self._service.peers.check(signed, body)
        except RemoteError as error:
            refused = refusal(error)
            self._service.metrics.refusals.labels(refused.code).inc()
            await problem_response(refused)(scope, receive, send)
            return
        except ClientDisconnect:
            return
        scope.setdefault("state", {})[_PEER] = peer
        await self._app(scope, _with_body(body, receive), send)


def signer_of(request: Request) -> str | None:
    """The domain whose service has signed a request; None if nobody has."""
    peer: str | None = getattr(request.state, _PEER, None)
    return peer


def peer_of(request: Request) -> str:
    """The domain whose service has signed a request.

    Raises:
        Refused: code `unsigned-request`.
    """
    peer = signer_of(request)
    if peer is None:
        raise Refused("unsigned-request", "Only a signed request of another domain's service is served here.")
    return peer


def _signed_request(scope: Scope) -> SignedRequest:
    headers: dict[str, str] = {}
    for name, value in scope["headers"]:
        known, line = name.decode("latin-1").lower(), value.decode("latin-1")
        headers[known] = f"{headers[known]}, {line}" if known in headers else line
    # As it was sent: a path that was decoded may stand for several.
    path = scope.get("raw_path") or scope["path"].encode()
    return SignedRequest(
        scope["method"], path.decode("latin-1"), headers, scope["query_string"].decode("latin-1")
    )


def _with_body(body: bytes, receive: Receive) -> Receive:
    """`receive` as it was before the body was read."""
    unread: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Message:
        return unread.pop() if unread else await receive()

    return again
