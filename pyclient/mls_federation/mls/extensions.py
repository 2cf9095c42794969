"""Extensions and the ones that RFC 9420 defines (§13, §11.1, §12.1.8.1, §12.4.3.2)."""

from __future__ import annotations

from collections.abc import Sequence

from ..codec import OpenEnum16, Struct, Vec, opaque
from ..errors import ValidationError
from .credentials import Credential, CredentialType


class ExtensionType(OpenEnum16):
    """Registered extension types (§17.3)."""

    application_id = 0x0001
    ratchet_tree = 0x0002
    required_capabilities = 0x0003
    external_pub = 0x0004
    external_senders = 0x0005
    last_resort = 0x000A


# §7.2: these are part of the protocol; nobody lists them in their capabilities.
DEFAULT_EXTENSION_TYPES = frozenset(
    {
        ExtensionType.application_id,
        ExtensionType.ratchet_tree,
        ExtensionType.required_capabilities,
        ExtensionType.external_pub,
        ExtensionType.external_senders,
    }
)


class ProposalType(OpenEnum16):
    """Registered proposal types (§17.4)."""

    add = 0x0001
    update = 0x0002
    remove = 0x0003
    psk = 0x0004
    reinit = 0x0005
    external_init = 0x0006
    group_context_extensions = 0x0007


# §7.2: likewise.
DEFAULT_PROPOSAL_TYPES = frozenset(ProposalType)


class Extension(Struct):
    """One extension; its data is understood by those who know its type."""

    extension_type: ExtensionType
    extension_data: opaque


class RequiredCapabilities(Struct):
    """What every member of the group must support (§11.1)."""

    extension_types: Vec[ExtensionType]
    proposal_types: Vec[ProposalType]
    credential_types: Vec[CredentialType]


class ExternalPub(Struct):
    """The key to which a joiner by external commit encapsulates (§12.4.3.2)."""

    external_pub: opaque


class ExternalSender(Struct):
    """A non-member who may send proposals (§12.1.8.1)."""

    signature_key: opaque
    credential: Credential


def find_extension(extensions: Sequence[Extension], extension_type: ExtensionType) -> bytes | None:
    """The data of the extension of this type; None if there is none."""
    for extension in extensions:
        if extension.extension_type == extension_type:
            return extension.extension_data
    return None


def check_extensions_unique(extensions: Sequence[Extension]) -> None:
    """§13.4: no more than one extension of a type in one list.

    Raises:
        ValidationError: code `duplicate-extension`.
    """
    types = [extension.extension_type for extension in extensions]
    if len(set(types)) != len(types):
        raise ValidationError("two extensions of the same type", code="duplicate-extension", section="13.4")
