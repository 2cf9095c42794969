"""A client's identity, and the keys that it publishes so that others can add it to groups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ..crypto import CipherSuite, CryptoProvider, KeyPair, SignatureScheme, crypto, generate_signature_key
from ..federation.binding import CLIENT_ID_SIZE, KeySet, domain_of
from ..federation.credentials import identity_credential
from ..federation.devices import DeviceEvent
from ..federation.group_agreement import GROUP_AGREEMENT
from ..federation.identity import FEDERATION_IDENTITY, identity_extension
from ..federation.manifest import build_key_set
from ..federation.seed import Credential
from ..mls import OwnKeyPackage, create_key_package, key_package_ref
from ..mls.credentials import CredentialType, basic_credential
from ..mls.extensions import Extension, ExtensionType
from ..mls.nodes import Capabilities, Lifetime, ProtocolVersion

# The suites that we publish keys for, the best first.
PREFERRED_SUITES = (
    CipherSuite.MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519,
    CipherSuite.MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_Ed25519,
    CipherSuite.MLS_128_DHKEMP256_AES128GCM_SHA256_P256,
)
# Seconds that a KeyPackage is good for, and how far clocks may differ.
KEY_LIFETIME = 90 * 24 * 3600
CLOCK_TOLERANCE = 3600
# Seconds after which keys are made in the place of those that are still good, and for which private keys are kept when they are
# not: a Welcome may wait in our inbox for as long.
KEY_RENEWAL = 30 * 24 * 3600
KEYS_KEPT = 30 * 24 * 3600


@dataclass(frozen=True)
class Account:
    """One client of an identity.

    Attributes:
        identity: `name@domain`.
        client_id: names this client among those of the identity.
        scheme: of the identity key.
        identity_key: vouches for all other keys of the client, and is this client's own. Its private half is secret.
        lineage: the admissions that lead from the device that claimed the identity to this one; none if it is the former.
    """

    identity: str
    client_id: bytes
    scheme: SignatureScheme
    identity_key: KeyPair
    lineage: tuple[DeviceEvent, ...] = field(default=(), repr=False)

    @property
    def domain(self) -> str:
        """The domain whose delivery service serves us."""
        return domain_of(self.identity)

    @property
    def credential(self) -> Credential:
        """The seed's credential of our identity key."""
        return identity_credential(self.identity, self.scheme, self.identity_key.public_key)


@dataclass(frozen=True)
class OwnKeySet:
    """A set that we publish, with its private keys, until a Welcome uses it.

    Attributes:
        packages: by KeyPackageRef.
        last_resort: whether it may be used again and again.
        unconfirmed: what is to be published, until the delivery service has said that it has it.
    """

    packages: tuple[tuple[bytes, OwnKeyPackage], ...] = field(repr=False)
    last_resort: bool
    unconfirmed: KeySet | None = field(default=None, repr=False)

    def is_fresh(self, now: int) -> bool:
        """Whether it need not be replaced yet."""
        return self._lifetime.not_before + CLOCK_TOLERANCE + KEY_RENEWAL > now

    def is_of_use(self, now: int) -> bool:
        """Whether a Welcome for it may still come."""
        return self._lifetime.not_after + KEYS_KEPT > now

    @property
    def _lifetime(self) -> Lifetime:
        """That of all its KeyPackages, which were made at the same time."""
        lifetime = self.packages[0][1].key_package.leaf_node.source
        assert isinstance(lifetime, Lifetime)
        return lifetime


def new_account(provider: CryptoProvider, identity: str) -> Account:
    """A client with a fresh identity key.

    Raises:
        ValidationError: code `bad-identity`: `identity` is not written `name@domain`; the message says why.
    """
    domain_of(identity)
    scheme = SignatureScheme.ed25519
    return Account(
        identity=identity,
        client_id=provider.random(CLIENT_ID_SIZE),
        scheme=scheme,
        identity_key=generate_signature_key(provider, scheme),
    )


def supported_suites(provider: CryptoProvider) -> tuple[CipherSuite, ...]:
    """The suites that we use, the best first."""
    return tuple(suite for suite in PREFERRED_SUITES if provider.supports(suite))


def new_key_package(
    provider: CryptoProvider, account: Account, suite: CipherSuite, now: int, *, last_resort: bool = False
) -> OwnKeyPackage:
    """A KeyPackage with keys of its own, which our identity key vouches for."""
    suite_crypto = crypto(provider, suite)
    signature_key = suite_crypto.generate_signature_key()
    identity = identity_extension(
        provider,
        account.credential,
        account.identity_key,
        suite,
        signature_key.public_key,
        account.lineage,
    )
    mark = Extension(extension_type=ExtensionType.last_resort, extension_data=b"")
    return create_key_package(
        suite_crypto,
        credential=basic_credential(account.identity.encode("utf-8")),
        signature_key=signature_key,
        capabilities=Capabilities(
            versions=(ProtocolVersion.mls10,),
            cipher_suites=supported_suites(provider),
            extensions=(FEDERATION_IDENTITY, GROUP_AGREEMENT, ExtensionType.last_resort),
            proposals=(),
            credentials=(CredentialType.basic,),
        ),
        lifetime=Lifetime(not_before=now - CLOCK_TOLERANCE, not_after=now + KEY_LIFETIME),
        leaf_extensions=(identity,),
        extensions=(mark,) if last_resort else (),
    )


def new_key_sets(
    provider: CryptoProvider, account: Account, now: int, *, count: int, last_resort: bool
) -> Sequence[OwnKeySet]:
    """Fresh sets, still to be published.

    Args:
        count: how many for one use.
        last_resort: whether one for the time when those are gone is made too.
    """
    made = []
    for reusable in [False] * count + [True] * last_resort:
        packages = [
            new_key_package(provider, account, suite, now, last_resort=reusable)
            for suite in supported_suites(provider)
        ]
        published = build_key_set(
            provider,
            account.credential,
            account.identity_key,
            [own.key_package for own in packages],
            last_resort=reusable,
        )
        refs = tuple(
            (key_package_ref(crypto(provider, own.key_package.cipher_suite), own.key_package), own)
            for own in packages
        )
        made.append(OwnKeySet(refs, reusable, published))
    return made
