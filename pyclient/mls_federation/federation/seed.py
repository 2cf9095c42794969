"""The messages of draft-omara-mls-federation-00, bit for bit.

`Credential`, `HPKEPublicKey` and `SignatureScheme` are those of the MLS drafts of the seed's time
(draft-ietf-mls-protocol-04 to -07), to which the seed refers; they are not RFC 9420's.
"""

from __future__ import annotations

from typing import Annotated, TypeAlias

from ..codec import ClosedEnum8, Length, OpenEnum16, Struct, select
from ..crypto import CipherSuite, SignatureScheme

MEDIA_TYPE_REQUEST = "application/mls-get-user-init-key-request"
MEDIA_TYPE_RESPONSE = "application/mls-get-user-init-key-response"


class SeedCipherSuite(OpenEnum16):
    """The seed's code points; a suite that it does not name has RFC 9420's own (see `to_rfc9420`)."""

    P256_SHA256_AES128GCM = 0x0000
    X25519_SHA256_AES128GCM = 0x0001


class CredentialType(ClosedEnum8):
    """How an identity key is bound to an identity."""

    basic = 0
    x509 = 1


HPKEPublicKey: TypeAlias = Annotated[bytes, Length(1, 2**16 - 1)]


class BasicCredential(Struct):
    """A bare assertion of an identity and its signature key."""

    identity: Annotated[bytes, Length(0, 2**16 - 1)]
    algorithm: SignatureScheme
    public_key: Annotated[bytes, Length(1, 2**16 - 1)]


class Credential(Struct):
    """The identity key of a client."""

    credential_type: CredentialType
    credential: BasicCredential | bytes = select(
        "credential_type",
        {
            CredentialType.basic: BasicCredential,
            CredentialType.x509: Annotated[bytes, Length(1, 2**24 - 1)],
        },
    )


class GetUserInitKeyRequest(Struct):
    """Asks a delivery service for the keys of an identity."""

    identity: Annotated[bytes, Length(0, 2**16 - 1)]
    supported_suites: Annotated[tuple[SeedCipherSuite, ...], Length(0, 255)]


class UserInitKey(Struct):
    """What a client publishes to be added to groups: a key for each suite, under one signature."""

    user_init_key_id: Annotated[bytes, Length(0, 255)]
    cipher_suites: Annotated[tuple[SeedCipherSuite, ...], Length(0, 255)]
    init_keys: Annotated[tuple[HPKEPublicKey, ...], Length(1, 2**16 - 1)]
    credential: Credential
    signature: Annotated[bytes, Length(0, 2**16 - 1)]


class UserInitKeyTBS(Struct):
    """What `UserInitKey.signature` covers: every field before it."""

    user_init_key_id: Annotated[bytes, Length(0, 255)]
    cipher_suites: Annotated[tuple[SeedCipherSuite, ...], Length(0, 255)]
    init_keys: Annotated[tuple[HPKEPublicKey, ...], Length(1, 2**16 - 1)]
    credential: Credential


class UserInitKeyBundle(Struct):
    """A client's key with the identity that it belongs to."""

    identity: Annotated[bytes, Length(0, 2**16 - 1)]
    user_init_key: UserInitKey


class GetUserInitKeyResponse(Struct):
    """One bundle for each client of the identity."""

    user_init_keys: Annotated[tuple[UserInitKeyBundle, ...], Length(0, 2**32 - 1)]


_TO_RFC9420 = {
    SeedCipherSuite.P256_SHA256_AES128GCM: CipherSuite.MLS_128_DHKEMP256_AES128GCM_SHA256_P256,
    SeedCipherSuite.X25519_SHA256_AES128GCM: CipherSuite.MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519,
}
_FROM_RFC9420 = {suite: seed for seed, suite in _TO_RFC9420.items()}


def to_rfc9420(seed_suite: SeedCipherSuite) -> CipherSuite:
    """The RFC 9420 suite that a code point in the seed's messages stands for.

    The seed's 0x0000 and 0x0001 are RFC 9420's 0x0002 and 0x0001; every other code point is RFC 9420's own.
    (0x0002 in a seed's message would name the same suite as 0x0000: `manifest` refuses it.)
    """
    return _TO_RFC9420.get(seed_suite) or CipherSuite(seed_suite)


def from_rfc9420(suite: CipherSuite) -> SeedCipherSuite:
    """The code point for an RFC 9420 suite in the seed's messages."""
    found = _FROM_RFC9420.get(suite)
    return SeedCipherSuite(suite) if found is None else found
