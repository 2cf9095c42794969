"""What a client remembers of the logs of delivery services, and what it makes of what others tell it. No I/O.

pin     the signing key that a service had when we first met it
head    the latest tree head of a log that was seen to grow only, from each to the next
chain   how far we have seen an identity's chain of device events
fault   what showed that a service is not honest; nobody of its domain is added until the application clears it
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from ..crypto import CryptoProvider
from ..errors import StateError, ValidationError, VerificationError
from ..federation.log import ChainTip, SignedTreeHead, compare_heads, verify_tree_head
from .events import LogFault

T = TypeVar("T")

# Heads that wait to be shown to be of the same log as ours; for a domain, and what we take of one message.
MAX_UNPROVEN = 8
MAX_TOLD = 32


@dataclass(frozen=True)
class Fault:
    """What showed that a delivery service is not honest.

    Attributes:
        code: of the error.
        evidence: tree heads that it has signed, and that contradict each other.
    """

    code: str
    evidence: tuple[SignedTreeHead, ...]


@dataclass(frozen=True)
class Logs:
    """What we know of the logs, by domain; and of chains, by identity.

    Attributes:
        pins: signing keys of the services.
        heads: the latest that was verified.
        unproven: heads that other members have told us of and that their service signed, still to be compared with ours.
        faults: of services that were found out.
        chains: how far each was seen.
    """

    pins: Mapping[str, bytes] = field(default_factory=dict)
    heads: Mapping[str, SignedTreeHead] = field(default_factory=dict)
    unproven: tuple[SignedTreeHead, ...] = ()
    faults: Mapping[str, Fault] = field(default_factory=dict)
    chains: Mapping[str, ChainTip] = field(default_factory=dict)

    def pinned(self, domain: str, signing_key: bytes) -> Logs:
        """With the key of a service that we meet; itself if we have met it.

        Raises:
            ValidationError: code `pinned-key-changed`.
        """
        pin = self.pins.get(domain)
        if pin is None:
            return replace(self, pins={**self.pins, domain: signing_key})
        if pin != signing_key:
            raise ValidationError(
                f"the delivery service of {domain} has another signing key than it had before; its operator can say why",
                code="pinned-key-changed",
            )
        return self

    def check(self, domain: str) -> None:
        """Return if nothing is known against a service.

        Raises:
            StateError: code `log-fault`.
        """
        fault = self.faults.get(domain)
        if fault is not None:
            raise StateError(
                f"the delivery service of {domain} was found to be dishonest ({fault.code}); nobody is added from there"
                " until this fault is cleared",
                code="log-fault",
            )

    def with_head(self, head: SignedTreeHead) -> Logs:
        """With a head that was shown to be of the log that we know; the larger one counts."""
        domain = domain_of_head(head)
        known = self.heads.get(domain)
        if known is not None and known.tree_head.tree_size >= head.tree_head.tree_size:
            return self
        return replace(self, heads={**self.heads, domain: head})

    def with_chain(self, identity: str, tip: ChainTip) -> Logs:
        """With a chain that was seen to go on."""
        known = self.chains.get(identity)
        if known is not None and known.events >= tip.events:
            return self
        return replace(self, chains={**self.chains, identity: tip})

    def with_fault(self, domain: str, code: str, evidence: Iterable[SignedTreeHead]) -> Logs:
        """With something against a service; the first fault stays, as it is the one to be explained."""
        if domain in self.faults:
            return self
        return replace(self, faults={**self.faults, domain: Fault(code, tuple(evidence))})

    def settled(self, head: SignedTreeHead) -> Logs:
        """Without a head that waited."""
        return replace(self, unproven=tuple(other for other in self.unproven if other != head))

    def forgotten(self, domain: str) -> Logs:
        """Without anything about a domain: whatever its service says next is taken for true, as at first."""

        def rest(known: Mapping[str, T]) -> dict[str, T]:
            return {name: value for name, value in known.items() if name.rpartition("@")[2] != domain}

        return replace(
            self,
            pins=rest(self.pins),
            heads=rest(self.heads),
            unproven=tuple(head for head in self.unproven if domain_of_head(head) != domain),
            faults=rest(self.faults),
            chains=rest(self.chains),
        )


def domain_of_head(head: SignedTreeHead) -> str:
    """The domain that a head says it is of. In a head that was not verified, this may be anything."""
    return head.tree_head.domain.decode("ascii", "replace")


# -- between members


def heads_to_tell(logs: Logs, told: Mapping[str, int], domains: Iterable[str]) -> tuple[SignedTreeHead, ...]:
    """The heads to tell a group of.

    Args:
        told: the sizes that it was told of last, by domain.
        domains: of its members. Others are none of its business.
    """
    ours = [logs.heads[domain] for domain in sorted(set(domains)) if domain in logs.heads]
    return tuple(head for head in ours if head.tree_head.tree_size > told.get(domain_of_head(head), 0))[
        :MAX_TOLD
    ]


def after_telling(told: Mapping[str, int], heads: Iterable[SignedTreeHead]) -> Mapping[str, int]:
    """The sizes that a group has been told of, when it is told of some heads, or tells us of them."""
    after = dict(told)
    for head in heads:
        domain = domain_of_head(head)
        after[domain] = max(after.get(domain, 0), head.tree_head.tree_size)
    return after


def hear(
    provider: CryptoProvider, logs: Logs, domains: Iterable[str], heads: Iterable[SignedTreeHead]
) -> tuple[Logs, tuple[SignedTreeHead, ...], tuple[LogFault, ...]]:
    """Take heads that a member of a group tells us of.

    Only what the pinned key of a service has signed counts: the member may be lying. Heads of one size are compared at once;
    others wait until their service has shown that one log grew into the other (`log.settle`).

    Args:
        domains: of the group's members; heads of others are passed over, as are those of services that we have not met, and of
            those that were found out already.

    Returns:
        What we know then; the heads that count; what to tell the application.
    """
    members = set(domains)
    counted: list[SignedTreeHead] = []
    faults: list[LogFault] = []
    for head in tuple(heads)[:MAX_TOLD]:
        domain = domain_of_head(head)
        pin = logs.pins.get(domain)
        if domain not in members or pin is None or domain in logs.faults:
            continue
        try:
            verify_tree_head(provider, pin, domain, head)
        except VerificationError as error:
            # Any member can make one up, so it tells against nobody; but perhaps the service shows each of us another key.
            faults.append(LogFault(domain, error, (head,)))
            continue
        counted.append(head)
        ours = logs.heads.get(domain)
        waiting = [other for other in logs.unproven if domain_of_head(other) == domain]
        known = waiting if ours is None else [ours, *waiting]
        for other in known:
            try:
                compare_heads(other, head)
            except VerificationError as error:
                logs = logs.with_fault(domain, error.code, (other, head))
                faults.append(LogFault(domain, error, (other, head)))
                break
        else:
            if ours is None or ours.tree_head.tree_size == 0:
                logs = logs.with_head(head)
            elif head not in known and len(waiting) < MAX_UNPROVEN:
                logs = replace(logs, unproven=(*logs.unproven, head))
    return logs, tuple(counted), tuple(faults)
