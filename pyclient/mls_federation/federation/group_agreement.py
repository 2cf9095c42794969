"""What the members of a group have agreed on besides RFC 9420: a GroupContext extension (docs/protocol.md).

The GroupContext is what all keys of an epoch are bound to, so members who do not agree on this have no group together.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..codec import ClosedEnum8, Struct, Vec, opaque, replace, uint16
from ..crypto import CipherSuite
from ..errors import ValidationError
from ..mls.extensions import Extension, ExtensionType, find_extension
from .binding import is_domain

# From the range for private use (RFC 9420 §17.3).
GROUP_AGREEMENT = ExtensionType(0xF4D2)
SIGNING_KEY_SIZE = 32


class OrderingRule(ClosedEnum8):
    """Who says in which order commits come."""

    members = 0
    service = 1


class GroupAgreement(Struct):
    """The extension's data.

    `version` is that of the federation. `domain` and `signing_key` are of the delivery service that orders, and empty if the
    members do. `passed_over` has the cipher suites that all could have had and that are better than the group's.
    """

    version: uint16
    ordering: OrderingRule
    domain: opaque
    signing_key: opaque
    passed_over: Vec[CipherSuite]


def agreement_of(extensions: Sequence[Extension]) -> GroupAgreement:
    """The agreement among the extensions of a GroupContext.

    Raises:
        ValidationError: code `no-agreement`; `bad-agreement`: it contradicts itself.
        DecodeError: it is malformed.
    """
    data = find_extension(extensions, GROUP_AGREEMENT)
    if data is None:
        raise ValidationError("a group whose members have not said what they agreed on", code="no-agreement")
    agreement = GroupAgreement.decode(data)
    _check(agreement)
    return agreement


def with_agreement(extensions: Sequence[Extension], agreement: GroupAgreement) -> tuple[Extension, ...]:
    """The extensions of a GroupContext with this agreement, in the place of the one that is there."""
    ours = Extension(extension_type=GROUP_AGREEMENT, extension_data=agreement.encode())
    if find_extension(extensions, GROUP_AGREEMENT) is None:
        return (*extensions, ours)
    return tuple(ours if item.extension_type == GROUP_AGREEMENT else item for item in extensions)


def ordered_by_service(agreement: GroupAgreement, domain: str, signing_key: bytes) -> GroupAgreement:
    """The same agreement, with the service of `domain` to order commits."""
    return replace(
        agreement, ordering=OrderingRule.service, domain=domain.encode("ascii"), signing_key=signing_key
    )


def ordered_by_members(agreement: GroupAgreement) -> GroupAgreement:
    """The same agreement, with nobody but the members to order commits."""
    return replace(agreement, ordering=OrderingRule.members, domain=b"", signing_key=b"")


def _check(agreement: GroupAgreement) -> None:
    if agreement.ordering == OrderingRule.members:
        if agreement.domain or agreement.signing_key:
            raise _bad("it names a service that does not order")
    elif not is_domain(agreement.domain.decode("ascii", "replace")):
        raise _bad("the service that orders has no domain name")
    elif len(agreement.signing_key) != SIGNING_KEY_SIZE:
        raise _bad("the key of the service that orders is no Ed25519 key")
    if len(set(agreement.passed_over)) != len(agreement.passed_over):
        raise _bad("a cipher suite was passed over twice")


def _bad(reason: str) -> ValidationError:
    return ValidationError(f"the group's agreement is not valid: {reason}", code="bad-agreement")
