"""Vectors of pre-shared keys, combined into one secret (§8.4)."""

from __future__ import annotations

from ..crypto import CipherSuite, CryptoProvider, crypto
from ..mls.psk import ExternalPSK, PreSharedKeyID, PSKType, psk_secret
from .entry import Entry, Family, Vector


def verify(provider: CryptoProvider, entry: Entry) -> None:
    """The secret that the PSKs give in their order."""
    psks = [
        (_external(case.octets("psk_id"), case.octets("psk_nonce")), case.octets("psk"))
        for case in entry.parts("psks")
    ]
    entry.check("psk_secret", psk_secret(entry.crypto(provider), psks))


def generate(provider: CryptoProvider, cipher_suite: CipherSuite, count: int) -> Vector:
    """An entry with `count` random PSKs."""
    suite = crypto(provider, cipher_suite)
    chosen = [{name: suite.random(suite.Nh) for name in ("psk_id", "psk", "psk_nonce")} for _ in range(count)]
    psks = [(_external(case["psk_id"], case["psk_nonce"]), case["psk"]) for case in chosen]
    return {
        "cipher_suite": cipher_suite,
        "psks": [{name: value.hex() for name, value in case.items()} for case in chosen],
        "psk_secret": psk_secret(suite, psks).hex(),
    }


def _external(psk_id: bytes, psk_nonce: bytes) -> PreSharedKeyID:
    return PreSharedKeyID(psktype=PSKType.external, psk=ExternalPSK(psk_id=psk_id), psk_nonce=psk_nonce)


FAMILY = Family(
    name="psk_secret",
    keys=frozenset({"cipher_suite", "psks", "psk_secret"}),
    verify=verify,
    generate=generate,
    parameters=(0, 1, 3),
)
