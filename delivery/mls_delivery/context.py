"""What every end point works with."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from starlette.requests import HTTPConnection

from mls_federation.crypto import CryptoProvider, SignatureScheme

from .challenges import Challenges
from .gates import Gate
from .peers import Federation, Peers
from .service import Limits
from .store import Store, accounts

ENDPOINTS: Mapping[str, str] = {
    "challenge": "/v1/challenge",
    "sessions": "/v1/sessions",
    "key_sets": "/v1/key-sets",
    "bundles": "/v1/bundles",
    "messages": "/v1/messages",
    "inbox": "/v1/inbox",
    "outgoing": "/v1/outgoing",
    "proxy": "/v1/proxy",
    "relay": "/v1/relay",
}


@dataclass(frozen=True)
class DeliveryService:
    """A service and its means.

    Attributes:
        domain: whose identities it serves.
        public_key: that of its signing key.
        clock: Unix seconds.
        allowed_origins: of web pages that may talk to it.
        peers: the services of other domains.
        relaying: requests of other domains that are being served, by domain.
        proxying: requests to other domains that clients wait for, by client.
    """

    domain: str
    public_key: bytes
    provider: CryptoProvider
    store: Store
    challenges: Challenges
    limits: Limits
    clock: Callable[[], int]
    allowed_origins: tuple[str, ...]
    peers: Peers
    relaying: Gate
    proxying: Gate


async def delivery_service(
    *,
    domain: str,
    provider: CryptoProvider,
    store: Store,
    clock: Callable[[], int],
    allowed_origins: tuple[str, ...],
    limits: Limits,
    federation: Federation | None = None,
) -> DeliveryService:
    """The service of a domain, with the signing key that its store has or gets now.

    Raises:
        StoreError: the store is that of another domain.
    """
    signing_key = await store.write(accounts.signing_key, domain, provider.random(32))
    public_key = provider.signature_public_key(SignatureScheme.ed25519, signing_key)
    return DeliveryService(
        domain=domain,
        public_key=public_key,
        provider=provider,
        store=store,
        challenges=Challenges(provider.random(32), limits.challenge_seconds),
        limits=limits,
        clock=clock,
        allowed_origins=allowed_origins,
        peers=Peers(
            domain=domain,
            private_key=signing_key,
            key=public_key,
            provider=provider,
            store=store,
            clock=clock,
            federation=federation or Federation(),
        ),
        relaying=Gate(64, 4),
        proxying=Gate(64, 16),
    )


def service_of(connection: HTTPConnection) -> DeliveryService:
    """The service that a request or a WebSocket is for."""
    service: DeliveryService = connection.app.state.service
    return service


def token_hash(token_secret: bytes) -> bytes:
    """Under which a session is kept; the token itself never is."""
    return hashlib.sha256(token_secret).digest()
