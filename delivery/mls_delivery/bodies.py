"""Reading request bodies: bounded in size and time, of the right media type, decoded; and answering with a struct."""

from __future__ import annotations

import asyncio
from typing import TypeVar

from starlette.requests import Request
from starlette.responses import Response

from mls_federation.codec import Struct
from mls_federation.federation.binding import MEDIA_TYPE

from .refusals import Refused
from .service import Limits

S = TypeVar("S", bound=Struct)

# A sender who is cut off while it still writes may never see the answer, so a body that is only somewhat too large
# is read to its end, and thrown away.
_DISCARD_FACTOR = 4


def media_type(request: Request) -> str:
    """The media type of a request's body, without parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def check_media_type(request: Request, *accepted: str) -> None:
    """Return if the body is of an accepted type.

    Raises:
        Refused: code `unsupported-media-type`.
    """
    if media_type(request) not in accepted:
        raise Refused("unsupported-media-type", f"The body must be of type {' or '.join(accepted)}.")


async def read_body(request: Request, limits: Limits) -> bytes:
    """The whole body.

    Raises:
        Refused: codes `too-large`, `request-timeout`.
    """
    try:
        async with asyncio.timeout(limits.body_seconds):
            return await _read(request, limits.body)
    except TimeoutError:
        raise Refused(
            "request-timeout", f"The body did not arrive within {limits.body_seconds} seconds."
        ) from None


async def _read(request: Request, limit: int) -> bytes:
    announced = request.headers.get("content-length", "")
    too_large = Refused("too-large", f"A request's body may have {limit} octets.", limit=limit)
    if announced.isdecimal() and int(announced) > _DISCARD_FACTOR * limit:
        raise too_large
    body = bytearray()
    octets = 0
    async for chunk in request.stream():
        octets += len(chunk)
        if octets > _DISCARD_FACTOR * limit:
            raise too_large
        if octets > limit:
            body.clear()
        else:
            body += chunk
    if octets > limit:
        raise too_large
    return bytes(body)


async def read_struct(request: Request, struct: type[S], limits: Limits, *accepted: str) -> S:
    """The body, decoded.

    Args:
        accepted: the media types that it may have.

    Raises:
        Refused: it cannot be read.
        DecodeError: it is malformed.
    """
    check_media_type(request, *accepted)
    return struct.decode(await read_body(request, limits))


def reply(body: Struct, kind: str = MEDIA_TYPE) -> Response:
    """A good answer."""
    return Response(body.encode(), media_type=kind, headers={"Cache-Control": "no-store"})
