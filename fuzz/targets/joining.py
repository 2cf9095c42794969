"""Welcomes and GroupInfos, changed under signature and seal: at a joiner, somebody who joins by itself, and a follower."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace as replace_dataclass

from mls_federation.codec import replace
from mls_federation.errors import MLSError, RemoteError
from mls_federation.mls import (
    Group,
    GroupInfo,
    Welcome,
    commit,
    decode_message,
    export_secret,
    follow,
    group_info,
    join,
    join_by_external_commit,
    key_schedule,
    mls_message,
    observe,
    receive,
    send_application_data,
)
from mls_federation.mls.epoch import combined_psk_secret, with_resumption
from mls_federation.mls.extensions import Extension, ExtensionType, find_extension
from mls_federation.mls.key_package import key_package_ref
from mls_federation.mls.proposals import ReInit
from mls_federation.mls.psk import PreSharedKeyID, PSKType, ResumptionPSK, ResumptionPSKUsage
from mls_federation.mls.ratchet_tree import RatchetTreeNodes, decode_tree
from mls_federation.mls.tree_hashes import tree_hash
from mls_federation.mls.tree_math import LeafIndex
from mls_federation.mls.welcome import EncryptedGroupSecrets, welcome_key_and_nonce
from tests.support.pair import NOW

from ..mutation import mutated, mutated_octets
from ..octets import Octets
from ..scenes import Scene, scenes, start_over
from ..target import Finding, Target, check_state, refused


def run_welcome(data: bytes) -> None:
    """A Welcome: changed as octets, or with other things sealed in it by somebody who may seal them."""
    source = Octets(data)
    scene = source.choice(scenes())
    start_over(scene)
    safe = source.flag(4)
    old = scene.victim(safe=safe) if source.flag(4) else None
    if old is not None and source.flag():
        context = scene.opened.group_info.group_context
        ending = ReInit(
            group_id=context.group_id,
            version=context.version,
            cipher_suite=context.cipher_suite,
            extensions=context.extensions,
        )
        old = replace_dataclass(old, reinit=ending)
    if source.flag(6):
        octets = mutated_octets(source, mls_message(scene.welcome).encode())
        message = refused(lambda: decode_message(octets))
        welcome = message if isinstance(message, Welcome) else scene.welcome
    else:
        welcome = _forged_welcome(source, scene, old)
    if source.flag(6):
        welcome = mutated(source, welcome, scene.pool)
    crypto = scene.crypto if safe else scene.unsafe
    group = refused(lambda: join(crypto, welcome, scene.newcomer, now=NOW, psks=scene.party.look_up, old=old))
    if isinstance(group, Group):
        check_state(group)
        _use(scene, group)


def run_info(data: bytes) -> None:
    """A GroupInfo of a member who keeps no rule."""
    source = Octets(data)
    scene = source.choice(scenes())
    start_over(scene)
    real = group_info(scene.party.groups["ann"], with_external_pub=True)
    if source.flag(8):
        octets = mutated_octets(source, mls_message(real).encode())
        message = refused(lambda: decode_message(octets))
        info = message if isinstance(message, GroupInfo) else real
    else:
        info = _changed_info(source, scene, real)
    public = refused(lambda: follow(scene.unsafe, info, now=NOW))
    replacing = LeafIndex(source.number(20)) if source.flag(3) else None
    newcomer = scene.newcomer
    pending = refused(
        lambda: join_by_external_commit(scene.unsafe, info, newcomer, now=NOW, replacing=replacing)
    )
    if isinstance(pending, RemoteError):
        return
    check_state(pending.group)
    if isinstance(public, RemoteError):
        raise Finding(f"one joins what a follower refuses as {public.code}")
    followed = refused(lambda: observe(public, pending.message, now=NOW))
    if isinstance(followed, RemoteError):
        raise Finding(f"a follower refuses our own external commit as {followed.code}")
    if followed.group.context.tree_hash != pending.group.context.tree_hash:
        raise Finding("a joiner and a follower see two trees")
    _use(scene, pending.group)


def _use(scene: Scene, group: Group) -> None:
    """Whatever group it is: what can be done in it works, or says why not."""
    with suppress(MLSError):
        send_application_data(group, b"hello")
    with suppress(MLSError):
        check_state(commit(group, now=NOW).group)
    export_secret(group, "label", b"context", 32)
    for message in scene.messages[-2:]:
        refused(receive, group, message, now=NOW)


def _forged_welcome(source: Octets, scene: Scene, old: Group | None) -> Welcome:
    """A Welcome for the newcomer with a changed GroupInfo, changed GroupSecrets, or any octets in their places."""
    crypto, opened, package = scene.crypto, scene.opened, scene.newcomer.key_package
    secrets, info, psk_secret = opened.group_secrets, opened.group_info, opened.psk_secret
    if not source.flag(3):
        info = _changed_info(source, scene, info)
    if source.flag(3):
        secrets = mutated(source, secrets, scene.pool)
    if old is not None and not source.flag(4):
        psk = ResumptionPSK(
            usage=source.choice(list(ResumptionPSKUsage)), psk_group_id=old.group_id, psk_epoch=old.epoch
        )
        psk_id = PreSharedKeyID(psktype=PSKType.resumption, psk=psk, psk_nonce=bytes(crypto.Nh))
        secrets = replace(secrets, psks=(*secrets.psks, psk_id))
        info = replace(info, group_context=replace(info.group_context, epoch=1))
        look_up = with_resumption(old, scene.party.look_up)
        combined = refused(combined_psk_secret, crypto, secrets.psks, look_up)
        psk_secret = combined if isinstance(combined, bytes) else psk_secret
    if source.flag(4) is False:
        # Changed extensions or trees call for another tag.
        epoch = key_schedule.epoch_secrets(
            crypto, secrets.joiner_secret, psk_secret, info.group_context.encode()
        )
        tag = key_schedule.confirmation_tag(
            crypto, epoch.confirmation_key, info.group_context.confirmed_transcript_hash
        )
        info = replace(info, confirmation_tag=tag)
    info_octets, secrets_octets = info.encode(), secrets.encode()
    if source.flag(6):
        info_octets = mutated_octets(source, info_octets)
    if source.flag(6):
        secrets_octets = mutated_octets(source, secrets_octets)
    welcome_secret = key_schedule.welcome_secret(crypto, secrets.joiner_secret, psk_secret)
    key, nonce = welcome_key_and_nonce(crypto, welcome_secret)
    encrypted_info = crypto.aead_seal(key, nonce, b"", info_octets)
    sealed = EncryptedGroupSecrets(
        new_member=key_package_ref(crypto, package),
        encrypted_group_secrets=crypto.encrypt_with_label(
            package.init_key, "Welcome", encrypted_info, secrets_octets
        ),
    )
    return Welcome(cipher_suite=package.cipher_suite, secrets=(sealed,), encrypted_group_info=encrypted_info)


def _changed_info(source: Octets, scene: Scene, info: GroupInfo) -> GroupInfo:
    """A GroupInfo with something changed in it, perhaps its tree; with the right tree hash, for the most part."""
    data = find_extension(info.extensions, ExtensionType.ratchet_tree)
    if data is None:
        raise Finding("the scene's GroupInfo has no tree")
    if source.flag():
        nodes = mutated(source, RatchetTreeNodes.decode(data), scene.pool)
        data = mutated_octets(source, nodes.encode()) if source.flag(6) else nodes.encode()
    if source.flag():
        info = mutated(source, info, scene.pool)
    if source.flag(8):
        return info
    tree = refused(lambda: decode_tree(data))
    changed_tree = Extension(extension_type=ExtensionType.ratchet_tree, extension_data=data)
    others = [item for item in info.extensions if item.extension_type != ExtensionType.ratchet_tree]
    info = replace(info, extensions=(changed_tree, *others))
    if isinstance(tree, RemoteError):
        return info
    context = replace(info.group_context, tree_hash=tree_hash(scene.crypto, tree))
    if not source.flag(4):
        context = replace(
            context,
            version=scene.attacker.context.version,
            cipher_suite=scene.attacker.context.cipher_suite,
        )
    return replace(info, group_context=context)


def _welcome_seeds() -> Iterable[bytes]:
    for number in range(len(scenes())):
        for first in range(8):
            for second in range(8):
                yield bytes([number, 0, 0, first, second, 0]) + bytes(
                    (first * 29 + i * 71) % 256 for i in range(40)
                )


def _info_seeds() -> Iterable[bytes]:
    for number in range(len(scenes())):
        for first in range(8):
            for second in range(8):
                yield bytes([number, 0, first, second]) + bytes(
                    (second * 31 + i * 83) % 256 for i in range(40)
                )


WELCOME = Target("welcome", "Welcomes with anything sealed in them", run_welcome, _welcome_seeds, weight=4)
INFO = Target("info", "GroupInfos, to follow and to join by external commit", run_info, _info_seeds, weight=4)
