"""Append-only logs: the Merkle tree of RFC 9162 §2.1, its proofs, and their verification. No I/O, no state."""

from .proofs import verify_consistency, verify_inclusion
from .tree import EMPTY_ROOT, HASH_SIZE, leaf_hash, node_hash, root_of

__all__ = [
    "EMPTY_ROOT",
    "HASH_SIZE",
    "leaf_hash",
    "node_hash",
    "root_of",
    "verify_consistency",
    "verify_inclusion",
]
