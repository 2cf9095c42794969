"""Reading a whole log: what an append-only tree cannot rule out by itself, whoever reads all of it sees.

A log may hold two first claims of one identity, and its delivery service show the one to some and the other to others: every proof
would be right. Here each entry is taken as what it says it is, in its order, so that no identity has two chains unnoticed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ..crypto import CryptoProvider
from ..errors import RemoteError, ValidationError, VerificationError
from ..transparency import root_of
from .binding import domain_of
from .devices import DeviceEvent, Devices, verify_event, with_event
from .log import SignedTreeHead


@dataclass(frozen=True)
class Finding:
    """An entry that must not be in the log.

    Attributes:
        number: of the entry, from 0.
        identity: that it is about, as it says; empty if it cannot be read.
        error: what is wrong with it; code `identity-claimed`, for one, says that the identity had been claimed before.
    """

    number: int
    identity: str
    error: RemoteError


def audit(provider: CryptoProvider, head: SignedTreeHead, entries: Iterable[bytes]) -> tuple[Finding, ...]:
    """Every entry of a log that contradicts those before it, or is no device event of the domain.

    Args:
        head: verified.
        entries: all of them, from the first.

    Raises:
        VerificationError: code `bad-log-entries`: these are not the entries under the head.
    """
    kept = tuple(entries)
    domain = head.tree_head.domain.decode("ascii")
    if len(kept) != head.tree_head.tree_size or root_of(kept) != head.tree_head.root_hash:
        raise VerificationError(
            f"the delivery service of {domain} gives other entries than those it has signed",
            code="bad-log-entries",
        )
    chains: dict[bytes, Devices] = {}
    findings = []
    for number, octets in enumerate(kept):
        identity = b""
        try:
            event = DeviceEvent.decode(octets)
            identity = event.identity
            verify_event(provider, event)
            if domain_of(identity.decode("utf-8")) != domain:
                raise ValidationError("an event of another domain", code="wrong-domain")
            chains[identity] = with_event(chains.get(identity), event)
        except RemoteError as error:
            findings.append(Finding(number, identity.decode("utf-8", "replace"), error))
    return tuple(findings)
