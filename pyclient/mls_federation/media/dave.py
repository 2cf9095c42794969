"""A sender's base secret as DAVE has it, the end-to-end encryption of Discord's calls (its protocol, version 1.1).

That is one exporter label, and all of DAVE that is here: not its groups, which its gateway changes, nor its ratchet, nor its frames.
"""

from __future__ import annotations

from ..errors import UsageError
from ..mls import Group, export_secret

_EXPORTER_LABEL = "Discord Secure Frames v0"
_SIZE = 16


def export_dave_base_secret(group: Group, user_id: int) -> bytes:
    """`sender_base_secret` of a user in the present epoch: 16 octets, from which DAVE ratchets the sender's keys. Secret.

    A page has the same by `group.exportSecret("Discord Secure Frames v0", context, 16)`.

    Args:
        user_id: the sender's; the exporter's context is this number in 8 octets, little-endian.

    Raises:
        UsageError: it is no number of 64 bits.
    """
    if not 0 <= user_id < 2**64:
        raise UsageError("a user id is a number from 0 to 2^64 - 1")
    return export_secret(group, _EXPORTER_LABEL, user_id.to_bytes(8, "little"), _SIZE)
