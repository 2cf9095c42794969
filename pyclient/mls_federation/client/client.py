"""The client: what an application holds. It ties the session to the network, storage and clock behind its ports.

Every change of state is stored before anything that depends on it leaves the client, or is told to the application;
so it may be stopped at any moment, and nothing that was acknowledged is lost, and no key is used twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from ..crypto import CipherSuite
from ..errors import (
    RemoteError,
    ServiceError,
    StateError,
    StorageError,
    TransportError,
    UnsupportedError,
    UsageError,
)
from ..federation.binding import (
    CLOSE_BAD_CURSOR,
    CLOSE_BAD_TOKEN,
    CLOSE_REPLACED,
    InboxAck,
    InboxDelivery,
    InboxFrame,
    InboxHello,
    InboxKeyCount,
    KeySet,
    RecipientStatus,
    domain_of,
)
from ..federation.manifest import VerifiedBundle
from ..media import RESERVED_LABELS, SrtpKeys, SrtpProfile, export_srtp_keys
from ..mls import export_secret
from . import session
from .account import Account, new_account, new_key_sets, supported_suites
from .delivery_service import (
    DeliveryService,
    fetch_bundles,
    find_service,
    open_inbox,
    open_session,
    publish,
    submit,
)
from .events import BackgroundFailure, ConnectionChanged, Event
from .ports import Connection, ConnectionEnded, Ports
from .results import Delivery, GroupDetails, Sent, details
from .state import ClientState, GroupState, Outgoing

# Key sets for one use that are published at first, and that we keep at our delivery service from then on.
FIRST_KEY_SETS = 3
KEY_SETS = 8
# Octets that encryption, framing and up to a few hundred recipients' names add to an application message at most.
_MESSAGE_OVERHEAD = 80 * 1024
# Seconds before connecting again: at first, and at most.
_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 30.0

# Answers of a delivery service that will be the same next time: every fault of the request, but for rate limits
# and time-outs.
_FINAL_STATUSES = frozenset(range(400, 500)) - {401, 408, 429}
_TOO_LARGE = 413


class Client:
    """One client of an identity.

    Args:
        state: from `new_client`, or what a storage has kept.
        ports: its surroundings.
        on_event: is told what happens; it must not raise.
    """

    def __init__(self, state: ClientState, ports: Ports, on_event: Callable[[Event], None]) -> None:
        self._state = state
        self._ports = ports
        self._on_event = on_event
        self._services: dict[str, DeliveryService] = {}
        self._bundles: dict[str, tuple[VerifiedBundle, ...]] = {}
        self._token: bytes | None = None
        self._inbox: Connection | None = None
        self._closed = False
        # Held while the state changes: never while the network is waited for, so that the inbox goes on.
        self._changing = ports.new_lock()
        # Held from a command to its delivery, so that messages go out in the order in which they were made.
        self._sending = ports.new_lock()

    @property
    def account(self) -> Account:
        """Who this client is."""
        return self._state.account

    @property
    def groups(self) -> tuple[bytes, ...]:
        """The ids of the groups that we are in."""
        return tuple(self._state.groups)

    @property
    def waiting(self) -> tuple[Outgoing, ...]:
        """Messages that no delivery service has taken yet."""
        return self._state.outbox

    # -- delivery services

    async def set_delivery_service(self, domain: str, url: str) -> DeliveryService:
        """Say where the delivery service of a domain is; it is asked who it is.

        Raises:
            UsageError, TransportError, ServiceError, DecodeError, ValidationError, UnsupportedError: see `find_service`.
        """
        service = await find_service(self._ports.transport, domain, url)
        self._services[domain] = service
        return service

    def use_services(self, services: Mapping[str, DeliveryService]) -> None:
        """Take over services that were found before, by their domains."""
        self._services.update(services)

    def service_of(self, identity: str) -> DeliveryService:
        """The delivery service of an identity.

        Raises:
            ValidationError: code `bad-identity`.
            StateError: code `unknown-domain`: nobody has said where it is.
        """
        domain = domain_of(identity)
        return self._service(domain)

    async def register(self) -> None:
        """Claim our identity at our delivery service, or prove that it is ours, and publish keys.

        Raises:
            StateError: code `unknown-domain`.
            ServiceError: code `identity-claimed`: somebody else has it.
            TransportError: code `unreachable`.
        """
        service = self._service(self.account.domain)
        self._token = await open_session(self._ports.transport, service, self._ports.provider, self.account)
        await self._publish(FIRST_KEY_SETS)

    async def fetch_key_bundles(
        self, identity: str, cipher_suites: Sequence[CipherSuite] | None = None
    ) -> tuple[VerifiedBundle, ...]:
        """Fetch the keys of all clients of an identity from its delivery service, and verify them.

        Each fetch uses up keys of theirs; `add` uses what was fetched last.

        Args:
            cipher_suites: those that would do, the best first; all that we support, if it is not given.

        Raises:
            StateError: code `unknown-domain`.
            UnsupportedError: a suite is not available here.
            ServiceError, TransportError, ValidationError, VerificationError, DecodeError: see `fetch_bundles`.
        """
        provider = self._ports.provider
        wanted = supported_suites(provider) if cipher_suites is None else tuple(cipher_suites)
        for suite in wanted:
            if not provider.supports(suite):
                raise UnsupportedError(
                    f"cipher suite {suite.name} is not available here", code="unsupported-cipher-suite"
                )
        service = self.service_of(identity)
        bundles = await fetch_bundles(
            self._ports.transport, service, provider, identity, wanted, self._ports.now()
        )
        self._bundles[identity] = bundles
        return bundles

    # -- groups

    async def create_group(
        self, cipher_suite: CipherSuite | None = None, group_id: bytes | None = None
    ) -> GroupDetails:
        """Begin a group of ourselves alone.

        Raises:
            StateError: code `group-exists`.
            UnsupportedError: code `unsupported-cipher-suite`.
        """
        async with self._changing:
            suite = supported_suites(self._ports.provider)[0] if cipher_suite is None else cipher_suite
            after, new_id = session.start_group(
                self._ports.provider, self._state, suite, group_id, self._ports.now()
            )
            await self._keep(after)
        return self.group_details(new_id)

    async def add(self, group_id: bytes, identity: str) -> Sent:
        """Add all clients of an identity, by the keys fetched last, or by fresh ones if those do not fit.

        Raises:
            StateError: code `no-such-group`, `unknown-domain`, `already-member`.
            Everything that `fetch_key_bundles` raises.
        """
        known = self._state.group(group_id)
        suite = known.group.cipher_suite
        if any(who.identity == identity for who in known.identities.values()):
            raise StateError(f"{identity} is in this group already", code="already-member")
        fetched = self._bundles.pop(identity, ())
        if not fetched or any(bundle.chosen != suite for bundle in fetched):
            fetched = await self.fetch_key_bundles(identity, [suite])
            del self._bundles[identity]
        return await self._command(
            lambda state: session.add_clients(
                self._ports.provider, state, group_id, fetched, self._ports.now()
            ),
            group_id,
        )

    async def remove(self, group_id: bytes, identity: str) -> Sent:
        """Remove all clients of an identity.

        Raises:
            StateError: code `no-such-group`, `not-a-member`, `cannot-remove-self`.
        """
        return await self._command(
            lambda state: session.remove_identity(
                self._ports.provider, state, group_id, identity, self._ports.now()
            ),
            group_id,
        )

    async def update(self, group_id: bytes) -> Sent:
        """Begin a new epoch with fresh keys of ours.

        Raises:
            StateError: code `no-such-group`.
        """
        return await self._command(
            lambda state: session.renew_keys(self._ports.provider, state, group_id, self._ports.now()),
            group_id,
        )

    async def send(self, group_id: bytes, data: bytes) -> Sent:
        """Encrypt data for a group and hand it to the members' delivery services.

        What cannot be handed over now waits in the outbox and goes out with the next message, or by `flush`.

        Raises:
            StateError: code `no-such-group`.
            UsageError: code `message-too-large`: a member's delivery service would not take it.
        """
        self._check_size(self._state.group(group_id), data)
        return await self._command(
            lambda state: session.send(self._ports.provider, state, group_id, data)[0], group_id
        )

    async def flush(self) -> tuple[Delivery, ...]:
        """Try to hand over everything that waits in the outbox."""
        async with self._sending:
            return await self._deliver()

    def group_details(self, group_id: bytes) -> GroupDetails:
        """A group as it is now.

        Raises:
            StateError: code `no-such-group`.
        """
        return details(self._state.group(group_id))

    def export_srtp_keys(self, group_id: bytes, profile: SrtpProfile) -> tuple[SrtpKeys, ...]:
        """The SRTP keys of every member in the present epoch. Secret.

        Raises:
            StateError: code `no-such-group`.
            UsageError: code `unknown-srtp-profile`.
        """
        return export_srtp_keys(self._state.group(group_id).group, profile)

    def export_secret(self, group_id: bytes, label: str, context: bytes, length: int) -> bytes:
        """A secret of the present epoch for the application (RFC 9420 §8.5). Secret.

        Raises:
            StateError: code `no-such-group`.
            UsageError: the length is out of range; the label is not ASCII, or empty, or one of our own, such as by which
                media keys are derived.
        """
        if not label.isascii():
            raise UsageError("an exporter's label must be ASCII")
        if label.startswith(RESERVED_LABELS):
            raise UsageError(f"exporter labels that begin with {RESERVED_LABELS!r} are not for applications")
        return export_secret(self._state.group(group_id).group, label, context, length)

    # -- the inbox

    async def run(self) -> None:
        """Receive from our inbox until `close`, connecting again whenever the connection breaks.

        Raises:
            StateError: code `replaced`: this client is connected from elsewhere, and that one goes on.
        """
        pause = _FIRST_PAUSE
        while not self._closed:
            self._on_event(ConnectionChanged("connecting"))
            try:
                received = await self._receive_all()
                pause = _FIRST_PAUSE if received else min(2 * pause, _LONGEST_PAUSE)
            except (TransportError, RemoteError, StorageError) as error:
                # What could not be stored was not acknowledged either, so it comes again.
                self._on_event(BackgroundFailure(error))
                pause = min(2 * pause, _LONGEST_PAUSE)
            finally:
                self._inbox = None
                self._on_event(ConnectionChanged("disconnected"))
            if not self._closed:
                await self._ports.sleep(pause)

    async def close(self) -> None:
        """Stop receiving."""
        self._closed = True
        if self._inbox is not None:
            await self._inbox.close()

    async def _receive_all(self) -> bool:
        """One connection, from hello to its end. Returns whether it came to stand."""
        service = self._service(self.account.domain)
        if self._token is None:
            self._token = await open_session(
                self._ports.transport, service, self._ports.provider, self.account
            )
        inbox = self._inbox = await open_inbox(self._ports.transport, service)
        ready = False
        try:
            await inbox.send(InboxHello(token_secret=self._token, cursor=self._state.cursor).encode())
            while True:
                frame = InboxFrame.decode(await inbox.receive())
                if not ready:
                    ready = True
                    self._on_event(ConnectionChanged("connected"))
                    if self._state.outbox:
                        # What broke our connection may have kept messages from going out, too.
                        await self.flush()
                await self._take(inbox, frame)
        except ConnectionEnded as end:
            await self._after(end, ready)
            return ready
        finally:
            await inbox.close()

    async def _after(self, end: ConnectionEnded, was_ready: bool) -> None:
        """Prepare the next connection by what ended the last one."""
        if end.code == CLOSE_BAD_TOKEN:
            self._token = None
        elif end.code == CLOSE_BAD_CURSOR:
            # The service has lost its database, and begins to count again.
            async with self._changing:
                await self._keep(replace(self._state, cursor=0))
        elif end.code == CLOSE_REPLACED:
            self._closed = True
            raise StateError("this client is connected from elsewhere", code="replaced") from None
        elif not was_ready and not self._closed:
            raise TransportError(f"the delivery service closed our inbox at once ({end})") from None

    async def _take(self, inbox: Connection, frame: InboxFrame) -> None:
        if isinstance(frame.frame, InboxDelivery):
            await self._take_message(frame.frame)
            await inbox.send(InboxAck(cursor=self._state.cursor).encode())
        elif isinstance(frame.frame, InboxKeyCount):
            try:
                await self._publish(KEY_SETS - frame.frame.available)
            except (TransportError, RemoteError) as error:
                self._on_event(BackgroundFailure(error))

    async def _take_message(self, delivery: InboxDelivery) -> None:
        async with self._changing:
            if delivery.sequence <= self._state.cursor:
                return  # Delivered again, because the acknowledgement was lost.
            accepted = session.accept(
                self._ports.provider, self._state, delivery.sequence, delivery.message, self._ports.now()
            )
            await self._keep(accepted.state)
        for event in accepted.events:
            self._on_event(event)

    # -- within

    def _service(self, domain: str) -> DeliveryService:
        found = self._services.get(domain)
        if found is None:
            raise StateError(
                f"nobody has said where the delivery service of {domain} is; set it first",
                code="unknown-domain",
            )
        return found

    def _check_size(self, known: GroupState, data: bytes) -> None:
        """Refuse data that cannot be delivered before a key is spent on it."""
        domains = {domain_of(address) for address in known.addresses}
        limits = [
            service.description.limits["body"]
            for domain, service in self._services.items()
            if domain in domains and "body" in service.description.limits
        ]
        if limits and len(data) > min(limits) - _MESSAGE_OVERHEAD:
            raise UsageError(
                f"the message has {len(data)} octets; the members' delivery services take at most"
                f" {min(limits) - _MESSAGE_OVERHEAD}",
                code="message-too-large",
            )

    async def _keep(self, after: ClientState) -> None:
        await self._ports.storage.save(after)
        self._state = after

    async def _command(self, command: Callable[[ClientState], ClientState], group_id: bytes) -> Sent:
        """Run a command of the session, keep what it gives, and send."""
        async with self._sending:
            async with self._changing:
                before = self._state.forgetting(self._ports.now())
                epoch = before.group(group_id).group.epoch
                await self._keep(command(before))
                new = {outgoing.message_id for outgoing in self._state.outbox[len(before.outbox) :]}
            return Sent(epoch, await self._deliver(new))

    async def _publish(self, count: int) -> None:
        """Publish so many key sets for one use, and one of last resort if we have none; their private keys are kept first.

        Sets of which we do not know whether they arrived are published again, and count.
        """
        async with self._changing:
            sets = self._state.key_sets
            count -= sum(1 for own in sets if own.unconfirmed is not None and not own.last_resort)
            made = new_key_sets(
                self._ports.provider,
                self.account,
                self._ports.now(),
                count=max(0, count),
                last_resort=not any(own.last_resort for own in sets),
            )
            if made:
                await self._keep(replace(self._state, key_sets=(*sets, *made)))
        waiting = [own.unconfirmed for own in self._state.key_sets if own.unconfirmed is not None]
        if not waiting:
            return
        try:
            await self._put_key_sets(waiting)
        except ServiceError as error:
            if _is_final(error):
                # It has none of them, and would not take them another time.
                await self._settle_key_sets(waiting, published=False)
            raise
        await self._settle_key_sets(waiting, published=True)

    async def _put_key_sets(self, published: Sequence[KeySet]) -> None:
        service = self._service(self.account.domain)
        transport, provider = self._ports.transport, self._ports.provider
        if self._token is None:
            self._token = await open_session(transport, service, provider, self.account)
        try:
            await publish(transport, service, self._token, published)
        except ServiceError as error:
            if error.code != "unauthorized":
                raise
            self._token = await open_session(transport, service, provider, self.account)
            await publish(transport, service, self._token, published)

    async def _settle_key_sets(self, answered: Sequence[KeySet], *, published: bool) -> None:
        """Note what has become of sets; the keys of those that were refused are of no use."""
        async with self._changing:
            kept = tuple(
                replace(own, unconfirmed=None) if own.unconfirmed in answered else own
                for own in self._state.key_sets
                if published or own.unconfirmed is None or own.unconfirmed not in answered
            )
            await self._keep(replace(self._state, key_sets=kept))

    async def _deliver(self, reported: set[bytes] | None = None) -> tuple[Delivery, ...]:
        """Hand over the outbox, in order for each domain; a domain that is not reached keeps its messages.

        Args:
            reported: of which messages to report; of all, if it is not given.
        """
        deliveries: list[Delivery] = []
        unreached: set[str] = set()
        for outgoing in self._state.outbox:
            statuses = [Delivery(identity, "pending") for identity in outgoing.recipients]
            if outgoing.domain not in unreached:
                try:
                    statuses = await self._submit(outgoing)
                except (TransportError, RemoteError, StateError) as error:
                    self._on_event(BackgroundFailure(error))
                    unreached.add(outgoing.domain)
            if reported is None or outgoing.message_id in reported:
                deliveries += statuses
        return tuple(deliveries)

    async def _submit(self, outgoing: Outgoing) -> list[Delivery]:
        """Hand over one message, and take it from the outbox once that is settled, for good or ill."""
        try:
            results = await submit(self._ports.transport, self._service(outgoing.domain), outgoing)
            statuses = [
                Delivery(result.identity.decode("utf-8"), RecipientStatus(result.status).name)
                for result in results
            ]
        except ServiceError as error:
            if not _is_final(error):
                raise
            # It would be refused again; keeping it would only hold up what comes after it.
            self._on_event(BackgroundFailure(error))
            statuses = [Delivery(identity, "refused") for identity in outgoing.recipients]
        async with self._changing:
            left = tuple(waiting for waiting in self._state.outbox if waiting is not outgoing)
            await self._keep(replace(self._state, outbox=left))
        return statuses


def new_client(ports: Ports, identity: str, on_event: Callable[[Event], None]) -> Client:
    """A client with a fresh identity key, in no group.

    Raises:
        ValidationError: code `bad-identity`.
    """
    return Client(ClientState(account=new_account(ports.provider, identity)), ports, on_event)


def _is_final(refusal: ServiceError) -> bool:
    """Whether it is the delivery service itself that refuses, for good, and not something on the way to it.

    What stands before a service may say 404 while the service is away; but who finds a request too large always will.
    """
    said_by_service = refusal.code != ServiceError.default_code
    return refusal.status == _TOO_LARGE or (said_by_service and refusal.status in _FINAL_STATUSES)
