"""Whose leaf is this? The LeafNode extension that ties a member to its identity key and domain (docs/protocol.md).

The inviter has seen a client's signed manifest; the other members see only the leaf. So every leaf carries, in an extension
of its own, the client's identity credential, its domain, the federation versions it speaks, and the identity key's signature
over all that together with the leaf's cipher suite and signature key. A device that another one admitted shows its admissions too,
so that everybody sees that it belongs to the same person as the others of that name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..codec import Struct, Vec, opaque, uint16
from ..crypto import CipherSuite, CryptoProvider, KeyPair, SignatureScheme
from ..errors import ValidationError, VerificationError
from ..mls.credentials import BasicCredential as MLSBasicCredential
from ..mls.extensions import Extension, ExtensionType, find_extension
from ..mls.nodes import LeafNode, Lifetime
from .binding import federation_sign_content, split_identity
from .credentials import basic_identity
from .devices import DeviceEvent, verify_lineage
from .seed import Credential

# From the range for private use (RFC 9420 §17.3).
FEDERATION_IDENTITY = ExtensionType(0xF4D1)
VERSION = 1
# The longest lifetime that a leaf may have, in seconds (RFC 9420 §7.2): whoever stole a key shall not use it for years.
LONGEST_LIFETIME = 100 * 24 * 3600

_LABEL = "LeafIdentity"


class FederationIdentity(Struct):
    """The extension's data."""

    credential: Credential
    domain: opaque
    versions: Vec[uint16]
    signature: opaque
    lineage: Vec[DeviceEvent]


class FederationIdentityTBS(Struct):
    """What its signature covers, under the label "LeafIdentity". The events of the lineage are signed themselves."""

    cipher_suite: CipherSuite
    signature_key: opaque
    credential: Credential
    domain: opaque
    versions: Vec[uint16]


@dataclass(frozen=True)
class VerifiedIdentity:
    """Who a leaf belongs to, as far as the identity key vouches for it.

    Attributes:
        identity: `name@domain`.
        identity_key: the public key that vouches; each device of an identity has its own.
        root_key: that of the device that claimed the identity: the same for all devices of one person.
        scheme: of that key.
        domain: the domain whose delivery service serves it.
        versions: of the federation, that the client speaks.
    """

    identity: str
    identity_key: bytes
    root_key: bytes
    scheme: SignatureScheme
    domain: str
    versions: tuple[int, ...]


def identity_extension(
    provider: CryptoProvider,
    credential: Credential,
    identity_key: KeyPair,
    cipher_suite: CipherSuite,
    signature_key: bytes,
    lineage: Sequence[DeviceEvent],
) -> Extension:
    """The extension for a leaf of `cipher_suite` whose signature key is `signature_key`, signed by the identity key.

    Args:
        lineage: the admissions that lead from the device that claimed the identity to this one.
    """
    basic = basic_identity(credential)
    _, domain = split_identity(basic.identity)
    tbs = FederationIdentityTBS(
        cipher_suite=cipher_suite,
        signature_key=signature_key,
        credential=credential,
        domain=domain.encode("ascii"),
        versions=(VERSION,),
    )
    signature = provider.sign(
        basic.algorithm, identity_key.private_key, federation_sign_content(_LABEL, tbs.encode())
    )
    data = FederationIdentity(
        credential=credential,
        domain=tbs.domain,
        versions=tbs.versions,
        signature=signature,
        lineage=tuple(lineage),
    )
    return Extension(extension_type=FEDERATION_IDENTITY, extension_data=data.encode())


def verify_leaf_identity(
    provider: CryptoProvider,
    cipher_suite: CipherSuite,
    leaf: LeafNode,
    verified_events: set[bytes] | None = None,
) -> VerifiedIdentity:
    """Who a leaf belongs to.

    Args:
        verified_events: as in `verify_lineage`, for whoever verifies many leaves.

    Raises:
        ValidationError: code `no-federation-identity`: it has no such extension, as leaves of clients that know only
            RFC 9420; `wrong-identity`: its parts contradict each other; `lifetime-too-long`; `bad-identity`;
            `unsupported-credential`; `bad-lineage`, or another code of `verify_lineage`: the admissions that it shows do
            not lead to it.
        VerificationError: code `bad-leaf-identity`: the identity key did not sign this leaf; `bad-signature`: an admission
            is not signed.
        DecodeError: the extension is malformed.
    """
    data = find_extension(leaf.extensions, FEDERATION_IDENTITY)
    if data is None:
        raise ValidationError(
            "a member's leaf says nothing of its federation identity", code="no-federation-identity"
        )
    claimed = FederationIdentity.decode(data)
    basic = basic_identity(claimed.credential)
    _, domain = split_identity(basic.identity)
    of_leaf = leaf.credential.credential
    if (
        claimed.domain != domain.encode("ascii")
        or not isinstance(of_leaf, MLSBasicCredential)
        or of_leaf.identity != basic.identity
    ):
        raise ValidationError(
            "a leaf whose credential names another identity than its extension", code="wrong-identity"
        )
    if (
        isinstance(leaf.source, Lifetime)
        and leaf.source.not_after - leaf.source.not_before > LONGEST_LIFETIME
    ):
        raise ValidationError(
            f"{basic.identity.decode('utf-8')} has a leaf that is good for more than {LONGEST_LIFETIME // 86400} days",
            code="lifetime-too-long",
        )
    tbs = FederationIdentityTBS(
        cipher_suite=cipher_suite,
        signature_key=leaf.signature_key,
        credential=claimed.credential,
        domain=claimed.domain,
        versions=claimed.versions,
    )
    try:
        provider.verify(
            basic.algorithm,
            basic.public_key,
            federation_sign_content(_LABEL, tbs.encode()),
            claimed.signature,
        )
    except VerificationError:
        raise VerificationError(
            f"{basic.identity.decode('utf-8')} did not sign this leaf", code="bad-leaf-identity"
        ) from None
    root = verify_lineage(
        provider, claimed.credential, claimed.lineage, set() if verified_events is None else verified_events
    )
    return VerifiedIdentity(
        identity=basic.identity.decode("utf-8"),
        identity_key=basic.public_key,
        root_key=basic_identity(root).public_key,
        scheme=basic.algorithm,
        domain=domain,
        versions=claimed.versions,
    )
