"""Every primitive of a provider against the published answers of its standard."""

from dataclasses import dataclass

import pytest

from mls_federation.crypto import AEAD, KEM, CryptoProvider, SignatureScheme


@dataclass(frozen=True)
class SealCase:
    aead: AEAD
    key: str
    nonce: str
    aad: str
    plaintext: str
    sealed: str


# McGrew and Viega, The Galois/Counter Mode of Operation, appendix B, test cases 4 and 16.
GCM_NONCE = "cafebabefacedbaddecaf888"
GCM_AAD = "feedfacedeadbeeffeedfacedeadbeefabaddad2"
GCM_PLAINTEXT = (
    "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
    "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"
)
# RFC 8439 §2.8.2.
CHACHA_PLAINTEXT = (
    b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, "
    b"sunscreen would be it."
).hex()

AEAD_CASES = [
    SealCase(
        AEAD.AES_128_GCM,
        "feffe9928665731c6d6a8f9467308308",
        GCM_NONCE,
        GCM_AAD,
        GCM_PLAINTEXT,
        (
            "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e"
            "21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e0915bc94fbc3221a5db94fae95ae7121a47"
        ),
    ),
    SealCase(
        AEAD.AES_256_GCM,
        "feffe9928665731c6d6a8f9467308308" * 2,
        GCM_NONCE,
        GCM_AAD,
        GCM_PLAINTEXT,
        (
            "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
            "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f66276fc6ece0f4e1768cddf8853bb2d551b"
        ),
    ),
    SealCase(
        AEAD.ChaCha20Poly1305,
        bytes(range(0x80, 0xA0)).hex(),
        "070000004041424344454647",
        "50515253c0c1c2c3c4c5c6c7",
        CHACHA_PLAINTEXT,
        (
            "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d6"
            "3dbea45e8ca9671282fafb69da92728b1a71de0a9e060b2905d6a5b67ecd3b36"
            "92ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc"
            "3ff4def08e4b7a9de576d26586cec64b61161ae10b594f09e26a7e902ecbd0600691"
        ),
    ),
]

# (KEM, private key, public key, shared secret)
DH_CASES = [
    # RFC 7748 §5.2.
    (
        KEM.DHKEM_X25519_HKDF_SHA256,
        "a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
        "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c",
        "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552",
    ),
    (
        KEM.DHKEM_X25519_HKDF_SHA256,
        "4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d",
        "e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493",
        "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957",
    ),
    (
        KEM.DHKEM_X448_HKDF_SHA512,
        (
            "3d262fddf9ec8e88495266fea19a34d28882acef045104d0d1aae121"
            "700a779c984c24f8cdd78fbff44943eba368f54b29259a4f1c600ad3"
        ),
        (
            "06fce640fa3487bfda5f6cf2d5263f8aad88334cbd07437f020f08f9"
            "814dc031ddbdc38c19c6da2583fa5429db94ada18aa7a7fb4ef8a086"
        ),
        (
            "ce3e4ff95a60dc6697da1db1d85e6afbdf79b50a2412d7546d5f239f"
            "e14fbaadeb445fc66a01b0779d98223961111e21766282f73dd96b6f"
        ),
    ),
    # RFC 5903 §8.1.
    (
        KEM.DHKEM_P256_HKDF_SHA256,
        "c88f01f510d9ac3f70a292daa2316de544e9aab8afe84049c62a9c57862d1433",
        (
            "04d12dfb5289c8d4f81208b70270398c342296970a0bccb74c736fc7554494bf63"
            "56fbf3ca366cc23e8157854c13c58d6aac23f046ada30f8353e74f33039872ab"
        ),
        "d6840f6b42f6edafd13116e0e12565202fef8e9ece7dce03812464d04b9442de",
    ),
]

# (KEM, private key, public key)
PUBLIC_KEY_CASES = [
    # RFC 5903 §8.1.
    (
        KEM.DHKEM_P256_HKDF_SHA256,
        "c88f01f510d9ac3f70a292daa2316de544e9aab8afe84049c62a9c57862d1433",
        (
            "04dad0b65394221cf9b051e1feca5787d098dfe637fc90b9ef945d0c3772581180"
            "5271a0461cdb8252d61f1c456fa3e59ab1f45b33accf5f58389e0577b8990bb3"
        ),
    ),
]


@dataclass(frozen=True)
class SignCase:
    scheme: SignatureScheme
    private_key: str
    public_key: str
    message: str
    signature: str


EDDSA_CASES = [
    # RFC 8032 §7.1, tests 1 to 3.
    SignCase(
        SignatureScheme.ed25519,
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        (
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
            "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
        ),
    ),
    SignCase(
        SignatureScheme.ed25519,
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        (
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
            "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
        ),
    ),
    SignCase(
        SignatureScheme.ed25519,
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        (
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
            "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"
        ),
    ),
    # RFC 8032 §7.4, "Blank".
    SignCase(
        SignatureScheme.ed448,
        (
            "6c82a562cb808d10d632be89c8513ebf6c929f34ddfa8c9f63c9960ef6e348a3"
            "528c8a3fcc2f044e39a3fc5b94492f8f032e7549a20098f95b"
        ),
        (
            "5fd7449b59b461fd2ce787ec616ad46a1da1342485a70e1f8a0ea75d80e96778"
            "edf124769b46c7061bd6783df1e50f6cd1fa1abeafe8256180"
        ),
        "",
        (
            "533a37f6bbe457251f023c0d88f976ae2dfb504a843e34d2074fd823d41a591f"
            "2b233f034f628281f2fd7a22ddd47d7828c59bd0a21bfd3980ff0d2028d4b18a"
            "9df63e006c5d1c2d345b925d8dc00b4104852db99ac5c7cdda8530a113a0f4db"
            "b61149f05a7363268c71d95808ff2e652600"
        ),
    ),
]
# RFC 6979 §A.2.5, "sample" with SHA-256: r and s as an ECDSA-Sig-Value. Its s is above half the order.
ECDSA_CASE = SignCase(
    SignatureScheme.ecdsa_secp256r1_sha256,
    "c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721",
    "0460fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6"
    "7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299",
    b"sample".hex(),
    "3046022100efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716"
    "022100f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8",
)


@pytest.mark.parametrize("case", AEAD_CASES, ids=lambda case: case.aead.name)
def test_aead(provider: CryptoProvider, case: SealCase) -> None:
    key, nonce, aad = bytes.fromhex(case.key), bytes.fromhex(case.nonce), bytes.fromhex(case.aad)
    plaintext, sealed = bytes.fromhex(case.plaintext), bytes.fromhex(case.sealed)
    assert provider.aead_seal(case.aead, key, nonce, aad, plaintext) == sealed
    assert provider.aead_open(case.aead, key, nonce, aad, sealed) == plaintext


@pytest.mark.parametrize(("kem", "private_key", "public_key", "shared"), DH_CASES)
def test_dh(provider: CryptoProvider, kem: KEM, private_key: str, public_key: str, shared: str) -> None:
    assert provider.dh(kem, bytes.fromhex(private_key), bytes.fromhex(public_key)).hex() == shared


@pytest.mark.parametrize(("kem", "private_key", "public_key"), PUBLIC_KEY_CASES)
def test_public_key(provider: CryptoProvider, kem: KEM, private_key: str, public_key: str) -> None:
    assert provider.dh_public_key(kem, bytes.fromhex(private_key)).hex() == public_key


@pytest.mark.parametrize("case", EDDSA_CASES)
def test_eddsa_is_deterministic(provider: CryptoProvider, case: SignCase) -> None:
    signature = provider.sign(case.scheme, bytes.fromhex(case.private_key), bytes.fromhex(case.message))
    assert signature.hex() == case.signature


@pytest.mark.rule("5.1.2-02")
@pytest.mark.parametrize("case", [*EDDSA_CASES, ECDSA_CASE])
def test_signatures(provider: CryptoProvider, case: SignCase) -> None:
    private_key, public_key = bytes.fromhex(case.private_key), bytes.fromhex(case.public_key)
    assert provider.signature_public_key(case.scheme, private_key) == public_key
    provider.verify(case.scheme, public_key, bytes.fromhex(case.message), bytes.fromhex(case.signature))
