"""Which refusals of a delivery service are final."""

from __future__ import annotations

from ..errors import ServiceError

# Answers of a delivery service that will be the same next time: every fault of the request, but for rate limits
# and time-outs.
_FINAL_STATUSES = frozenset(range(400, 500)) - {401, 408, 429}
_TOO_LARGE = 413


def is_final(refusal: ServiceError) -> bool:
    """Whether it is the delivery service itself that refuses, for good, and not something on the way to it.

    What stands before a service may say 404 while the service is away; but who finds a request too large always will.
    """
    said_by_service = refusal.code != ServiceError.default_code
    return refusal.status == _TOO_LARGE or (said_by_service and refusal.status in _FINAL_STATUSES)
