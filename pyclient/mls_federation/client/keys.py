"""The keys that a client leaves at its delivery service: published, counted, replaced."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..errors import ServiceError
from ..federation.binding import KeySet
from .account import new_key_sets
from .core import Core
from .delivery_service import publish
from .refusals import is_final

# Key sets for one use that are published at first, and that we keep at our delivery service from then on.
FIRST_KEY_SETS = 3
KEY_SETS = 8


async def renew_key_sets(core: Core) -> None:
    """Publish fresh key sets if it is long since we did. Those that are there already are handed out first.

    Raises:
        ServiceError, TransportError: our delivery service did not take them.
    """
    now = core.ports.now()
    fresh = [own for own in core.state.key_sets if own.is_fresh(now)]
    if not all(any(own.last_resort is kind for own in fresh) for kind in (False, True)):
        await publish_key_sets(core, KEY_SETS)


async def publish_key_sets(core: Core, count: int) -> None:
    """Publish so many key sets for one use, and one of last resort if we have no fresh one; their private keys are kept first.

    Sets of which we do not know whether they arrived are published again, and count.

    Raises:
        ServiceError, TransportError: our delivery service did not take them.
    """
    async with core.changing:
        now = core.ports.now()
        sets = core.state.key_sets
        count -= sum(1 for own in sets if own.unconfirmed is not None and not own.last_resort)
        made = new_key_sets(
            core.ports.provider,
            core.state.account,
            now,
            count=max(0, count),
            last_resort=not any(own.last_resort and own.is_fresh(now) for own in sets),
        )
        if made:
            await core.keep(replace(core.state, key_sets=(*sets, *made)))
    waiting = [own.unconfirmed for own in core.state.key_sets if own.unconfirmed is not None]
    if not waiting:
        return
    service = core.own_service
    try:
        await core.in_session(lambda token: publish(core.ports.transport, service, token, waiting))
    except ServiceError as error:
        if is_final(error):
            # It has none of them, and would not take them another time.
            await _settle(core, waiting, published=False)
        raise
    await _settle(core, waiting, published=True)


async def _settle(core: Core, answered: Sequence[KeySet], *, published: bool) -> None:
    """Note what has become of sets; the keys of those that were refused are of no use."""
    async with core.changing:
        kept = tuple(
            replace(own, unconfirmed=None) if own.unconfirmed in answered else own
            for own in core.state.key_sets
            if published or own.unconfirmed is None or own.unconfirmed not in answered
        )
        await core.keep(replace(core.state, key_sets=kept))
