"""The manifest: one UserInitKey that covers all KeyPackages of a set (docs/protocol.md).

A client publishes, at one time, a KeyPackage for each cipher suite that it supports and one `UserInitKey`:
`cipher_suites[i]` and `init_keys[i]` are those of the i-th KeyPackage, and `user_init_key_id` is a hash over all
KeyPackageRefs. Its signature thereby covers every suite that the client supports and every KeyPackage in full:
a service that hides a suite, or swaps a KeyPackage, is found out by whoever fetches the set.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from ..codec import Struct, Vec, opaque
from ..crypto import CipherSuite, CryptoProvider, KeyPair, SignatureScheme, crypto
from ..errors import ValidationError, VerificationError
from ..mls.extensions import ExtensionType, find_extension
from ..mls.key_package import KeyPackage, key_package_ref, verify_key_package
from .binding import Boolean, KeyBundle, KeySet
from .credentials import basic_identity
from .identity import VerifiedIdentity, verify_leaf_identity
from .seed import Credential, UserInitKey, UserInitKeyTBS, from_rfc9420, to_rfc9420

_ID_LABEL = b"MLS Federation 1.0 UserInitKey"


class UserInitKeyIDInput(Struct):
    """What `user_init_key_id` is the SHA-256 of."""

    label: opaque
    key_package_refs: Vec[opaque]


@dataclass(frozen=True)
class VerifiedBundle:
    """A client's keys, fetched from its delivery service and verified.

    Attributes:
        identity: whose they are, `name@domain`.
        client_id: which client of that identity.
        identity_key: the public key that signed the manifest.
        root_key: that of the device that claimed the identity, as the KeyPackage's leaf shows.
        scheme: of that key.
        user_init_key: the manifest.
        cipher_suites: all that the client supports, in the manifest's order.
        refs: the KeyPackageRefs, in the same order.
        chosen: the suite of `key_package`.
        key_package: to add the client with.
        last_resort: whether others may have got this set too.
    """

    identity: str
    client_id: bytes
    identity_key: bytes
    root_key: bytes
    scheme: SignatureScheme
    user_init_key: UserInitKey
    cipher_suites: tuple[CipherSuite, ...]
    refs: tuple[bytes, ...]
    chosen: CipherSuite
    key_package: KeyPackage
    last_resort: bool


def user_init_key_id(refs: Sequence[bytes]) -> bytes:
    """The id of a set: 32 octets that name all its KeyPackages, in order."""
    return hashlib.sha256(UserInitKeyIDInput(label=_ID_LABEL, key_package_refs=tuple(refs)).encode()).digest()


def build_key_set(
    provider: CryptoProvider,
    credential: Credential,
    identity_key: KeyPair,
    packages: Sequence[KeyPackage],
    *,
    last_resort: bool,
) -> KeySet:
    """A set to publish: the packages, and the manifest that the identity key signs.

    Args:
        packages: one for each cipher suite, the best first.
    """
    refs = [key_package_ref(crypto(provider, package.cipher_suite), package) for package in packages]
    tbs = UserInitKeyTBS(
        user_init_key_id=user_init_key_id(refs),
        cipher_suites=tuple(from_rfc9420(package.cipher_suite) for package in packages),
        init_keys=tuple(package.init_key for package in packages),
        credential=credential,
    )
    signature = provider.sign(basic_identity(credential).algorithm, identity_key.private_key, tbs.encode())
    return KeySet(
        user_init_key=UserInitKey(
            user_init_key_id=tbs.user_init_key_id,
            cipher_suites=tbs.cipher_suites,
            init_keys=tbs.init_keys,
            credential=credential,
            signature=signature,
        ),
        key_packages=tuple(package.encode() for package in packages),
        last_resort=Boolean.true if last_resort else Boolean.false,
    )


def verify_key_set(provider: CryptoProvider, identity: bytes, key_set: KeySet, *, now: int | None) -> None:
    """Everything that a delivery service checks before it hands a set out.

    Args:
        identity: who published it.
        now: Unix seconds, for lifetimes; None leaves them unchecked.

    Raises:
        ValidationError: code `wrong-identity`, `bad-manifest`, or that of a KeyPackage's fault.
        VerificationError: code `bad-manifest-signature`, or that of a KeyPackage.
        DecodeError: a KeyPackage is malformed.
        UnsupportedError: a cipher suite is not known here.
    """
    manifest = key_set.user_init_key
    suites = _verify_manifest(provider, identity, manifest)
    if len(key_set.key_packages) != len(suites):
        raise _bad_manifest("as many KeyPackages as cipher suites are needed")
    refs = []
    for suite, init_key, encoded in zip(suites, manifest.init_keys, key_set.key_packages, strict=True):
        package = KeyPackage.decode(encoded)
        refs.append(key_package_ref(crypto(provider, suite), package))
        _verify_package(provider, manifest, suite, init_key, package, now)
        _check_mark(package, key_set.last_resort)
    if manifest.user_init_key_id != user_init_key_id(refs):
        raise _bad_manifest("its id is not the hash of the KeyPackages")


def verify_bundle(
    provider: CryptoProvider,
    identity: str,
    bundle: KeyBundle,
    *,
    wanted: Sequence[CipherSuite],
    now: int | None,
) -> VerifiedBundle:
    """Everything that a client checks of a bundle before it adds anybody by it.

    Args:
        identity: whose keys were asked for.
        wanted: the suites that were asked for, the best first.
        now: Unix seconds, for lifetimes; None leaves them unchecked.

    Raises:
        ValidationError: code `wrong-identity`, `bad-manifest`, `downgraded`: the service chose another suite than the
            best that both support; or that of the KeyPackage's fault.
        VerificationError: code `bad-manifest-signature`, or that of the KeyPackage.
        DecodeError: the KeyPackage is malformed.
    """
    manifest = bundle.bundle.user_init_key
    name = identity.encode("utf-8")
    if bundle.bundle.identity != name:
        raise ValidationError(f"a bundle that is not {identity}'s", code="wrong-identity")
    suites = _verify_manifest(provider, name, manifest)
    if len(bundle.refs) != len(suites) or manifest.user_init_key_id != user_init_key_id(bundle.refs):
        raise _bad_manifest("its id is not the hash of the KeyPackageRefs")
    best = next((suite for suite in wanted if suite in suites), None)
    if bundle.chosen != best:
        raise ValidationError(
            "the delivery service did not choose the best cipher suite that both clients support",
            code="downgraded",
        )
    place = suites.index(bundle.chosen)
    package = KeyPackage.decode(bundle.key_package)
    if key_package_ref(crypto(provider, bundle.chosen), package) != bundle.refs[place]:
        raise _bad_manifest("the KeyPackage is not the one that it names")
    verified = _verify_package(provider, manifest, bundle.chosen, manifest.init_keys[place], package, now)
    _check_mark(package, bundle.last_resort)
    basic = basic_identity(manifest.credential)
    return VerifiedBundle(
        identity=identity,
        client_id=bundle.client_id,
        identity_key=basic.public_key,
        root_key=verified.root_key,
        scheme=basic.algorithm,
        user_init_key=manifest,
        cipher_suites=suites,
        refs=bundle.refs,
        chosen=bundle.chosen,
        key_package=package,
        last_resort=bundle.last_resort == Boolean.true,
    )


def _verify_manifest(
    provider: CryptoProvider, identity: bytes, manifest: UserInitKey
) -> tuple[CipherSuite, ...]:
    """The suites of a manifest that `identity` has signed."""
    basic = basic_identity(manifest.credential)
    if basic.identity != identity:
        raise ValidationError("a manifest whose credential names another identity", code="wrong-identity")
    suites = tuple(to_rfc9420(seed_suite) for seed_suite in manifest.cipher_suites)
    if not suites or len(set(suites)) != len(suites):
        raise _bad_manifest("it must name at least one cipher suite, and each once")
    if any(from_rfc9420(suite) != named for suite, named in zip(suites, manifest.cipher_suites, strict=True)):
        raise _bad_manifest("it names a cipher suite by RFC 9420's code point where the seed has its own")
    if len(manifest.init_keys) != len(suites):
        raise _bad_manifest("as many init_keys as cipher suites are needed")
    tbs = UserInitKeyTBS(
        user_init_key_id=manifest.user_init_key_id,
        cipher_suites=manifest.cipher_suites,
        init_keys=manifest.init_keys,
        credential=manifest.credential,
    )
    try:
        provider.verify(basic.algorithm, basic.public_key, tbs.encode(), manifest.signature)
    except VerificationError:
        raise VerificationError(
            "the identity key did not sign this manifest", code="bad-manifest-signature"
        ) from None
    return suites


def _verify_package(
    provider: CryptoProvider,
    manifest: UserInitKey,
    suite: CipherSuite,
    init_key: bytes,
    package: KeyPackage,
    now: int | None,
) -> VerifiedIdentity:
    """Whether a KeyPackage is valid, and the one of this manifest for this suite."""
    if package.cipher_suite != suite or package.init_key != init_key:
        raise _bad_manifest("a KeyPackage has another suite or init_key than it says")
    verify_key_package(crypto(provider, suite), package, now)
    verified = verify_leaf_identity(provider, suite, package.leaf_node)
    basic = basic_identity(manifest.credential)
    if verified.identity_key != basic.public_key or verified.identity.encode("utf-8") != basic.identity:
        raise ValidationError("a KeyPackage of another identity than its manifest", code="wrong-identity")
    return verified


def _check_mark(package: KeyPackage, last_resort: Boolean) -> None:
    """Whether a KeyPackage, which its client has signed, says the same of its use as the service does."""
    marked = find_extension(package.extensions, ExtensionType.last_resort) is not None
    if marked != bool(last_resort):
        raise _bad_manifest(
            "a KeyPackage is marked as a last resort and its set is not, or the other way round"
        )


def _bad_manifest(reason: str) -> ValidationError:
    return ValidationError(f"the manifest is not valid: {reason}", code="bad-manifest")
