"""The end points of the log: its head, and what shows that it only grows."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from mls_federation.federation.binding import MEDIA_TYPE
from mls_federation.federation.log import (
    ConsistencyProof,
    ConsistencyRequest,
    EntriesRequest,
    EntriesResponse,
    SignedTreeHead,
    TreeHead,
    sign_tree_head,
)

from .bodies import check_media_type, read_body, read_struct, reply
from .context import ENDPOINTS, DeliveryService, service_of
from .refusals import Refused, malformed
from .store import log


async def tree_head(request: Request) -> Response:
    """`POST /v1/tree-head`."""
    service = service_of(request)
    check_media_type(request, MEDIA_TYPE)
    if await read_body(request, service.limits):
        raise malformed("(none)", "(start)", "the body must be empty")
    return reply(signed_head(service, await service.store.read(log.head)))


async def consistency(request: Request) -> Response:
    """`POST /v1/consistency`."""
    service = service_of(request)
    asked = await read_struct(request, ConsistencyRequest, service.limits, MEDIA_TYPE)
    path = await service.store.read(log.consistency_path, asked.first, asked.second)
    if path is None:
        raise Refused(
            "no-such-tree", "The log has fewer entries than that, or the first number is the larger one."
        )
    return reply(ConsistencyProof(path=path))


async def log_entries(request: Request) -> Response:
    """`POST /v1/log-entries`, for those who read the whole log."""
    service = service_of(request)
    asked = await read_struct(request, EntriesRequest, service.limits, MEDIA_TYPE)
    found = await service.store.read(log.entries, asked.start, asked.count, service.limits.body)
    return reply(EntriesResponse(entries=tuple(found)))


def signed_head(service: DeliveryService, head: log.Head) -> SignedTreeHead:
    """A head of the log as the service signs it: for the same size, always the same octets."""
    said = TreeHead(
        domain=service.domain.encode("ascii"),
        tree_size=head.size,
        timestamp=head.timestamp,
        root_hash=head.root_hash,
    )
    return sign_tree_head(service.provider, service.signing_key, said)


ROUTES = (
    Route(ENDPOINTS["tree_head"], tree_head, methods=["POST"]),
    Route(ENDPOINTS["consistency"], consistency, methods=["POST"]),
    Route(ENDPOINTS["log_entries"], log_entries, methods=["POST"]),
)
