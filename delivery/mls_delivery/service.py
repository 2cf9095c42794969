"""The rules of the service, without any I/O: what may be asked, what is kept, and what is answered."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mls_federation.crypto import CipherSuite, CryptoProvider, crypto
from mls_federation.errors import DecodeError, RemoteError, VerificationError
from mls_federation.federation.binding import (
    CLIENT_ID_SIZE,
    MESSAGE_ID_SIZE,
    Boolean,
    CipherSuites,
    ClientKeys,
    KeyBundle,
    KeySet,
    KeyStatus,
    PublishRequest,
    SessionRequest,
    SubmitRequest,
    session_sign_content,
    split_identity,
)
from mls_federation.federation.envelope import Envelope
from mls_federation.federation.log import IdentityHistory, KeyResponse
from mls_federation.federation.manifest import verify_key_set
from mls_federation.federation.relay import RelayedMessage
from mls_federation.federation.seed import (
    BasicCredential,
    GetUserInitKeyResponse,
    SeedCipherSuite,
    UserInitKeyBundle,
    to_rfc9420,
)
from mls_federation.mls.key_package import KeyPackage
from mls_federation.mls.nodes import Lifetime, ProtocolVersion

from .refusals import Refused, malformed
from .store.accounts import Client
from .store.key_sets import NewKeySet, Taken, TakenKeySet
from .store.messages import Room
from .welcomes import named_in

_MESSAGE_HEADER_SIZE = 4


@dataclass(frozen=True)
class Limits:
    """What the service accepts; published in its description."""

    body: int = 1 << 20
    """Octets of a request's body."""
    body_seconds: int = 30
    """Seconds for a request's body to arrive."""
    recipients: int = 256
    """Recipients of one message."""
    inbox_messages: int = 10_000
    """Messages that wait for one client."""
    inbox_octets: int = 1 << 26
    """Octets of messages that wait for one client."""
    message_seconds: int = 30 * 24 * 3600
    """Seconds for which a message waits."""
    key_sets: int = 100
    """Key sets that wait for one client, besides the last resort."""
    key_count_low: int = 5
    """A client is told when this many key sets are left, or fewer."""
    clients: int = 20
    """Clients of one identity."""
    challenge_seconds: int = 60
    """Seconds for which a challenge is good."""
    session_seconds: int = 7 * 24 * 3600
    """Seconds for which a session is good."""
    hello_seconds: int = 10
    """Seconds from opening an inbox to its hello."""
    relay_messages: int = 100_000
    """Messages that wait for one other domain, each counted once for every recipient."""
    relay_octets: int = 1 << 28
    """Octets of the messages that wait for one other domain."""
    relay_seconds: int = 7 * 24 * 3600
    """Seconds for which a message may wait for another domain."""
    connections: int = 10_000
    """Inboxes and requests at the same time; 0, here and below, for no limit."""
    connections_source: int = 500
    """Inboxes and requests at the same time from one source."""
    requests_per_minute: int = 6000
    """Requests of any kind from one source, and inboxes opened."""
    bundles_per_minute: int = 120
    """Requests for keys from one source."""
    messages_per_minute: int = 6000
    """Requests to deliver a message from one source."""
    devices_per_minute: int = 600
    """Device events, and requests for histories, from one source."""
    sessions_per_minute: int = 240
    """Requests for challenges and sessions from one source, and events of devices."""
    key_sets_per_minute: int = 20
    """Requests that are answered with keys for one use, of one identity."""
    inbox_messages_per_minute: int = 6000
    """Messages for one identity."""
    ordering_per_minute: int = 3000
    """Requests about the order of commits from one source."""
    groups: int = 1000
    """Groups that are ordered here and that one identity, or the service of one domain, has brought."""
    group_octets: int = 8 << 20
    """Octets of one group: its ratchet tree, for the most part."""
    group_commits: int = 1000
    """Commits of one group that are kept for members that were away."""
    group_commit_octets: int = 8 << 20
    """Octets of those."""
    group_commit_seconds: int = 30 * 24 * 3600
    """Seconds for which they are kept."""
    clock_seconds: int = 300
    """Seconds by which the clock of who signs a request may differ."""


def check_identity(identity: bytes, domain: str) -> None:
    """Return if an identity is one of this domain.

    Raises:
        ValidationError: code `bad-identity`.
        Refused: code `wrong-domain`.
    """
    _, own = split_identity(identity)
    if own != domain:
        raise Refused(
            "wrong-domain", f"The identity is of {own}; this service is that of {domain}.", domain=domain
        )


def check_session(provider: CryptoProvider, domain: str, request: SessionRequest) -> None:
    """Return if a request comes from who holds the identity key that it names.

    Raises:
        RemoteError: it does not, or names no identity of this domain.
    """
    check_identity(request.identity, domain)
    if len(request.client_id) != CLIENT_ID_SIZE:
        raise malformed("SessionRequest", "client_id", f"it must have {CLIENT_ID_SIZE} octets")
    credential = request.credential.credential
    if not isinstance(credential, BasicCredential):
        raise Refused("bad-credential", "Only basic credentials can open a session here.")
    if credential.identity != request.identity:
        raise Refused("bad-credential", "The credential is for another identity than the request.")
    signed = session_sign_content(
        domain=domain,
        challenge=request.challenge,
        identity=request.identity,
        client_id=request.client_id,
        credential=request.credential,
    )
    try:
        provider.verify(credential.algorithm, credential.public_key, signed, request.signature)
    except VerificationError:
        raise Refused(
            "bad-signature", "The signature is not one of the credential's key over this request."
        ) from None


def check_publication(
    provider: CryptoProvider, client: Client, request: PublishRequest, now: int
) -> list[NewKeySet]:
    """The key sets of a request, ready to be kept.

    Raises:
        Refused: code `invalid-key-set`; its member `index` says which.
    """
    checked = []
    for index, key_set in enumerate(request.key_sets):
        try:
            checked.append(_check_key_set(provider, client, key_set, now))
        except RemoteError as fault:
            raise Refused(
                "invalid-key-set", f"Key set {index}: {fault.message}", index=index, reason=fault.code
            ) from None
    return checked


def _check_key_set(provider: CryptoProvider, client: Client, key_set: KeySet, now: int) -> NewKeySet:
    user_init_key = key_set.user_init_key
    if user_init_key.credential.encode() != client.credential:
        raise malformed("UserInitKey", "credential", "it is not that of this device")
    verify_key_set(provider, client.identity, key_set, now=now)
    expires = [_last_second(package) + 1 for package in key_set.key_packages]
    return NewKeySet(
        user_init_key_id=user_init_key.user_init_key_id,
        suites=pack_suites(user_init_key.cipher_suites),
        expires=min(expires),
        last_resort=key_set.last_resort is Boolean.true,
        content=key_set.encode(),
        refs=tuple(zip(_refs(provider, key_set), expires, strict=True)),
    )


def _last_second(key_package: bytes) -> int:
    """The last second of a KeyPackage's lifetime."""
    lifetime = KeyPackage.decode(key_package).leaf_node.source
    if not isinstance(lifetime, Lifetime):
        raise malformed("LeafNode", "leaf_node_source", "it is not that of a KeyPackage")
    return lifetime.not_after


def pack_suites(suites: Iterable[SeedCipherSuite]) -> bytes:
    """Suites as in the seed's messages, two octets each."""
    return b"".join([suite.to_bytes(2, "big") for suite in suites])


def choose_suite(supported: Sequence[SeedCipherSuite], offered: bytes) -> SeedCipherSuite | None:
    """The suite of packed `offered` ones that comes first among the `supported`."""
    for suite in supported:
        if suite in _unpack_suites(offered):
            return suite
    return None


def _unpack_suites(packed: bytes) -> list[SeedCipherSuite]:
    return [SeedCipherSuite(int.from_bytes(packed[at : at + 2], "big")) for at in range(0, len(packed), 2)]


def check_taken(taken: Sequence[Taken], wait: int) -> None:
    """Return if there are key sets to answer a request with.

    Args:
        wait: seconds until others than last resorts may be handed out again.

    Raises:
        Refused: there are none; the code says why.
    """
    if not taken:
        raise Refused(
            "unknown-identity", "Nobody here has this identity. Is it spelled as its owner spells it?"
        )
    if any(one.key_set is not None for one in taken):
        return
    suites = sorted({suite for one in taken for suite in _offered(one)})
    if suites:
        raise Refused(
            "no-common-suite",
            "No client of this identity supports a cipher suite of the request.",
            offered_suites=[int(suite) for suite in suites],
        )
    if wait:
        raise Refused(
            "rate-limited",
            f"Too many keys of this identity were fetched. Try again in {wait} seconds.",
            retry_after=wait,
        )
    raise Refused(
        "keys-exhausted", "No client of this identity has keys left. Try again when one has been online."
    )


def seed_response(identity: bytes, taken: Iterable[Taken]) -> GetUserInitKeyResponse:
    """The seed's answer: the bundles and nothing else."""
    return GetUserInitKeyResponse(
        user_init_keys=tuple(
            _seed_bundle(identity, KeySet.decode(one.key_set.content))
            for one in taken
            if one.key_set is not None
        )
    )


def key_response(
    provider: CryptoProvider,
    supported: Sequence[SeedCipherSuite],
    taken: Iterable[Taken],
    identity: bytes,
    history: IdentityHistory,
) -> KeyResponse:
    """The extended answer: what RFC 9420 needs besides, what became of the other clients, and who they are."""
    clients = tuple(_client_keys(provider, identity, supported, one) for one in taken)
    return KeyResponse(clients=clients, history=history)


def _client_keys(
    provider: CryptoProvider, identity: bytes, supported: Sequence[SeedCipherSuite], taken: Taken
) -> ClientKeys:
    if taken.key_set is not None:
        bundle = _key_bundle(provider, identity, supported, taken.client_id, taken.key_set)
        return ClientKeys(client_id=taken.client_id, status=KeyStatus.keys, result=bundle)
    if offered := _offered(taken):
        return ClientKeys(
            client_id=taken.client_id,
            status=KeyStatus.no_common_suite,
            result=CipherSuites(offered=tuple(offered)),
        )
    return ClientKeys(client_id=taken.client_id, status=KeyStatus.exhausted, result=None)


def _offered(taken: Taken) -> list[CipherSuite]:
    return sorted({to_rfc9420(suite) for packed in taken.passed_over for suite in _unpack_suites(packed)})


def _seed_bundle(identity: bytes, key_set: KeySet) -> UserInitKeyBundle:
    return UserInitKeyBundle(identity=identity, user_init_key=key_set.user_init_key)


def _key_bundle(
    provider: CryptoProvider,
    identity: bytes,
    supported: Sequence[SeedCipherSuite],
    client_id: bytes,
    taken: TakenKeySet,
) -> KeyBundle:
    key_set = KeySet.decode(taken.content)
    offered = key_set.user_init_key.cipher_suites
    chosen = next(suite for suite in supported if suite in offered)
    return KeyBundle(
        client_id=client_id,
        bundle=_seed_bundle(identity, key_set),
        refs=_refs(provider, key_set),
        chosen=to_rfc9420(chosen),
        key_package=key_set.key_packages[offered.index(chosen)],
        last_resort=key_set.last_resort,
    )


def _refs(provider: CryptoProvider, key_set: KeySet) -> tuple[bytes, ...]:
    suites = key_set.user_init_key.cipher_suites
    return tuple(
        crypto(provider, to_rfc9420(suite)).ref_hash("MLS 1.0 KeyPackage Reference", key_package)
        for suite, key_package in zip(suites, key_set.key_packages, strict=True)
    )


def room(limits: Limits) -> Room:
    """What an inbox may hold."""
    return Room(limits.inbox_messages, limits.inbox_octets)


def check_submission(request: SubmitRequest | RelayedMessage, limits: Limits) -> frozenset[bytes] | None:
    """See that a message can be delivered: that it is MLS 1.0, and if it is a Welcome, for whom. No more is our business.

    Returns:
        The KeyPackageRefs that a Welcome names; None for any other message.

    Raises:
        Refused: it cannot.
    """
    struct = type(request).__name__
    if len(request.message_id) != MESSAGE_ID_SIZE:
        raise malformed(struct, "message_id", f"it must have {MESSAGE_ID_SIZE} octets")
    if not request.recipients:
        raise malformed(struct, "recipients", "there must be at least one")
    if len(request.recipients) > limits.recipients:
        raise Refused(
            "too-many-recipients",
            f"A message may have {limits.recipients} recipients; this one has {len(request.recipients)}. Send it in parts.",
            limit=limits.recipients,
        )
    message = Envelope.decode(request.message).message
    if len(message) < _MESSAGE_HEADER_SIZE:
        raise DecodeError(
            "the input ends too early", struct="MLSMessage", field="wire_format", offset=len(message)
        )
    if int.from_bytes(message[:2], "big") != ProtocolVersion.mls10:
        raise DecodeError("it is not the version of MLS 1.0", struct="MLSMessage", field="version", offset=0)
    return named_in(message)
