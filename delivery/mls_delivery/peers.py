"""Other domains' delivery services: where they are, which keys they have, who may speak, and how they are spoken to."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import urlsplit

import httpx

from mls_federation.crypto import CryptoProvider
from mls_federation.errors import DecodeError
from mls_federation.federation.binding import VERSION, WELL_KNOWN_PATH, ServiceDescription

from .config import Federation
from .refusals import Refused
from .signatures import NONCE_SIZE, Claim, SignedRequest, claim_of, sign_request, verify_request
from .store import Store
from .store import peers as pins

V = TypeVar("V")

# Seconds: for one request to a peer; for which what a peer says of itself is believed, or that it is not to be reached.
_TIMEOUT = 20.0
_CONNECT_TIMEOUT = 5.0
_FRESH_SECONDS = 300
_ABSENT_SECONDS = 10
# Who has a key that we do not know makes us ask its domain for it, though not more often than this.
_ASK_SECONDS = 30
# Domains whose descriptions are kept, and that are asked for them at one time.
_KEPT = 1000
_DISCOVERIES = 16
# Below the time for which a service keeps idle connections open, so that no request is lost in one that just ends.
_KEEPALIVE_SECONDS = 2.0
MAX_DESCRIPTION = 1 << 16
MAX_ANSWER = 4 << 20


@dataclass(frozen=True)
class Peer:
    """A service that has said who it is, and has the key that it was first seen with."""

    url: str
    description: ServiceDescription
    seen_at: int

    @property
    def body_limit(self) -> int:
        """Octets that a request's body may have there."""
        return self.description.limits.get("body", MAX_DESCRIPTION)


@dataclass(frozen=True)
class Answer:
    """An answer of a peer, whole."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Peers:
    """The services of other domains.

    Args:
        domain: our own.
        private_key: of our signing key. Secret.
        key: the public key that belongs to it.
        clock: Unix seconds.
    """

    def __init__(
        self,
        *,
        domain: str,
        private_key: bytes,
        key: bytes,
        provider: CryptoProvider,
        store: Store,
        clock: Callable[[], int],
        federation: Federation,
    ) -> None:
        self._domain = domain
        self._private_key = private_key
        self._key = key
        self._provider = provider
        self._store = store
        self._clock = clock
        self._federation = federation
        self._known: OrderedDict[str, Peer] = OrderedDict()
        self._absent: OrderedDict[str, int] = OrderedDict()
        self._discoveries = asyncio.Semaphore(_DISCOVERIES)
        self._clients: dict[str, httpx.AsyncClient] = {}

    def allows(self, domain: str) -> bool:
        """Whether we speak with a domain."""
        return self._federation.allows(domain)

    def check_allowed(self, domain: str) -> None:
        """Return if we speak with a domain.

        Raises:
            Refused: code `peer-not-allowed`.
        """
        if not self.allows(domain):
            raise Refused("peer-not-allowed", f"{self._domain} does not speak with {domain}.", domain=domain)

    async def find(self, domain: str, *, again: bool = False) -> Peer:
        """The service of a domain, which must have the key that was first seen.

        Args:
            again: try even if it was not reached a moment ago.

        Raises:
            Refused: code `peer-not-allowed`, `peer-unreachable` or `peer-key-changed`.
        """
        self.check_allowed(domain)
        peer = await self._described(domain, self._clock() - _FRESH_SECONDS, again=again)
        key = await self._store.read(pins.pinned_key, domain)
        if key is None:
            # What is pinned must be the key of now, not one of some minutes ago that was just given up.
            peer = await self._described(domain, self._clock() - 1, again=again)
            key = await self._store.write(pins.pin, domain, peer.description.signing_key)
        if key != peer.description.signing_key:
            raise _key_changed(domain)
        return peer

    async def check(self, request: SignedRequest, body: bytes) -> str:
        """Which domain has signed a request. It is accepted this one time.

        Raises:
            Refused: code `bad-request-signature`, `peer-not-allowed`, `peer-key-changed`, `peer-unreachable`, or
                `replayed-request`.
        """
        now = self._clock()
        claim = claim_of(request, self._domain, now)
        self.check_allowed(claim.sender)
        # First, since it costs least: nobody makes us ask around who has not at least signed the request.
        verify_request(request, claim, body)
        await self._check_key(claim, now)
        if not await self._store.write(pins.accept_request, claim.sender, claim.nonce, claim.until, now):
            raise Refused("replayed-request", "A request with this nonce was received before. Sign it anew.")
        self._absent.pop(claim.sender, None)
        return claim.sender

    async def _check_key(self, claim: Claim, now: int) -> None:
        """Return if a key is the one that its domain was first seen with, which may be now."""
        pinned = await self._store.read(pins.pinned_key, claim.sender)
        if pinned == claim.key:
            return
        described = (await self._described(claim.sender, now - _ASK_SECONDS)).description.signing_key
        if claim.key != described:
            raise Refused(
                "bad-request-signature", f"The key that signed this request is not the one of {claim.sender}."
            )
        if pinned is not None or await self._store.write(pins.pin, claim.sender, described) != described:
            raise _key_changed(claim.sender)

    async def post(
        self, domain: str, endpoint: str, content_type: str, body: bytes, *, again: bool = False
    ) -> Answer:
        """Ask the service of a domain, signing the request.

        Args:
            again: as for `find`.

        Raises:
            Refused: code `peer-not-allowed`, `peer-unreachable` or `peer-key-changed`.
        """
        peer = await self.find(domain, again=again)
        path = peer.description.endpoints.get(endpoint)
        if path is None:
            raise _unreachable(domain, f"it has no end point {endpoint}")
        headers = sign_request(
            private_key=self._private_key,
            key=self._key,
            sender=self._domain,
            receiver=domain,
            path=path,
            content_type=content_type,
            body=body,
            nonce=self._provider.random(NONCE_SIZE),
            now=self._clock(),
        )
        try:
            return await self._request("POST", domain, peer.url + path, headers, body, MAX_ANSWER)
        except Refused:
            # It may have moved, or come back with other end points.
            self._known.pop(domain, None)
            raise

    async def close(self) -> None:
        """Close all connections."""
        for client in self._clients.values():
            await client.aclose()

    # -- finding them

    async def _described(self, domain: str, not_before: int, *, again: bool = False) -> Peer:
        """What a domain's service says of itself, or has said not before a certain time."""
        known = self._known.get(domain)
        if known is not None and known.seen_at > not_before:
            return known
        absent = self._absent.get(domain)
        if not again and absent is not None and absent > self._clock() - _ABSENT_SECONDS:
            raise _unreachable(domain, "it was not there a moment ago")
        async with self._discoveries:
            try:
                peer = await self._discover(domain)
            except Refused:
                _put(self._absent, domain, self._clock())
                raise
        self._absent.pop(domain, None)
        _put(self._known, domain, peer)
        return peer

    async def _discover(self, domain: str) -> Peer:
        url = self._address(domain)
        answer = await self._request("GET", domain, url + WELL_KNOWN_PATH, {}, b"", MAX_DESCRIPTION)
        if answer.status != 200:
            raise _unreachable(domain, f"it answers with HTTP status {answer.status}")
        try:
            description = ServiceDescription.decode(answer.body)
        except DecodeError:
            raise _unreachable(domain, "what answers is no delivery service") from None
        if description.domain != domain:
            raise _unreachable(domain, f"what answers is the service of {description.domain}")
        if VERSION not in description.versions:
            raise _unreachable(domain, f"it does not speak version {VERSION} of the federation")
        return Peer(url, description, self._clock())

    def _address(self, domain: str) -> str:
        configured = self._federation.peers.get(domain)
        if configured is not None:
            return configured.rstrip("/")
        # Anybody may name a domain here, and make us ask there: then it must at least be one of the public Internet.
        *_, top = domain.split(".")
        if top == domain or top.isdigit():
            raise _unreachable(domain, "it is no name of the public Internet")
        return f"https://{domain}"

    # -- HTTP

    async def _request(
        self, method: str, domain: str, url: str, headers: Mapping[str, str], body: bytes, limit: int
    ) -> Answer:
        client = await self._client(urlsplit(url).scheme)
        try:
            async with (
                asyncio.timeout(_TIMEOUT),
                client.stream(method, url, headers=dict(headers), content=body) as response,
            ):
                received = bytearray()
                # As it was sent: what grows when it is unpacked might grow beyond all bounds.
                async for piece in response.aiter_raw():
                    received += piece
                    if len(received) > limit:
                        raise _unreachable(domain, f"it answers with more than {limit} octets")
                return Answer(response.status_code, dict(response.headers), bytes(received))
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, UnicodeError) as fault:
            raise _unreachable(domain, str(fault) or type(fault).__name__) from fault

    async def _client(self, scheme: str) -> httpx.AsyncClient:
        client = self._clients.get(scheme)
        if client is None:
            # Reading the system's certificates takes a good part of a second.
            verify = (
                await asyncio.to_thread(httpx.create_ssl_context, trust_env=False)
                if scheme == "https"
                else False
            )
            client = self._clients.setdefault(
                scheme,
                httpx.AsyncClient(
                    verify=verify,
                    timeout=httpx.Timeout(_TIMEOUT, connect=_CONNECT_TIMEOUT),
                    headers={"Accept-Encoding": "identity"},
                    follow_redirects=False,
                    trust_env=False,
                    limits=httpx.Limits(max_connections=100, keepalive_expiry=_KEEPALIVE_SECONDS),
                ),
            )
        return client


def _put(kept: OrderedDict[str, V], domain: str, value: V) -> None:
    kept[domain] = value
    kept.move_to_end(domain)
    if len(kept) > _KEPT:
        kept.popitem(last=False)


def _unreachable(domain: str, reason: str) -> Refused:
    return Refused("peer-unreachable", f"The delivery service of {domain}: {reason}.", domain=domain)


def _key_changed(domain: str) -> Refused:
    return Refused(
        "peer-key-changed",
        f"The delivery service of {domain} has another signing key than when it was first seen. Its operator will know"
        f" whether that is right; if so, ours accepts it by: mls-delivery forget-peer {domain}",
        domain=domain,
    )
