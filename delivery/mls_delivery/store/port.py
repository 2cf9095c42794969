"""The store port. Each call is one transaction: it happened entirely and is durable when it returns, or not at all.

Times are Unix seconds. Client keys are the store's own, never shown outside.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from mls_federation.federation.binding import RecipientStatus


@dataclass(frozen=True)
class Client:
    """A client with a session.

    Attributes:
        key: its key in the store.
        identity: whose client it is.
        client_id: its own choice, 16 octets.
        credential: the encoded credential that claimed the identity.
    """

    key: int
    identity: bytes
    client_id: bytes
    credential: bytes


class SessionOutcome(Enum):
    """What became of a request for a session."""

    opened = "opened"
    claimed_by_another = "claimed by another"
    too_many_clients = "too many clients"


@dataclass(frozen=True)
class NewKeySet:
    """A key set to be kept.

    Attributes:
        user_init_key_id: unique for its client.
        suites: its cipher suites, packed as in the seed's messages.
        expires: the second from which it must not be handed out any more.
        last_resort: handed out when no other is left, and kept.
        content: the encoded `KeySet`.
    """

    user_init_key_id: bytes
    suites: bytes
    expires: int
    last_resort: bool
    content: bytes


@dataclass(frozen=True)
class TakenKeySet:
    """A key set that was handed out."""

    client: int
    client_id: bytes
    content: bytes
    last_resort: bool


@dataclass(frozen=True)
class TakenKeySets:
    """One key set for each client that has a fitting one, and the suites of the others' that did not fit."""

    key_sets: tuple[TakenKeySet, ...]
    passed_over: tuple[bytes, ...]


@dataclass(frozen=True)
class Submission:
    """What became of a message for one recipient, and the clients in whose inbox it is new."""

    status: RecipientStatus
    clients: tuple[int, ...]


@dataclass(frozen=True)
class InboxState:
    """Up to where an inbox was filled and acknowledged."""

    last_sequence: int
    acknowledged: int


@dataclass(frozen=True)
class Message:
    """A message in an inbox."""

    sequence: int
    message_id: bytes
    received_at: int
    message: bytes


class Store(Protocol):
    """What the service needs kept."""

    async def signing_key(self, domain: str, fresh: bytes) -> bytes:
        """The service's private signing key (secret): the one kept, else `fresh`, which is kept from now on.

        Raises:
            StoreError: the store is that of another domain.
        """
        ...

    async def open_session(
        self,
        *,
        identity: bytes,
        credential: bytes,
        client_id: bytes,
        token_hash: bytes,
        now: int,
        expires: int,
        max_clients: int,
    ) -> SessionOutcome:
        """Claim the identity if nobody has, add the client if it is new, and replace its session."""
        ...

    async def client_of(self, token_hash: bytes, now: int) -> Client | None:
        """Whose session a token is; None if it is nobody's or has ended."""
        ...

    async def publish(
        self, client: Client, key_sets: Sequence[NewKeySet], now: int, max_key_sets: int
    ) -> int:
        """Keep key sets; returns how many the client has now, without the last resort.

        A key set that was published before, even if it has been handed out since, is passed over.
        A last resort replaces the one before.

        Raises:
            Refused: `key-set-conflict` or `too-many-key-sets`.
        """
        ...

    async def available(self, client: Client, now: int) -> int:
        """How many key sets the client has, without the last resort."""
        ...

    async def take_key_sets(
        self, identity: bytes, suits: Callable[[bytes], bool], now: int
    ) -> TakenKeySets | None:
        """Hand out, for each client of an identity, the oldest key set whose packed suites suit, else its last resort.

        No two calls get the same key set, unless it is the last resort. None if the identity is unknown.
        """
        ...

    async def submit(
        self, recipients: Sequence[bytes], message_id: bytes, message: bytes, now: int, capacity: int
    ) -> list[Submission]:
        """Put a message into the inbox of every client of each recipient.

        An inbox that ever had the same message under the same id does not get it again; one with `capacity`
        messages gets none.
        """
        ...

    async def inbox_state(self, client: Client) -> InboxState:
        """Where the client's inbox stands."""
        ...

    async def read_inbox(self, client: Client, after: int, max_octets: int) -> list[Message]:
        """Messages with a sequence above `after`, in order: at least one if there is one, then up to `max_octets`."""
        ...

    async def acknowledge(self, client: Client, cursor: int) -> None:
        """Forget the client's messages up to and with `cursor`."""
        ...

    async def waiting_messages(self) -> int:
        """How many messages all inboxes have."""
        ...

    async def close(self) -> None:
        """Release files and threads; calls in progress are finished first."""
        ...
