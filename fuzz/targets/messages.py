"""Messages at a member and at a follower: octets, and real messages changed under signature, tag and seal."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from mls_federation.codec import Struct
from mls_federation.codec import replace as replace_fields
from mls_federation.errors import RemoteError
from mls_federation.mls import (
    PublicMessage,
    WireFormat,
    decode_message,
    encode_group,
    key_schedule,
    mls_message,
    observe,
    receive,
)
from mls_federation.mls.authentication import LeafPolicy, accept_basic
from mls_federation.mls.commit import Commit, UpdatePath
from mls_federation.mls.framing import (
    AuthenticatedContent,
    ContentType,
    FramedContent,
    PrivateContentAAD,
    PrivateMessage,
    PrivateMessageContent,
    SenderData,
    SenderDataAAD,
    SenderType,
)
from mls_federation.mls.proposal_list import SentProposal, apply_proposals
from mls_federation.mls.proposals import Proposal
from mls_federation.mls.protection import authenticate, protect_public, sender_data_key
from mls_federation.mls.receiving import ApplicationMessage, CommitMessage, ProposalMessage
from mls_federation.mls.secret_tree import RatchetKind
from mls_federation.mls.tree_hashes import fill_path
from mls_federation.mls.tree_math import LeafIndex
from tests.support.forge import send_framed
from tests.support.pair import NOW

from ..mutation import mutated, mutated_octets
from ..octets import Octets
from ..scenes import Scene, follower, scenes, start_over
from ..target import Finding, Target, check_state, check_unchanged, refused

# What nobody can see without the group's secrets, or without being the member that it is about.
_SECRET_FAULTS = {
    "bad-confirmation-tag",
    "bad-membership-tag",
    "decryption-failed",
    "invalid-public-key",  # of what is sealed to a member, or to the external key
    "no-path-secret",
    "own-message",
    "unknown-psk",
    "wrong-path-key",
}


def run_plain(data: bytes) -> None:
    """Octets as they are, at a member and a follower; and tagged anew where they decode to a PublicMessage."""
    source = Octets(data)
    scene = source.choice(scenes())
    safe = source.flag()
    message = source.rest()
    deliver(scene, message, safe=safe)
    if not safe:
        body = refused(lambda: decode_message(message))
        if isinstance(body, PublicMessage) and body.membership_tag is not None:
            deliver(scene, _tagged(scene, body), safe=False)


def run_changed(data: bytes) -> None:
    """A real handshake message, changed inside, then signed, and tagged or sealed."""
    source = Octets(data)
    scene = source.choice(scenes())
    safe = source.flag()
    content = source.choice(scene.contents)
    changed = mutated(source, content, scene.pool)
    if not source.flag(16):
        changed = replace_fields(changed, group_id=content.group_id, epoch=content.epoch)
    if isinstance(changed.content, Commit) and changed.content.path is not None and source.flag():
        changed = _with_parent_hashes(scene, changed)
    member = changed.sender.sender_type == SenderType.member
    if member and not source.flag(8):
        sender = replace_fields(changed.sender, index=scene.attacker.own_leaf)
        changed = replace_fields(changed, sender=sender)
    sealed = member and changed.sender.index == scene.attacker.own_leaf and source.flag(4)
    if not sealed and changed.content_type == ContentType.application:
        return
    wire_format = WireFormat.mls_private_message if sealed else WireFormat.mls_public_message
    tag = scene.pool.octets[source.number(len(scene.pool.octets))] if source.flag(8) else None
    if changed.content_type != ContentType.commit:
        tag = None
    message = send_framed(scene.attacker, changed, wire_format, tag)
    deliver(scene, message, safe=safe)


def run_sealed(data: bytes) -> None:
    """Any octets sealed with a member's real keys, and any SenderData with them."""
    source = Octets(data)
    scene = source.choice(scenes())
    content_type = source.choice(list(ContentType))
    sender_data = SenderData(leaf_index=scene.attacker.own_leaf, generation=0, reuse_guard=bytes(4))
    if source.flag(3):
        sender_data = mutated(source, sender_data, scene.pool)
    garbled = source.flag(6)
    sender_octets = mutated_octets(source, sender_data.encode()) if garbled else sender_data.encode()
    plaintext = _plaintext(source, scene, content_type)
    deliver(scene, _seal(scene, content_type, sender_octets, plaintext, source.take(1)), safe=False)


def deliver(scene: Scene, message: bytes, *, safe: bool) -> None:
    """Give a message to the member and to the follower: both refuse it properly or accept it, and keep what they have."""
    start_over(scene)
    group = scene.victim(safe=safe)
    before = _stored(scene)
    with unsafe_accept_any_confirmation_tag(enabled=not safe):
        received = refused(lambda: receive(group, message, now=NOW, psks=scene.party.look_up))
    check_unchanged(group, before)
    public = follower(scene, safe=safe)
    followed = refused(lambda: observe(public, message, now=NOW))
    if (
        isinstance(received, RemoteError)
        and received.code not in _SECRET_FAULTS
        and not isinstance(followed, RemoteError)
    ):
        raise Finding(f"a follower accepts what a member refuses as {received.code}")
    if isinstance(received, ApplicationMessage | ProposalMessage | CommitMessage):
        check_state(received.group)
        if isinstance(received, ApplicationMessage) or _is_private(message):
            return
        if isinstance(followed, RemoteError):
            raise Finding(f"a member accepts what a follower refuses as {followed.code}")
        if (
            isinstance(received, CommitMessage)
            and followed.group.context.tree_hash != received.group.context.tree_hash
        ):
            raise Finding("a member and a follower see two trees")


@functools.cache
def _stored(scene: Scene) -> bytes:
    """The member's state before any message."""
    return encode_group(scene.victim(safe=True))


@contextmanager
def unsafe_accept_any_confirmation_tag(*, enabled: bool) -> Iterator[None]:
    """Lets changed commits through to what comes behind their confirmation tag."""
    check = key_schedule.verify_confirmation_tag
    if enabled:
        key_schedule.verify_confirmation_tag = lambda *_: None
    try:
        yield
    finally:
        key_schedule.verify_confirmation_tag = check


def _is_private(message: bytes) -> bool:
    return isinstance(decode_message(message), PrivateMessage)


def _tagged(scene: Scene, body: PublicMessage) -> bytes:
    """A PublicMessage with the membership tag that it needs."""
    authenticated = AuthenticatedContent(
        wire_format=WireFormat.mls_public_message, content=body.content, auth=body.auth
    )
    if body.content.content_type == ContentType.application:
        return mls_message(body).encode()
    group = scene.attacker
    tagged = protect_public(scene.crypto, group.secrets.membership_key, authenticated, group.context)
    return mls_message(tagged).encode()


def _with_parent_hashes(scene: Scene, framed: FramedContent) -> FramedContent:
    """A commit whose leaf has the parent hash that its path calls for."""
    body, group = framed.content, scene.attacker
    assert isinstance(body, Commit)
    assert body.path is not None
    inside = framed.sender.sender_type == SenderType.member
    member = LeafIndex(framed.sender.index or 0) if inside else None
    proposals = [
        SentProposal(item.proposal_or_ref, framed.sender)
        for item in body.proposals
        if isinstance(item.proposal_or_ref, Proposal)
    ]
    try:
        applied = apply_proposals(
            scene.unsafe, group.context, group.tree, member, proposals, LeafPolicy(NOW, accept_basic)
        )
    except RemoteError:
        return framed
    tree = applied.tree
    committer = tree.leftmost_blank_leaf() if member is None else member
    if tree.leaf(committer) is None and member is not None:
        return framed
    tree.blank_direct_path(committer)
    steps = tree.filtered_direct_path(committer)
    if len(steps) != len(body.path.nodes):
        return framed
    leaf = body.path.leaf_node
    if not isinstance(leaf.source, bytes):
        return framed
    keys = [new.encryption_key for new in body.path.nodes]
    leaf = replace_fields(leaf, source=fill_path(scene.crypto, tree, steps, keys))
    path = UpdatePath(leaf_node=leaf, nodes=body.path.nodes)
    return replace_fields(framed, content=replace_fields(body, path=path))


def _plaintext(source: Octets, scene: Scene, content_type: ContentType) -> bytes:
    """What is inside a PrivateMessage: a real one of the type, changed as a value or as octets; or nothing but octets."""
    if source.flag(8):
        return source.rest()
    real = [content for content in scene.contents if content.content_type == content_type]
    if not real:
        return bytes([0, 0]) + source.rest() if source.flag() else b"\x05hello" + source.rest()
    framed = source.choice(real)
    tag = bytes(scene.crypto.Nh) if content_type == ContentType.commit else None
    signed = authenticate(
        scene.crypto,
        scene.attacker.signature_key,
        WireFormat.mls_private_message,
        framed,
        scene.attacker.context,
        tag,
    )
    inner: Struct = PrivateMessageContent(
        content_type=content_type, content=framed.content, auth=signed.auth, padding=bytes(source.number(8))
    )
    if source.flag():
        inner = mutated(source, inner, scene.pool)
    encoded = inner.encode()
    return mutated_octets(source, encoded) if source.flag(3) else encoded


def _seal(
    scene: Scene, content_type: ContentType, sender_data: bytes, plaintext: bytes, authenticated_data: bytes
) -> bytes:
    group, crypto = scene.attacker, scene.crypto
    kind = RatchetKind.application if content_type == ContentType.application else RatchetKind.handshake
    generation = int.from_bytes(sender_data[4:8], "big")
    if generation > 1000:
        generation = 0
    _, key = group.secret_tree.take(crypto, group.own_leaf, kind, generation)
    guard = (sender_data[8:12] + bytes(4))[:4]
    nonce = bytes(a ^ b for a, b in zip(key.nonce, guard.ljust(len(key.nonce), b"\x00"), strict=True))
    named: dict[str, Any] = {"group_id": group.group_id, "epoch": group.epoch, "content_type": content_type}
    aad = PrivateContentAAD(**named, authenticated_data=authenticated_data).encode()
    ciphertext = crypto.aead_seal(key.key, nonce, aad, plaintext)
    data_key = sender_data_key(crypto, group.secrets.sender_data_secret, ciphertext)
    sealed = crypto.aead_seal(data_key.key, data_key.nonce, SenderDataAAD(**named).encode(), sender_data)
    private = PrivateMessage(
        **named, authenticated_data=authenticated_data, encrypted_sender_data=sealed, ciphertext=ciphertext
    )
    return mls_message(private).encode()


def _plain_seeds() -> Iterable[bytes]:
    for number, scene in enumerate(scenes()):
        for message in scene.messages:
            yield bytes([number, 0]) + message


def _decisions() -> Iterable[bytes]:
    """One for each scene and message, with a different tail."""
    for number, scene in enumerate(scenes()):
        for which in range(len(scene.contents)):
            for safe in (0, 1):
                yield bytes([number, safe, which]) + bytes((which * 37 + i * 91) % 256 for i in range(40))


def _sealed_seeds() -> Iterable[bytes]:
    for number in range(len(scenes())):
        for kind in range(3):
            for flags in (b"\x00\x00\x00", b"\x00\x01\x00", b"\x00\x00\x07", b"\x02\x00\x00"):
                yield bytes([number, kind]) + flags + bytes((kind * 53 + i * 17) % 256 for i in range(40))


PLAIN = Target("plain", "octets as messages, at a member and a follower", run_plain, _plain_seeds, weight=2)
CHANGED = Target(
    "changed",
    "handshake messages changed, then signed and tagged or sealed",
    run_changed,
    _decisions,
    weight=5,
)
SEALED = Target(
    "sealed", "any content and SenderData, sealed with a member's keys", run_sealed, _sealed_seeds, weight=2
)
