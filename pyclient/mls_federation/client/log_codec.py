"""What a client remembers of logs, as octets: a part of its stored state (`state_codec`)."""

from __future__ import annotations

from ..codec import Struct, Vec, opaque, uint16, uint32, uint64
from ..errors import DecodeError
from ..federation.log import ChainTip, SignedTreeHead
from .log_state import Fault, Logs, domain_of_head


class StoredPin(Struct):
    """The signing key of a delivery service."""

    domain: opaque
    signing_key: opaque


class StoredFault(Struct):
    """What showed that a delivery service is not honest."""

    domain: opaque
    code: opaque
    evidence: Vec[SignedTreeHead]


class StoredChain(Struct):
    """How far an identity's chain was seen."""

    identity: opaque
    events: uint32
    latest: opaque


class StoredLogs(Struct):
    """All of it."""

    version: uint16
    pins: Vec[StoredPin]
    heads: Vec[SignedTreeHead]
    unproven: Vec[SignedTreeHead]
    faults: Vec[StoredFault]
    chains: Vec[StoredChain]


class StoredTold(Struct):
    """The size of a log that the members of a group have told each other of."""

    domain: opaque
    tree_size: uint64


def store_logs(version: int, logs: Logs) -> StoredLogs:
    """The struct of a value."""
    return StoredLogs(
        version=version,
        pins=tuple(
            StoredPin(domain=domain.encode("ascii"), signing_key=key) for domain, key in logs.pins.items()
        ),
        heads=tuple(logs.heads.values()),
        unproven=logs.unproven,
        faults=tuple(
            StoredFault(
                domain=domain.encode("ascii"), code=fault.code.encode("ascii"), evidence=fault.evidence
            )
            for domain, fault in logs.faults.items()
        ),
        chains=tuple(
            StoredChain(identity=identity.encode("utf-8"), events=tip.events, latest=tip.latest)
            for identity, tip in logs.chains.items()
        ),
    )


def load_logs(stored: StoredLogs) -> Logs:
    """The value of a struct.

    Raises:
        DecodeError: a name in it is none.
    """
    return Logs(
        pins={_text(pin.domain, "domain"): pin.signing_key for pin in stored.pins},
        heads={domain_of_head(head): head for head in stored.heads},
        unproven=stored.unproven,
        faults={
            _text(fault.domain, "domain"): Fault(_text(fault.code, "code"), fault.evidence)
            for fault in stored.faults
        },
        chains={
            _text(chain.identity, "identity"): ChainTip(chain.events, chain.latest) for chain in stored.chains
        },
    )


def _text(octets: bytes, field: str) -> str:
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError:
        raise DecodeError("it is not UTF-8", struct=StoredLogs.__name__, field=field, offset=0) from None
