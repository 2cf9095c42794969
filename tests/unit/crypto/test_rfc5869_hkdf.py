"""HKDF against RFC 5869, appendix A, and the limits of what it can give."""

import pytest

from mls_federation.crypto import kdf
from mls_federation.errors import UsageError

# A.1, A.2 and A.3: (IKM, salt, info, L, PRK, OKM), all with SHA-256.
CASES = [
    (
        "0b" * 22,
        "000102030405060708090a0b0c",
        "f0f1f2f3f4f5f6f7f8f9",
        42,
        "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5",
        "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
    ),
    (
        bytes(range(0x50)).hex(),
        bytes(range(0x60, 0xB0)).hex(),
        bytes(range(0xB0, 0x100)).hex(),
        82,
        "06a6b88c5853361a06104c9ceb35b45cef760014904671014a193f40c15fc244",
        (
            "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e09"
            "da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87"
        ),
    ),
    (
        "0b" * 22,
        "",
        "",
        42,
        "19ef24a32c717b167f33a91d6f648bdf96596776afdb6377ac434c1c293ccb04",
        "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8",
    ),
]


@pytest.mark.parametrize(("ikm", "salt", "info", "length", "prk", "okm"), CASES)
def test_appendix_a(ikm: str, salt: str, info: str, length: int, prk: str, okm: str) -> None:
    extracted = kdf.extract("sha256", bytes.fromhex(salt), bytes.fromhex(ikm))
    assert extracted.hex() == prk
    assert kdf.expand("sha256", extracted, bytes.fromhex(info), length).hex() == okm


@pytest.mark.parametrize(("hash_name", "size"), [("sha256", 32), ("sha384", 48), ("sha512", 64)])
def test_at_most_255_blocks(hash_name: str, size: int) -> None:
    most = kdf.expand(hash_name, b"prk", b"info", 255 * size)
    assert len(most) == 255 * size
    with pytest.raises(UsageError, match="HKDF cannot give"):
        kdf.expand(hash_name, b"prk", b"info", 255 * size + 1)


@pytest.mark.parametrize("length", [0, 1, 31, 32, 33, 64, 65])
def test_shorter_outputs_are_prefixes(length: int) -> None:
    assert (
        kdf.expand("sha256", b"prk", b"info", length) == kdf.expand("sha256", b"prk", b"info", 255)[:length]
    )


def test_no_negative_length() -> None:
    with pytest.raises(UsageError):
        kdf.expand("sha256", b"prk", b"info", -1)
