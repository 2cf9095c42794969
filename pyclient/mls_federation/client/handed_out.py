"""Key sets that delivery services have handed out to us: each for one use comes once, or somebody hands out old ones."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from ..errors import ValidationError
from ..federation.manifest import VerifiedBundle
from ..mls.nodes import Lifetime
from .state import ClientState, HandedOut

# Remembered until they expire, which is within 90 days; of somebody who fetches more often, the latest.
_REMEMBERED = 4096


def with_handed_out(state: ClientState, bundles: Iterable[VerifiedBundle], now: int) -> ClientState:
    """The state that remembers the sets of `bundles`, but for those of last resort, which may come again.

    Args:
        now: Unix seconds.

    Raises:
        ValidationError: code `keys-handed-out-twice`: one of them has come before.
    """
    known = {one.user_init_key_id for one in state.handed_out}
    fresh = []
    for bundle in bundles:
        if bundle.last_resort:
            continue
        name = bundle.user_init_key.user_init_key_id
        if name in known:
            raise ValidationError(
                f"the delivery service of {bundle.identity} has handed out keys for one use a second time",
                code="keys-handed-out-twice",
            )
        known.add(name)
        lifetime = bundle.key_package.leaf_node.source
        assert isinstance(lifetime, Lifetime)  # of a KeyPackage that was verified
        fresh.append(HandedOut(name, lifetime.not_after))
    if not fresh:
        return state
    kept = [one for one in state.handed_out if one.until >= now]
    return replace(state, handed_out=tuple([*kept, *fresh][-_REMEMBERED:]))
