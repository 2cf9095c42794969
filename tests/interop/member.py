"""What a member of a mixed group can do, whichever implementation it runs: encoded MLSMessages in and out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeAlias


@dataclass(frozen=True)
class Add:
    """Proposes to add the client of an encoded KeyPackage."""

    key_package: bytes


@dataclass(frozen=True)
class Remove:
    """Proposes to remove the member at a leaf."""

    leaf: int


@dataclass(frozen=True)
class ClearExtensions:
    """Proposes a GroupContext without extensions."""


@dataclass(frozen=True)
class ExternalPSK:
    """Proposes to use an external PSK, which every member has learnt."""

    psk_id: bytes
    secret: bytes = field(repr=False)
    nonce: bytes


Proposed: TypeAlias = Add | Remove | ExternalPSK | ClearExtensions


@dataclass(frozen=True)
class Committed:
    """A commit, for the other members, and the Welcome for those whom it adds."""

    message: bytes
    welcome: bytes | None


@dataclass(frozen=True)
class Received:
    """What a message was; `data` is that of an application message."""

    kind: Literal["application", "proposal", "commit", "removed"]
    data: bytes = b""


@dataclass(frozen=True)
class View:
    """What all members of an epoch must agree on."""

    epoch: int
    tree_hash: bytes
    confirmed_transcript_hash: bytes
    epoch_authenticator: bytes
    members: tuple[tuple[int, str], ...]


class Member(Protocol):
    """A client, in one group at most. What it makes has taken effect for itself when it is returned."""

    name: str

    def learn_psk(self, psk: ExternalPSK) -> None: ...
    def key_package(self) -> bytes: ...
    def create(self, group_id: bytes) -> None: ...
    def join(self, welcome: bytes) -> None: ...
    def commit(self, *proposals: Proposed, public: bool = False) -> Committed: ...
    def propose(self, proposal: Proposed, *, public: bool = False) -> bytes: ...
    def propose_update(self, *, public: bool = False) -> bytes: ...
    def send(self, data: bytes) -> bytes: ...
    def receive(self, message: bytes) -> Received: ...
    def group_info(self) -> bytes: ...
    def join_from_outside(self, group_info: bytes, *, resync: bool = False) -> bytes: ...
    def leave(self) -> None: ...
    def exported(self, label: str, context: bytes, length: int) -> bytes: ...
    @property
    def leaf(self) -> int: ...
    def view(self) -> View: ...
