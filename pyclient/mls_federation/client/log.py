"""The logs of delivery services, as a client follows them: nothing that one says of an identity is believed without.

What a service signs is compared with what it signed before, for us and for the members of our groups. What does not fit together
is a fault: it is told to the application, and nobody of that domain is added until `clear_fault`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial

from ..errors import MLSError, RemoteError, ServiceError, TransportError, ValidationError, VerificationError
from ..federation.audit import Finding, audit
from ..federation.binding import domain_of
from ..federation.credentials import basic_identity
from ..federation.devices import Device, DeviceEventType, Devices
from ..federation.log import (
    ConsistencyRequest,
    IdentityHistory,
    LoggedEvent,
    SignedTreeHead,
    chain_tip,
    compare_heads,
    logged_device,
    verify_growth,
    verify_history,
    verify_tree_head,
)
from . import delivery_service
from .core import Core
from .events import LogFault, OwnDevicesChanged
from .log_state import Logs, domain_of_head
from .refusals import is_final
from .results import FetchedKeys


async def fetch_devices(core: Core, identity: str) -> Devices:
    """Who may speak for an identity, as its delivery service says and shows to be in its log.

    Raises:
        StateError: code `unknown-domain`.
        ServiceError: code `unknown-identity` among others.
        TransportError: code `unreachable`.
        ValidationError, VerificationError, DecodeError: see `accept_history`.
    """
    before = core.state.logs
    history = await core.ask(
        domain_of(identity),
        lambda service: delivery_service.fetch_history(core.ports.transport, service, identity),
    )
    return await accept_history(core, identity, history, before)


async def accept_history(core: Core, identity: str, history: IdentityHistory, before: Logs) -> Devices:
    """Who may speak for an identity, by a history that its delivery service has answered with.

    It must be valid, in the log, and go on from what we have seen; and the log must have grown from what we have seen.

    Args:
        before: what we knew when the service was asked: answers may overtake each other.

    Raises:
        ValidationError: code `pinned-key-changed`, `not-in-log`, `history-withheld`, `history-forked` among others.
        VerificationError: code `bad-tree-head`, `bad-inclusion-proof`, `old-tree-head`: the service has shown a larger log before;
            `log-forked`, `log-rewritten`: these two are faults.
        ServiceError, TransportError: the service does not show how its log has grown.
    """
    domain = domain_of(identity)
    key = await pinned_key(core, domain)
    known = before.chains.get(identity)
    try:
        devices = verify_history(core.ports.provider, key, identity, history, known)
    except VerificationError as error:
        if error.code == "bad-tree-head":
            await _ask_for_key(core, domain)
        raise
    _check_not_older(domain, history.head, before)
    await _agree(core, domain, history.head)
    tip = chain_tip(devices)
    await _keep(core, lambda logs: logs.with_chain(identity, tip))
    if identity == core.state.account.identity:
        _tell_news(core, history.events, 0 if known is None else known.events)
    return devices


async def verify_fetched(
    core: Core, identity: str, fetched: FetchedKeys, history: IdentityHistory, before: Logs
) -> None:
    """Return if an answer is about the clients that may speak for the identity, as its history has them.

    Raises:
        Everything that `accept_history` and `check_fetched` raise.
    """
    check_fetched(await accept_history(core, identity, history, before), identity, fetched)


def check_fetched(devices: Devices, identity: str, fetched: FetchedKeys) -> None:
    """Return if the clients of whom there are keys, or none, are those that may speak for the identity, and all of them.

    Raises:
        ValidationError: code `not-in-log`, `revoked-device`, `device-left-out`; `bad-lineage`: a device shows in its leaves
            that it belongs to somebody else of that name.
    """
    root_key = basic_identity(devices.root).public_key
    for bundle in fetched.bundles:
        logged_device(devices, bundle.user_init_key.credential, bundle.client_id)
        if bundle.root_key != root_key:
            raise ValidationError(
                f"a device of {identity} does not show that it was admitted", code="bad-lineage"
            )
    named = {bundle.client_id for bundle in fetched.bundles} | {one.client_id for one in fetched.without}
    if not named <= devices.active.keys():
        raise ValidationError(f"a client of {identity} that is not in the log", code="not-in-log")
    if not devices.active.keys() <= named:
        raise ValidationError(
            f"the delivery service has left out a device of {identity}, which would not get our messages",
            code="device-left-out",
        )


async def pinned_key(core: Core, domain: str) -> bytes:
    """The signing key of a delivery service: the one that it had when we met it, which may be now.

    Raises:
        StateError: code `unknown-domain`.
        ValidationError: code `pinned-key-changed`.
    """
    key = (await core.description(domain)).signing_key
    try:
        await _keep(core, lambda logs: logs.pinned(domain, key))
    except ValidationError as error:
        await _fault(core, domain, error, ())
        raise
    return key


async def meet(core: Core, domain: str) -> None:
    """Pin the key of a service whose address was set. If it has another than before, that is a fault, and told as such: messages
    do not depend on it.

    Raises:
        StorageError: the pin could not be stored.
    """
    key = core.service(domain).description.signing_key
    try:
        await _keep(core, lambda logs: logs.pinned(domain, key))
    except ValidationError as error:
        await _fault(core, domain, error, ())


async def watch(core: Core) -> None:
    """See what our delivery service says of ourselves: this device must be in it, or have been revoked.

    What it says wrongly is a fault. New devices, and revocations, are told (`OwnDevicesChanged`).

    Raises:
        ServiceError, TransportError: it could not be asked.
    """
    account = core.state.account
    evidence: tuple[SignedTreeHead, ...] = ()
    before = core.state.logs
    try:
        history = await delivery_service.fetch_history(
            core.ports.transport, core.own_service, account.identity
        )
        evidence = (history.head,)
        devices = await accept_history(core, account.identity, history, before)
        await keep_lineage(core, logged_device(devices, account.credential, account.client_id))
    except (ServiceError, TransportError):
        raise
    except RemoteError as error:
        if error.code != "revoked-device":
            await _fault(core, account.domain, error, evidence)


async def keep_lineage(core: Core, own: Device) -> None:
    """Keep what our leaves must show: who has admitted us."""
    async with core.changing:
        account = core.state.account
        if account.lineage != own.lineage:
            await core.keep(replace(core.state, account=replace(account, lineage=own.lineage)))


async def settle(core: Core, domain: str) -> None:
    """Compare the heads of a log that others have told us of with ours: the service has to show how one grew into the other.

    Raises:
        ServiceError, TransportError, StateError: the service could not be asked.
    """
    for head in core.state.logs.unproven:
        if domain_of_head(head) == domain and domain not in core.state.logs.faults:
            try:
                await _agree(core, domain, head)
            except VerificationError:
                continue  # a fault, and told as such
            await _keep(core, partial(Logs.settled, head=head))


def unsettled_domains(core: Core) -> frozenset[str]:
    """The domains of whose logs others have told us heads that are still to be compared with ours."""
    logs = core.state.logs
    return frozenset(domain_of_head(head) for head in logs.unproven) - logs.faults.keys()


async def fetch_tree_head(core: Core, domain: str) -> SignedTreeHead:
    """The present head of a log, which has grown from the one that we know.

    Raises:
        Everything that `accept_history` raises of heads.
    """
    before = core.state.logs
    head = await core.ask(
        domain, lambda service: delivery_service.fetch_tree_head(core.ports.transport, service)
    )
    verify_tree_head(core.ports.provider, await pinned_key(core, domain), domain, head)
    _check_not_older(domain, head, before)
    await _agree(core, domain, head)
    return head


async def clear_fault(core: Core, domain: str) -> None:
    """Forget all that we know of a domain's log, and its service's key: from now on, what it says is believed as at first.

    Raises:
        StateError: code `unknown-domain`.
        TransportError, ServiceError, DecodeError, ValidationError: the service does not say who it is; nothing is forgotten.
    """
    found = await core.description(domain, again=True)
    await _keep(core, lambda logs: logs.forgotten(domain).pinned(domain, found.signing_key))


async def audit_log(core: Core, domain: str) -> tuple[Finding, ...]:
    """Read the whole log of a domain, and report every entry that must not be in it.

    Raises:
        VerificationError: code `bad-log-entries`: the service gives other entries than those it has signed; or as
            `fetch_tree_head`.
        ServiceError, TransportError, StateError, ValidationError, DecodeError: as `fetch_tree_head`.
    """
    head = await fetch_tree_head(core, domain)
    entries: list[bytes] = []
    while len(entries) < head.tree_head.tree_size:
        start = len(entries)
        more = await core.ask(
            domain, partial(delivery_service.fetch_entries, core.ports.transport, start=start)
        )
        if not more:
            break
        entries += more
    # It may have grown since.
    return audit(core.ports.provider, head, entries[: head.tree_head.tree_size])


# -- one log


async def _agree(core: Core, domain: str, head: SignedTreeHead) -> None:
    """Return when a verified head was shown to be of the log whose head we keep; the larger one is kept then.

    Raises:
        VerificationError: a fault: code `log-forked`, `log-rewritten`, `bad-tree-head`.
        ServiceError, TransportError: the service cannot be asked now.
    """
    while True:
        known = core.state.logs.heads.get(domain)
        if known is not None:
            try:
                question = compare_heads(known, head)
                if question is not None:
                    verify_growth(known, head, await _consistency_path(core, domain, question))
            except VerificationError as error:
                await _fault(core, domain, error, (known, head))
                raise
        async with core.changing:
            logs = core.state.logs
            if logs.heads.get(domain) == known:
                after = logs.with_head(head)
                if after is not logs:
                    await core.keep(replace(core.state, logs=after))
                return


async def _consistency_path(core: Core, domain: str, question: ConsistencyRequest) -> tuple[bytes, ...]:
    try:
        return await core.ask(
            domain,
            lambda service: delivery_service.fetch_consistency(core.ports.transport, service, question),
        )
    except ServiceError as error:
        if is_final(error):
            # It has signed both heads, and will not say how the one came of the other.
            raise VerificationError(
                f"the delivery service of {domain} does not show how its log has grown", code="log-rewritten"
            ) from error
        raise


async def _ask_for_key(core: Core, domain: str) -> None:
    """Where a head is not signed by the key that we know, see whether the service has another now, and says so.

    Raises:
        ValidationError: code `pinned-key-changed`: that is so, and a fault.
    """
    await core.description(domain, again=True)
    await pinned_key(core, domain)


def _check_not_older(domain: str, head: SignedTreeHead, before: Logs) -> None:
    known = before.heads.get(domain)
    if known is not None and head.tree_head.tree_size < known.tree_head.tree_size:
        raise VerificationError(
            f"the delivery service of {domain} shows its log as it was before what it has shown already",
            code="old-tree-head",
        )


async def _fault(core: Core, domain: str, error: MLSError, evidence: Iterable[SignedTreeHead]) -> None:
    if domain in core.state.logs.faults:
        return
    shown = tuple(evidence)
    await _keep(core, lambda logs: logs.with_fault(domain, error.code, shown))
    core.tell(LogFault(domain, error, shown))


async def _keep(core: Core, change: Callable[[Logs], Logs]) -> None:
    async with core.changing:
        after = change(core.state.logs)
        if after is not core.state.logs:
            await core.keep(replace(core.state, logs=after))


def _tell_news(core: Core, events: Iterable[LoggedEvent], seen: int) -> None:
    """Tell of devices of ours that came or went since we looked last, by others than this device."""
    account = core.state.account
    chain = [logged.event for logged in events]
    # What came before us has admitted us, and who is not admitted yet has no devices.
    joined = next(
        (at for at, event in enumerate(chain, 1) if event.credential == account.credential), len(chain)
    )
    news = [event for event in chain[max(seen, joined) :] if event.signer != account.credential]
    admitted = tuple(event.client_id for event in news if event.event_type is not DeviceEventType.revoke)
    revoked = tuple(event.client_id for event in news if event.event_type is DeviceEventType.revoke)
    if admitted or revoked:
        core.tell(OwnDevicesChanged(admitted, revoked))
