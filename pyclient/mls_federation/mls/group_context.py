"""What all members of an epoch agree on (§8.1)."""

from __future__ import annotations

from ..codec import Struct, Vec, opaque, uint64
from ..crypto import CipherSuite
from .extensions import Extension
from .nodes import ProtocolVersion


class GroupContext(Struct, keep_octets=True):
    """The state of a group that every key and signature is bound to."""

    version: ProtocolVersion
    cipher_suite: CipherSuite
    group_id: opaque
    epoch: uint64
    tree_hash: opaque
    confirmed_transcript_hash: opaque
    extensions: Vec[Extension]
