"""A federation without sockets: clients as values, and messages that arrive when and as often as a test says."""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from mls_federation.client import session
from mls_federation.client.accepting import accept, accept_missed, accept_receipt
from mls_federation.client.account import Account, new_account, new_key_sets, supported_suites
from mls_federation.client.events import Event
from mls_federation.client.state import ClientState, GroupState, Outgoing, OwnCommit
from mls_federation.crypto import CipherSuite, CryptoProvider, SignatureScheme, generate_signature_key
from mls_federation.federation.binding import KeyBundle, KeySet
from mls_federation.federation.envelope import Envelope
from mls_federation.federation.manifest import VerifiedBundle, verify_bundle
from mls_federation.federation.ordering import (
    MissedCommits,
    OrderedCommit,
    OrderingReceipt,
    OrderingReceiptTBS,
    commit_hash,
    receipt_sign_content,
)
from mls_federation.federation.seed import UserInitKeyBundle, to_rfc9420

NOW = 1_800_000_000

T = TypeVar("T")


def key_bundle(account: Account, published: KeySet, refs: Sequence[bytes], chosen: CipherSuite) -> KeyBundle:
    """What an honest delivery service makes of a set that was published."""
    suites = [to_rfc9420(suite) for suite in published.user_init_key.cipher_suites]
    return KeyBundle(
        client_id=account.client_id,
        bundle=UserInitKeyBundle(
            identity=account.identity.encode("utf-8"), user_init_key=published.user_init_key
        ),
        refs=tuple(refs),
        chosen=chosen,
        key_package=published.key_packages[suites.index(chosen)],
        last_resort=published.last_resort,
    )


class Peer:
    """A client: its state, and all that it was told.

    Attributes:
        state: as the session left it.
        events: the oldest first.
        published: its key sets, with the KeyPackageRefs of each.
    """

    def __init__(self, provider: CryptoProvider, identity: str, account: Account | None = None) -> None:
        self.provider = provider
        self.state = ClientState(account=account or new_account(provider, identity))
        self.events: list[Event] = []
        self.published: list[tuple[KeySet, tuple[bytes, ...]]] = []

    @property
    def identity(self) -> str:
        """`name@domain`."""
        return self.state.account.identity

    def publish(self, *, last_resort: bool = False) -> None:
        """Make a key set."""
        made = new_key_sets(
            self.provider, self.state.account, NOW, count=0 if last_resort else 1, last_resort=last_resort
        )
        for own in made:
            assert own.unconfirmed is not None
            self.state = replace(self.state, key_sets=(*self.state.key_sets, replace(own, unconfirmed=None)))
            self.published.append((own.unconfirmed, tuple(ref for ref, _ in own.packages)))

    def bundle(self, suite: CipherSuite | None = None) -> VerifiedBundle:
        """The keys of this client for a suite, its best by default, as another client has verified them."""
        chosen = suite or supported_suites(self.provider)[0]
        if not self.published:
            self.publish()
        key_set, refs = self.published[-1]
        if not key_set.last_resort:
            self.published.pop()
        return verify_bundle(
            self.provider,
            self.identity,
            key_bundle(self.state.account, key_set, refs, chosen),
            wanted=[chosen],
            now=NOW,
        )

    def begin(
        self,
        suite: CipherSuite | None = None,
        group_id: bytes | None = None,
        ordered_by: tuple[str, bytes] | None = None,
    ) -> bytes:
        """Begin a group; its id."""
        chosen = suite or supported_suites(self.provider)[0]
        self.state, made = session.start_group(
            self.provider, self.state, chosen, group_id, NOW, ordered_by=ordered_by
        )
        return made

    def group(self, group_id: bytes) -> GroupState:
        """The group as this client sees it."""
        return self.state.group(group_id)

    def add(self, group_id: bytes, *others: Peer) -> None:
        """Commit to add them."""
        suite = self.group(group_id).group.cipher_suite
        bundles = [other.bundle(suite) for other in others]
        self.state = session.add_clients(self.provider, self.state, group_id, bundles, NOW)

    def remove(self, group_id: bytes, identity: str) -> None:
        """Commit to remove an identity."""
        self.state = session.remove_identity(self.provider, self.state, group_id, identity, NOW)

    def renew(self, group_id: bytes) -> None:
        """Commit to fresh keys."""
        self.state = session.renew_keys(self.provider, self.state, group_id, NOW)

    def send(self, group_id: bytes, data: bytes) -> None:
        """Encrypt data for the group."""
        self.state, _ = session.send(self.provider, self.state, group_id, data)

    def repeat(self, group_id: bytes) -> None:
        """Do again what was undone."""
        self.state = session.repeat(self.provider, self.state, group_id, NOW)

    def post(self) -> tuple[Outgoing, ...]:
        """Empty the outbox, as delivery services do that take everything."""
        outbox = self.state.outbox
        self.state = replace(self.state, outbox=())
        return outbox

    def take(self, message: bytes) -> list[Event]:
        """Receive one MLSMessage as the next of the inbox; what the client was told."""
        return self.take_envelope(enveloped(message))

    def take_envelope(self, envelope: bytes) -> list[Event]:
        """Receive whatever octets as the next of the inbox; what the client was told."""
        accepted = accept(self.provider, self.state, self.state.cursor + 1, envelope, NOW)
        self.state = accepted.state
        self.events += accepted.events
        return list(accepted.events)


def enveloped(message: bytes) -> bytes:
    """An MLSMessage as inboxes hold it, without a receipt."""
    return Envelope(message=message, receipt=None).encode()


def message_of(outgoing: Outgoing) -> bytes:
    """The MLSMessage that is sent."""
    return Envelope.decode(outgoing.message).message


def messages_for(outbox: Sequence[Outgoing], identity: str) -> list[bytes]:
    """The MLSMessages that a client's outbox has for an identity, in order."""
    return [message_of(outgoing) for outgoing in outbox if identity in outgoing.recipients]


def envelopes_for(outbox: Sequence[Outgoing], identity: str) -> list[bytes]:
    """What a client's outbox has for an identity, in order."""
    return [outgoing.message for outgoing in outbox if identity in outgoing.recipients]


def deliver(sender: Peer, *receivers: Peer) -> None:
    """Hand over everything that a client has sent, in order."""
    outbox = sender.post()
    for receiver in receivers:
        for envelope in envelopes_for(outbox, receiver.identity):
            receiver.take_envelope(envelope)


def group_of(first: Peer, *others: Peer) -> bytes:
    """A group of all these clients, who all have entered its epoch; its id."""
    group_id = first.begin()
    first.add(group_id, *others)
    deliver(first, *others)
    return group_id


def without_waiting(work: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that has nothing to wait for; so this needs no event loop, and works in a browser."""
    try:
        work.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    work.close()
    raise AssertionError("it waits for something")


def of_type(events: Sequence[Event], kind: type[T]) -> list[T]:
    """Those of one kind."""
    return [event for event in events if isinstance(event, kind)]


class Orderer:
    """A service that orders commits, without a store or network: it accepts the first commit of each epoch."""

    def __init__(self, provider: CryptoProvider, domain: str = "a.example") -> None:
        self.provider = provider
        self.domain = domain
        self.keys = generate_signature_key(provider, SignatureScheme.ed25519)
        self.ordered: dict[bytes, list[OrderedCommit]] = {}

    @property
    def ordered_by(self) -> tuple[str, bytes]:
        """What a group's agreement has of it."""
        return self.domain, self.keys.public_key

    def receipt(self, commit: bytes, group_id: bytes, epoch: int, confirmed: bytes) -> OrderingReceipt:
        """A receipt, whatever for."""
        tbs = OrderingReceiptTBS(
            domain=self.domain.encode(),
            group_id=group_id,
            epoch=epoch,
            commit_hash=commit_hash(commit),
            confirmed_transcript_hash=confirmed,
            accepted_at=NOW,
        )
        signature = self.provider.sign(
            SignatureScheme.ed25519, self.keys.private_key, receipt_sign_content(tbs)
        )
        return OrderingReceipt(
            **{name: getattr(tbs, name) for name in OrderingReceiptTBS.__annotations__}, signature=signature
        )

    def receipt_of(self, pending: OwnCommit) -> OrderingReceipt:
        """A receipt of somebody's commit."""
        context = pending.group.context
        return self.receipt(
            pending.message, context.group_id, context.epoch, context.confirmed_transcript_hash
        )

    def order(self, peer: Peer, group_id: bytes) -> list[Event]:
        """Bring a client's pending commit here, and do what the client does with the answer."""
        pending = peer.group(group_id).pending
        assert pending is not None
        commits = self.ordered.setdefault(group_id, [])
        if not commits or pending.group.epoch == commits[-1].receipt.epoch + 1:
            receipt = self.receipt_of(pending)
            commits.append(OrderedCommit(commit=pending.message, receipt=receipt))
            accepted = accept_receipt(self.provider, peer.state, group_id, receipt, NOW)
        else:
            accepted = accept_missed(self.provider, peer.state, group_id, self.missed(peer, group_id), NOW)
        peer.state = accepted.state
        peer.events += accepted.events
        return list(accepted.events)

    def missed(self, peer: Peer, group_id: bytes) -> MissedCommits:
        """What a client has missed."""
        commits, epoch = self.ordered[group_id], peer.group(group_id).group.epoch
        return MissedCommits(
            current_epoch=commits[-1].receipt.epoch,
            commits=tuple(item for item in commits if item.receipt.epoch > epoch),
        )
