"""A member's view of a group in one epoch (§11, §8), and what it can do without changing the epoch.

A `Group` is a value. What changes it returns another one, and that becomes the group's state once it is stored;
if it is not, nothing has happened. Two messages are never sent from the same `Group`: it would use a key twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from ..crypto import CipherSuite, Crypto, KeyPair
from ..errors import StateError, UsageError, ValidationError
from . import key_schedule
from .authentication import LeafPolicy
from .extensions import Extension, ExtensionType, ExternalPub, check_extensions_unique
from .framing import ContentType, Sender, WireFormat, member, mls_message
from .grease import grease_extensions
from .group_context import GroupContext
from .key_package import OwnKeyPackage
from .key_schedule import EpochSecrets
from .nodes import LeafNode, ProtocolVersion, check_capabilities, check_leaf_node
from .padding import DEFAULT_PADDING, Padding
from .proposals import Proposal, ReInit
from .protection import authenticate, framed_content, protect_private
from .ratchet_tree import RatchetTree, encode_tree, new_tree
from .secret_tree import SecretTree, secret_tree
from .transcript import interim_transcript_hash
from .tree_hashes import tree_hash
from .tree_math import LeafIndex, NodeIndex, node_of
from .welcome import GroupInfo, sign_group_info

# Proposals of one epoch that are remembered: as many as a large group could want, and no more than memory has room for.
MAX_PROPOSALS = 1000


# Our own leaf, fresh, with a credential that we chose.
_OWN_LEAF = LeafPolicy(now=None, check_credential=lambda *_: None)


@dataclass(frozen=True)
class Member:
    """Somebody in the group."""

    leaf_index: LeafIndex
    leaf_node: LeafNode


@dataclass(frozen=True)
class ReceivedProposal:
    """A proposal of this epoch, which a commit may refer to."""

    proposal: Proposal
    sender: Sender


@dataclass(frozen=True)
class OwnUpdate:
    """The keys of an Update that we proposed, until it is committed."""

    encryption_key: KeyPair
    signature_key: bytes = field(repr=False)


@dataclass(frozen=True)
class PastEpoch:
    """What is needed to read late application messages of an epoch that has ended.

    Attributes:
        ended: when it did, by our clock: Unix seconds; None if it is not known.
    """

    context: GroupContext
    secrets: EpochSecrets
    secret_tree: SecretTree
    signature_keys: Mapping[LeafIndex, bytes]
    ended: int | None


@dataclass(frozen=True)
class Group:
    """A member's state in one epoch.

    Attributes:
        crypto: the group's cipher suite.
        context: what all members agree on.
        tree: the ratchet tree. Never changed in place.
        own_leaf: our leaf.
        signature_key: the private key of our leaf's `signature_key`. Secret.
        private_keys: HPKE key pairs of our leaf and of nodes above it. Secret.
        secrets: the epoch's secrets. Secret.
        secret_tree: the keys of messages that are still to come. Secret.
        interim_transcript_hash: what the next commit is added to.
        confirmation_tag: of the commit that began the epoch.
        proposals: received in this epoch, by ProposalRef.
        own_updates: the keys of our own among them, by ProposalRef. Secret.
        past_epochs: the latest last.
        reinit: what the group is to begin anew as. It is at its end then, and nothing more can be sent in it.
    """

    crypto: Crypto
    context: GroupContext
    tree: RatchetTree
    own_leaf: LeafIndex
    signature_key: bytes = field(repr=False)
    private_keys: Mapping[NodeIndex, KeyPair] = field(repr=False)
    secrets: EpochSecrets = field(repr=False)
    secret_tree: SecretTree = field(repr=False)
    interim_transcript_hash: bytes
    confirmation_tag: bytes
    proposals: Mapping[bytes, ReceivedProposal] = field(default_factory=dict)
    own_updates: Mapping[bytes, OwnUpdate] = field(default_factory=dict, repr=False)
    past_epochs: tuple[PastEpoch, ...] = field(default=(), repr=False)
    reinit: ReInit | None = None

    @property
    def group_id(self) -> bytes:
        """Names the group."""
        return self.context.group_id

    @property
    def epoch(self) -> int:
        """The number of the epoch."""
        return self.context.epoch

    @property
    def cipher_suite(self) -> CipherSuite:
        """The group's cipher suite."""
        return self.context.cipher_suite

    @property
    def members(self) -> tuple[Member, ...]:
        """All members, from left to right."""
        return tuple(Member(index, leaf) for index, leaf in self.tree.members())

    @property
    def own_leaf_node(self) -> LeafNode:
        """Our leaf."""
        return self.tree.member(self.own_leaf)

    @property
    def epoch_authenticator(self) -> bytes:
        """Equal for all members who agree on the group's state and history; may be shown (§8.7)."""
        return self.secrets.epoch_authenticator


@dataclass(frozen=True)
class Sent:
    """A message to be sent, and the group's state once it is."""

    group: Group
    message: bytes


def create_group(
    crypto: Crypto, group_id: bytes, own: OwnKeyPackage, extensions: Sequence[Extension] = ()
) -> Group:
    """A group with one member, ourselves, in epoch 0 (§11).

    Args:
        own: gives our leaf and its keys; it is not to be published.
        extensions: of the GroupContext.

    Raises:
        ValidationError: our own leaf does not fit the suite or the extensions, or two of these are of one type.
    """
    leaf = own.key_package.leaf_node
    check_extensions_unique(extensions)
    check_leaf_node(leaf, crypto.suite.cipher_suite, _OWN_LEAF)
    check_capabilities(leaf, extensions)
    tree = new_tree(leaf)
    context = GroupContext(
        version=ProtocolVersion.mls10,
        cipher_suite=crypto.suite.cipher_suite,
        group_id=group_id,
        epoch=0,
        tree_hash=tree_hash(crypto, tree),
        confirmed_transcript_hash=b"",
        extensions=tuple(extensions),
    )
    secrets = key_schedule.secrets_from(crypto, crypto.random(crypto.Nh))
    tag = key_schedule.confirmation_tag(crypto, secrets.confirmation_key, b"")
    return Group(
        crypto=crypto,
        context=context,
        tree=tree,
        own_leaf=LeafIndex(0),
        signature_key=own.signature_key,
        private_keys={node_of(LeafIndex(0)): own.encryption_key},
        secrets=replace(secrets, encryption_secret=b""),
        secret_tree=secret_tree(secrets.encryption_secret, tree.leaf_count),
        interim_transcript_hash=interim_transcript_hash(crypto, b"", tag),
        confirmation_tag=tag,
    )


def send_application_data(
    group: Group, data: bytes, *, authenticated_data: bytes = b"", padding: Padding = DEFAULT_PADDING
) -> Sent:
    """Encrypt a message of the application for the group (§15).

    Args:
        authenticated_data: sent in the open, but protected against change.
        padding: how much is added to hide the size.

    Raises:
        ValidationError: code `proposals-pending`: §12.4: proposals were received, so a commit must come first.
        StateError: code `group-ended`: the group is to begin anew.
    """
    check_open(group)
    if group.proposals:
        raise ValidationError(
            "proposals are pending: commit them before sending application data",
            code="proposals-pending",
            section="12.4",
        )
    content = framed_content(
        group.context, member(group.own_leaf), ContentType.application, data, authenticated_data
    )
    signed = authenticate(
        group.crypto, group.signature_key, WireFormat.mls_private_message, content, group.context
    )
    tree, message = protect_private(group.crypto, group.secrets, group.secret_tree, signed, padding)
    return Sent(replace(group, secret_tree=tree), mls_message(message).encode())


def check_room(proposals: Mapping[bytes, ReceivedProposal]) -> None:
    """Whether one more proposal can be remembered.

    Raises:
        ValidationError: code `too-many-proposals`.
    """
    if len(proposals) >= MAX_PROPOSALS:
        raise ValidationError(
            f"this epoch has {MAX_PROPOSALS} proposals already; a commit must come first",
            code="too-many-proposals",
        )


def check_open(group: Group) -> None:
    """§12.4.2: after a ReInit nothing more is sent in the group.

    Raises:
        StateError: code `group-ended`.
    """
    if group.reinit is not None:
        raise StateError(
            "the group has ended, and is to begin anew with other parameters", code="group-ended"
        )


def export_secret(group: Group, label: str | bytes, context: bytes, length: int) -> bytes:
    """A secret that all members of the epoch can derive and nobody else (§8.5). Secret.

    It is of the epoch that `group` is in, and of no other: past epochs keep nothing to derive it from. The `group` of a
    `PendingCommit` gives what members have once they accept that commit; if they do not, nobody has it.

    It is not forward secret within the epoch: whoever steals the group's state can derive it again until the next commit.

    Args:
        label: what it is for. ASCII, or octets of the application's choice; not empty, and of one use only: who exports
            twice by one label and context has one key for two purposes. It cannot clash with labels of MLS's own, which are never used with the exporter secret.
        context: any octets, of any size: they are hashed.
        length: octets wanted, 1 to 255 times Nh.

    Raises:
        UsageError: the label is empty or not ASCII, or the length out of its range.
    """
    if not label:
        raise UsageError("an exporter's label says what the secret is for, and is not empty")
    if length < 1:
        raise UsageError(f"the length of an exported secret is at least 1 octet, not {length}")
    return key_schedule.export(group.crypto, group.secrets.exporter_secret, label, context, length)


def group_info(
    group: Group,
    *,
    with_tree: bool = True,
    with_external_pub: bool = False,
    grease: bool = True,
    more: Sequence[Extension] = (),
) -> GroupInfo:
    """A signed summary of the epoch, for joiners (§12.4.3).

    Args:
        with_tree: put the ratchet tree into it, so that nothing else is needed to join.
        with_external_pub: put the key into it to which one joins by external commit.
        grease: put an extension without meaning into it, which others must ignore (§13.5).
        more: extensions of the application's.
    """
    extensions = list(more)
    if with_tree:
        extensions.append(
            Extension(extension_type=ExtensionType.ratchet_tree, extension_data=encode_tree(group.tree))
        )
    if with_external_pub:
        keys = key_schedule.external_key_pair(group.crypto, group.secrets.external_secret)
        extensions.append(
            Extension(
                extension_type=ExtensionType.external_pub,
                extension_data=ExternalPub(external_pub=keys.public_key).encode(),
            )
        )
    unsigned = GroupInfo(
        group_context=group.context,
        extensions=grease_extensions(group.crypto, extensions) if grease else tuple(extensions),
        confirmation_tag=group.confirmation_tag,
        signer=group.own_leaf,
        signature=b"",
    )
    return sign_group_info(group.crypto, group.signature_key, unsigned)
