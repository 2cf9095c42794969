"""Bringing our commits to the services that order them, and asking those for what we have missed; and doing again, a little
later, what a commit that won has undone.

   command ──► pending commit, stored ──► service ──► accepted: applied, put out
                      ▲                      └──────► wrong epoch: what was missed is applied, and the intent made again
                      └─────────────── after a random pause ──┘
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TypeVar

from ..errors import RemoteError, ServiceError, StateError, StorageError, TransportError
from ..federation.ordering import (
    CommitResponse,
    GroupInfoRequest,
    GroupInfoResponse,
    MissedCommits,
    MissedRequest,
    OrderingReceipt,
    RegisterGroupResponse,
    group_info_sign_content,
)
from . import ordered, session
from .accepting import Accepted, accept_missed, accept_receipt
from .core import Core
from .delivery_service import DeliveryService, ask
from .events import BackgroundFailure
from .outbox import deliver
from .refusals import is_final
from .state import ClientState, GroupState

T = TypeVar("T")

# How often a commit is made again in one go, if others always come first; after that it waits for its next turn.
_TRIES = 10
# Seconds before something is done again: a random part of this, doubled each time, up to the most.
_PAUSE = 0.25
_LONGEST_PAUSE = 8.0
# Seconds for which a message of a later epoch may wait before its service is asked what we have missed.
_PATIENCE = 2
# Seconds between two looks at what is to be done, if nothing else wakes us.
_LOOK = 1.0


class Ordering:
    """What a client does about the order of commits.

    Attributes:
        due: when each group is to be seen to next, and how often in a row it was in vain.
    """

    def __init__(self, core: Core) -> None:
        self._core = core
        self._due: dict[bytes, tuple[float, int]] = {}
        self._news = core.ports.new_event()
        # Held while a group's pending commit is being brought to its service.
        self._settling = core.ports.new_lock()

    def look(self) -> None:
        """Something may have to be done."""
        self._news.set()

    async def run(self) -> None:
        """See to all groups, again and again, until cancelled."""
        while True:
            self._news.clear()
            await self._see_to_all()
            if any(self.has_work(known) for known in self._core.state.groups.values()):
                await self._core.ports.sleep(_LOOK * self._chance())
            else:
                await self._news.wait()

    async def settle(self, group_id: bytes) -> None:
        """Bring our pending commit in a group to its service, and follow what that answers; to be called without locks.

        Returns when nothing is pending any more, or others always came first.

        Raises:
            StateError: code `unknown-domain`: nobody has said where the service is.
            ServiceError: it refuses, such as with code `invalid-commit`; the commit is given up.
            TransportError: it was not reached; the commit stays.
        """
        async with self._settling:
            for tries in range(_TRIES):
                known = self._core.state.groups.get(group_id)
                if known is None:
                    return
                if known.lost:
                    await self._come_back(known)
                elif known.pending is not None:
                    await self._submit(known)
                elif session.must_repeat(known):
                    await self._pause(tries)
                    await self._change(lambda state: self._repeated(state, group_id))
                elif self._is_to_register(known):
                    await self._register(known)
                else:
                    return

    async def rejoin(self, group_id: bytes) -> None:
        """Come back into a group by a commit of our own, whatever we have missed there.

        Raises:
            StateError: code `no-such-group`, `unknown-domain`; `not-ordered`: the members order its commits themselves.
            ValidationError: code `not-a-member`: we are not in it any more.
            ServiceError, TransportError: as `settle`.
        """
        known = self._core.state.group(group_id)
        if not known.ordered_by_service:
            raise StateError("the members of this group order its commits themselves", code="not-ordered")
        await self._change(
            lambda state: state.with_group(replace(state.group(group_id), lost=True, pending=None))
        )
        await self.settle(group_id)

    # -- in the background

    def has_work(self, known: GroupState) -> bool:
        """Whether there is something to be done about the order of a group's commits."""
        waits = known.ordered_by_service and known.stuck_since is not None
        due = known.pending is not None or known.lost or session.must_repeat(known)
        return due or waits or self._is_to_register(known)

    def _is_to_register(self, known: GroupState) -> bool:
        """Whether a group was handed over to our own service, or has begun anew there, and we do not know that that knows it."""
        return known.group.epoch > 0 and not known.registered and self._is_ours(known)

    def _is_ours(self, known: GroupState) -> bool:
        """Whether our own service orders a group's commits."""
        return known.agreement.domain.decode("ascii") == self._core.state.account.domain

    async def _see_to_all(self) -> None:
        for group_id, known in self._core.state.groups.items():
            if not self.has_work(known):
                self._due.pop(group_id, None)
                continue
            now = self._core.ports.now()
            at, tries = self._due.setdefault(group_id, (now + _PAUSE * 4 * self._chance(), 0))
            if now < at:
                continue
            try:
                await self._see_to(known)
            except (TransportError, RemoteError, StateError, StorageError) as error:
                self._core.tell(BackgroundFailure(error))
            pause = min(_LONGEST_PAUSE, _PAUSE * 4 * 2**tries)
            self._due[group_id] = (self._core.ports.now() + pause * (0.5 + self._chance()), tries + 1)

    async def _see_to(self, known: GroupState) -> None:
        core, group_id = self._core, known.group.group_id
        if not known.ordered_by_service:
            await self._change(lambda state: self._repeated(state, group_id))
        else:
            if known.stuck_since is not None and core.ports.now() - known.stuck_since >= _PATIENCE:
                await self._catch_up(known)
            await self.settle(group_id)
        async with core.sending:
            await deliver(core, ())

    def _repeated(self, state: ClientState, group_id: bytes) -> ClientState:
        if group_id not in state.groups:
            return state
        return session.repeat(self._core.ports.provider, state, group_id, self._core.ports.now())

    # -- with the service

    async def _submit(self, known: GroupState) -> None:
        """Have our pending commit ordered, or learn what has come before it."""
        core, group_id, pending = self._core, known.group.group_id, known.pending
        assert pending is not None  # the caller looked
        try:
            if not known.registered and not pending.rejoins:
                await self._register(known)
            request = ordered.commit_request(pending)
            answer = await self._ask(
                known, lambda service: ask(core.ports.transport, service, "commits", request, CommitResponse)
            )
        except ServiceError as error:
            if error.code == "unknown-group" and known.registered:
                # It has lost its database, or was never told by whoever handed the group over to it.
                await self._change(lambda state: _marked(state, group_id, registered=False))
            elif error.code == "unknown-group":
                raise _not_registered(known) from error
            elif error.code == "group-moved":
                await self._catch_up(known)
            elif is_final(error):
                await self._change(lambda state: _given_up(state, group_id))
                raise
            else:
                raise
            return
        result = answer.result
        if isinstance(result, OrderingReceipt):
            receipt = result
            await self._accept(lambda state, now: self._receipt(state, group_id, receipt, now))
        elif pending.rejoins:
            await self._change(lambda state: _marked(state, group_id, lost=True))
        else:
            await self._follow(group_id, result)

    def _receipt(self, state: ClientState, group_id: bytes, receipt: OrderingReceipt, now: int) -> Accepted:
        known = state.groups.get(group_id)
        if known is None or known.pending is None:
            return Accepted(state, ())  # It came back to us by the inbox meanwhile.
        return accept_receipt(self._core.ports.provider, state, group_id, receipt, now)

    async def _register(self, known: GroupState) -> None:
        core, group_id = self._core, known.group.group_id
        ours = self._is_ours(known)
        request = ordered.registration(known, in_session=ours)
        if not ours and request.moved_by is None:
            return  # Only a member of its own domain can tell it of the group, and perhaps one has.

        async def register(service: DeliveryService, token: bytes | None = None) -> RegisterGroupResponse:
            return await ask(core.ports.transport, service, "groups", request, RegisterGroupResponse, token)

        try:
            if ours:
                await core.in_session(lambda token: register(core.own_service, token))
            else:
                await self._ask(known, register)
        except ServiceError as error:
            if error.code == "invalid-group" and not ours:
                raise _not_registered(known) from error
            # Somebody has registered it, and it has gone on since: the next answer says how.
            if error.code != "group-exists":
                raise
        await self._change(lambda state: _marked(state, group_id, registered=True))

    async def _catch_up(self, known: GroupState) -> None:
        """Ask for the commits that we have missed, and follow them."""
        core, group_id = self._core, known.group.group_id
        request = MissedRequest(group_id=group_id, epoch=known.group.epoch)
        missed = await self._ask(
            known, lambda service: ask(core.ports.transport, service, "missed", request, MissedCommits)
        )
        await self._follow(group_id, missed)

    async def _follow(self, group_id: bytes, missed: MissedCommits) -> None:
        provider = self._core.ports.provider
        await self._accept(lambda state, now: accept_missed(provider, state, group_id, missed, now))

    async def _come_back(self, known: GroupState) -> None:
        """Make the commit by which we come back; it is brought to the service next."""
        core, group_id = self._core, known.group.group_id
        account, provider, now = core.state.account, core.ports.provider, core.ports.now()

        async def fetch(service: DeliveryService) -> GroupInfoResponse:
            content = group_info_sign_content(service.domain, group_id, account.credential, now)
            request = GroupInfoRequest(
                group_id=group_id,
                credential=account.credential,
                time=now,
                signature=provider.sign(account.scheme, account.identity_key.private_key, content),
            )
            return await ask(core.ports.transport, service, "group_info", request, GroupInfoResponse)

        answer = await self._ask(known, fetch)
        await self._change(
            lambda state: _marked(
                ordered.rejoining(provider, state, group_id, answer, now), group_id, lost=False
            )
        )

    async def _ask(self, known: GroupState, request: Callable[[DeliveryService], Awaitable[T]]) -> T:
        """The answer of the service that orders a group's commits."""
        return await self._core.ask(known.agreement.domain.decode("ascii"), request)

    # -- state

    async def _change(self, change: Callable[[ClientState], ClientState]) -> None:
        async with self._core.changing:
            await self._core.keep(change(self._core.state))

    async def _accept(self, accept: Callable[[ClientState, int], Accepted]) -> None:
        core = self._core
        async with core.changing:
            accepted = accept(core.state, core.ports.now())
            await core.keep_and_tell(accepted.state, accepted.events)

    async def _pause(self, tries: int) -> None:
        await self._core.ports.sleep(min(_LONGEST_PAUSE, _PAUSE * 2**tries) * self._chance())

    def _chance(self) -> float:
        """A random number from 0 to 1."""
        return int.from_bytes(self._core.ports.provider.random(2), "big") / 0xFFFF


def _not_registered(known: GroupState) -> StateError:
    return StateError(
        f"the service of {known.agreement.domain.decode('ascii')} is to order the group's commits, and does not"
        " know it yet; a member of that domain will tell it",
        code="not-registered",
    )


def _marked(
    state: ClientState, group_id: bytes, *, registered: bool | None = None, lost: bool | None = None
) -> ClientState:
    known = state.groups.get(group_id)
    if known is None:
        return state
    if registered is not None:
        known = replace(known, registered=registered)
    if lost is not None:
        known = replace(known, lost=lost, pending=None if lost else known.pending)
    return state.with_group(known)


def _given_up(state: ClientState, group_id: bytes) -> ClientState:
    """The state without a commit that its service will never order."""
    return state.with_group(replace(state.group(group_id), pending=None))
