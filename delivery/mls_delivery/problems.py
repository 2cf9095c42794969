"""Problem reports (RFC 9457): how a refusal looks on the wire."""

from __future__ import annotations

import json
from collections.abc import Mapping

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from mls_federation.errors import RemoteError
from mls_federation.federation.binding import MEDIA_TYPE_PROBLEM, problem_type

from .context import service_of
from .refusals import Refused, refusal

_OWN_CODES = {404: "not-found", 405: "method-not-allowed"}


def problem_response(refused: Refused, headers: Mapping[str, str] | None = None) -> Response:
    """The response that reports a refusal."""
    kind = refused.kind
    report = {
        "type": problem_type(refused.code),
        "title": kind.title,
        "status": kind.status,
        "detail": refused.message,
        **refused.members,
    }
    return Response(
        json.dumps(report),
        kind.status,
        {"Cache-Control": "no-store", **_headers_for(refused), **(headers or {})},
        MEDIA_TYPE_PROBLEM,
    )


def _headers_for(refused: Refused) -> dict[str, str]:
    if refused.code == "unauthorized":
        return {"WWW-Authenticate": "Bearer"}
    if refused.code in ("too-large", "request-timeout"):
        return {"Connection": "close"}
    if "retry_after" in refused.members:
        return {"Retry-After": str(refused.members["retry_after"])}
    return {}


async def on_remote_error(request: Request, error: Exception) -> Response:
    """Report what is wrong with a request."""
    if not isinstance(error, RemoteError):
        raise error
    return _report(request, refusal(error))


async def on_http_exception(request: Request, error: Exception) -> Response:
    """Report an unknown path or method, which the router finds."""
    if not isinstance(error, HTTPException) or error.status_code not in _OWN_CODES:
        raise error
    detail = f"There is no {request.method} {request.url.path} here; see /.well-known/mls-federation."
    return _report(request, Refused(_OWN_CODES[error.status_code], detail), error.headers)


async def on_disconnect(_request: Request, _error: Exception) -> Response:
    """A client that went away in the middle of its request: nobody reads this, and nothing failed here."""
    return Response(status_code=400)


async def on_failure(request: Request, _error: Exception) -> Response:
    """Report a failure of ours; the server logs it."""
    return _report(
        request,
        Refused(
            "internal-error",
            "The delivery service failed. Nothing was changed by this request; try again later.",
        ),
    )


def _report(request: Request, refused: Refused, headers: Mapping[str, str] | None = None) -> Response:
    service_of(request).metrics.refusals.labels(refused.code).inc()
    return problem_response(refused, headers)
