"""The seed's messages against octets written by hand from draft-omara-mls-federation-00.

Its vectors have lengths of one, two, three or four octets, as RFC 8446 §3.4 says; the length counts octets, not elements.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mls_federation.codec import Struct
from mls_federation.crypto import CipherSuite, SignatureScheme
from mls_federation.errors import DecodeError, UsageError
from mls_federation.federation.seed import (
    BasicCredential,
    Credential,
    CredentialType,
    GetUserInitKeyRequest,
    GetUserInitKeyResponse,
    SeedCipherSuite,
    UserInitKey,
    UserInitKeyBundle,
    UserInitKeyTBS,
    from_rfc9420,
    to_rfc9420,
)

_P256 = SeedCipherSuite.P256_SHA256_AES128GCM
_X25519 = SeedCipherSuite.X25519_SHA256_AES128GCM

_IDENTITY = b"alice@a.example"
_IDENTITY_HEX = "000f 616c69636540612e6578616d706c65"

_BASIC = Credential(
    credential_type=CredentialType.basic,
    credential=BasicCredential(
        identity=_IDENTITY, algorithm=SignatureScheme.ed25519, public_key=b"\xed" * 32
    ),
)
_BASIC_HEX = "00" + _IDENTITY_HEX + "0807" + "0020" + "ed" * 32

_X509 = Credential(credential_type=CredentialType.x509, credential=b"\x30" * 300)
_X509_HEX = "01" + "00012c" + "30" * 300

_POINT = b"\x04" + b"\x25" * 64
_ID = b"\x1d" * 32

# Each field in the order of the draft: its length in octets, then its content.
_TBS = {
    "user_init_key_id": "20" + "1d" * 32,
    "cipher_suites": "04" + "0000" + "0001",
    "init_keys": "0065" + ("0041" + "04" + "25" * 64) + ("0020" + "75" * 32),  # 2 + 65 + 2 + 32 = 101 octets
    "credential": _BASIC_HEX,
}
_USER_INIT_KEY = UserInitKey(
    user_init_key_id=_ID,
    cipher_suites=(_P256, _X25519),
    init_keys=(_POINT, b"\x75" * 32),
    credential=_BASIC,
    signature=b"\x51" * 64,
)
_USER_INIT_KEY_HEX = "".join(_TBS.values()) + "0040" + "51" * 64
_BUNDLE = UserInitKeyBundle(identity=_IDENTITY, user_init_key=_USER_INIT_KEY)
_BUNDLE_HEX = _IDENTITY_HEX + _USER_INIT_KEY_HEX

_ENCODINGS: dict[str, tuple[Struct, str]] = {
    "request": (
        GetUserInitKeyRequest(identity=_IDENTITY, supported_suites=(_X25519, _P256)),
        _IDENTITY_HEX + "04 0001 0000",
    ),
    "request of nothing": (GetUserInitKeyRequest(identity=b"", supported_suites=()), "0000 00"),
    "request with a suite that the draft does not name": (
        GetUserInitKeyRequest(identity=b"b", supported_suites=(SeedCipherSuite(0x0003),)),
        "0001 62 02 0003",
    ),
    "basic credential": (_BASIC, _BASIC_HEX),
    "x509 credential": (_X509, _X509_HEX),
    "what a UserInitKey's signature covers": (
        UserInitKeyTBS(
            user_init_key_id=_ID,
            cipher_suites=(_P256, _X25519),
            init_keys=(_POINT, b"\x75" * 32),
            credential=_BASIC,
        ),
        "".join(_TBS.values()),
    ),
    "UserInitKey": (_USER_INIT_KEY, _USER_INIT_KEY_HEX),
    "UserInitKey with an x509 credential": (
        UserInitKey(
            user_init_key_id=b"",
            cipher_suites=(_X25519,),
            init_keys=(b"\x75" * 32,),
            credential=_X509,
            signature=b"",
        ),
        "00" + "02 0001" + "0022 0020" + "75" * 32 + _X509_HEX + "0000",
    ),
    "bundle": (_BUNDLE, _BUNDLE_HEX),
    "response": (
        GetUserInitKeyResponse(user_init_keys=(_BUNDLE, _BUNDLE)),
        f"{2 * len(bytes.fromhex(_BUNDLE_HEX)):08x}" + _BUNDLE_HEX + _BUNDLE_HEX,
    ),
    "response of nothing": (GetUserInitKeyResponse(user_init_keys=()), "00000000"),
}
_CASES = pytest.mark.parametrize(("value", "encoding"), _ENCODINGS.values(), ids=_ENCODINGS)


@_CASES
def test_encodings(value: Struct, encoding: str) -> None:
    octets = bytes.fromhex(encoding)
    assert octets == value.encode()
    assert value == type(value).decode(octets)


@_CASES
def test_truncated_and_overlong_messages_are_refused(value: Struct, encoding: str) -> None:
    octets = bytes.fromhex(encoding)
    for length in range(len(octets)):
        with pytest.raises(DecodeError):
            type(value).decode(octets[:length])
    with pytest.raises(DecodeError):
        type(value).decode(octets + b"\x00")


def test_a_signature_covers_every_field_before_it() -> None:
    tbs = bytes.fromhex("".join(_TBS.values()))
    assert _USER_INIT_KEY.encode().startswith(tbs)
    assert _USER_INIT_KEY.encode()[len(tbs) :] == bytes.fromhex("0040" + "51" * 64)


@pytest.mark.parametrize(
    ("octets", "field"),
    [
        ("0001 61 03 000000", "supported_suites"),  # a suite and a half
        ("0001 61 01 00", "supported_suites"),
        ("0004 6162", "identity"),
    ],
)
def test_broken_requests_are_refused_by_field(octets: str, field: str) -> None:
    with pytest.raises(DecodeError) as caught:
        GetUserInitKeyRequest.decode(bytes.fromhex(octets))
    assert ("GetUserInitKeyRequest", field) == (caught.value.struct, caught.value.field)


@pytest.mark.parametrize(
    "octets",
    [
        pytest.param("02", id="a type that the drafts do not have"),
        pytest.param("ff", id="type 255"),
        pytest.param("01 000000", id="x509 without any octets"),
        pytest.param("00 0001 61 0807 0000", id="basic without a public key"),
    ],
)
def test_broken_credentials_are_refused(octets: str) -> None:
    with pytest.raises(DecodeError):
        Credential.decode(bytes.fromhex(octets))


def test_bounds_of_vectors() -> None:
    longest = (SeedCipherSuite(0x0003),) * 127
    GetUserInitKeyRequest(identity=b"i" * 0xFFFF, supported_suites=longest).encode()
    with pytest.raises(UsageError):
        GetUserInitKeyRequest(identity=b"", supported_suites=(*longest, _P256)).encode()
    with pytest.raises(UsageError):
        GetUserInitKeyRequest(identity=b"i" * 0x10000, supported_suites=()).encode()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("user_init_key_id", b"i" * 256),
        ("init_keys", ()),  # <1..2^16-1>: at least one octet
        ("init_keys", (b"",)),  # an HPKEPublicKey has at least one
        ("init_keys", (b"k" * 0x8000, b"k" * 0x8000)),
        ("signature", b"s" * 0x10000),
    ],
)
def test_bounds_of_a_user_init_key(field: str, value: object) -> None:
    fields = {name: getattr(_USER_INIT_KEY, name) for name in UserInitKey._fields}
    with pytest.raises(UsageError):
        UserInitKey(**{**fields, field: value}).encode()


def test_the_seeds_code_points_stand_for_suites_of_rfc_9420() -> None:
    assert (_P256, _X25519) == (0x0000, 0x0001)
    assert to_rfc9420(_P256) is CipherSuite.MLS_128_DHKEMP256_AES128GCM_SHA256_P256
    assert to_rfc9420(_X25519) is CipherSuite.MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519
    assert to_rfc9420(SeedCipherSuite(3)) is CipherSuite.MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_Ed25519


@given(st.integers(0, 0xFFFF).map(CipherSuite))
def test_every_suite_survives_the_way_through_the_seed(suite: CipherSuite) -> None:
    # RFC 9420 reserves 0x0000, which is the seed's P-256 suite.
    expected = CipherSuite.MLS_128_DHKEMP256_AES128GCM_SHA256_P256 if suite == 0 else suite
    assert expected == to_rfc9420(from_rfc9420(suite))
