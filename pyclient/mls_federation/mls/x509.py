"""X.509 credentials (§5.3): chains of certificates, validated by `cryptography`'s path validation (RFC 5280).

That validation follows the profile of the Web PKI, which knows the NIST curves and RSA but not Ed25519 and Ed448. So X.509
credentials serve the cipher suites 0x0002, 0x0005 and 0x0007.
"""

from __future__ import annotations

import datetime
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.utils import CryptographyDeprecationWarning
from cryptography.x509.verification import PolicyBuilder, Store
from cryptography.x509.verification import VerificationError as ChainError

from ..errors import UsageError, ValidationError
from .authentication import CredentialCheck, SuccessorCheck
from .credentials import Certificate, Credential, CredentialType, X509Credential

_NO_NAMES = (x509.Name([]), None)


def x509_credential(chain: Sequence[bytes]) -> Credential:
    """A credential from a chain of DER certificates, the end entity's first."""
    certificates = tuple(Certificate(cert_data=certificate) for certificate in chain)
    return Credential(
        credential_type=CredentialType.x509, credential=X509Credential(certificates=certificates)
    )


def trust_anchors(roots: Sequence[bytes], others: CredentialCheck) -> CredentialCheck:
    """A check that accepts X.509 credentials whose chain leads to one of `roots`.

    The end entity's certificate must be good for client authentication, and its key the leaf's signature key.

    Args:
        roots: DER certificates.
        others: judges credentials of other types.

    Raises:
        UsageError: a root is no certificate.
    """
    try:
        store = Store([x509.load_der_x509_certificate(root) for root in roots])
    except ValueError:
        raise UsageError("the trust anchors must be DER certificates, at least one") from None

    def check(credential: Credential, signature_key: bytes, now: int | None) -> None:
        if not isinstance(credential.credential, X509Credential):
            others(credential, signature_key, now)
            return
        if now is None:
            raise UsageError("X.509 credentials cannot be validated without the time")
        with _without_warnings():
            _check_chain(store, credential.credential, signature_key, now)

    return check


def same_names(others: SuccessorCheck) -> SuccessorCheck:
    """A check that lets an X.509 credential follow one whose end entity has the same subject and alternative names.

    The certificates may be new, and of another issuer: whether that one is trusted, `trust_anchors` says.

    Args:
        others: judges all pairs of which one is of another type.
    """

    def check(old: Credential, new: Credential) -> None:
        if not (isinstance(old.credential, X509Credential) and isinstance(new.credential, X509Credential)):
            others(old, new)
            return
        with _without_warnings():
            names, new_names = (_names(_load(each)[0]) for each in (old.credential, new.credential))
        if names != new_names or names == _NO_NAMES:
            raise ValidationError(
                "a leaf whose certificate names somebody else than the one that it replaces",
                code="not-a-successor",
                section="5.3.1",
            )

    return check


def _names(certificate: x509.Certificate) -> tuple[x509.Name, x509.SubjectAlternativeName | None]:
    try:
        alternative = [
            extension.value
            for extension in certificate.extensions
            if isinstance(extension.value, x509.SubjectAlternativeName)
        ]
        return certificate.subject, alternative[0] if alternative else None
    except (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        raise _refused("its names are malformed") from None


@contextmanager
def _without_warnings() -> Iterator[None]:
    """What `cryptography` will refuse one day it only warns of now; a peer's input shall not write to our log."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CryptographyDeprecationWarning)
        yield


def _check_chain(store: Store, credential: X509Credential, signature_key: bytes, now: int) -> None:
    chain = _load(credential)
    if _raw_public_key(chain[0]) != signature_key:
        raise _refused("its key is not the leaf's signature key")
    time = datetime.datetime.fromtimestamp(now, datetime.UTC)
    verifier = PolicyBuilder().store(store).time(time).build_client_verifier()
    try:
        verifier.verify(chain[0], chain[1:])
    except ChainError as error:
        raise _refused(f"its chain is not valid: {error}") from None
    except ValueError:
        # A certificate is parsed when its parts are needed: names, for instance, only here.
        raise _refused("it has a malformed certificate in it") from None


def _load(credential: X509Credential) -> list[x509.Certificate]:
    try:
        chain = [x509.load_der_x509_certificate(item.cert_data) for item in credential.certificates]
    except (ValueError, x509.InvalidVersion):
        raise _refused("it has something else than DER certificates in it") from None
    if not chain:
        raise _refused("it has no certificate")
    return chain


def _raw_public_key(certificate: x509.Certificate) -> bytes | None:
    """The key as `SignaturePublicKey` has it (§5.1.1); None if it is of no MLS suite."""
    try:
        key = certificate.public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return None
    if isinstance(key, ec.EllipticCurvePublicKey):
        return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    if isinstance(key, ed25519.Ed25519PublicKey | ed448.Ed448PublicKey):
        return key.public_bytes_raw()
    return None


def _refused(reason: str) -> ValidationError:
    return ValidationError(
        f"an X.509 credential is refused: {reason}", code="credential-refused", section="5.3"
    )
