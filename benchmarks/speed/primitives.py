"""The primitives that the floor is made of: the provider's, and the standard library's hash and HMAC."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from functools import partial

from mls_federation.crypto import CryptoProvider, SignedMessage, generate_signature_key, hpke, parameters

from .floor import Work

KINDS = (
    "sign",
    "verify",
    "verify_batched",
    "encapsulate",
    "dh",
    "dh_public_key",
    "mac",
    "hash",
    "aead_seal",
    "aead_open",
)
# Of these, the provider is asked for many at once.
_BATCHED = frozenset({"verify_batched", "encapsulate"})
_PRICED_OCTETS = 256
_PRICED_CALLS = 100


class Primitives:
    """Makes the calls of some work, and nothing else; of cipher suite 1."""

    def __init__(self, provider: CryptoProvider) -> None:
        self._provider = provider
        suite = parameters(1)
        self._scheme, self._kem, self._aead = suite.signature_scheme, suite.kem, suite.aead
        self._signer = generate_signature_key(provider, self._scheme)
        self._own = hpke.generate_key_pair(provider, self._kem)
        self._peer = hpke.generate_key_pair(provider, self._kem).public_key
        self._key, self._nonce = provider.random(self._aead.Nk), provider.random(self._aead.Nn)

    def replay(self, work: Work) -> Callable[[], None]:
        """What makes the calls when it is called: of each kind as many, over as many octets in all."""
        steps: list[tuple[Callable[[], object], int]] = []
        for kind, times in work.calls.items():
            data = bytes(round(work.octets[kind] / times)) if times else b""
            if kind in _BATCHED and times:
                steps.append((self._batch(kind, data, times), 1))
            elif times:
                steps.append((self._call(kind, data), times))

        def run() -> None:
            for call, times in steps:
                for _ in range(times):
                    call()

        return run

    def prices(self, clock: Callable[[], float]) -> dict[str, float]:
        """Seconds for one call of each kind, over 256 octets where it takes any."""
        found = {}
        for kind in KINDS:
            work = Work()
            work.add(kind, _PRICED_CALLS, _PRICED_OCTETS)
            run = self.replay(work)
            run()  # a browser compiles what is called often, and is slow until then
            began = clock()
            run()
            found[kind] = (clock() - began) / _PRICED_CALLS
        return found

    def _batch(self, kind: str, message: bytes, times: int) -> Callable[[], object]:
        provider = self._provider
        if kind == "verify_batched":
            return partial(provider.verify_all, self._scheme, [self._signed(message)] * times)
        private_keys, public_keys = [self._own.private_key] * times, [self._peer] * times
        return partial(provider.encapsulate_all, self._kem, private_keys, public_keys)

    def _signed(self, message: bytes) -> SignedMessage:
        signature = self._provider.sign(self._scheme, self._signer.private_key, message)
        return SignedMessage(self._signer.public_key, message, signature)

    def _call(self, kind: str, data: bytes) -> Callable[[], object]:
        provider = self._provider
        match kind:
            case "dh":
                return partial(provider.dh, self._kem, self._own.private_key, self._peer)
            case "dh_public_key":
                return partial(provider.dh_public_key, self._kem, self._own.private_key)
            case "sign":
                return partial(provider.sign, self._scheme, self._signer.private_key, data)
            case "verify":
                signed = self._signed(data)
                return partial(provider.verify, self._scheme, signed.public_key, data, signed.signature)
            case "aead_seal":
                return partial(provider.aead_seal, self._aead, self._key, self._nonce, b"", data)
            case "aead_open":
                sealed = provider.aead_seal(self._aead, self._key, self._nonce, b"", data)
                return partial(provider.aead_open, self._aead, self._key, self._nonce, b"", sealed)
            case "mac":
                return partial(hmac.digest, self._key, data, "sha256")
            case "hash":
                return partial(_hash, data)
            case _:
                raise ValueError(kind)


def _hash(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()
