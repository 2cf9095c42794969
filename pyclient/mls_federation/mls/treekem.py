"""TreeKEM: a committer renews its path to the root, and tells each other member the part that it needs (§7.4-§7.6)."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from itertools import islice

from ..codec import replace
from ..crypto import Crypto, KeyPair
from ..errors import ValidationError
from .commit import UpdatePath, UpdatePathNode
from .nodes import LeafNode, LeafNodeSource, sign_leaf_node
from .ratchet_tree import RatchetTree
from .tree_hashes import fill_path
from .tree_math import LeafIndex, NodeIndex, common_ancestor, is_in_subtree, leaf_of, level, node_of

PrivateKeys = Mapping[NodeIndex, KeyPair]


@dataclass(frozen=True)
class NewPath:
    """A committer's path before it is encrypted.

    Attributes:
        path_secrets: for each node of the filtered direct path. Secret.
        commit_secret: Nh octets. Secret.
        private_keys: the committer's, for its leaf and the path.
        leaf_node: the new leaf, signed.
    """

    path_secrets: dict[NodeIndex, bytes] = field(repr=False)
    commit_secret: bytes = field(repr=False)
    private_keys: dict[NodeIndex, KeyPair]
    leaf_node: LeafNode


def renew_path(
    crypto: Crypto, tree: RatchetTree, index: LeafIndex, leaf: LeafNode, signature_key: bytes, group_id: bytes
) -> NewPath:
    """Give our leaf and its path fresh keys, in `tree` itself (§7.4, §7.5).

    Args:
        leaf: our leaf as it is to be, but for its keys, source and signature.
        signature_key: the private key of `leaf.signature_key`. Secret.
    """
    tree.blank_direct_path(index)
    leaf_keys = crypto.generate_key_pair()
    private_keys = {node_of(index): leaf_keys}
    steps = tree.filtered_direct_path(index)
    path_secrets = {}
    path_secret = crypto.random(crypto.Nh)
    for node, _ in steps:
        path_secrets[node] = path_secret
        private_keys[node] = _node_keys(crypto, path_secret)
        path_secret = crypto.derive_secret(path_secret, "path")
    renewed = replace(
        leaf,
        encryption_key=leaf_keys.public_key,
        leaf_node_source=LeafNodeSource.commit,
        source=fill_path(crypto, tree, steps, [private_keys[node].public_key for node, _ in steps]),
    )
    signed = sign_leaf_node(crypto, signature_key, renewed, group_id, index)
    tree.set_node(node_of(index), signed)
    return NewPath(path_secrets, path_secret, private_keys, signed)


def encrypt_path(
    crypto: Crypto,
    tree: RatchetTree,
    index: LeafIndex,
    path: NewPath,
    group_context: bytes,
    new_leaves: AbstractSet[LeafIndex],
) -> UpdatePath:
    """Seal each path secret to those who need it (§7.6).

    Args:
        tree: the tree after `renew_path`.
        group_context: the provisional GroupContext, encoded.
        new_leaves: members added by the same commit; they get theirs in the Welcome.
    """
    steps = [
        (node, _receivers(tree, beside, new_leaves)) for node, beside in tree.filtered_direct_path(index)
    ]
    sealed = iter(
        crypto.encrypt_all_with_label(
            "UpdatePathNode",
            group_context,
            [
                (tree.encryption_key(receiver), path.path_secrets[node])
                for node, receivers in steps
                for receiver in receivers
            ],
        )
    )
    nodes = tuple(
        UpdatePathNode(
            encryption_key=tree.encryption_key(node),
            encrypted_path_secret=tuple(islice(sealed, len(receivers))),
        )
        for node, receivers in steps
    )
    return UpdatePath(leaf_node=path.leaf_node, nodes=nodes)


def merge_path(crypto: Crypto, tree: RatchetTree, index: LeafIndex, path: UpdatePath) -> None:
    """Put a committer's new public keys into `tree` itself (§7.5).

    Raises:
        ValidationError: code `wrong-path-length`, `bad-parent-hash`.
    """
    tree.blank_direct_path(index)
    steps = tree.filtered_direct_path(index)
    if len(steps) != len(path.nodes):
        raise ValidationError(
            f"an update path of {len(path.nodes)} nodes where there must be {len(steps)}",
            code="wrong-path-length",
            section="7.5",
        )
    if path.leaf_node.source != fill_path(crypto, tree, steps, [new.encryption_key for new in path.nodes]):
        raise ValidationError(
            "the parent hash of the committer's leaf does not fit its path",
            code="bad-parent-hash",
            section="7.9.2",
        )
    tree.set_node(node_of(index), path.leaf_node)


def check_ciphertexts(
    tree: RatchetTree, sender: LeafIndex, path: UpdatePath, new_leaves: AbstractSet[LeafIndex]
) -> None:
    """Whether each path secret is sealed as often as there are nodes to seal it to, ours or not (§7.6).

    Args:
        tree: the tree after `merge_path`.
        new_leaves: members added by the same commit.

    Raises:
        ValidationError: code `wrong-path-length`.
    """
    for (node, beside), sealed in zip(tree.filtered_direct_path(sender), path.nodes, strict=True):
        receivers = _receivers(tree, beside, new_leaves)
        if len(receivers) != len(sealed.encrypted_path_secret):
            raise ValidationError(
                f"{len(sealed.encrypted_path_secret)} ciphertexts for the {len(receivers)} nodes below node {node}",
                code="wrong-path-length",
                section="7.6",
            )


def decrypt_path(
    crypto: Crypto,
    tree: RatchetTree,
    sender: LeafIndex,
    path: UpdatePath,
    group_context: bytes,
    new_leaves: AbstractSet[LeafIndex],
    own: LeafIndex,
    private_keys: PrivateKeys,
) -> tuple[dict[NodeIndex, KeyPair], bytes]:
    """Open our part of a committer's path (§7.5).

    Args:
        tree: the tree after `merge_path`.
        path: with as many ciphertexts as `check_ciphertexts` asks for.
        group_context: the provisional GroupContext, encoded.
        own: our leaf.
        private_keys: ours, for nodes of the tree as it is now.

    Returns:
        Our new private keys on the path, and the commit secret. Secret.

    Raises:
        ValidationError: code `no-path-secret`, `wrong-path-key`.
        VerificationError: the ciphertext does not authenticate.
    """
    steps = tree.filtered_direct_path(sender)
    # Everybody but the sender is below exactly one node's copath child.
    ours = [number for number, (_, beside) in enumerate(steps) if is_in_subtree(node_of(own), beside)]
    if not ours:
        raise ValidationError("the update path does not reach us", code="no-path-secret", section="7.5")
    (node, beside), sealed = steps[ours[0]], path.nodes[ours[0]]
    receivers = _receivers(tree, beside, new_leaves)
    for receiver, ciphertext in zip(receivers, sealed.encrypted_path_secret, strict=True):
        keys = private_keys.get(receiver)
        if keys is not None and keys.public_key == tree.encryption_key(receiver):
            path_secret = crypto.decrypt_with_label(keys, "UpdatePathNode", group_context, ciphertext)
            above = [place for place, _ in steps if is_in_subtree(node, place)]
            return _keys_above(crypto, tree, above, path_secret)
    raise ValidationError(
        "we have no key that the path secret is sealed to", code="no-path-secret", section="7.5"
    )


def keys_from_path_secret(
    crypto: Crypto, tree: RatchetTree, own: LeafIndex, committer: LeafIndex, path_secret: bytes
) -> dict[NodeIndex, KeyPair]:
    """A new member's private keys, from the path secret in its Welcome (§12.4.3.1).

    Raises:
        ValidationError: code `wrong-path-key`.
    """
    meeting = common_ancestor(node_of(own), node_of(committer))
    above = [node for node, _ in tree.filtered_direct_path(committer) if is_in_subtree(meeting, node)]
    return _keys_above(crypto, tree, above, path_secret)[0]


def path_secret_for(path: NewPath, committer: LeafIndex, new_member: LeafIndex) -> bytes:
    """The path secret that a Welcome gives to a new member: that of the lowest node above both. Secret."""
    return path.path_secrets[common_ancestor(node_of(committer), node_of(new_member))]


def _keys_above(
    crypto: Crypto, tree: RatchetTree, nodes: list[NodeIndex], path_secret: bytes
) -> tuple[dict[NodeIndex, KeyPair], bytes]:
    """The key pairs of `nodes`, from the path secret of the first; and the path secret after the last."""
    private_keys = {}
    for node in nodes:
        keys = _node_keys(crypto, path_secret)
        # The path of a Welcome's signer is blank where it did not commit with a path.
        parent = tree.parent_at(node)
        if parent is None or keys.public_key != parent.encryption_key:
            raise ValidationError(
                f"the path secret does not give the public key of node {node}",
                code="wrong-path-key",
                section="7.5",
            )
        private_keys[node] = keys
        path_secret = crypto.derive_secret(path_secret, "path")
    return private_keys, path_secret


def _node_keys(crypto: Crypto, path_secret: bytes) -> KeyPair:
    return crypto.derive_key_pair(crypto.derive_secret(path_secret, "node"))


def _receivers(tree: RatchetTree, beside: NodeIndex, new_leaves: AbstractSet[LeafIndex]) -> list[NodeIndex]:
    """To whom the path secret above `beside` is sealed."""
    resolution = tree.resolution(beside)
    if not new_leaves:
        return resolution
    return [node for node in resolution if level(node) > 0 or leaf_of(node) not in new_leaves]


__all__ = [
    "NewPath",
    "PrivateKeys",
    "check_ciphertexts",
    "decrypt_path",
    "encrypt_path",
    "keys_from_path_secret",
    "merge_path",
    "path_secret_for",
    "renew_path",
]
