"""The secret tree: a fresh key for each message of each sender (§9).

Secrets go down a tree of the ratchet tree's shape; at each leaf two hash ratchets begin, one for handshake messages and
one for application messages. A `SecretTree` is a value: using a key gives a new tree that no longer has that key,
and the old one is dropped once the new one is stored.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from ..crypto import Crypto
from ..errors import EpochError, StateError, ValidationError
from .tree_math import LeafIndex, NodeIndex, direct_path, left, node_of, right, root

# How far a message may drive a ratchet forward, and how many keys of messages that have not arrived are kept.
# Without the first, one message could cost its receiver 2^32 steps; without the second, unbounded memory (§15.3).
MAX_FORWARD = 1000
MAX_SKIPPED = 1000
# `SenderData.generation` is a uint32, and so is the next one in a state that is stored.
_LAST_GENERATION = 0xFFFFFFFE


class RatchetKind(Enum):
    """Which of a leaf's ratchets; the value is its label."""

    handshake = "handshake"
    application = "application"


@dataclass(frozen=True)
class MessageKey:
    """Key and nonce of one message."""

    key: bytes = field(repr=False)
    nonce: bytes = field(repr=False)


@dataclass(frozen=True)
class HashRatchet:
    """One sender's keys, from generation `generation` on, and the skipped ones before (§9.1)."""

    secret: bytes = field(repr=False)
    generation: int = 0
    skipped: Mapping[int, MessageKey] = field(default_factory=dict, repr=False)

    def take_next(self, crypto: Crypto) -> tuple[HashRatchet, int, MessageKey]:
        """The key of the next generation, to send with.

        Raises:
            StateError: code `ratchet-exhausted`: there is none; a commit begins anew.
        """
        if self.generation > _LAST_GENERATION:
            raise StateError("every key of this epoch is used", code="ratchet-exhausted")
        key = _message_key(crypto, self.secret, self.generation)
        secret = _next_secret(crypto, self.secret, self.generation)
        return HashRatchet(secret, self.generation + 1, self.skipped), self.generation, key

    def take(self, crypto: Crypto, generation: int) -> tuple[HashRatchet, MessageKey]:
        """The key of a generation, to receive with. Each can be had once.

        Raises:
            EpochError: code `replayed`: it was had before, or is so old that it was forgotten.
            ValidationError: code `generation-too-far`: more than MAX_FORWARD ahead, or the last of all.
        """
        if generation < self.generation:
            skipped = dict(self.skipped)
            key = skipped.pop(generation, None)
            if key is None:
                raise EpochError("this message was already received", code="replayed", section="9.1")
            return HashRatchet(self.secret, self.generation, skipped), key
        # Stricter than §9.1: the very last generation is not used.
        if generation - self.generation > MAX_FORWARD or generation > _LAST_GENERATION:
            raise ValidationError(
                f"generation {generation} is more than {MAX_FORWARD} ahead",
                code="generation-too-far",
                section="9.1",
            )
        skipped = dict(self.skipped)
        secret = self.secret
        for passed in range(self.generation, generation):
            skipped[passed] = _message_key(crypto, secret, passed)
            secret = _next_secret(crypto, secret, passed)
        for oldest in sorted(skipped)[: max(0, len(skipped) - MAX_SKIPPED)]:
            del skipped[oldest]
        key = _message_key(crypto, secret, generation)
        return HashRatchet(_next_secret(crypto, secret, generation), generation + 1, skipped), key


@dataclass(frozen=True)
class SecretTree:
    """The secrets of an epoch that are still to be used.

    Attributes:
        leaf_count: leaves of the ratchet tree.
        node_secrets: of subtrees in which no leaf was used yet.
        ratchets: of the leaves that were.
    """

    leaf_count: int
    node_secrets: Mapping[NodeIndex, bytes] = field(repr=False)
    ratchets: Mapping[tuple[LeafIndex, RatchetKind], HashRatchet] = field(default_factory=dict, repr=False)

    def take_next(
        self, crypto: Crypto, leaf: LeafIndex, kind: RatchetKind
    ) -> tuple[SecretTree, int, MessageKey]:
        """The next key of our own leaf: the new tree, the generation, and the key."""
        tree = self._with_leaf(crypto, leaf)
        ratchet, generation, key = tree.ratchets[leaf, kind].take_next(crypto)
        return tree._with_ratchet(leaf, kind, ratchet), generation, key

    def take(
        self, crypto: Crypto, leaf: LeafIndex, kind: RatchetKind, generation: int
    ) -> tuple[SecretTree, MessageKey]:
        """The key of a message received from `leaf`, and the tree without it.

        Raises:
            EpochError: code `replayed`.
            ValidationError: code `generation-too-far`, or `not-a-member`: the leaf is outside the tree.
        """
        if leaf >= self.leaf_count:
            raise ValidationError(f"there is no leaf {leaf}", code="not-a-member", section="6.3.2")
        tree = self._with_leaf(crypto, leaf)
        ratchet, key = tree.ratchets[leaf, kind].take(crypto, generation)
        return tree._with_ratchet(leaf, kind, ratchet), key

    def _with_ratchet(self, leaf: LeafIndex, kind: RatchetKind, ratchet: HashRatchet) -> SecretTree:
        return SecretTree(self.leaf_count, self.node_secrets, {**self.ratchets, (leaf, kind): ratchet})

    def _with_leaf(self, crypto: Crypto, leaf: LeafIndex) -> SecretTree:
        """This tree with the ratchets of `leaf` begun, and the secrets above it spent."""
        if (leaf, RatchetKind.handshake) in self.ratchets:
            return self
        secrets = dict(self.node_secrets)
        for node in reversed(direct_path(node_of(leaf), self.leaf_count)):
            secret = secrets.pop(node, None)
            if secret is not None:
                secrets[left(node)] = crypto.expand_with_label(secret, "tree", b"left", crypto.Nh)
                secrets[right(node)] = crypto.expand_with_label(secret, "tree", b"right", crypto.Nh)
        leaf_secret = secrets.pop(node_of(leaf), None)
        if leaf_secret is None:
            raise StateError(f"the secret tree has nothing of leaf {leaf}", code="bad-state")
        begun = {
            (leaf, kind): HashRatchet(crypto.expand_with_label(leaf_secret, kind.value, b"", crypto.Nh))
            for kind in RatchetKind
        }
        return SecretTree(self.leaf_count, secrets, {**self.ratchets, **begun})


def secret_tree(encryption_secret: bytes, leaf_count: int) -> SecretTree:
    """The secret tree of a new epoch (§9)."""
    return SecretTree(leaf_count, {root(leaf_count): encryption_secret})


def _message_key(crypto: Crypto, secret: bytes, generation: int) -> MessageKey:
    return MessageKey(
        key=crypto.derive_tree_secret(secret, "key", generation, crypto.suite.aead.Nk),
        nonce=crypto.derive_tree_secret(secret, "nonce", generation, crypto.suite.aead.Nn),
    )


def _next_secret(crypto: Crypto, secret: bytes, generation: int) -> bytes:
    return crypto.derive_tree_secret(secret, "secret", generation, crypto.Nh)
