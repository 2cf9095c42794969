"""What the parts of a client share: its state, its surroundings, and the delivery services that it knows.

Every change of state is stored before anything that depends on it leaves the client, or is told to the application.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from ..errors import ServiceError, StateError
from ..federation.binding import ServiceDescription
from .delivery_service import DeliveryService, describe_through, find_service, open_session, through
from .events import Event, MessageReceived
from .ports import Ports
from .results import Delivery
from .state import ClientState, Fanout

T = TypeVar("T")


@dataclass(eq=False)
class Lane:
    """One way on which messages go out (`outbox`).

    Attributes:
        lock: held while it is worked through.
        failures: how often in a row something was left.
        pauses: how many there were since.
        not_before: when it is tried again, Unix seconds.
        busy: whether it is being worked through.
    """

    lock: AbstractAsyncContextManager[Any]
    failures: int = 0
    pauses: int = 0
    not_before: float = 0.0
    busy: bool = False


class Core:
    """A client's state and means.

    Args:
        state: as it was stored last.
        ports: the client's surroundings.
        tell: is told what happens; it must not raise.
        confirms: whether the application says of each message, by `told`, that it has it; else being told is enough.

    Attributes:
        services: the delivery services that were found, by domain.
        changing: held while the state changes: never while the network is waited for, so that the inbox goes on.
        sending: held from a command to its delivery, so that messages go out in the order in which they were made.
        lanes: on which messages go out, by domain.
        awaited: messages and recipients of which somebody waits to hear.
        something_left: set when the outbox is to be looked at.
    """

    def __init__(
        self, state: ClientState, ports: Ports, tell: Callable[[Event], None], *, confirms: bool = False
    ) -> None:
        self.state = state
        self.ports = ports
        self.tell = tell
        self._confirms = confirms
        self._retired = False
        # The number of the last message that the application has.
        self._told = 0
        self.services: dict[str, DeliveryService] = {}
        self.changing = ports.new_lock()
        self.sending = ports.new_lock()
        self.lanes: dict[str, Lane] = {}
        self.awaited: list[dict[tuple[bytes, str], Delivery]] = []
        self.something_left = ports.new_event()
        self._token: bytes | None = None
        self._descriptions: dict[str, ServiceDescription] = {}

    async def keep(self, after: ClientState) -> None:
        """Store a state; from then on it is ours. To be called with `changing` held.

        Raises:
            StorageError: it could not be stored, and nothing has changed.
            StateError: code `closed`: somebody else goes on with what was stored last.
        """
        if self._retired:
            raise StateError("this client was closed", code="closed")
        await self.ports.storage.save(self._without_told(after))
        # It may have confirmed more meanwhile.
        self.state = self._without_told(after)

    async def retire(self) -> ClientState:
        """Change nothing any more, whatever is still under way; what was stored last is returned."""
        async with self.changing:
            self._retired = True
        return self.state

    async def keep_and_tell(self, after: ClientState, events: Sequence[Event]) -> None:
        """Store a state, then tell what has happened. To be called with `changing` held.

        Messages are stored with the state until they were told: nothing else would bring them again.

        Raises:
            StorageError: the state could not be stored; nothing has changed, and nothing was told.
        """
        received, numbered = after.received, []
        for event in events:
            if isinstance(event, MessageReceived):
                received += 1
                event = replace(event, number=received)
            numbered.append(event)
        untold = tuple(event for event in numbered if isinstance(event, MessageReceived))
        await self.keep(replace(after, received=received, untold=(*after.untold, *untold)))
        for event in numbered:
            self.tell(event)
        if not self._confirms:
            self.told(received)

    def told(self, number: int) -> None:
        """The application has the messages up to this number; the next state that is stored says so, too."""
        self._told = max(self._told, number)
        self.state = self._without_told(self.state)

    def _without_told(self, state: ClientState) -> ClientState:
        left = tuple(event for event in state.untold if event.number > self._told)
        return state if left == state.untold else replace(state, untold=left)

    async def tell_untold(self) -> None:
        """Tell what the application may not have been told when the client ended."""
        async with self.changing:
            for event in self.state.untold:
                self.tell(event)
            if not self._confirms:
                self.told(self.state.received)

    def service(self, domain: str) -> DeliveryService:
        """The delivery service of a domain.

        Raises:
            StateError: code `unknown-domain`: nobody has said where it is.
        """
        found = self.services.get(domain)
        if found is None:
            raise StateError(
                f"nobody has said where the delivery service of {domain} is; set it first",
                code="unknown-domain",
            )
        return found

    @property
    def own_service(self) -> DeliveryService:
        """The delivery service of our own domain.

        Raises:
            StateError: code `unknown-domain`.
        """
        return self.service(self.state.account.domain)

    @property
    def descriptions(self) -> dict[str, ServiceDescription]:
        """What the services say of themselves that we have met, by domain."""
        found = {domain: service.description for domain, service in self.services.items()}
        return {**self._descriptions, **found}

    async def ask(self, domain: str, request: Callable[[DeliveryService], Awaitable[T]]) -> T:
        """The answer to a request that needs no session of the service of any domain: asked there, or through our own service.

        Args:
            request: is given the service, and uses `delivery_service`'s functions on it. It may be called twice.

        Raises:
            StateError: code `unknown-domain`.
            ServiceError: of that service; or of ours, such as `peer-unreachable` or `peer-not-allowed`.
            TransportError: code `unreachable`.
        """
        if self.state.fanout is not Fanout.server or domain == self.state.account.domain:
            return await request(self.service(domain))
        own, description = self.own_service, await self.description(domain)
        return await self.in_session(lambda token: request(through(own, description, token)))

    async def description(self, domain: str, *, again: bool = False) -> ServiceDescription:
        """What the service of any domain says of itself: as it was found, or as our own service passes it on.

        Args:
            again: whether it is asked anew.

        Raises:
            Everything that `ask` and `find_service` raise.
        """
        transport = self.ports.transport
        if self.state.fanout is not Fanout.server or domain == self.state.account.domain:
            if again:
                self.services[domain] = await find_service(transport, domain, self.service(domain).url)
            return self.service(domain).description
        if again or domain not in self._descriptions:
            own = self.own_service
            self._descriptions[domain] = await self.in_session(
                lambda token: describe_through(transport, own, domain, token)
            )
        return self._descriptions[domain]

    # -- our session there

    async def session_token(self) -> bytes:
        """The token of our session at our delivery service, which is opened if there is none. Secret.

        Raises:
            ServiceError: code `identity-claimed` among others.
            TransportError: code `unreachable`.
        """
        if self._token is None:
            self._token = await open_session(
                self.ports.transport, self.own_service, self.ports.provider, self.state.account
            )
        return self._token

    def end_session(self) -> None:
        """Open another session when one is needed next."""
        self._token = None

    async def in_session(self, request: Callable[[bytes], Awaitable[T]]) -> T:
        """The answer to a request that needs the session's token; with a fresh one if the session has ended."""
        try:
            return await request(await self.session_token())
        except ServiceError as error:
            if error.code != "unauthorized":
                raise
        self.end_session()
        return await request(await self.session_token())
