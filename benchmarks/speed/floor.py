"""The crypto floor: the primitive calls that RFC 9420 makes unavoidable, counted from the RFC and the tree's shape.

Nothing here asks the engine what it calls. Octets are those of the structs on the wire, by the RFC's listings. Cipher suite 1,
basic credentials, no extensions but `ratchet_tree`, commits as PrivateMessages; the committer of the Adds renews its path too.

What is counted, and what is not:

* Every secret of an epoch: §9.2 has `epoch_secret` deleted, so that none of the nine can be put off.
* Both children of each node of the secret tree on the way to a leaf, and both of its ratchets, for the same reason.
* One tree hash for each node that has changed, and one parent hash for each parent whose hash is set or verified.
* One `info_hash` (RFC 9180 §5.1) for all ciphertexts of a path, and one for all of a Welcome: the `info` is the same.
  Constant parts of the HPKE key schedule, its exporter secret, and DeriveKeyPair for ephemeral keys are not counted.
* A joiner's own leaf is not verified: it is the one that it signed. No key is checked but by using it.
* Randomness, encoding, decoding, and comparisons count nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from .operations import DATA_OCTETS, EXPORT_CONTEXT, GROUP_ID

NH = 32
_PUBLIC_KEY = 32
_TAG = 16
_SIGNATURE = 64
_LIFETIME = 16
_REUSE_GUARD = 4
_EPOCH_SECRETS = 9


def opaque(length: int) -> int:
    """Octets of a vector of so many octets, with its length (§2.1.2)."""
    return length + (1 if length < 64 else 2 if length < 16384 else 4)


# -- the tree's shape


@dataclass
class Shape:
    """Which nodes of a ratchet tree are not blank. No leaf is unmerged in what is measured.

    A node is the range of leaves below it: the first, and how many.

    Attributes:
        members: who stand at the leaves 0 to members-1.
        filled: the parents that are not blank.
    """

    members: int
    filled: set[tuple[int, int]] = field(default_factory=set)

    @property
    def slots(self) -> int:
        """Leaves, blank ones too (§4.1)."""
        return 1 << (self.members - 1).bit_length()

    @property
    def depth(self) -> int:
        """Levels above the leaves."""
        return self.slots.bit_length() - 1

    def resolution(self, first: int, count: int) -> int:
        """How many nodes cover a subtree (§4.1.1)."""
        if first >= self.members:
            return 0
        if count == 1 or (first, count) in self.filled:
            return 1
        half = count // 2
        return self.resolution(first, half) + self.resolution(first + half, half)

    def path(self, leaf: int) -> Iterator[tuple[tuple[int, int], int]]:
        """The filtered direct path, upwards: each node, and the size of its copath child's resolution (§4.1.2)."""
        count = 1
        while count < self.slots:
            first = leaf // count * count
            beside = self.resolution(first ^ count, count)
            count *= 2
            if beside:
                yield (leaf // count * count, count), beside

    def commit(self, leaf: int) -> None:
        """What a member's path does: its direct path blanked, the filtered one filled (§7.5)."""
        path = [node for node, _ in self.path(leaf)]
        count = 2
        while count <= self.slots:
            self.filled.discard((leaf // count * count, count))
            count *= 2
        self.filled.update(path)


def fresh(members: int) -> Shape:
    """The tree after its creator's first commit, which added everybody else."""
    shape = Shape(members)
    shape.commit(0)
    return shape


def full(members: int) -> Shape:
    """The tree after every member has committed, in the order of the leaves."""
    shape = fresh(members)
    for leaf in range(members):
        shape.commit(leaf)
    return shape


def above(shape: Shape, leaf: int, other: int) -> int:
    """How many nodes of `leaf`'s filtered direct path are ancestors of `other` too."""
    return sum(first <= other < first + count for (first, count), _ in shape.path(leaf))


# -- calls


@dataclass
class Work:
    """Primitive calls: of each kind how many, and over how many octets in all."""

    calls: Counter[str] = field(default_factory=Counter)
    octets: Counter[str] = field(default_factory=Counter)

    def add(self, kind: str, calls: int = 1, octets: int = 0) -> None:
        """So many more calls of a kind, over so many octets each."""
        self.calls[kind] += calls
        self.octets[kind] += calls * octets


@dataclass(frozen=True)
class Encoded:
    """Octets of encoded structs, from those of one KeyPackage and of its leaf; all members' are alike."""

    key_package: int
    leaf: int

    @property
    def committed_leaf(self) -> int:
        """A leaf of source `commit`: a parent hash in place of the lifetime (§7.2)."""
        return self.leaf - _LIFETIME + opaque(NH)

    def context(self, epoch: int) -> int:
        """GroupContext (§8.1)."""
        return 2 + 2 + opaque(len(GROUP_ID)) + 8 + opaque(NH) + opaque(NH if epoch else 0) + opaque(0)

    def parent(self, *, is_root: bool) -> int:
        """ParentNode (§7.1)."""
        return opaque(_PUBLIC_KEY) + opaque(0 if is_root else NH) + opaque(0)

    def update_path(self, shape: Shape, leaf: int, new: bool) -> int:
        """UpdatePath (§7.6); `new`: everybody below the copath joins by the same commit."""
        sealed = opaque(_PUBLIC_KEY) + opaque(NH + _TAG)
        nodes = sum(
            opaque(_PUBLIC_KEY) + opaque(0 if new else beside * sealed) for _, beside in shape.path(leaf)
        )
        return self.committed_leaf + opaque(nodes)

    def commit(self, shape: Shape, leaf: int, adds: int) -> int:
        """Commit with Adds by value (§12.4)."""
        return opaque(adds * (1 + 2 + self.key_package)) + 1 + self.update_path(shape, leaf, adds > 0)

    def encrypted_commit(self, shape: Shape, leaf: int, adds: int) -> int:
        """A commit's PrivateMessageContent (§6.3.1)."""
        return self.commit(shape, leaf, adds) + opaque(_SIGNATURE) + opaque(NH)

    def framed(self, content: int) -> int:
        """FramedContent of a member (§6)."""
        return opaque(len(GROUP_ID)) + 8 + 5 + opaque(0) + 1 + content

    def signed(self, content: int, epoch: int) -> int:
        """What the signature of a message covers (§6.1)."""
        return sign_content("FramedContentTBS", 4 + self.framed(content) + self.context(epoch))

    def leaf_tbs(self) -> int:
        """What the signature of a KeyPackage's leaf covers."""
        return sign_content("LeafNodeTBS", self.leaf - opaque(_SIGNATURE))

    def committed_leaf_tbs(self) -> int:
        """What the signature of a committed leaf covers (§7.2)."""
        position = opaque(len(GROUP_ID)) + 4
        return sign_content("LeafNodeTBS", self.committed_leaf - opaque(_SIGNATURE) + position)

    def key_package_tbs(self) -> int:
        """What the signature of a KeyPackage covers (§10)."""
        return sign_content("KeyPackageTBS", self.key_package - opaque(_SIGNATURE))

    def tree(self, shape: Shape, committed: int) -> int:
        """The `ratchet_tree` extension's data, `committed` leaves of them from commits (§12.4.3.3)."""
        nodes = (shape.members - committed) * (2 + self.leaf) + committed * (2 + self.committed_leaf)
        nodes += sum(2 + self.parent(is_root=count == shape.slots) for _, count in shape.filled)
        return opaque(nodes + shape.members - 1 - len(shape.filled))

    def group_info(self, shape: Shape, committed: int) -> int:
        """GroupInfo with the tree (§12.4.3)."""
        extension = 2 + opaque(self.tree(shape, committed))
        return self.context(1) + opaque(extension) + opaque(NH) + 4 + opaque(_SIGNATURE)


def sign_content(label: str, content: int) -> int:
    """Octets that SignWithLabel signs (§5.1.2)."""
    return opaque(len("MLS 1.0 ") + len(label)) + opaque(content)


def key_package(encoded: Encoded) -> Work:
    """Two HPKE keys, and the signatures of leaf and package (§10)."""
    work = Work()
    work.add("dh_public_key", 2)
    work.add("sign", 1, encoded.leaf_tbs())
    work.add("sign", 1, encoded.key_package_tbs())
    return work


def create_and_add(encoded: Encoded, size: int) -> Work:
    """A group of one (§11), then one commit that adds all others, and the Welcome (§12.4.1, §12.4.3.1)."""
    work, shape = Work(), fresh(size)
    _hash_leaf(work, encoded.leaf)
    _derive_epoch_secrets(work)
    _confirm(work)

    work.add("verify_batched", size - 1, encoded.leaf_tbs())
    work.add("verify_batched", size - 1, encoded.key_package_tbs())
    _renew_path(work, encoded, shape, 0)
    _hash_whole_tree(work, encoded, shape, committed=1)
    _parent_hashes(work, len(shape.filled))
    body = encoded.commit(shape, 0, size - 1)
    work.add("sign", 1, encoded.signed(body, 0))
    _enter_epoch(work, encoded, body)
    _ratchet(work, depth=0)
    _private_message(work, "aead_seal", encoded.encrypted_commit(shape, 0, size - 1))

    info = encoded.group_info(shape, committed=1)
    work.add("sign", 1, sign_content("GroupInfoTBS", info - opaque(_SIGNATURE)))
    work.add("mac", 3, NH)  # "welcome", and from it "key" and "nonce"
    work.add("aead_seal", 1, info)
    work.add("hash", size - 1, encoded.key_package)  # KeyPackageRef
    work.add("mac", 1, info)  # info_hash
    _seal(work, size - 1, opaque(NH) + 1 + opaque(NH) + opaque(0))
    return work


def join(encoded: Encoded, size: int) -> Work:
    """The last of the new members joins (§12.4.3.1)."""
    work, shape = Work(), fresh(size)
    info = encoded.group_info(shape, committed=1)
    work.add("hash", 1, encoded.key_package)
    work.add("mac", 1, info)  # info_hash
    _open(work, opaque(NH) + 1 + opaque(NH) + opaque(0))
    work.add("mac", 1, NH)  # member_secret
    work.add("mac", 3, NH)  # "welcome", "key", "nonce"
    work.add("aead_open", 1, info)
    work.add("verify", 1, sign_content("GroupInfoTBS", info - opaque(_SIGNATURE)))
    _hash_whole_tree(work, encoded, shape, committed=1)
    _parent_hashes(work, len(shape.filled))
    work.add("verify_batched", 1, encoded.committed_leaf_tbs())
    work.add("verify_batched", size - 2, encoded.leaf_tbs())
    nodes = above(shape, 0, size - 1)
    _derive_nodes(work, nodes)
    work.add("mac", nodes - 1, NH)  # "path"
    work.add("mac", 1, encoded.context(1))  # "epoch"
    _derive_epoch_secrets(work)
    _confirm(work)
    return work


def commit(encoded: Encoded, before: Shape) -> Work:
    """The last member commits nothing but fresh keys of its own (§12.4.1)."""
    work, leaf = Work(), before.members - 1
    _renew_path(work, encoded, before, leaf)
    _hash_path(work, encoded, before, leaf)
    work.add("mac", 1, encoded.context(1))  # info_hash
    _seal(work, sum(beside for _, beside in before.path(leaf)), NH)
    body = encoded.commit(before, leaf, 0)
    work.add("sign", 1, encoded.signed(body, 1))
    _enter_epoch(work, encoded, body)
    _ratchet(work, before.depth)
    _private_message(work, "aead_seal", encoded.encrypted_commit(before, leaf, 0))
    return work


def process(encoded: Encoded, before: Shape) -> Work:
    """The first member reads the commit of the last one (§12.4.2)."""
    work, leaf = Work(), before.members - 1
    body = encoded.commit(before, leaf, 0)
    _ratchet(work, before.depth)
    _private_message(work, "aead_open", encoded.encrypted_commit(before, leaf, 0))
    work.add("verify", 1, encoded.signed(body, 1))
    work.add("verify", 1, encoded.committed_leaf_tbs())
    _hash_path(work, encoded, before, leaf)
    work.add("mac", 1, encoded.context(1))  # info_hash
    _open(work, NH)
    nodes = above(before, leaf, 0)
    _derive_nodes(work, nodes)
    work.add("mac", nodes, NH)  # "path", the last of them the commit secret
    _enter_epoch(work, encoded, body)
    return work


def encrypt(encoded: Encoded) -> Work:
    """A message of the application, not the epoch's first of its sender (§6.3)."""
    work = Work()
    work.add("sign", 1, encoded.signed(opaque(DATA_OCTETS), 1))
    work.add("mac", 3, NH)  # key, nonce, the next secret
    _private_message(work, "aead_seal", opaque(DATA_OCTETS) + opaque(_SIGNATURE))
    return work


def decrypt(encoded: Encoded) -> Work:
    """Reading it."""
    work = Work()
    work.add("mac", 3, NH)
    _private_message(work, "aead_open", opaque(DATA_OCTETS) + opaque(_SIGNATURE))
    work.add("verify", 1, encoded.signed(opaque(DATA_OCTETS), 1))
    return work


def export() -> Work:
    """MLS-Exporter (§8.5)."""
    work = Work()
    work.add("mac", 2, NH)
    work.add("hash", 1, len(EXPORT_CONTEXT))
    return work


def floors(encoded: Encoded, size: int) -> dict[str, Work]:
    """The work of each operation in a group of so many; what needs no cryptography is not in it."""
    tree, populated = fresh(size), full(size)
    return {
        "key_package": key_package(encoded),
        "create_and_add": create_and_add(encoded, size),
        "join": join(encoded, size),
        "commit_fresh": commit(encoded, tree),
        "process_fresh": process(encoded, tree),
        "commit_full": commit(encoded, populated),
        "process_full": process(encoded, populated),
        "encrypt": encrypt(encoded),
        "decrypt": decrypt(encoded),
        "export": export(),
    }


# -- their parts


def _seal(work: Work, times: int, plaintext: int) -> None:
    """HPKE SealBase (RFC 9180 §6.1), its info already hashed. To encapsulate: an ephemeral public key, and a DH."""
    work.add("encapsulate", times)
    work.add("mac", 5 * times, 2 * NH)  # eae_prk, shared_secret, secret, key, base_nonce
    work.add("aead_seal", times, plaintext)


def _open(work: Work, plaintext: int) -> None:
    work.add("dh", 1)
    work.add("mac", 5, 2 * NH)
    work.add("aead_open", 1, plaintext)


def _derive_nodes(work: Work, nodes: int) -> None:
    """The key pairs of nodes from their path secrets: "node", then DeriveKeyPair (§7.4, RFC 9180 §7.1.3)."""
    work.add("mac", 3 * nodes, NH)
    work.add("dh_public_key", nodes)


def _renew_path(work: Work, encoded: Encoded, shape: Shape, leaf: int) -> None:
    """Fresh keys for a leaf and its path, and the leaf signed (§7.4, §7.5); parent hashes are with the tree's."""
    nodes = sum(1 for _ in shape.path(leaf))
    work.add("dh_public_key", 1)
    _derive_nodes(work, nodes)
    work.add("mac", nodes, NH)  # "path", the last of them the commit secret
    work.add("sign", 1, encoded.committed_leaf_tbs())


def _hash_leaf(work: Work, leaf: int) -> None:
    work.add("hash", 1, 6 + leaf)


def _hash_parents(work: Work, encoded: Encoded, filled: int, blank: int) -> None:
    children = 2 + 2 * opaque(NH)
    work.add("hash", 1, children + encoded.parent(is_root=True))
    work.add("hash", filled - 1, children + encoded.parent(is_root=False))
    work.add("hash", blank, children)


def _parent_hashes(work: Work, nodes: int) -> None:
    """ParentHashInputs (§7.9); that of the root has no parent hash in it."""
    work.add("hash", 1, opaque(_PUBLIC_KEY) + opaque(0) + opaque(NH))
    work.add("hash", nodes - 1, opaque(_PUBLIC_KEY) + 2 * opaque(NH))


def _hash_path(work: Work, encoded: Encoded, shape: Shape, leaf: int) -> None:
    """Tree hashes of what a path changes, and its parent hashes (§7.8, §7.9)."""
    nodes = sum(1 for _ in shape.path(leaf))
    _hash_leaf(work, encoded.committed_leaf)
    _hash_parents(work, encoded, nodes, shape.depth - nodes)
    _parent_hashes(work, nodes)


def _hash_whole_tree(work: Work, encoded: Encoded, shape: Shape, committed: int) -> None:
    """All tree hashes (§7.8)."""
    work.add("hash", shape.members - committed, 6 + encoded.leaf)
    work.add("hash", committed, 6 + encoded.committed_leaf)
    work.add("hash", shape.slots - shape.members, 6)
    _hash_parents(work, encoded, len(shape.filled), shape.slots - 1 - len(shape.filled))


def _derive_epoch_secrets(work: Work) -> None:
    work.add("mac", _EPOCH_SECRETS, NH)


def _confirm(work: Work) -> None:
    """Confirmation tag and interim transcript hash (§6.1, §8.2)."""
    work.add("mac", 1, NH)
    work.add("hash", 1, NH + opaque(NH))


def _enter_epoch(work: Work, encoded: Encoded, commit_body: int) -> None:
    """Transcript hash and key schedule (§8, §8.2)."""
    work.add("hash", 1, NH + 2 + encoded.framed(commit_body) + opaque(_SIGNATURE))
    work.add("mac", 2, NH)  # the two Extracts
    work.add("mac", 2, encoded.context(1))  # "joiner", "epoch"
    _derive_epoch_secrets(work)
    _confirm(work)


def _ratchet(work: Work, depth: int) -> None:
    """The first key of a leaf: down the secret tree, its two ratchets; key, nonce, the next secret (§9, §9.1)."""
    work.add("mac", 2 * depth + 2 + 3, NH)


def _private_message(work: Work, kind: str, plaintext: int) -> None:
    """Content and sender data encrypted or decrypted, and the key and nonce of the latter (§6.3.1, §6.3.2)."""
    work.add(kind, 1, plaintext)
    work.add("mac", 2, NH)
    work.add(kind, 1, 4 + 4 + _REUSE_GUARD)
