"""Whether a credential belongs to whom it names: the application's authentication service (§5.3.1)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from ..errors import ValidationError
from .credentials import BasicCredential, Credential

# Returns if the application accepts that the credential and the signature key (octets) belong together at that time (Unix
# seconds; None if times are not to be checked), and raises ValidationError, code `credential-refused`, if it does not.
CredentialCheck: TypeAlias = Callable[[Credential, bytes, int | None], None]


@dataclass(frozen=True)
class LeafPolicy:
    """What a leaf is judged by, besides the rules of RFC 9420.

    Attributes:
        now: Unix seconds, for lifetimes; None leaves them unchecked.
        check_credential: asks the application.
    """

    now: int | None
    check_credential: CredentialCheck


def accept_basic(credential: Credential, signature_key: bytes, now: int | None) -> None:
    """Accept every basic credential, whose truth the application finds out otherwise, and no other (§5.3).

    Raises:
        ValidationError: code `credential-refused`.
    """
    if not isinstance(credential.credential, BasicCredential):
        raise ValidationError(
            "a credential that nobody here can validate", code="credential-refused", section="5.3.1"
        )
