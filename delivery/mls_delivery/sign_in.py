"""Who may claim an identity: whoever asks first, or whom the operator's own sign-in says.

A service that asks sends this, and goes by the answer's status: 2xx is yes, 401 or 403 is no.

    POST sign_in_url
    Content-Type: application/json

    {"identity": "bob@b.example", "token": "what the client was given by the operator's sign-in"}
"""

from __future__ import annotations

import asyncio
from typing import Protocol

import httpx

from .refusals import Refused

_TIMEOUT_SECONDS = 10
_NO = (401, 403)


class SignIn(Protocol):
    """The operator's say in who gets which name."""

    async def check(self, identity: str, token_secret: str) -> None:
        """Return if whoever has this token may claim this identity.

        Args:
            token_secret: the bearer token of the claim, or nothing. Secret.

        Raises:
            Refused: code `claim-refused`, or `sign-in-unavailable`: nobody can say now.
        """
        ...

    async def close(self) -> None:
        """Release connections."""
        ...


class OpenSignIn:
    """Everybody may have every name that nobody else has."""

    async def check(self, identity: str, token_secret: str) -> None:
        """Return."""

    async def close(self) -> None:
        """Return: there are none."""


class HttpSignIn:
    """Asks the operator's own service.

    Args:
        url: its address.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._client: httpx.AsyncClient | None = None
        self._opening = asyncio.Lock()

    async def check(self, identity: str, token_secret: str) -> None:
        """Ask; nobody may claim anything while there is no answer."""
        asked = {"identity": identity, "token": token_secret}
        client = await self._connected()
        try:
            async with asyncio.timeout(_TIMEOUT_SECONDS):
                # Only the status counts, so the body is left unread: it may be of any size.
                async with client.stream("POST", self._url, json=asked) as answer:
                    status = answer.status_code
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError):
            raise _unavailable() from None
        if status in _NO:
            raise Refused("claim-refused", "The operator's sign-in does not give you this identity.")
        if not 200 <= status < 300:
            raise _unavailable()

    async def close(self) -> None:
        """Close the connections to it."""
        if self._client is not None:
            await self._client.aclose()

    async def _connected(self) -> httpx.AsyncClient:
        async with self._opening:
            if self._client is None:
                # Reading the system's certificates takes long: in a thread, and only if somebody claims at all.
                context = await asyncio.to_thread(httpx.create_ssl_context, trust_env=False)
                self._client = httpx.AsyncClient(verify=context, timeout=_TIMEOUT_SECONDS, trust_env=False)
            return self._client


def sign_in(url: str | None) -> SignIn:
    """The sign-in at an address; without one, everybody may."""
    return OpenSignIn() if url is None else HttpSignIn(url)


def _unavailable() -> Refused:
    return Refused(
        "sign-in-unavailable", "The operator's sign-in cannot be asked at the moment. Try again later."
    )
