"""MLSMessages of every wire format, field by field (§6)."""

from __future__ import annotations

from ..codec import Vec
from ..mls.extensions import ExtensionType, ExternalPub, ExternalSender, RequiredCapabilities
from ..mls.framing import MLSMessage
from ..mls.ratchet_tree import RatchetTreeNodes
from .structs import Described, ExtensionTypes, describe_struct

_EXTENSION_TYPES: ExtensionTypes = {
    ExtensionType.ratchet_tree: RatchetTreeNodes,
    ExtensionType.required_capabilities: RequiredCapabilities,
    ExtensionType.external_pub: ExternalPub,
    ExtensionType.external_senders: Vec[ExternalSender],
}


def describe_message(data: bytes, *, more_extension_types: ExtensionTypes | None = None) -> Described:
    """What an encoded MLSMessage holds. Nothing of it is verified, nor decrypted.

    Args:
        data: any octets.
        more_extension_types: what the data of extensions is, beside those of RFC 9420: a struct, or `Vec[...]` of one.

    Raises:
        DecodeError: it is no MLSMessage.
    """
    types = {**_EXTENSION_TYPES, **(more_extension_types or {})}
    return describe_struct("MLSMessage", MLSMessage.decode(data), extension_types=types)
