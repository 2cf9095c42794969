"""The client: what an application holds. It ties the session to the network, storage and clock behind its ports.

Every change of state is stored before anything that depends on it leaves the client, or is told to the application;
so it may be stopped at any moment, and nothing that was acknowledged is lost, and no key is used twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Literal

from ..crypto import CipherSuite
from ..errors import RemoteError, ServiceError, StateError, TransportError, UnsupportedError, UsageError
from ..federation.audit import Finding
from ..federation.binding import domain_of
from ..media import (
    RESERVED_LABELS,
    SFrameKeys,
    SrtpKeys,
    SrtpProfile,
    export_sframe_keys,
    export_srtp_keys,
)
from ..mls import export_secret
from ..mls.ratchet_tree import encode_tree
from . import devices, log, newcomers, session
from .account import Account, new_account, supported_suites
from .core import Core
from .delivery_service import DeliveryService, fetch_bundles, find_service
from .devices import DeviceDetails
from .events import BackgroundFailure, Event
from .handed_out import with_handed_out
from .keys import FIRST_KEY_SETS, publish_key_sets
from .log_state import Fault
from .ordering import Ordering
from .outbox import check_size, deliver, try_again
from .ports import Ports
from .receiving import Receiver
from .reinitialization import current
from .results import Delivery, FetchedKeys, GroupDetails, Sent, details
from .state import ClientState, Fanout, GroupState, Outgoing


class Client:
    """One client of an identity.

    Args:
        state: from `new_client`, or what a storage has kept.
        ports: its surroundings.
        on_event: is told what happens; it must not raise.
        confirms: whether the application says of each message, by `told`, that it has it. Else being told is enough, and a message
            is lost if the application ends before it has made something of it.
    """

    def __init__(
        self, state: ClientState, ports: Ports, on_event: Callable[[Event], None], *, confirms: bool = False
    ) -> None:
        self._core = Core(state, ports, on_event, confirms=confirms)
        self._ordering = Ordering(self._core)
        self._receiver = Receiver(self._core, self._ordering)
        self._fetched: dict[str, FetchedKeys] = {}

    @property
    def account(self) -> Account:
        """Who this client is."""
        return self._core.state.account

    @property
    def groups(self) -> tuple[bytes, ...]:
        """The ids of the groups that we are in."""
        return tuple(self._core.state.groups)

    @property
    def is_registered(self) -> bool:
        """Whether our delivery service has keys of ours, as far as we know: `register` has succeeded once."""
        return any(own.unconfirmed is None for own in self._core.state.key_sets)

    @property
    def waiting(self) -> tuple[Outgoing, ...]:
        """Messages that no delivery service has taken yet."""
        return self._core.state.outbox

    # -- delivery services

    @property
    def fanout(self) -> Fanout:
        """Who brings our messages to their recipients' delivery services."""
        return self._core.state.fanout

    async def set_fanout(self, fanout: Fanout | str) -> None:
        """Say who brings our messages to their recipients' delivery services, from now on, and asks them for keys.

        With `Fanout.server`, we talk to our own service alone, and need no other's address. What waits in the outbox goes the
        new way; what our service has taken on already may come after it.

        Args:
            fanout: or its value, "client" or "server".

        Raises:
            UsageError: it is neither.
        """
        try:
            chosen = Fanout(fanout)
        except ValueError:
            raise UsageError('the fanout is "client" or "server"') from None
        async with self._core.changing:
            await self._core.keep(replace(self._core.state, fanout=chosen))
        try_again(self._core)

    async def set_delivery_service(self, domain: str, url: str) -> DeliveryService:
        """Say where the delivery service of a domain is; it is asked who it is.

        If it signs by another key than it did when we met it, that is a fault (`LogFault`).

        Raises:
            UsageError, TransportError, ServiceError, DecodeError, ValidationError, UnsupportedError: see `find_service`.
        """
        service = await find_service(self._core.ports.transport, domain, url)
        self._core.services[domain] = service
        await log.meet(self._core, domain)
        return service

    def use_services(self, services: Mapping[str, DeliveryService]) -> None:
        """Take over services that were found before, by their domains."""
        self._core.services.update(services)

    def service_of(self, identity: str) -> DeliveryService:
        """The delivery service of an identity.

        Raises:
            ValidationError: code `bad-identity`.
            StateError: code `unknown-domain`: nobody has said where it is.
        """
        domain = domain_of(identity)
        return self._core.service(domain)

    async def register(self, sign_in_token: str | None = None) -> None:
        """Claim our identity at our delivery service, or prove that it is ours, and publish keys.

        Args:
            sign_in_token: what the operator's sign-in has given us, if the service has one. Secret.

        Raises:
            StateError: code `unknown-domain`; `not-admitted`: the identity has other devices. If they are ours, one of them is
                to admit this one (`device_request`, `admit_device`).
            ServiceError: code `claim-refused`: the operator's sign-in does not give us this identity.
            TransportError: code `unreachable`.
        """
        self._core.end_session()
        await devices.register(self._core, sign_in_token)
        await publish_key_sets(self._core, FIRST_KEY_SETS)

    # -- our devices

    def device_request(self) -> str:
        """What another device of ours needs to admit this one: a text without secrets, to be shown or sent to it."""
        return devices.own_request(self._core)

    async def admit_device(self, request: str) -> bytes:
        """Admit the device that a request is from, and return its client_id. It is to register after that.

        Whoever is admitted can speak for our identity: be sure that the request comes from our own device.

        Raises:
            ValidationError: code `bad-device-request`, `wrong-identity`: it is no such request, or not for our identity.
            VerificationError: code `bad-signature`.
            StateError: code `not-a-device`: this device was revoked.
            ServiceError: code `too-many-clients`, `revoked-device` among others.
            TransportError: code `unreachable`.
        """
        return await devices.admit(self._core, request)

    async def devices(self) -> tuple[DeviceDetails, ...]:
        """All devices that our identity has or had.

        Raises:
            ServiceError, TransportError, ValidationError, VerificationError: they are not to be had, or not proven.
        """
        return await devices.list_devices(self._core)

    async def revoke_device(self, client_id: bytes) -> tuple[bytes, ...]:
        """Revoke a device of ours: it can speak for us no more, and gets no more messages. It may be this one.

        Returns:
            The groups of ours that it is still a member of, until somebody removes it: see `remove_device`.

        Raises:
            StateError: code `not-a-device`: there is no such device, or this one was revoked.
            ServiceError: code `last-device` among others.
            TransportError: code `unreachable`.
        """
        return await devices.revoke(self._core, client_id)

    async def fetch_key_bundles(
        self, identity: str, cipher_suites: Sequence[CipherSuite] | None = None
    ) -> FetchedKeys:
        """Fetch the keys of all clients of an identity from its delivery service, and verify them.

        Each fetch uses up keys of theirs; `add` uses what was fetched last.

        Args:
            cipher_suites: those that would do, the best first; all that we support, if it is not given.

        Returns:
            What was there of each client; of those without keys, why.

        Raises:
            StateError: code `unknown-domain`; `log-fault`: its delivery service was found to be dishonest.
            UnsupportedError: a suite is not available here.
            ServiceError, TransportError, ValidationError, VerificationError, DecodeError: see `fetch_bundles`; if the keys
                are not those of the identity's devices as the service's log has them, see `log.accept_history`; and
                `keys-handed-out-twice`.
        """
        provider = self._core.ports.provider
        wanted = supported_suites(provider) if cipher_suites is None else tuple(cipher_suites)
        for suite in wanted:
            if not provider.supports(suite):
                raise UnsupportedError(
                    f"cipher suite {suite.name} is not available here", code="unsupported-cipher-suite"
                )
        ports, before, domain = self._core.ports, self._core.state.logs, domain_of(identity)
        before.check(domain)
        fetched, history = await self._core.ask(
            domain,
            lambda service: fetch_bundles(ports.transport, service, provider, identity, wanted, ports.now()),
        )
        await log.verify_fetched(self._core, identity, fetched, history, before)
        async with self._core.changing:
            await self._core.keep(with_handed_out(self._core.state, fetched.bundles, ports.now()))
        self._fetched[identity] = fetched
        return fetched

    # -- the logs of delivery services

    @property
    def log_faults(self) -> Mapping[str, Fault]:
        """What was found against delivery services, by domain; nobody is added from these."""
        return self._core.state.logs.faults

    async def clear_log_fault(self, domain: str) -> None:
        """Trust the delivery service of a domain again: its key, its log and its identities' devices are taken as it shows them
        next, as if we had never met it.

        Raises:
            StateError: code `unknown-domain`.
            TransportError, ServiceError, DecodeError, ValidationError, UnsupportedError: see `find_service`.
        """
        await log.clear_fault(self._core, domain)

    async def audit_log(self, domain: str) -> tuple[Finding, ...]:
        """Read the whole log of a domain: every entry that must not be there. It may be long.

        Raises:
            StateError: code `unknown-domain`.
            VerificationError: code `bad-log-entries`, or that of a fault.
            ServiceError, TransportError, ValidationError, DecodeError: it cannot be read.
        """
        return await log.audit_log(self._core, domain)

    # -- groups

    async def create_group(
        self,
        cipher_suite: CipherSuite | None = None,
        group_id: bytes | None = None,
        *,
        ordering: Literal["service", "members"] = "service",
    ) -> GroupDetails:
        """Begin a group of ourselves alone.

        Args:
            ordering: who says in which order commits come: our own delivery service, until `move_ordering`; or the members
                themselves, who then need no service for it, but may find that a commit loses to another one.

        Raises:
            StateError: code `group-exists`, `unknown-domain`.
            UnsupportedError: code `unsupported-cipher-suite`.
        """
        ordered_by = None
        if ordering == "service":
            service = self._core.own_service
            ordered_by = service.domain, service.description.signing_key
        async with self._core.changing:
            suite = supported_suites(self._core.ports.provider)[0] if cipher_suite is None else cipher_suite
            after, new_id = session.start_group(
                self._core.ports.provider,
                self._core.state,
                suite,
                group_id,
                self._core.ports.now(),
                ordered_by=ordered_by,
            )
            await self._core.keep(after)
        return self.group_details(new_id)

    async def add(self, group_id: bytes, identity: str, *, reinit: bool = False) -> Sent:
        """Add the clients of an identity that are not in the group, by the keys fetched last, or by fresh ones if those do
        not fit. For our own identity, these are our other devices.

        Args:
            group_id: if the group has begun anew as another, they are added to that one.
            reinit: whether the group may begin anew in another cipher suite, if they lack its own: the application is told by
                `GroupReinitialized`.

        Raises:
            StateError: code `no-such-group`, `unknown-domain`; `already-member`: they all are; `log-fault`.
            NoCommonSuite: they lack the group's cipher suite; it says who supports what.
            Everything that `fetch_key_bundles` raises; with `reinit`, what `newcomers.plan_with` does.
        """
        group_id = current(self._core.state, group_id)
        known = self._core.state.group(group_id)
        suite = known.group.cipher_suite
        self._core.state.logs.check(domain_of(identity))
        if any(who.identity == identity for who in known.identities.values()):
            await devices.check_missing(self._core, known, identity)
        fetched = self._fetched.pop(identity, None)
        if fetched is None or any(bundle.chosen != suite for bundle in fetched.bundles):
            try:
                fetched = await self._fetch(identity, [suite])
            except ServiceError as error:
                if error.code != "no-common-suite":
                    raise
                return await self._add_anew(known, identity, reinit=reinit)
        return await self._command(
            lambda state: session.add_clients(
                self._core.ports.provider, state, group_id, fetched.bundles, self._core.ports.now()
            ),
            group_id,
        )

    async def _add_anew(self, known: GroupState, identity: str, *, reinit: bool) -> Sent:
        provider, group_id = self._core.ports.provider, known.group.group_id
        anew = await newcomers.plan_with(provider, self._fetch, known, identity, reinit=reinit)
        ended = await self._command(
            lambda state: session.end_group(provider, state, group_id, anew, self._core.ports.now()), group_id
        )
        new_id = current(self._core.state, group_id)
        if new_id == group_id:
            return ended  # Its service was not reached: the rest follows when it is.
        return await self._command(
            lambda state: session.repeat(provider, state, new_id, self._core.ports.now()), new_id
        )

    async def _fetch(self, identity: str, suites: Sequence[CipherSuite]) -> FetchedKeys:
        fetched = await self.fetch_key_bundles(identity, suites)
        del self._fetched[identity]
        return fetched

    async def remove(self, group_id: bytes, identity: str) -> Sent:
        """Remove all clients of an identity.

        Raises:
            StateError: code `no-such-group`, `not-a-member`, `cannot-remove-self`.
        """
        return await self._command(
            lambda state: session.remove_identity(
                self._core.ports.provider, state, group_id, identity, self._core.ports.now()
            ),
            group_id,
        )

    async def remove_device(self, group_id: bytes, identity: str, client_id: bytes) -> Sent:
        """Remove one device of an identity, such as one that was revoked.

        Raises:
            StateError: code `no-such-group`, `unknown-domain`; `not-a-device`: the identity never had it; `not-a-member`,
                `cannot-remove-self`.
            ServiceError, TransportError, ValidationError, VerificationError: the identity's devices are not to be had, or not
                proven.
        """
        identity_key = await devices.identity_key_of(self._core, identity, client_id)
        return await self._command(
            lambda state: session.remove_device(
                self._core.ports.provider, state, group_id, identity, identity_key, self._core.ports.now()
            ),
            group_id,
        )

    async def update(self, group_id: bytes) -> Sent:
        """Begin a new epoch with fresh keys of ours.

        Raises:
            StateError: code `no-such-group`.
        """
        return await self._command(
            lambda state: session.renew_keys(
                self._core.ports.provider, state, group_id, self._core.ports.now()
            ),
            group_id,
        )

    async def move_ordering(self, group_id: bytes, domain: str) -> Sent:
        """Hand the ordering of a group's commits over to the delivery service of another domain.

        Raises:
            StateError: code `no-such-group`, `unknown-domain`; `not-ordered`: the members order the commits themselves.
        """

        async def itself(found: DeliveryService) -> DeliveryService:
            return found

        service = await self._core.ask(domain, itself)
        return await self._command(
            lambda state: session.move_ordering(
                self._core.ports.provider,
                state,
                group_id,
                service.domain,
                service.description.signing_key,
                self._core.ports.now(),
            ),
            group_id,
        )

    async def rejoin(self, group_id: bytes) -> None:
        """Come back into a group by a commit of our own, whatever we have missed there. The client does so by itself when it
        learns that what it has missed cannot be had any more.

        Raises:
            StateError: code `no-such-group`, `unknown-domain`; `not-ordered`: the members order the commits themselves.
            ValidationError: code `not-a-member`: we were removed.
            ServiceError, TransportError: the service that orders is not to be had, or refuses.
        """
        async with self._core.sending:
            await self._ordering.rejoin(group_id)
            await deliver(self._core)

    async def send(self, group_id: bytes, data: bytes) -> Sent:
        """Encrypt data for a group, or for the one as which it has begun anew, and hand it to the members' delivery services.

        What cannot be handed over now waits in the outbox, and is tried again while the client runs, and by `flush`.

        Raises:
            StateError: code `no-such-group`.
            UsageError: code `message-too-large`: a member's delivery service would not take it.
        """
        group_id = current(self._core.state, group_id)
        check_size(self._core, self._core.state.group(group_id), data)
        core = self._core
        async with core.sending:
            before = {outgoing.message_id for outgoing in core.state.outbox}
            epoch = await self._run(
                lambda state: session.send(core.ports.provider, state, group_id, data)[0], group_id
            )
            new = {outgoing.message_id for outgoing in core.state.outbox} - before
            return Sent(epoch, await deliver(core, new))

    async def flush(self) -> tuple[Delivery, ...]:
        """Try to hand over everything that waits in the outbox."""
        return await deliver(self._core)

    def group_details(self, group_id: bytes) -> GroupDetails:
        """A group as it is now.

        Raises:
            StateError: code `no-such-group`.
        """
        return details(self._core.state.group(group_id))

    def is_behind(self, group_id: bytes) -> bool:
        """Whether something of ours in a group is still to be ordered or done again, or its service is to be asked what we lack.

        Raises:
            StateError: code `no-such-group`.
        """
        return self._ordering.has_work(self._core.state.group(group_id))

    def export_srtp_keys(self, group_id: bytes, profile: SrtpProfile) -> tuple[SrtpKeys, ...]:
        """The SRTP keys of every member in the present epoch. Secret.

        Raises:
            StateError: code `no-such-group`.
            UsageError: code `unknown-srtp-profile`.
        """
        return export_srtp_keys(self._core.state.group(group_id).group, profile)

    def export_sframe_keys(self, group_id: bytes) -> SFrameKeys:
        """The SFrame keys of the present epoch (RFC 9605 §5.2). Secret.

        Raises:
            StateError: code `no-such-group`.
        """
        return export_sframe_keys(self._core.state.group(group_id).group)

    def export_ratchet_tree(self, group_id: bytes) -> bytes:
        """The ratchet tree of the present epoch, of public keys alone: the data of the extension `ratchet_tree` (§12.4.3.3).

        Raises:
            StateError: code `no-such-group`.
        """
        return encode_tree(self._core.state.group(group_id).group.tree)

    async def reserve_sframe_context(self, group_id: bytes) -> int:
        """A context for frames of our own in a group, which nobody else is given: with it, counters begin at 0.

        It was stored before this returns, so that a program that starts again never sends by the same key and counter.

        Raises:
            StateError: code `no-such-group`.
            StorageError: it could not be stored.
        """
        async with self._core.changing:
            self._core.state.group(group_id)
            after, context = self._core.state.reserving_sframe_context(group_id)
            await self._core.keep(after)
        return context

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
        return export_secret(self._core.state.group(group_id).group, label, context, length)

    # -- the inbox

    async def run(self) -> None:
        """Receive from our inbox until `close`, connecting again whenever the connection breaks.

        Raises:
            StateError: code `replaced`: this client is connected from elsewhere, and that one goes on.
        """
        await self._receiver.run()

    def told(self, number: int) -> None:
        """The application has made what it will of all messages up to this one, and needs none of them again.

        Args:
            number: of the last (`MessageReceived.number`).
        """
        self._core.told(number)

    async def close(self) -> None:
        """Stop receiving."""
        await self._receiver.close()

    async def retire(self) -> ClientState:
        """Stop receiving, and change nothing any more: somebody else goes on with the state that this returns. Secret.

        A call that is under way fails with code `closed`, unless what it changes was stored before.
        """
        await self._receiver.close()
        return await self._core.retire()

    async def _command(self, command: Callable[[ClientState], ClientState], group_id: bytes) -> Sent:
        """Run a command of the session that commits, keep what it gives, and send."""
        async with self._core.sending:
            # What waits is tried first: only one commit of ours can.
            await self._settle(group_id)
            before = {outgoing.message_id for outgoing in self._core.state.outbox}
            epoch = await self._run(command, group_id)
            await self._settle(group_id)
            new = {outgoing.message_id for outgoing in self._core.state.outbox} - before
            return Sent(epoch, await deliver(self._core, new))

    async def _run(self, command: Callable[[ClientState], ClientState], group_id: bytes) -> int:
        """Keep what a command gives; the epoch in which it was run."""
        core = self._core
        async with core.changing:
            state = core.state.forgetting(core.ports.now())
            epoch = state.group(group_id).group.epoch
            await core.keep(command(state))
        return epoch

    async def _settle(self, group_id: bytes) -> None:
        """Have our pending commit ordered, if there is one; it stays if its service is not to be had now."""
        if self._core.state.group(group_id).pending is None:
            return
        try:
            await self._ordering.settle(group_id)
        except (TransportError, RemoteError, StateError) as error:
            if self._core.state.group(group_id).pending is None:
                raise  # The service will never order it.
            if error.code != "aborted":
                self._core.tell(BackgroundFailure(error))
            self._ordering.look()


def new_client(ports: Ports, identity: str, on_event: Callable[[Event], None]) -> Client:
    """A client with a fresh identity key, in no group.

    Raises:
        ValidationError: code `bad-identity`.
    """
    return Client(ClientState(account=new_account(ports.provider, identity)), ports, on_event)
