"""Key packages: what a client publishes so that it can be added to groups (§10)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ..codec import Struct, Vec, opaque, replace, without_signature
from ..crypto import CipherSuite, Crypto, KeyPair, sign_content
from ..crypto.provider import SignedMessage
from ..errors import UnsupportedError, ValidationError
from .authentication import CredentialCheck, LeafPolicy, accept_basic
from .credentials import Credential
from .extensions import Extension, check_extensions_unique
from .grease import grease_extensions, grease_leaf
from .nodes import (
    Capabilities,
    LeafNode,
    LeafNodeSource,
    Lifetime,
    ProtocolVersion,
    check_leaf_node,
    new_leaf_node,
    sign_leaf_node,
    signed_leaf,
)
from .tree_math import LeafIndex


class KeyPackage(Struct, keep_octets=True):
    """A client's offer to be added to a group of one cipher suite."""

    version: ProtocolVersion
    cipher_suite: CipherSuite
    init_key: opaque
    leaf_node: LeafNode
    extensions: Vec[Extension]
    signature: opaque


class KeyPackageTBS(Struct):
    """What its signature covers."""

    version: ProtocolVersion
    cipher_suite: CipherSuite
    init_key: opaque
    leaf_node: LeafNode
    extensions: Vec[Extension]


@dataclass(frozen=True)
class OwnKeyPackage:
    """A KeyPackage of ours with the private keys that belong to it."""

    key_package: KeyPackage
    init_key: KeyPair
    encryption_key: KeyPair
    signature_key: bytes = field(repr=False)


def key_package_tbs(package: KeyPackage) -> bytes:
    """The KeyPackageTBS that the package's signature covers."""
    return without_signature(package)


def key_package_ref(crypto: Crypto, package: KeyPackage) -> bytes:
    """KeyPackageRef (§5.2)."""
    return crypto.ref_hash("MLS 1.0 KeyPackage Reference", package.encode())


def create_key_package(
    crypto: Crypto,
    *,
    credential: Credential,
    signature_key: KeyPair,
    capabilities: Capabilities,
    lifetime: Lifetime,
    leaf_extensions: Sequence[Extension] = (),
    extensions: Sequence[Extension] = (),
    grease: bool = True,
) -> OwnKeyPackage:
    """A fresh KeyPackage, signed by `signature_key` (§10).

    Args:
        grease: put values without meaning where others must ignore them (§13.5): into the capabilities and both lists of
            extensions. The leaf keeps those for as long as it is in a group.

    Raises:
        ValidationError: code `duplicate-extension`: a list has two extensions of one type.
    """
    check_extensions_unique(leaf_extensions)
    check_extensions_unique(extensions)
    init_key = crypto.generate_key_pair()
    encryption_key = crypto.generate_key_pair()
    if grease:
        capabilities, leaf_extensions = grease_leaf(crypto, capabilities, leaf_extensions)
        extensions = grease_extensions(crypto, extensions)
    leaf = new_leaf_node(
        encryption_key, signature_key.public_key, credential, capabilities, lifetime, leaf_extensions
    )
    package = KeyPackage(
        version=ProtocolVersion.mls10,
        cipher_suite=crypto.suite.cipher_suite,
        init_key=init_key.public_key,
        leaf_node=sign_leaf_node(crypto, signature_key.private_key, leaf),
        extensions=tuple(extensions),
        signature=b"",
    )
    signature = crypto.sign_with_label(signature_key.private_key, "KeyPackageTBS", key_package_tbs(package))
    return OwnKeyPackage(
        key_package=replace(package, signature=signature),
        init_key=init_key,
        encryption_key=encryption_key,
        signature_key=signature_key.private_key,
    )


def verify_key_package(
    crypto: Crypto, package: KeyPackage, now: int | None, check_credential: CredentialCheck = accept_basic
) -> None:
    """All checks of §10.1.

    Args:
        now: Unix seconds, for the lifetime; None leaves it unchecked.
        check_credential: asks the application whether a credential is whose it says.

    Raises:
        UnsupportedError: the version is not MLS 1.0.
        ValidationError: the code names the rule.
        VerificationError: a signature does not fit.
    """
    crypto.verify_all(check_key_package(crypto, package, LeafPolicy(now, check_credential)))


def check_key_package(crypto: Crypto, package: KeyPackage, policy: LeafPolicy) -> list[SignedMessage]:
    """All checks of §10.1 but those of the signatures, which are returned to be verified with others.

    Args:
        policy: what the leaf is judged by.

    Raises:
        UnsupportedError: the version is not MLS 1.0.
        ValidationError: the code names the rule.
    """
    if package.version != ProtocolVersion.mls10:
        raise UnsupportedError(
            "a KeyPackage for another version of MLS", code="unsupported-version", section="10.1"
        )
    if package.cipher_suite != crypto.suite.cipher_suite:
        raise ValidationError(
            "a KeyPackage for another cipher suite", code="wrong-cipher-suite", section="10.1"
        )
    leaf = package.leaf_node
    if leaf.leaf_node_source != LeafNodeSource.key_package:
        raise ValidationError(
            "the leaf of a KeyPackage was not made for one", code="wrong-leaf-source", section="10.1"
        )
    if package.init_key == leaf.encryption_key:
        raise ValidationError(
            "a KeyPackage uses one key as init_key and encryption_key", code="key-reuse", section="10.1"
        )
    check_extensions_unique(package.extensions)
    check_leaf_node(leaf, package.cipher_suite, policy)
    for public_key in (package.init_key, leaf.encryption_key):
        crypto.check_public_key(public_key)
    content = sign_content("KeyPackageTBS", key_package_tbs(package))
    return [
        signed_leaf(leaf, b"", LeafIndex(0)),
        SignedMessage(leaf.signature_key, content, package.signature),
    ]
