"""X.509 credentials (§5.3): chains of anything."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import dataclass

from mls_federation.mls.authentication import CredentialCheck, accept_basic, same_identity
from mls_federation.mls.x509 import same_names, trust_anchors, x509_credential
from tests.support.certificates import issue
from tests.support.pair import NOW

from ..mutation import mutated_octets
from ..octets import Octets
from ..target import Target, refused


@dataclass(frozen=True)
class _Chain:
    """Certificates from the end entity up, and its key."""

    certificates: tuple[bytes, ...]
    signature_key: bytes
    check: CredentialCheck


def run(data: bytes) -> None:
    """One certificate of the chain is changed, or another put in."""
    source, real = Octets(data), _chain()
    chain = list(real.certificates)
    for _ in range(1 + source.number(2)):
        at = source.number(len(chain))
        match source.number(4):
            case 0:
                chain[at] = source.rest()
            case 1:
                chain.insert(at, source.choice(real.certificates))
            case _:
                chain[at] = mutated_octets(source, chain[at])
    credential = x509_credential(chain)
    refused(lambda: real.check(credential, real.signature_key, NOW))
    same = same_names(same_identity)
    refused(lambda: same(credential, credential))
    refused(lambda: same(x509_credential(real.certificates), credential))


@functools.cache
def _chain() -> _Chain:
    root = issue("root", None, authority=True)
    middle = issue("middle", root, authority=True)
    leaf = issue("leaf", middle)
    return _Chain((leaf.der, middle.der), leaf.key_pair.public_key, trust_anchors([root.der], accept_basic))


def _seeds() -> Iterable[bytes]:
    for certificate in _chain().certificates:
        yield bytes([0, 0, 0]) + certificate
    for kind in range(4):
        for at in range(2):
            yield bytes([0, at, kind]) + bytes((kind * 77 + i * 29) % 256 for i in range(20))


TARGET = Target("certificates", "X.509 credentials", run, _seeds)
