"""Who can be in a group: clients that run our engine, and clients that run ts-mls."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from mls_federation.crypto import Crypto
from tests.interop.member import Member
from tests.interop.ours import OurMember
from tests.interop.ts_mls import TsMls, TsMlsMember

Engine: TypeAlias = Literal["ours", "ts-mls"]
OTHER: dict[Engine, Engine] = {"ours": "ts-mls", "ts-mls": "ours"}


@dataclass(frozen=True)
class Clients:
    """Makes clients of one cipher suite."""

    crypto: Crypto
    ts_mls: TsMls

    def new(self, engine: Engine, name: str) -> Member:
        """A client with a fresh signature key."""
        return self.ours(name) if engine == "ours" else self.theirs(name)

    def ours(self, name: str) -> OurMember:
        """One that runs our engine."""
        return OurMember(self.crypto, name)

    def theirs(self, name: str, *, unmended: bool = False) -> TsMlsMember:
        """One that runs ts-mls."""
        suite = int(self.crypto.suite.cipher_suite)
        return TsMlsMember(self.ts_mls, name, suite, unmended=unmended)
