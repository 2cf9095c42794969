"""What is known of a group without its secrets, as octets, to be kept between runs.

The encoding is ours, as that of a member's state is: a version, then the struct. Proposals are not kept: who follows a group
by its commits alone gets them with each commit.
"""

from __future__ import annotations

from ..codec import Struct, opaque, uint16
from ..crypto import CryptoProvider, crypto
from .group_context import GroupContext
from .public_group import PublicGroup
from .ratchet_tree import RatchetTreeNodes, tree_nodes, tree_of
from .state import checked_version
from .tree_hashes import check_unmerged_leaves

_VERSIONS = (1,)


class StoredPublicGroup(Struct):
    """An epoch of a group, as everybody may see it."""

    version: uint16
    context: GroupContext
    tree: RatchetTreeNodes
    interim_transcript_hash: opaque


def encode_public_group(group: PublicGroup) -> bytes:
    """A followed group without its proposals. Not secret."""
    return StoredPublicGroup(
        version=_VERSIONS[-1],
        context=group.context,
        tree=tree_nodes(group.tree),
        interim_transcript_hash=group.interim_transcript_hash,
    ).encode()


def decode_public_group(provider: CryptoProvider, data: bytes) -> PublicGroup:
    """The group that `encode_public_group` of this or an earlier version made `data` from.

    Raises:
        UnsupportedError: code `unknown-state-version`: a later version made it; or its cipher suite is not known.
        DecodeError, ValidationError: it is no such state.
    """
    checked_version(data, "StoredPublicGroup", _VERSIONS)
    stored = StoredPublicGroup.decode(data)
    tree = tree_of(stored.tree.nodes)
    check_unmerged_leaves(tree)
    return PublicGroup(
        crypto=crypto(provider, stored.context.cipher_suite),
        context=stored.context,
        tree=tree,
        interim_transcript_hash=stored.interim_transcript_hash,
    )
