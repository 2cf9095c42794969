"""What delivery services answer, and clients publish (docs/protocol.md)."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field

from mls_federation.client.account import Account, new_account, new_key_sets
from mls_federation.codec import replace
from mls_federation.crypto import CipherSuite, SignatureScheme, crypto
from mls_federation.federation.binding import (
    ClientKeys,
    KeyBundle,
    KeySet,
    KeyStatus,
    ServiceDescription,
    from_base64url,
    service_error,
    split_identity,
)
from mls_federation.federation.devices import claim_event
from mls_federation.federation.identity import verify_leaf_identity
from mls_federation.federation.log import (
    IdentityHistory,
    KeyResponse,
    LoggedEvent,
    TreeHead,
    sign_tree_head,
    verify_history,
)
from mls_federation.federation.manifest import user_init_key_id, verify_bundle, verify_key_set
from mls_federation.mls import KeyPackage, key_package_ref, verify_key_package
from mls_federation.transparency import leaf_hash, root_of
from tests.support.network import NOW, key_bundle

from ..mutation import Pool, mutated, mutated_octets
from ..octets import Octets
from ..providers import RepeatableProvider, UnsafeAcceptAnySignature
from ..target import Finding, Target, refused

_SUITES = (
    CipherSuite.MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519,
    CipherSuite.MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_Ed25519,
    CipherSuite.MLS_128_DHKEMP256_AES128GCM_SHA256_P256,
)
_DESCRIPTION = ServiceDescription(
    "b.example", (1,), bytes(32), {"inbox": "/v1/inbox", "bundles": "/v1/bundles"}, {"message": 65536}
).encode()
_PROBLEM = (
    b'{"type": "urn:mls-federation:error:unknown-identity", "title": "no", "status": 404, "detail": "who?"}'
)
_SIGNING_KEY = bytes(range(32))
_IDENTITIES = ("bob@b.example", "bób.o'x@xn--bcher-kva.example", "a@b@c", " @b", "x@-a.b")


@dataclass(frozen=True)
class _Service:
    """An account and what it published."""

    account: Account
    key_set: KeySet
    bundle: KeyBundle
    packages: tuple[KeyPackage, ...]
    history: IdentityHistory
    pool: Pool
    safe: RepeatableProvider = field(default_factory=RepeatableProvider)
    unsafe: RepeatableProvider = field(default_factory=UnsafeAcceptAnySignature)


def run(data: bytes) -> None:
    """The first octet chooses what is read."""
    source, service = Octets(data), _service()
    kind = source.number(7)
    provider = service.safe if source.flag(4) else service.unsafe
    match kind:
        case 0:
            bundle = service.bundle
            if source.flag(4):
                found = ClientKeys(client_id=bundle.client_id, status=KeyStatus.keys, result=bundle)
                response = KeyResponse(clients=(found,), history=service.history).encode()
                decoded = refused(lambda: KeyResponse.decode(mutated_octets(source, response)))
                if isinstance(decoded, KeyResponse):
                    results = [client.result for client in decoded.clients]
                    bundle = next((result for result in results if isinstance(result, KeyBundle)), bundle)
            else:
                bundle = mutated(source, bundle, service.pool)
            if not source.flag(4):
                bundle = _with_id(bundle)
            refused(
                lambda: verify_bundle(provider, service.account.identity, bundle, wanted=_SUITES, now=NOW)
            )
        case 1:
            name = service.account.identity.encode()
            key_set = mutated(source, service.key_set, service.pool)
            if source.flag():
                package = mutated(source, source.choice(service.packages), service.pool)
                key_set = replace(key_set, key_packages=(package.encode(), *key_set.key_packages[1:]))
            refused(lambda: verify_key_set(provider, name, key_set, now=NOW))
        case 2:
            package = mutated(source, source.choice(service.packages), service.pool)
            suite = crypto(
                provider, source.choice(_SUITES) if source.flag(8) else service.packages[0].cipher_suite
            )
            refused(lambda: verify_key_package(suite, package, NOW))
            refused(lambda: verify_leaf_identity(provider, suite.suite.cipher_suite, package.leaf_node))
        case 3:
            _describe(source)
        case 4:
            octets = mutated_octets(source, _PROBLEM) if source.flag() else source.rest()
            error = service_error(400 + source.number(200), octets)
            if not error.code:
                raise Finding("a service's error without a code")
            error.message.encode("utf-8")
        case 5:
            history = mutated(source, service.history, service.pool)
            if source.flag():
                head = mutated(source, history.head.tree_head, service.pool)
                history = replace(history, head=sign_tree_head(service.safe, _SIGNING_KEY, head))
            key = service.safe.signature_public_key(SignatureScheme.ed25519, _SIGNING_KEY)
            refused(lambda: verify_history(provider, key, service.account.identity, history))
        case _:
            text = source.choice(_IDENTITIES).encode()
            text = mutated_octets(source, text) if source.flag() else source.rest()
            parts = refused(lambda: split_identity(text))
            if isinstance(parts, tuple) and "@".join(parts).encode() != text:
                raise Finding("an identity that has two spellings")
            with suppress(ValueError):
                from_base64url(text.decode("latin-1"))


def _describe(source: Octets) -> None:
    octets = mutated_octets(source, _DESCRIPTION) if source.flag() else source.rest()
    description = refused(lambda: ServiceDescription.decode(octets))
    if isinstance(description, ServiceDescription):
        again = ServiceDescription.decode(description.encode())
        for path in description.endpoints.values():
            if not path.isascii() or not path.isprintable() or not path.startswith("/"):
                raise Finding(f"a URL path {path!a}")
        if again != description:
            raise Finding("a description is another one after it was encoded")


def _with_id(bundle: KeyBundle) -> KeyBundle:
    """A bundle whose manifest has the id of its references."""
    inner = bundle.bundle
    manifest = replace(inner.user_init_key, user_init_key_id=user_init_key_id(bundle.refs))
    return replace(bundle, bundle=replace(inner, user_init_key=manifest))


@functools.cache
def _service() -> _Service:
    provider = RepeatableProvider()
    account = new_account(provider, "bob@b.example")
    [own] = new_key_sets(provider, account, NOW, count=1, last_resort=False)
    if own.unconfirmed is None:
        raise Finding("a new key set has nothing to publish")
    packages = tuple(KeyPackage.decode(encoded) for encoded in own.unconfirmed.key_packages)
    refs = [key_package_ref(crypto(provider, package.cipher_suite), package) for package in packages]
    bundle = key_bundle(account, own.unconfirmed, refs, packages[0].cipher_suite)
    history = _history(provider, account)
    pool = Pool([own.unconfirmed, bundle, *packages, history])
    return _Service(account, own.unconfirmed, bundle, packages, history, pool)


def _history(provider: RepeatableProvider, account: Account) -> IdentityHistory:
    """The claim of an identity, the second of three entries."""
    claim = claim_event(provider, account.client_id, account.credential, account.identity_key)
    entries = [b"before", claim.encode(), b"after"]
    head = TreeHead(domain=b"b.example", tree_size=3, timestamp=NOW, root_hash=root_of(entries))
    path = (leaf_hash(entries[0]), leaf_hash(entries[2]))
    return IdentityHistory(
        events=(LoggedEvent(event=claim, index=1, inclusion_path=path),),
        head=sign_tree_head(provider, _SIGNING_KEY, head),
    )


def _seeds() -> Iterable[bytes]:
    for kind in range(7):
        for first in range(8):
            yield bytes([kind, first % 4]) + bytes((kind * 43 + first * 7 + i * 59) % 256 for i in range(40))
    for document in (_DESCRIPTION, _PROBLEM):
        yield bytes([3, 0, 0]) + document
        yield bytes([4, 0, 0]) + document
    for identity in _IDENTITIES:
        yield bytes([6, 0, 0, 0]) + identity.encode()


TARGET = Target(
    "federation",
    "key sets, bundles, histories, descriptions, problem reports, identities",
    run,
    _seeds,
    weight=2,
)
