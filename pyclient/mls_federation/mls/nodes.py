"""The nodes of the ratchet tree: leaves (§7.2, §7.3) and parents (§7.1)."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet

from ..codec import (
    ClosedEnum8,
    OpenEnum16,
    Struct,
    Vec,
    opaque,
    replace,
    select,
    uint32,
    uint64,
    without_signature,
)
from ..crypto import CipherSuite, Crypto, KeyPair, SignedMessage, sign_content
from ..errors import ValidationError
from .authentication import LeafPolicy
from .credentials import Credential, CredentialType
from .extensions import (
    DEFAULT_EXTENSION_TYPES,
    DEFAULT_PROPOSAL_TYPES,
    Extension,
    ExtensionType,
    ProposalType,
    RequiredCapabilities,
    check_extensions_unique,
    find_extension,
)
from .tree_math import LeafIndex


class ProtocolVersion(OpenEnum16):
    """Versions of MLS."""

    mls10 = 0x0001


class LeafNodeSource(ClosedEnum8):
    """How a leaf came into the tree."""

    key_package = 1
    update = 2
    commit = 3


class Capabilities(Struct, keep_octets=True):
    """What a client supports (§7.2)."""

    versions: Vec[ProtocolVersion]
    cipher_suites: Vec[CipherSuite]
    extensions: Vec[ExtensionType]
    proposals: Vec[ProposalType]
    credentials: Vec[CredentialType]


class Lifetime(Struct):
    """When a KeyPackage may be used: Unix seconds, both ends inclusive (§7.2)."""

    not_before: uint64
    not_after: uint64


class LeafNode(Struct, keep_octets=True):
    """A member, or a would-be member (§7.2). `source` is what its `leaf_node_source` calls for."""

    encryption_key: opaque
    signature_key: opaque
    credential: Credential
    capabilities: Capabilities
    leaf_node_source: LeafNodeSource
    source: Lifetime | bytes | None = select(
        "leaf_node_source",
        {LeafNodeSource.key_package: Lifetime, LeafNodeSource.update: None, LeafNodeSource.commit: opaque},
    )
    extensions: Vec[Extension]
    signature: opaque


class LeafNodePosition(Struct):
    """Where in which group a leaf belongs; signed with it, so that it cannot be moved."""

    group_id: opaque
    leaf_index: uint32


class LeafNodeTBS(Struct):
    """What a leaf's signature covers (§7.2)."""

    encryption_key: opaque
    signature_key: opaque
    credential: Credential
    capabilities: Capabilities
    leaf_node_source: LeafNodeSource
    source: Lifetime | bytes | None = select(
        "leaf_node_source",
        {LeafNodeSource.key_package: Lifetime, LeafNodeSource.update: None, LeafNodeSource.commit: opaque},
    )
    extensions: Vec[Extension]
    position: LeafNodePosition | None = select(
        "leaf_node_source",
        {
            LeafNodeSource.key_package: None,
            LeafNodeSource.update: LeafNodePosition,
            LeafNodeSource.commit: LeafNodePosition,
        },
    )


class ParentNode(Struct, keep_octets=True):
    """An intermediate node (§7.1)."""

    encryption_key: opaque
    parent_hash: opaque
    unmerged_leaves: Vec[uint32]


class NodeType(ClosedEnum8):
    """Which kind a node is (§7.8)."""

    leaf = 1
    parent = 2


class Node(Struct):
    """A node in the `ratchet_tree` extension (§12.4.3.3)."""

    node_type: NodeType
    node: LeafNode | ParentNode = select("node_type", {NodeType.leaf: LeafNode, NodeType.parent: ParentNode})


def leaf_node_tbs(leaf: LeafNode, group_id: bytes, leaf_index: LeafIndex) -> bytes:
    """The LeafNodeTBS that the leaf's signature covers. Group and index count only for leaves that are in a group."""
    unsigned = without_signature(leaf)
    if leaf.leaf_node_source == LeafNodeSource.key_package:
        return unsigned
    return unsigned + LeafNodePosition(group_id=group_id, leaf_index=leaf_index).encode()


def sign_leaf_node(
    crypto: Crypto,
    signature_key: bytes,
    leaf: LeafNode,
    group_id: bytes = b"",
    leaf_index: LeafIndex = LeafIndex(0),
) -> LeafNode:
    """`leaf` with its signature made by the private key `signature_key` (§7.2)."""
    tbs = leaf_node_tbs(leaf, group_id, leaf_index)
    return replace(leaf, signature=crypto.sign_with_label(signature_key, "LeafNodeTBS", tbs))


def signed_leaf(leaf: LeafNode, group_id: bytes, leaf_index: LeafIndex) -> SignedMessage:
    """The leaf's signature, ready to be verified, alone or with others."""
    content = sign_content("LeafNodeTBS", leaf_node_tbs(leaf, group_id, leaf_index))
    return SignedMessage(leaf.signature_key, content, leaf.signature)


def new_leaf_node(
    key_pair: KeyPair,
    signature_public_key: bytes,
    credential: Credential,
    capabilities: Capabilities,
    lifetime: Lifetime,
    extensions: Sequence[Extension],
) -> LeafNode:
    """An unsigned leaf for a KeyPackage."""
    return LeafNode(
        encryption_key=key_pair.public_key,
        signature_key=signature_public_key,
        credential=credential,
        capabilities=capabilities,
        leaf_node_source=LeafNodeSource.key_package,
        source=lifetime,
        extensions=tuple(extensions),
        signature=b"",
    )


def check_leaf_node(leaf: LeafNode, suite: CipherSuite, policy: LeafPolicy) -> None:
    """The checks of §7.3 that need the leaf alone (not its signature).

    Args:
        policy: the time and the application's word.

    Raises:
        ValidationError: the code names the rule.
    """
    check_extensions_unique(leaf.extensions)
    capabilities = leaf.capabilities
    if ProtocolVersion.mls10 not in capabilities.versions or suite not in capabilities.cipher_suites:
        raise ValidationError(
            "a leaf does not list the group's version and cipher suite as its own",
            code="unsupported-suite",
            section="7.2",
        )
    if leaf.credential.credential_type not in capabilities.credentials:
        raise ValidationError(
            "a leaf's credential type is not among its capabilities",
            code="unsupported-credential",
            section="7.3",
        )
    if not supports_extensions(capabilities, [extension.extension_type for extension in leaf.extensions]):
        raise ValidationError(
            "a leaf has an extension that is not among its capabilities",
            code="unsupported-extension",
            section="7.3",
        )
    now = policy.now
    if (
        isinstance(leaf.source, Lifetime)
        and now is not None
        and not leaf.source.not_before <= now <= leaf.source.not_after
    ):
        raise ValidationError("a leaf is outside its lifetime", code="outside-lifetime", section="7.3")
    policy.check_credential(leaf.credential, leaf.signature_key, now)


def supports_extensions(capabilities: Capabilities, extension_types: Iterable[ExtensionType]) -> bool:
    """Whether a client knows all of these extension types (§7.2)."""
    return _lists_all(capabilities.extensions, extension_types, DEFAULT_EXTENSION_TYPES)


def check_capabilities(leaf: LeafNode, group_extensions: Sequence[Extension]) -> None:
    """§7.3, §11.1, §13.4: a member must support what the group's extensions ask for.

    Raises:
        ValidationError: code `unsupported-extension` or `missing-capability`.
        DecodeError: the `required_capabilities` extension is malformed.
    """
    capabilities = leaf.capabilities
    if not supports_extensions(capabilities, [extension.extension_type for extension in group_extensions]):
        raise ValidationError(
            "a member does not support an extension of the group",
            code="unsupported-extension",
            section="13.4",
        )
    encoded = find_extension(group_extensions, ExtensionType.required_capabilities)
    if encoded is None:
        return
    extension_types, proposal_types, credential_types = _required(encoded)
    if not (
        supports_extensions(capabilities, extension_types)
        and _lists_all(capabilities.proposals, proposal_types, DEFAULT_PROPOSAL_TYPES)
        and _lists_all(capabilities.credentials, credential_types, frozenset())
    ):
        raise ValidationError(
            "a member lacks a capability that the group requires", code="missing-capability", section="11.1"
        )


@functools.lru_cache(maxsize=4)  # all members of a group are asked for the same
def _required(
    encoded: bytes,
) -> tuple[AbstractSet[ExtensionType], AbstractSet[ProposalType], AbstractSet[CredentialType]]:
    """What a `required_capabilities` extension asks for."""
    required = RequiredCapabilities.decode(encoded)
    return (
        frozenset(required.extension_types),
        frozenset(required.proposal_types),
        frozenset(required.credential_types),
    )


def _lists_all(listed: Sequence[int], wanted: Iterable[int], default: AbstractSet[int]) -> bool:
    """Whether all that is wanted is listed, or known by default.

    Both lists can have as many entries as a message has room for, so they are not compared entry by entry.
    """
    unusual = {int(kind) for kind in wanted if kind not in default}
    return not unusual or unusual.issubset(map(int, listed))
