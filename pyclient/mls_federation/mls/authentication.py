"""Whether a credential belongs to whom it names, and may follow another: the application's authentication service (§5.3.1)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from ..errors import ValidationError
from .credentials import BasicCredential, Credential

# Returns if the application accepts that the credential and the signature key (octets) belong together at that time (Unix
# seconds; None if times are not to be checked), and raises ValidationError, code `credential-refused`, if it does not.
CredentialCheck: TypeAlias = Callable[[Credential, bytes, int | None], None]

# Returns if the application accepts that a member with the first credential takes on the second, or that somebody with the
# second removes the member with the first to come in its place; raises ValidationError, code `not-a-successor`, if not.
SuccessorCheck: TypeAlias = Callable[[Credential, Credential], None]


def accept_basic(credential: Credential, signature_key: bytes, now: int | None) -> None:
    """Accept every basic credential, whose truth the application finds out otherwise, and no other (§5.3).

    Raises:
        ValidationError: code `credential-refused`.
    """
    if not isinstance(credential.credential, BasicCredential):
        raise ValidationError(
            "a credential that nobody here can validate", code="credential-refused", section="5.3.1"
        )


def same_identity(old: Credential, new: Credential) -> None:
    """Accept a successor whose credential says the same: of a basic one the identity, of others all octets (§5.3.1).

    Raises:
        ValidationError: code `not-a-successor`.
    """
    if old != new:
        raise ValidationError(
            "a leaf with another credential than the one that it replaces",
            code="not-a-successor",
            section="5.3.1",
        )


@dataclass(frozen=True)
class LeafPolicy:
    """What a leaf is judged by, besides the rules of RFC 9420.

    Attributes:
        now: Unix seconds, for lifetimes; None leaves them unchecked.
        check_credential: asks the application whose a credential is.
        check_successor: asks it whether a leaf may replace another.
    """

    now: int | None
    check_credential: CredentialCheck
    check_successor: SuccessorCheck = same_identity
