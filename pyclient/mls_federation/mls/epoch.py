"""From one epoch to the next: what committer and receivers of a commit both compute (§12.4.1, §12.4.2)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ..codec import replace as replace_fields
from ..crypto import Crypto, KeyPair
from ..errors import ValidationError
from . import key_schedule
from .extensions import Extension
from .framing import FramedContent, WireFormat
from .group import Group, PastEpoch
from .group_context import GroupContext
from .key_schedule import EpochSecrets
from .proposals import ReInit
from .psk import ExternalPSK, PreSharedKeyID, ResumptionPSK, psk_secret
from .ratchet_tree import MemberSignatureKeys, RatchetTree
from .retention import Retention, keep
from .secret_tree import secret_tree
from .transcript import confirmed_transcript_hash, interim_transcript_hash
from .tree_hashes import tree_hash
from .tree_math import LeafIndex, NodeIndex

_LAST_EPOCH = (1 << 64) - 1

# Finds the secret of a PSK; None if it is not known.
PSKLookup = Callable[[PreSharedKeyID], bytes | None]


@dataclass(frozen=True)
class Transition:
    """The new epoch, before anybody has confirmed it."""

    context: GroupContext
    secrets: EpochSecrets
    joiner_secret: bytes = field(repr=False)
    confirmation_tag: bytes


def no_psks(_: PreSharedKeyID) -> bytes | None:
    """A lookup that knows no PSK."""
    return None


def psk_lookup(external: Mapping[bytes, bytes]) -> PSKLookup:
    """A lookup in external PSKs by their `psk_id`."""

    def look_up(psk_id: PreSharedKeyID) -> bytes | None:
        return external.get(psk_id.psk.psk_id) if isinstance(psk_id.psk, ExternalPSK) else None

    return look_up


def with_resumption(group: Group, look_up: PSKLookup) -> PSKLookup:
    """`look_up`, after the resumption PSKs of the epochs of `group` that we still hold (§8.6)."""

    def look_up_all(psk_id: PreSharedKeyID) -> bytes | None:
        psk = psk_id.psk
        if isinstance(psk, ResumptionPSK) and psk.psk_group_id == group.group_id:
            if psk.psk_epoch == group.epoch:
                return group.secrets.resumption_psk
            for past in group.past_epochs:
                if past.context.epoch == psk.psk_epoch:
                    return past.secrets.resumption_psk
        return look_up(psk_id)

    return look_up_all


def combined_psk_secret(crypto: Crypto, psks: Sequence[PreSharedKeyID], look_up: PSKLookup) -> bytes:
    """The `psk_secret` of a commit (§8.4). Secret.

    Raises:
        ValidationError: code `unknown-psk`: a PSK is not known; none is ever made up.
    """
    found = []
    for psk_id in psks:
        secret = look_up(psk_id)
        if secret is None:
            raise ValidationError(
                "a commit uses a PSK that we do not have", code="unknown-psk", section="12.4.2"
            )
        found.append((psk_id, secret))
    return psk_secret(crypto, found)


def provisional_context(
    crypto: Crypto, context: GroupContext, tree: RatchetTree, extensions: Sequence[Extension]
) -> GroupContext:
    """The new epoch's context with the old transcript hash: what path secrets are sealed under (§12.4.1).

    Raises:
        ValidationError: code `last-epoch`: no epoch comes after one whose number fills its uint64.
    """
    # A group can be founded in any epoch by who makes up its first Welcome.
    if context.epoch == _LAST_EPOCH:
        raise ValidationError("no epoch comes after this one", code="last-epoch", section="8")
    return replace_fields(
        context,
        epoch=context.epoch + 1,
        tree_hash=tree_hash(crypto, tree),
        extensions=tuple(extensions),
    )


def transition(
    crypto: Crypto,
    interim: bytes,
    init_secret: bytes,
    provisional: GroupContext,
    wire_format: WireFormat,
    commit: FramedContent,
    signature: bytes,
    commit_secret: bytes,
    psks: bytes,
) -> Transition:
    """The key schedule of the new epoch (§8).

    Args:
        interim: the old epoch's interim transcript hash.
        init_secret: the old epoch's, or that of an external commit. Secret.
        provisional: from `provisional_context`.
        commit: the signed commit.
        psks: the `psk_secret`. Secret.
    """
    confirmed = confirmed_transcript_hash(crypto, interim, wire_format, commit, signature)
    context = replace_fields(provisional, confirmed_transcript_hash=confirmed)
    encoded = context.encode()
    joiner = key_schedule.joiner_secret(crypto, init_secret, commit_secret, encoded)
    secrets = key_schedule.epoch_secrets(crypto, joiner, psks, encoded)
    return Transition(
        context=context,
        secrets=secrets,
        joiner_secret=joiner,
        confirmation_tag=key_schedule.confirmation_tag(crypto, secrets.confirmation_key, confirmed),
    )


def begin(
    crypto: Crypto,
    context: GroupContext,
    secrets: EpochSecrets,
    confirmation_tag: bytes,
    tree: RatchetTree,
    own_leaf: LeafIndex,
    private_keys: Mapping[NodeIndex, KeyPair],
    signature_key: bytes,
    past_epochs: tuple[PastEpoch, ...] = (),
    reinit: ReInit | None = None,
) -> Group:
    """A member's state at the beginning of an epoch."""
    return Group(
        crypto=crypto,
        context=context,
        tree=tree,
        own_leaf=own_leaf,
        signature_key=signature_key,
        private_keys=private_keys,
        secrets=replace(secrets, encryption_secret=b""),
        secret_tree=secret_tree(secrets.encryption_secret, tree.leaf_count),
        interim_transcript_hash=interim_transcript_hash(
            crypto, context.confirmed_transcript_hash, confirmation_tag
        ),
        confirmation_tag=confirmation_tag,
        past_epochs=past_epochs,
        reinit=reinit,
    )


def past_epoch(group: Group, now: int | None) -> PastEpoch:
    """What is kept of the epoch that `group` is in when it ends.

    Args:
        now: when that is: Unix seconds; None if it is not known.
    """
    # §9.2: what could rebuild keys that are gone does not stay: only the ratchets do.
    return PastEpoch(
        context=group.context,
        secrets=replace(
            group.secrets,
            exporter_secret=b"",
            external_secret=b"",
            confirmation_key=b"",
            membership_key=b"",
            init_secret=b"",
        ),
        secret_tree=group.secret_tree,
        signature_keys=MemberSignatureKeys(group.tree),
        ended=now,
    )


def enter(
    group: Group,
    reached: Transition,
    tree: RatchetTree,
    private_keys: Mapping[NodeIndex, KeyPair],
    signature_key: bytes,
    reinit: ReInit | None,
    now: int | None,
    retention: Retention,
) -> Group:
    """The group in the new epoch. Keys of nodes that have changed are left behind.

    Args:
        now: when the old epoch ended: Unix seconds; None if it is not known.
        retention: how long its keys are kept.
    """
    kept = {
        node: keys
        for node, keys in {**group.private_keys, **private_keys}.items()
        if node < len(tree.nodes)
        and tree.nodes[node] is not None
        and tree.encryption_key(node) == keys.public_key
    }
    return begin(
        group.crypto,
        reached.context,
        reached.secrets,
        reached.confirmation_tag,
        tree,
        group.own_leaf,
        kept,
        signature_key,
        keep((*group.past_epochs, past_epoch(group, now)), now, retention),
        reinit,
    )
