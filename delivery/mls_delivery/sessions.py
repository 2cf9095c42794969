"""Whose session a request belongs to."""

from __future__ import annotations

from starlette.requests import Request

from mls_federation.federation.binding import TOKEN_SIZE, from_base64url

from .context import DeliveryService, token_hash
from .refusals import Refused
from .store import accounts
from .store.accounts import Client


async def client_of(request: Request, service: DeliveryService) -> Client:
    """The client whose session's token a request carries.

    Raises:
        Refused: code `unauthorized`.
    """
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    try:
        token_secret = from_base64url(token)
    except ValueError:
        token_secret = b""
    client = None
    if scheme.lower() == "bearer" and len(token_secret) == TOKEN_SIZE:
        client = await service.store.read(accounts.client_of, token_hash(token_secret), service.clock())
    if client is None:
        raise Refused(
            "unauthorized", "This needs a session that has not ended. Open one at the end point `sessions`."
        )
    return client
