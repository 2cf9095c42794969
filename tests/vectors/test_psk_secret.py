"""Official vectors: pre-shared keys combined into one secret (§8.4)."""

from mls_federation.crypto import CipherSuite, CryptoProvider, crypto
from mls_federation.mls.psk import ExternalPSK, PreSharedKeyID, PSKType, psk_secret
from tests.support.vector_files import Vector, verify_each


def test_psk_secret(provider: CryptoProvider, cipher_suite: CipherSuite) -> None:
    verify_each("psk_secret", provider, cipher_suite, verify)


def verify(provider: CryptoProvider, vector: Vector) -> None:
    psks = [
        (
            PreSharedKeyID(
                psktype=PSKType.external,
                psk=ExternalPSK(psk_id=bytes.fromhex(case["psk_id"])),
                psk_nonce=bytes.fromhex(case["psk_nonce"]),
            ),
            bytes.fromhex(case["psk"]),
        )
        for case in vector["psks"]
    ]
    assert psk_secret(crypto(provider, vector["cipher_suite"]), psks).hex() == vector["psk_secret"]
