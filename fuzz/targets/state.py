"""Stored states: what is no state of ours is refused, and one that is loaded can be used."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from contextlib import suppress

from mls_federation.errors import MLSError, RemoteError
from mls_federation.mls import (
    ApplicationMessage,
    Group,
    commit,
    decode_group,
    decode_key_package,
    encode_group,
    encode_key_package,
    export_secret,
    group_info,
    receive,
    send_application_data,
)
from mls_federation.mls.state import StoredGroup, StoredKeyPackage
from tests.support.pair import NOW

from ..mutation import Pool, mutated, mutated_octets
from ..octets import Octets
from ..scenes import Scene, scenes, start_over
from ..target import Finding, Target, refused


def run(data: bytes) -> None:
    """A stored state, changed as octets or as a value."""
    source = Octets(data)
    number = source.number(len(scenes()))
    scene = scenes()[number]
    start_over(scene)
    stored = _stored(number)
    if source.flag(4):
        _key_package(source, scene)
        return
    if source.flag(3):
        octets = mutated_octets(source, stored.encode())
    else:
        octets = mutated(source, stored, _pool(number)).encode()
    group = refused(lambda: decode_group(scene.crypto.provider, octets))
    if isinstance(group, RemoteError):
        return
    # The state may be nonsense, but it is ours to store: what is done with it says so in our own errors.
    with suppress(MLSError):
        encode_group(group)
    _use(scene, group)


def _use(scene: Scene, group: Group) -> None:
    for message in (scene.messages[0], scene.messages[8], *scene.messages[-6:]):
        with suppress(MLSError):
            receive(group, message, now=NOW, psks=scene.party.look_up)
    with suppress(MLSError):
        send_application_data(group, b"hello")
    with suppress(MLSError):
        commit(group, now=NOW)
    with suppress(MLSError):
        group_info(group, with_external_pub=True)
    with suppress(MLSError):
        export_secret(group, "label", b"", 32)


def _key_package(source: Octets, scene: Scene) -> None:
    stored = StoredKeyPackage.decode(encode_key_package(scene.newcomer))
    octets = stored.encode()
    octets = mutated_octets(source, octets) if source.flag() else mutated(source, stored, scene.pool).encode()
    own = refused(lambda: decode_key_package(octets))
    if not isinstance(own, RemoteError) and encode_key_package(own) != octets:
        raise Finding("a KeyPackage is another one after it was stored")


@functools.cache
def _stored(number: int) -> StoredGroup:
    scene = scenes()[number]
    group = scene.party.groups["ann"]
    # With keys of messages that have not arrived, and an Update of our own, if it may be sent.
    for message in scene.messages:
        with suppress(RemoteError):
            received = receive(group, message, now=NOW, psks=scene.party.look_up)
            if isinstance(received, ApplicationMessage):
                group = received.group
    return StoredGroup.decode(encode_group(group))


@functools.cache
def _pool(number: int) -> Pool:
    pool = Pool([_stored(number)])
    pool.octets += [octets for octets in scenes()[number].pool.octets if octets not in pool.octets]
    return pool


def _seeds() -> Iterable[bytes]:
    for number in range(len(scenes())):
        for first in range(4):
            for second in range(6):
                yield bytes([number, first, second]) + bytes(
                    (first * 29 + second * 7 + i * 71) % 256 for i in range(40)
                )


TARGET = Target("state", "stored groups and KeyPackages", run, _seeds, weight=2)
