"""What anybody can hand to a delivery service that orders commits: a commit needs no session (docs/protocol.md)."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import dataclass, replace

from mls_delivery.ordering import (
    OrderedGroup,
    Orderer,
    check_next_epoch,
    check_registration,
    ordered_group,
    read_commit,
)
from mls_federation.client.account import new_account, new_key_package
from mls_federation.crypto import CipherSuite, SignatureScheme, crypto, generate_signature_key
from mls_federation.federation.group_agreement import OrderingRule, with_agreement
from mls_federation.federation.identity import verify_leaf_identity
from mls_federation.federation.negotiation import leaf_support, new_agreement
from mls_federation.federation.ordering import CommitRequest
from mls_federation.mls import (
    Group,
    MLSMessage,
    PublicGroup,
    WireFormat,
    add,
    commit,
    create_group,
    encode_public_group,
    follow,
    group_info,
    mls_message,
    remove,
)
from mls_federation.mls.tree_math import LeafIndex
from tests.support.network import NOW

from ..mutation import Pool, mutated, mutated_octets
from ..octets import Octets
from ..providers import RepeatableProvider, UnsafeAcceptAnySignature
from ..target import Finding, Target, refused

_SUITE = CipherSuite.MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519
_DOMAIN = "b.example"
_PUBLIC = WireFormat.mls_public_message


@dataclass(frozen=True)
class _Service:
    """A service, a group that it orders, and what it was asked next.

    Attributes:
        request: a commit that adds and removes.
        info: the group's GroupInfo, as it is registered.
        before: the group's state, encoded.
    """

    safe: Orderer
    unsafe: Orderer
    group: OrderedGroup
    request: CommitRequest
    info: bytes
    before: bytes
    pool: Pool


def run(data: bytes) -> None:
    """The first octet chooses what is changed."""
    source, service = Octets(data), _service()
    kind = source.number(3)
    orderer, group = service.safe, service.group
    if not source.flag(4):
        orderer = service.unsafe
        public = replace(group.public, crypto=crypto(orderer.provider, _SUITE))
        group = replace(group, public=public)
    request = service.request
    match kind:
        case 0:
            changed = _changed(source, request.commit, service.pool)
            refused(lambda: read_commit(changed))
            request = CommitRequest(commit=changed, group_info=request.group_info)
        case 1:
            info = _changed(source, request.group_info, service.pool)
            request = CommitRequest(commit=request.commit, group_info=info)
        case _:
            info = _changed(source, service.info, service.pool)
            refused(lambda: check_registration(orderer, info))
            return
    refused(lambda: check_next_epoch(orderer, group, request, NOW))
    if encode_public_group(service.group.public) != service.before:
        raise Finding("a commit changed the state that it was checked against")


def _changed(source: Octets, message: bytes, pool: Pool) -> bytes:
    if source.flag(3):
        return mutated_octets(source, message)
    changed: MLSMessage = mutated(source, MLSMessage.decode(message), pool)
    return changed.encode()


def _info(group: Group, *, with_tree: bool) -> bytes:
    return mls_message(group_info(group, with_tree=with_tree, with_external_pub=True)).encode()


@functools.cache
def _service() -> _Service:
    safe = RepeatableProvider()
    key = generate_signature_key(safe, SignatureScheme.ed25519)
    suite = crypto(safe, _SUITE)
    own, *others = (
        new_key_package(safe, new_account(safe, f"{name}@{_DOMAIN}"), _SUITE, NOW)
        for name in ("ann", "ben", "cat", "dan", "eve")
    )
    leaf = own.key_package.leaf_node
    agreement = new_agreement(
        [leaf_support(leaf, verify_leaf_identity(safe, _SUITE, leaf))],
        _SUITE,
        ordering=OrderingRule.service,
        domain=_DOMAIN,
        signing_key=key.public_key,
    )
    alone = create_group(suite, b"the group", own, with_agreement((), agreement))
    ben, cat, dan, eve = others
    first = commit(alone, [add(who.key_package) for who in (ben, cat, dan)], now=NOW, wire_format=_PUBLIC)
    pending = commit(first.group, [add(eve.key_package), remove(LeafIndex(2))], now=NOW, wire_format=_PUBLIC)
    request = CommitRequest(commit=pending.message, group_info=_info(pending.group, with_tree=False))
    public: PublicGroup = follow(suite, group_info(first.group), now=NOW)
    info = _info(first.group, with_tree=True)
    structs = [MLSMessage.decode(octets) for octets in (request.commit, request.group_info, info)]
    return _Service(
        safe=Orderer(safe, _DOMAIN, key.public_key, key.private_key),
        unsafe=Orderer(UnsafeAcceptAnySignature(), _DOMAIN, key.public_key, key.private_key),
        group=ordered_group(public),
        request=request,
        info=info,
        before=encode_public_group(public),
        pool=Pool(structs),
    )


def _seeds() -> Iterable[bytes]:
    for kind in range(3):
        for first in range(8):
            yield bytes([kind, first % 4]) + bytes((kind * 31 + first * 11 + i * 53) % 256 for i in range(40))


TARGET = Target("ordering", "commits and GroupInfos for a service that orders", run, _seeds)
