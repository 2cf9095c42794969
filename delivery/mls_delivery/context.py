"""What every end point works with."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from starlette.requests import HTTPConnection

from mls_federation.crypto import CryptoProvider, SignatureScheme

from .challenges import Challenges
from .config import Federation, Network
from .connections import Connections
from .gates import Gate
from .group_cache import Groups
from .metrics import Metrics
from .peers import Peers
from .rates import Rates, rates
from .service import Limits
from .sign_in import SignIn, sign_in
from .store import Store, accounts, challenges

ENDPOINTS: Mapping[str, str] = {
    "challenge": "/v1/challenge",
    "devices": "/v1/devices",
    "history": "/v1/history",
    "sessions": "/v1/sessions",
    "key_sets": "/v1/key-sets",
    "bundles": "/v1/bundles",
    "messages": "/v1/messages",
    "inbox": "/v1/inbox",
    "outgoing": "/v1/outgoing",
    "proxy": "/v1/proxy",
    "relay": "/v1/relay",
    "tree_head": "/v1/tree-head",
    "consistency": "/v1/consistency",
    "log_entries": "/v1/log-entries",
    "groups": "/v1/groups",
    "commits": "/v1/commits",
    "missed": "/v1/missed",
    "group_info": "/v1/group-info",
}


@dataclass(frozen=True)
class DeliveryService:
    """A service and its means.

    Attributes:
        domain: whose identities it serves.
        public_key: that of its signing key.
        signing_key: its private signing key. Secret.
        groups: those whose commits it orders, as far as they are in memory.
        clock: Unix seconds.
        allowed_origins: of web pages that may talk to it.
        peers: the services of other domains.
        relaying: requests of other domains that are being served, by domain.
        proxying: requests to other domains that clients wait for, by client.
        sign_in: says who may claim an identity.
        trusted_proxies: whose word on where a request comes from is taken.
        federation: how it deals with other domains.
    """

    domain: str
    public_key: bytes
    signing_key: bytes = field(repr=False)
    provider: CryptoProvider
    store: Store
    challenges: Challenges
    groups: Groups
    limits: Limits
    clock: Callable[[], int]
    allowed_origins: tuple[str, ...]
    peers: Peers
    relaying: Gate
    proxying: Gate
    sign_in: SignIn
    trusted_proxies: tuple[Network, ...]
    federation: Federation
    metrics: Metrics
    rates: Rates
    connections: Connections


async def delivery_service(
    *,
    domain: str,
    provider: CryptoProvider,
    store: Store,
    clock: Callable[[], int],
    allowed_origins: tuple[str, ...],
    limits: Limits,
    trusted_proxies: tuple[Network, ...] = (),
    federation: Federation | None = None,
    sign_in_url: str | None = None,
) -> DeliveryService:
    """The service of a domain, with the signing key that its store has or gets now.

    Args:
        sign_in_url: who is asked whether somebody may have an identity; without it, whoever asks first gets it.

    Raises:
        StoreError: the store is that of another domain.
    """
    signing_key = await store.write(accounts.signing_key, domain, provider.random(32))
    challenge_key = await store.write(challenges.key, provider.random(32))
    federation = federation or Federation()
    public_key = provider.signature_public_key(SignatureScheme.ed25519, signing_key)
    return DeliveryService(
        domain=domain,
        public_key=public_key,
        signing_key=signing_key,
        provider=provider,
        store=store,
        challenges=Challenges(challenge_key, limits.challenge_seconds),
        groups=Groups(),
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
            federation=federation,
        ),
        relaying=Gate(64, 4),
        proxying=Gate(64, 16),
        sign_in=sign_in(sign_in_url),
        trusted_proxies=trusted_proxies,
        federation=federation,
        metrics=Metrics(),
        rates=rates(limits),
        connections=Connections(limits.connections, limits.connections_source),
    )


def service_of(connection: HTTPConnection) -> DeliveryService:
    """The service that a request or a WebSocket is for."""
    service: DeliveryService = connection.app.state.service
    return service


def token_hash(token_secret: bytes) -> bytes:
    """Under which a session is kept; the token itself never is."""
    return hashlib.sha256(token_secret).digest()
