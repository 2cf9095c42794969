"""Crypto providers for fuzzing alone."""

from __future__ import annotations

import random
from collections.abc import Sequence

from mls_federation.crypto.provider import SignedMessage
from mls_federation.crypto.pyca import PycaProvider
from mls_federation.crypto.suites import SignatureScheme


class RepeatableProvider(PycaProvider):
    """Real cryptography with randomness that is the same in each run, so that a finding can be made again."""

    def __init__(self) -> None:
        self._chance = random.Random(0)
        super().__init__(lambda size: self._chance.randbytes(size))

    def start_over(self) -> None:
        """Begin again, with other octets than the first time, so that no key is made twice."""
        self._chance.seed(1)


class UnsafeAcceptAnySignature(RepeatableProvider):
    """Takes every signature for a valid one: lets changed structs through to the checks behind their signatures."""

    name = "unsafe-accept-any-signature"

    def verify(self, scheme: SignatureScheme, public_key: bytes, message: bytes, signature: bytes) -> None:
        pass

    def verify_all(self, scheme: SignatureScheme, messages: Sequence[SignedMessage]) -> None:
        pass
