"""For whom a Welcome is: of all clients of its recipients, only for those whose KeyPackages it names."""

from __future__ import annotations

from mls_federation.mls.framing import MLSMessage, WireFormat
from mls_federation.mls.welcome import Welcome

_HEADER_SIZE = 4


def named_in(message: bytes) -> frozenset[bytes] | None:
    """The KeyPackageRefs that a Welcome names; None for any other message, which is for all clients.

    Args:
        message: an encoded MLSMessage.

    Raises:
        DecodeError: it says that it is a Welcome, and is none.
    """
    if int.from_bytes(message[2:_HEADER_SIZE], "big") != WireFormat.mls_welcome:
        return None
    welcome = MLSMessage.decode(message).message
    assert isinstance(welcome, Welcome)
    return frozenset(secrets.new_member for secrets in welcome.secrets)
