"""The end points of ordering: which groups are ordered here, their commits, and the way back for members that lost the thread.

committer                            service
  │ CommitRequest, epoch n ─────────────►│  checks it against epoch n, in a thread
  │                                      │  in one transaction: is n still the present epoch?
  │◄──────────── accepted: the receipt   │    yes: keep commit, receipt and epoch n+1
  │◄── or wrong_epoch: the commits since │    no
"""

from __future__ import annotations

import asyncio

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from mls_federation.federation.binding import MEDIA_TYPE, is_domain
from mls_federation.federation.ordering import (
    CommitRequest,
    CommitResponse,
    CommitStatus,
    GroupInfoRequest,
    GroupInfoResponse,
    MissedCommits,
    MissedRequest,
    OrderedCommit,
    OrderingReceipt,
    RegisterGroupRequest,
    RegisterGroupResponse,
    commit_hash,
)
from mls_federation.federation.seed import Credential
from mls_federation.mls import decode_public_group, encode_public_group
from mls_federation.mls.ratchet_tree import encode_tree

from . import ordering as rules
from .admission import limit
from .bodies import read_struct, reply
from .context import ENDPOINTS, DeliveryService, service_of
from .ordering import NextEpoch, OrderedGroup, Orderer
from .refusals import Refused
from .sessions import client_of
from .store import groups


async def register_group(request: Request) -> Response:
    """`POST /v1/groups`."""
    service = service_of(request)
    limit(request, service, service.rates.ordering_by_source)
    asked = await read_struct(request, RegisterGroupRequest, service.limits, MEDIA_TYPE)
    # Who asks is known before anything large is verified for them.
    handed_over = asked.moved_by
    if handed_over is None:
        client = await client_of(request, service)
        registrar, credential = client.identity, Credential.decode(client.credential)
        registered = await asyncio.to_thread(rules.check_registration, _orderer(service), asked.group_info)
        rules.check_registrar(registered.signer, credential)
    else:
        registrar, old_key = handed_over.domain, await _key_of(service, handed_over)
        registered = await asyncio.to_thread(
            rules.check_handed_over, _orderer(service), asked.group_info, handed_over, old_key
        )
    group = registered.group
    context, limits = group.public.context, service.limits
    receipt = None if handed_over is None else handed_over.encode()
    begins = groups.Epoch(context.epoch, encode_public_group(group.public), asked.group_info, receipt)
    kept = await service.store.write(
        groups.register,
        context.group_id,
        registrar,
        begins,
        service.clock(),
        limits.groups,
        limits.group_commit_seconds,
    )
    if kept is None:
        raise Refused(
            "too-many-groups",
            f"An identity or domain may have {limits.groups} groups here.",
            limit=limits.groups,
        )
    if not kept:
        raise Refused("group-exists", "A group of that id is ordered here, and has come to another state.")
    service.groups.keep(group, len(begins.state))
    return reply(RegisterGroupResponse(epoch=context.epoch))


async def submit_commit(request: Request) -> Response:
    """`POST /v1/commits`."""
    service = service_of(request)
    limit(request, service, service.rates.ordering_by_source)
    asked = await read_struct(request, CommitRequest, service.limits, MEDIA_TYPE)
    content = rules.read_commit(asked.commit).content
    async with service.groups.turn(content.group_id):
        answer = None
        while answer is None:
            answer = await _order(service, asked, content.group_id, content.epoch)
        return reply(answer)


async def missed_commits(request: Request) -> Response:
    """`POST /v1/missed`."""
    service = service_of(request)
    limit(request, service, service.rates.ordering_by_source)
    asked = await read_struct(request, MissedRequest, service.limits, MEDIA_TYPE)
    return reply(await _missed(service, asked.group_id, asked.epoch))


async def group_info(request: Request) -> Response:
    """`POST /v1/group-info`."""
    service = service_of(request)
    limit(request, service, service.rates.ordering_by_source)
    asked = await read_struct(request, GroupInfoRequest, service.limits, MEDIA_TYPE)
    at = await service.store.read(groups.load, asked.group_id)
    if at is None:
        raise _unknown_group()
    group = await _group(service, asked.group_id, at)
    rules.check_group_info_request(
        _orderer(service), group.members, asked, service.clock(), service.limits.clock_seconds
    )
    return reply(
        GroupInfoResponse(
            group_info=at.group_info,
            ratchet_tree=await asyncio.to_thread(encode_tree, group.public.tree),
            receipt=None if at.receipt is None else OrderingReceipt.decode(at.receipt),
        )
    )


async def _order(
    service: DeliveryService, asked: CommitRequest, group_id: bytes, epoch: int
) -> CommitResponse | None:
    """The answer to a commit; None if the group has gone on meanwhile, in another process that shares the store."""
    head = await service.store.read(groups.head, group_id)
    if head is None:
        raise _unknown_group()
    digest = commit_hash(asked.commit)
    if epoch != head.epoch:
        receipt = await service.store.read(groups.receipt_of, group_id, epoch + 1, digest)
        if receipt is not None:
            return _accepted(OrderingReceipt.decode(receipt))
        missed = await _missed(service, group_id, epoch)
        return CommitResponse(status=CommitStatus.wrong_epoch, result=missed)
    if head.moved_to is not None:
        raise Refused(
            "group-moved",
            f"The service of {head.moved_to} orders the group's commits now.",
            domain=head.moved_to,
        )
    if head.ended:
        raise Refused(
            "invalid-commit", "The group has ended, and is to begin anew as another.", reason="group-ended"
        )
    group = service.groups.find(group_id, epoch)
    if group is None:
        at = await service.store.read(groups.load, group_id)
        if at is None or at.epoch != epoch:
            return None
        group = await _group(service, group_id, at)
    now = service.clock()
    reached, state = await asyncio.to_thread(_next_epoch, _orderer(service), group, asked, now)
    limits, receipt = service.limits, reached.receipt.encode()
    if reached.grew and len(state) > limits.group_octets:
        raise Refused(
            "invalid-commit",
            f"The group would have more than {limits.group_octets} octets.",
            reason="group-too-large",
        )
    accepted = await service.store.write(
        groups.accept,
        group_id,
        groups.Epoch(epoch + 1, state, asked.group_info, receipt),
        groups.Ordered(asked.commit, digest, receipt),
        reached.moved_to,
        reached.ended,
        now,
        groups.Kept(limits.group_commits, limits.group_commit_octets, limits.group_commit_seconds),
    )
    if not accepted:
        return None
    service.groups.keep(reached.group, len(state))
    return _accepted(reached.receipt)


def _next_epoch(
    orderer: Orderer, group: OrderedGroup, asked: CommitRequest, now: int
) -> tuple[NextEpoch, bytes]:
    reached = rules.check_next_epoch(orderer, group, asked, now)
    return reached, encode_public_group(reached.group.public)


async def _group(service: DeliveryService, group_id: bytes, at: groups.Epoch) -> OrderedGroup:
    """A group in the epoch that the store has."""
    group = service.groups.find(group_id, at.epoch)
    if group is None:
        group = await asyncio.to_thread(_decode, service, at.state)
        service.groups.keep(group, len(at.state))
    return group


def _decode(service: DeliveryService, state: bytes) -> OrderedGroup:
    return rules.ordered_group(decode_public_group(service.provider, state))


async def _missed(service: DeliveryService, group_id: bytes, epoch: int) -> MissedCommits:
    found = await service.store.read(groups.missed, group_id, epoch, service.limits.body)
    if found is None:
        raise _unknown_group()
    current_epoch, commits = found
    return MissedCommits(
        current_epoch=current_epoch,
        commits=tuple(
            OrderedCommit(commit=item.commit, receipt=OrderingReceipt.decode(item.receipt))
            for item in commits
        ),
    )


async def _key_of(service: DeliveryService, receipt: OrderingReceipt) -> bytes:
    """The signing key of the service that a receipt says to be from, as it was first seen.

    Raises:
        Refused: codes `peer-not-allowed`, `peer-unreachable`, `peer-key-changed`; `invalid-group`: it names none.
    """
    domain = receipt.domain.decode("ascii", "replace")
    if domain == service.domain:
        return service.public_key
    if not is_domain(domain):
        raise Refused("invalid-group", "The receipt names no service.", reason="wrong-receipt")
    return (await service.peers.find(domain)).description.signing_key


def _orderer(service: DeliveryService) -> Orderer:
    return Orderer(service.provider, service.domain, service.public_key, service.signing_key)


def _accepted(receipt: OrderingReceipt) -> CommitResponse:
    return CommitResponse(status=CommitStatus.accepted, result=receipt)


def _unknown_group() -> Refused:
    return Refused("unknown-group", "No group of that id is ordered here.")


ROUTES = (
    Route(ENDPOINTS["groups"], register_group, methods=["POST"]),
    Route(ENDPOINTS["commits"], submit_commit, methods=["POST"]),
    Route(ENDPOINTS["missed"], missed_commits, methods=["POST"]),
    Route(ENDPOINTS["group_info"], group_info, methods=["POST"]),
)
