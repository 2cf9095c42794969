"""The seed's credential of an identity key, made and read."""

from __future__ import annotations

from ..crypto import SignatureScheme
from ..errors import ValidationError
from .seed import BasicCredential, Credential, CredentialType


def identity_credential(identity: str, scheme: SignatureScheme, public_key: bytes) -> Credential:
    """The seed's basic credential of an identity key."""
    return Credential(
        credential_type=CredentialType.basic,
        credential=BasicCredential(
            identity=identity.encode("utf-8"), algorithm=scheme, public_key=public_key
        ),
    )


def basic_identity(credential: Credential) -> BasicCredential:
    """The basic credential in a `Credential`; x509 ones are decoded, but not accepted yet.

    Raises:
        ValidationError: code `unsupported-credential`.
    """
    if not isinstance(credential.credential, BasicCredential):
        raise ValidationError("an identity credential that is not basic", code="unsupported-credential")
    return credential.credential
