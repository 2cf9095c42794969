"""Credentials: how a member's signature key is bound to an identity (§5.3)."""

from __future__ import annotations

from ..codec import OpenEnum16, Struct, Vec, opaque, select


class CredentialType(OpenEnum16):
    """Registered credential types (§17.5)."""

    basic = 0x0001
    x509 = 0x0002


class Certificate(Struct):
    """One certificate, DER encoded."""

    cert_data: opaque


class BasicCredential(Struct):
    """A bare assertion of an identity."""

    identity: opaque


class X509Credential(Struct):
    """A certificate chain, the end entity's first."""

    certificates: Vec[Certificate]


class Credential(Struct):
    """What a member says of who it is."""

    credential_type: CredentialType
    credential: BasicCredential | X509Credential = select(
        "credential_type",
        {CredentialType.basic: BasicCredential, CredentialType.x509: X509Credential},
    )


def basic_credential(identity: bytes) -> Credential:
    """A basic credential for `identity`."""
    return Credential(credential_type=CredentialType.basic, credential=BasicCredential(identity=identity))
