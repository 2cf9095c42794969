"""Adding somebody who lacks a group's cipher suite: the group begins anew in one that all have (`reinitialization`)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from ..crypto import CipherSuite, CryptoProvider
from ..errors import ServiceError, ValidationError
from ..federation.manifest import VerifiedBundle
from ..federation.negotiation import NoCommonSuite, Support, bundle_support, leaf_support
from .account import supported_suites
from .reinitialization import plan, suite_for_all
from .results import FetchedKeys
from .state import Anew, GroupState

# Fetches the keys of an identity for one of these suites, the best first.
Fetch = Callable[[str, Sequence[CipherSuite]], Awaitable[FetchedKeys]]


async def plan_with(
    provider: CryptoProvider, fetch: Fetch, known: GroupState, identity: str, *, reinit: bool
) -> Anew:
    """What a group is to begin anew as, so that somebody can come who lacks its suite.

    Args:
        reinit: whether it may; else the error says who supports what.

    Raises:
        NoCommonSuite: it may not; or no suite is supported by all.
        ValidationError: code `keys-hidden`: the newcomer does support the group's suite, and its service has said otherwise;
            `keys-missing`: a member has no keys for the new suite.
        StateError: see `plan`.
        ServiceError, TransportError, ValidationError, VerificationError, DecodeError: keys cannot be had.
    """
    members = [
        leaf_support(member.leaf_node, known.identities[member.leaf_index]) for member in known.group.members
    ]
    try:
        offered = (await fetch(identity, supported_suites(provider))).bundles
    except ServiceError as error:
        if error.code != "no-common-suite":
            raise
        said = Support(identity, b"", tuple(map(CipherSuite, error.offered_suites)), ())
        raise NoCommonSuite([*members, said]) from error
    if any(known.group.cipher_suite in bundle.cipher_suites for bundle in offered):
        raise ValidationError(
            f"{identity} has keys for the group's cipher suite, though its delivery service says otherwise",
            code="keys-hidden",
        )
    if not reinit:
        raise NoCommonSuite([*members, *map(bundle_support, offered)])
    suite = suite_for_all(known, offered)
    newcomers = [bundle for bundle in offered if bundle.chosen == suite]
    if len(newcomers) < len(offered):
        newcomers = list((await fetch(identity, [suite])).bundles)
    return plan(provider, known, suite, await members_keys(fetch, known, suite), newcomers)


async def members_keys(fetch: Fetch, known: GroupState, suite: CipherSuite) -> list[VerifiedBundle]:
    """Fresh keys of all members but ourselves, for a suite.

    Raises:
        ValidationError: code `keys-missing`: somebody has none.
        ServiceError, TransportError, VerificationError, DecodeError: keys cannot be had.
    """
    found: list[VerifiedBundle] = []
    for identity in known.addresses:
        try:
            found += (await fetch(identity, [suite])).bundles
        except ServiceError as error:
            if error.code not in ("no-common-suite", "keys-exhausted"):
                raise
            raise ValidationError(
                f"{identity} has no keys for cipher suite 0x{suite:04x} at its delivery service",
                code="keys-missing",
            ) from error
    return found
