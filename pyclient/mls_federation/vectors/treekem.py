"""Vectors of TreeKEM (§7.4 to §7.6): their update paths, and new ones of ours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..crypto import CipherSuite, Crypto, CryptoProvider, KeyPair, crypto
from ..mls.commit import UpdatePath
from ..mls.group_context import GroupContext
from ..mls.nodes import ProtocolVersion
from ..mls.ratchet_tree import RatchetTree, decode_tree, encode_tree
from ..mls.tree_hashes import tree_hash, verify_parent_hashes
from ..mls.tree_math import LeafIndex, NodeIndex, is_in_subtree, level, node_of
from ..mls.treekem import check_ciphertexts, decrypt_path, encrypt_path, merge_path, renew_path
from .entry import Entry, Family, Vector, VectorFormatError, check
from .trees import KnownTree, Shape, grow


@dataclass(frozen=True)
class _Member:
    """What one member has of its own."""

    index: LeafIndex
    signature_key: bytes = field(repr=False)
    private_keys: Mapping[NodeIndex, KeyPair] = field(repr=False)


@dataclass(frozen=True)
class _Group:
    """What all members have."""

    suite: Crypto
    tree: RatchetTree
    group_id: bytes
    epoch: int
    confirmed_transcript_hash: bytes

    def context(self, tree: RatchetTree) -> bytes:
        """The provisional GroupContext for a tree that an update path has changed, encoded."""
        return GroupContext(
            version=ProtocolVersion.mls10,
            cipher_suite=self.suite.suite.cipher_suite,
            group_id=self.group_id,
            epoch=self.epoch,
            tree_hash=tree_hash(self.suite, tree),
            confirmed_transcript_hash=self.confirmed_transcript_hash,
            extensions=(),
        ).encode()


def verify(provider: CryptoProvider, entry: Entry) -> None:
    """Every member's private state; every update path, opened by every other member; a new path of the same sender."""
    group = _Group(
        suite=entry.crypto(provider),
        tree=decode_tree(entry.octets("ratchet_tree")),
        group_id=entry.octets("group_id"),
        epoch=entry.number("epoch", size=8),
        confirmed_transcript_hash=entry.octets("confirmed_transcript_hash"),
    )
    members = {
        LeafIndex(part.number("index")): _member(group, part) for part in entry.parts("leaves_private")
    }
    check("leaves_private", list(members), [index for index, _ in group.tree.members()])
    paths = entry.parts("update_paths")
    if not paths:
        raise VectorFormatError("update_paths is empty")
    for case in paths:
        sender = LeafIndex(case.number("sender"))
        group.tree.member(sender)
        _verify_their_path(group, members, sender, case)
        _verify_new_path(group, members, members[sender], case.path)


def _member(group: _Group, part: Entry) -> _Member:
    """A member's private state, if it is consistent with the tree."""
    suite, index = group.suite, LeafIndex(part.number("index"))
    leaf = group.tree.member(index)
    signature_key, encryption_key = part.octets("signature_priv"), part.octets("encryption_priv")
    scheme, kem = suite.suite.signature_scheme, suite.suite.kem
    check(
        part.at("signature_priv"),
        leaf.signature_key,
        suite.provider.signature_public_key(scheme, signature_key),
    )
    private_keys = {
        node_of(index): KeyPair(encryption_key, suite.provider.dh_public_key(kem, encryption_key))
    }
    for secret in part.parts("path_secrets"):
        private_keys[NodeIndex(secret.number("node"))] = _node_keys(suite, secret.octets("path_secret"))
    for node, keys in private_keys.items():
        if node >= len(group.tree.nodes) or group.tree.nodes[node] is None:
            raise VectorFormatError(f"{part.path} has a secret of node {node}, which is blank")
        check(f"{part.path}, key of node {node}", group.tree.encryption_key(node), keys.public_key)
    return _Member(index, signature_key, private_keys)


def _verify_their_path(
    group: _Group, members: Mapping[LeafIndex, _Member], sender: LeafIndex, case: Entry
) -> None:
    path = UpdatePath.decode(case.octets("update_path"))
    tree = group.tree.copy()
    merge_path(group.suite, tree, sender, path)
    check_ciphertexts(tree, sender, path, frozenset())
    verify_parent_hashes(group.suite, tree)
    case.check("tree_hash_after", tree_hash(group.suite, tree))

    secrets = case.optional_octets_list("path_secrets")
    given = [index for index, secret in enumerate(secrets) if secret is not None]
    check(f"places in {case.at('path_secrets')}", [index for index in members if index != sender], given)
    for index, secret in enumerate(secrets):
        if secret is None:
            continue
        keys, commit_secret = _process(group, tree, sender, path, members[LeafIndex(index)])
        case.check("commit_secret", commit_secret)
        lowest = keys[min(keys, key=level)]
        # A path secret is not kept, but the key pair that it gives.
        check(
            f"{case.at('path_secrets')}[{index}]",
            _node_keys(group.suite, secret).public_key,
            lowest.public_key,
        )


def _verify_new_path(
    group: _Group, members: Mapping[LeafIndex, _Member], sender: _Member, where: str
) -> None:
    senders_tree = group.tree.copy()
    leaf = senders_tree.member(sender.index)
    new = renew_path(group.suite, senders_tree, sender.index, leaf, sender.signature_key, group.group_id)
    context = group.context(senders_tree)
    path = encrypt_path(group.suite, senders_tree, sender.index, new, context, frozenset())

    tree = group.tree.copy()
    merge_path(group.suite, tree, sender.index, UpdatePath.decode(path.encode()))
    verify_parent_hashes(group.suite, tree)
    check(f"{where}, tree after a new path", encode_tree(senders_tree), encode_tree(tree))
    for receiver in members.values():
        if receiver.index != sender.index:
            keys, commit_secret = _process(group, tree, sender.index, path, receiver)
            check(f"{where}, commit secret of a new path", new.commit_secret, commit_secret)
            known = {node: new.private_keys.get(node) for node in keys}
            check(f"{where}, keys of a new path", known, dict(keys))


def _process(
    group: _Group, tree: RatchetTree, sender: LeafIndex, path: UpdatePath, receiver: _Member
) -> tuple[dict[NodeIndex, KeyPair], bytes]:
    return decrypt_path(
        group.suite,
        tree,
        sender,
        path,
        group.context(tree),
        frozenset(),
        receiver.index,
        receiver.private_keys,
    )


def _node_keys(suite: Crypto, path_secret: bytes) -> KeyPair:
    """The key pair of the node that a path secret belongs to (§7.4)."""
    return suite.derive_key_pair(suite.derive_secret(path_secret, "node"))


def generate(provider: CryptoProvider, cipher_suite: CipherSuite, shape: Shape) -> Vector:
    """An entry for a tree of a shape, with an update path of each member."""
    suite = crypto(provider, cipher_suite)
    known = grow(suite, shape)
    group = _Group(suite, known.tree, known.group_id, 7, suite.random(suite.Nh))
    members = [index for index, _ in known.tree.members()]
    return {
        "cipher_suite": cipher_suite,
        "group_id": known.group_id.hex(),
        "epoch": group.epoch,
        "confirmed_transcript_hash": group.confirmed_transcript_hash.hex(),
        "ratchet_tree": encode_tree(known.tree).hex(),
        "leaves_private": [
            {
                "index": index,
                "encryption_priv": known.encryption_keys[index].private_key.hex(),
                "signature_priv": known.signature_keys[index].private_key.hex(),
                "path_secrets": [
                    {"node": node, "path_secret": known.path_secrets[node].hex()}
                    for node in sorted(known.knows[index])
                ],
            }
            for index in members
        ],
        "update_paths": [_update_path(group, known, index) for index in members],
    }


def _update_path(group: _Group, known: KnownTree, sender: LeafIndex) -> Vector:
    suite, tree = group.suite, known.tree.copy()
    signer = known.signature_keys[sender].private_key
    new = renew_path(suite, tree, sender, tree.member(sender), signer, group.group_id)
    path = encrypt_path(suite, tree, sender, new, group.context(tree), frozenset())
    path_secrets: list[str | None] = []
    for leaf in range(tree.leaf_count):
        above = [node for node in new.path_secrets if is_in_subtree(node_of(LeafIndex(leaf)), node)]
        nobody = leaf == sender or tree.leaf(LeafIndex(leaf)) is None
        path_secrets.append(None if nobody else new.path_secrets[min(above, key=level)].hex())
    return {
        "sender": sender,
        "update_path": path.encode().hex(),
        "path_secrets": path_secrets,
        "commit_secret": new.commit_secret.hex(),
        "tree_hash_after": tree_hash(suite, tree).hex(),
    }


FAMILY = Family(
    name="treekem",
    keys=frozenset(
        {
            "cipher_suite",
            "group_id",
            "epoch",
            "confirmed_transcript_hash",
            "ratchet_tree",
            "leaves_private",
            "update_paths",
        }
    ),
    verify=verify,
    generate=generate,
    # Full; with blanks, and with an unmerged leaf that a removed member's place was given to.
    parameters=(Shape(2), Shape(3, removed=(1,), added=1)),
)
