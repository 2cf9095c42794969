"""Official vectors: TreeKEM (§7.4 to §7.6), their update paths and new ones of ours."""

from dataclasses import dataclass

from mls_federation.crypto import CipherSuite, Crypto, CryptoProvider, KeyPair, crypto
from mls_federation.mls.commit import UpdatePath
from mls_federation.mls.group_context import GroupContext
from mls_federation.mls.nodes import ProtocolVersion
from mls_federation.mls.ratchet_tree import RatchetTree, decode_tree, encode_tree
from mls_federation.mls.tree_hashes import tree_hash, verify_parent_hashes
from mls_federation.mls.tree_math import LeafIndex, NodeIndex, level, node_of
from mls_federation.mls.treekem import decrypt_path, encrypt_path, merge_path, renew_path
from tests.support.vector_files import Vector, verify_each


def test_treekem(provider: CryptoProvider, cipher_suite: CipherSuite) -> None:
    verify_each("treekem", provider, cipher_suite, verify)


@dataclass(frozen=True)
class Member:
    """What one member has of its own."""

    index: LeafIndex
    signature_key: bytes
    private_keys: dict[NodeIndex, KeyPair]


@dataclass(frozen=True)
class Group:
    """What all members have."""

    suite: Crypto
    vector: Vector
    tree: RatchetTree

    def context(self, tree: RatchetTree) -> bytes:
        """The provisional GroupContext for a tree that an update path has changed, encoded."""
        return GroupContext(
            version=ProtocolVersion.mls10,
            cipher_suite=self.suite.suite.cipher_suite,
            group_id=bytes.fromhex(self.vector["group_id"]),
            epoch=self.vector["epoch"],
            tree_hash=tree_hash(self.suite, tree),
            confirmed_transcript_hash=bytes.fromhex(self.vector["confirmed_transcript_hash"]),
            extensions=(),
        ).encode()


def verify(provider: CryptoProvider, vector: Vector) -> None:
    suite = crypto(provider, vector["cipher_suite"])
    group = Group(suite, vector, decode_tree(bytes.fromhex(vector["ratchet_tree"])))
    members = {state["index"]: member(group, state) for state in vector["leaves_private"]}
    assert list(members) == [index for index, _ in group.tree.members()]
    assert vector["update_paths"]
    for case in vector["update_paths"]:
        verify_their_path(group, members, case)
        verify_new_path(group, members, members[case["sender"]])


def member(group: Group, state: Vector) -> Member:
    """A member's private state, consistent with the tree."""
    index = LeafIndex(state["index"])
    leaf_key = bytes.fromhex(state["encryption_priv"])
    public_key = group.suite.provider.dh_public_key(group.suite.suite.kem, leaf_key)
    private_keys = {node_of(index): KeyPair(leaf_key, public_key)}
    for entry in state["path_secrets"]:
        private_keys[NodeIndex(entry["node"])] = node_keys(group.suite, bytes.fromhex(entry["path_secret"]))
    for node, keys in private_keys.items():
        assert group.tree.encryption_key(node) == keys.public_key
    return Member(index, bytes.fromhex(state["signature_priv"]), private_keys)


def verify_their_path(group: Group, members: dict[LeafIndex, Member], case: Vector) -> None:
    sender = LeafIndex(case["sender"])
    path = UpdatePath.decode(bytes.fromhex(case["update_path"]))
    tree = group.tree.copy()
    merge_path(group.suite, tree, sender, path)
    verify_parent_hashes(group.suite, tree)
    assert tree_hash(group.suite, tree).hex() == case["tree_hash_after"]

    for index, expected in enumerate(case["path_secrets"]):
        assert (expected is None) == (index == sender or index not in members)
        if expected is None:
            continue
        keys, commit_secret = process(group, tree, sender, path, members[LeafIndex(index)])
        assert commit_secret.hex() == case["commit_secret"]
        lowest = min(keys, key=level)
        assert keys[lowest] == node_keys(group.suite, bytes.fromhex(expected))


def verify_new_path(group: Group, members: dict[LeafIndex, Member], sender: Member) -> None:
    senders_tree = group.tree.copy()
    leaf = senders_tree.member(sender.index)
    group_id = bytes.fromhex(group.vector["group_id"])
    new = renew_path(group.suite, senders_tree, sender.index, leaf, sender.signature_key, group_id)
    context = group.context(senders_tree)
    path = encrypt_path(group.suite, senders_tree, sender.index, new, context, frozenset())

    tree = group.tree.copy()
    merge_path(group.suite, tree, sender.index, UpdatePath.decode(path.encode()))
    verify_parent_hashes(group.suite, tree)
    assert encode_tree(tree) == encode_tree(senders_tree)
    for receiver in members.values():
        if receiver.index != sender.index:
            keys, commit_secret = process(group, tree, sender.index, path, receiver)
            assert commit_secret == new.commit_secret
            assert keys.items() <= new.private_keys.items()


def process(
    group: Group, tree: RatchetTree, sender: LeafIndex, path: UpdatePath, receiver: Member
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


def node_keys(suite: Crypto, path_secret: bytes) -> KeyPair:
    """The key pair of the node that a path secret belongs to (§7.4)."""
    return suite.derive_key_pair(suite.derive_secret(path_secret, "node"))
