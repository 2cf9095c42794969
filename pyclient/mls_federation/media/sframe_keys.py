"""SFrame keys from an MLS group (RFC 9605 §5.2): one base key for an epoch, and for each member key ids of its own.

The low bits of a key id are those of the epoch, then comes the sender's leaf, and above it a context that the sender chooses:

```
     64-S-8 bits     S bits    8 bits
  +---------------+---------+----------+
  |    context    |  leaf   |  epoch   |
  +---------------+---------+----------+
```
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ..crypto import parameters
from ..errors import UnknownKeyError, UsageError
from ..mls import Group, export_secret
from ..mls.tree_math import LeafIndex
from .sframe import SFrameCipherSuite, SFrameKey, derive_key

_EXPORTER_LABEL = "SFrame 1.0 Base Key"
# E of §5.2: as many epochs can be told apart.
EPOCH_BITS = 8


@dataclass(frozen=True)
class SFrameSender:
    """A member, who may send.

    Attributes:
        leaf_index: its leaf.
        is_self: whether this is ourselves.
        key_id: KID with context 0, which is the shortest.
    """

    leaf_index: LeafIndex
    is_self: bool
    key_id: int


@dataclass(frozen=True)
class SFrameKeys:
    """What all members of an epoch protect their frames with.

    Attributes:
        epoch: of the group.
        cipher_suite: AES_128_GCM_SHA256_128, or AES_256_GCM_SHA512_128 where the group's suite is one of 256 bits.
        base_key: Nk octets. Secret.
        sender_bits: S of §5.2: the smallest number in which the indices of all leaves fit.
        senders: all members, in the order of their leaves.
    """

    epoch: int
    cipher_suite: SFrameCipherSuite
    base_key: bytes = field(repr=False)
    sender_bits: int
    senders: tuple[SFrameSender, ...]

    def key_id(self, leaf_index: int, context: int = 0) -> int:
        """KID of a member.

        Raises:
            UsageError: the context is out of range; nobody is on that leaf.
        """
        if all(sender.leaf_index != leaf_index for sender in self.senders):
            raise UsageError(f"nobody is on leaf {leaf_index} in epoch {self.epoch}")
        if not 0 <= context < 1 << (64 - EPOCH_BITS - self.sender_bits):
            raise UsageError("the context does not fit into a key id")
        return _key_id(self.epoch, self.sender_bits, leaf_index, context)

    def has(self, key_id: int) -> bool:
        """Whether a key id is of this epoch, as far as its low bits say."""
        return key_id % (1 << EPOCH_BITS) == self.epoch % (1 << EPOCH_BITS)

    def sender_of(self, key_id: int) -> SFrameSender:
        """Who sends by a key id.

        Raises:
            UnknownKeyError: it is of another epoch, or nobody is on that leaf.
        """
        leaf_index = key_id >> EPOCH_BITS & ((1 << self.sender_bits) - 1)
        if self.has(key_id):
            for sender in self.senders:
                if sender.leaf_index == leaf_index:
                    return sender
        raise UnknownKeyError(key_id)

    def sending_key(self, context: int) -> SFrameKey:
        """The key for frames of our own.

        Args:
            context: that we have not used in this epoch: `Client.reserve_sframe_context`.

        Raises:
            UsageError: the context is out of range.
        """
        own = next(sender for sender in self.senders if sender.is_self)
        return derive_key(self.cipher_suite, self.base_key, self.key_id(own.leaf_index, context))

    def receiving_key(self, key_id: int) -> SFrameKey:
        """The key for frames of somebody else.

        Raises:
            UnknownKeyError: as `sender_of`; or it is ours: whoever forwards could send our own frames back to us.
        """
        if self.sender_of(key_id).is_self:
            raise UnknownKeyError(key_id)
        return derive_key(self.cipher_suite, self.base_key, key_id)


def export_sframe_keys(group: Group) -> SFrameKeys:
    """The SFrame keys of a group's present epoch. Secret."""
    # MLS's suites of 128 bits are those with SHA-256.
    suite = (
        SFrameCipherSuite.AES_128_GCM_SHA256_128
        if parameters(group.cipher_suite).hash == "sha256"
        else SFrameCipherSuite.AES_256_GCM_SHA512_128
    )
    # A leaf may be blank: what has to fit is the last index, not the number of members. The tree is no wider than it must be
    # (RFC 9420 §7.7), so that all members agree.
    sender_bits = (group.tree.leaf_count - 1).bit_length()
    return SFrameKeys(
        epoch=group.epoch,
        cipher_suite=suite,
        base_key=export_secret(group, _EXPORTER_LABEL, b"", suite.Nk),
        sender_bits=sender_bits,
        senders=tuple(
            SFrameSender(
                leaf_index=member.leaf_index,
                is_self=member.leaf_index == group.own_leaf,
                key_id=_key_id(group.epoch, sender_bits, member.leaf_index, 0),
            )
            for member in group.members
        ),
    )


def _key_id(epoch: int, sender_bits: int, leaf_index: int, context: int) -> int:
    return context << (sender_bits + EPOCH_BITS) | leaf_index << EPOCH_BITS | epoch % (1 << EPOCH_BITS)
