"""The structs and names of the HTTP binding (docs/protocol.md)."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mls_federation.codec import Struct
from mls_federation.crypto import CipherSuite, SignatureScheme
from mls_federation.errors import DecodeError, UsageError, ValidationError
from mls_federation.federation import binding, log, seed

_CREDENTIAL = seed.Credential(
    credential_type=seed.CredentialType.basic,
    credential=seed.BasicCredential(
        identity=b"a@b.example", algorithm=SignatureScheme.ed25519, public_key=b"\x11" * 32
    ),
)
_CREDENTIAL_HEX = "00 000b 6140622e6578616d706c65 0807 0020" + "11" * 32
_USER_INIT_KEY = seed.UserInitKey(
    user_init_key_id=b"\x01\x02",
    cipher_suites=(seed.SeedCipherSuite.X25519_SHA256_AES128GCM,),
    init_keys=(b"\x22" * 32,),
    credential=_CREDENTIAL,
    signature=b"\x33" * 64,
)
_USER_INIT_KEY_HEX = (
    "02 0102  02 0001  0022 0020" + "22" * 32 + _CREDENTIAL_HEX + "0040" + "33" * 64
)  # the seed's vectors have lengths of fixed size
_KEY_SET = binding.KeySet(
    user_init_key=_USER_INIT_KEY, key_packages=(b"\xaa\xbb",), last_resort=binding.Boolean.true
)

# Written by hand from docs/protocol.md: lengths <V> are one octet below 64, two from there on.
_ENCODINGS: list[tuple[Struct, str]] = [
    (binding.Challenge(challenge=b"\x05" * 32), "20" + "05" * 32),
    (
        binding.SessionTBS(
            domain=b"b.example",
            challenge=b"\x05" * 32,
            identity=b"a@b.example",
            client_id=b"\x06" * 16,
            credential=_CREDENTIAL,
        ),
        "09 622e6578616d706c65  20"
        + "05" * 32
        + "0b 6140622e6578616d706c65  10"
        + "06" * 16
        + _CREDENTIAL_HEX,
    ),
    (
        binding.SessionRequest(
            identity=b"a@b.example",
            client_id=b"\x06" * 16,
            credential=_CREDENTIAL,
            challenge=b"\x05" * 32,
            signature=b"\x07" * 64,
        ),
        "0b 6140622e6578616d706c65  10" + "06" * 16 + _CREDENTIAL_HEX + "20" + "05" * 32 + "4040" + "07" * 64,
    ),
    (binding.SessionResponse(token_secret=b"\x08" * 32, expires=0x65), "20" + "08" * 32 + "00" * 7 + "65"),
    (_KEY_SET, _USER_INIT_KEY_HEX + "03 02 aabb  01"),
    (binding.PublishRequest(key_sets=()), "00"),
    (binding.PublishResponse(available=258), "00000102"),
    (
        binding.KeyBundle(
            client_id=b"\x06" * 16,
            bundle=seed.UserInitKeyBundle(identity=b"a@b.example", user_init_key=_USER_INIT_KEY),
            refs=(b"\x09" * 32,),
            chosen=CipherSuite.MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519,
            key_package=b"\xaa\xbb",
            last_resort=binding.Boolean.false,
        ),
        "10"
        + "06" * 16
        + "000b 6140622e6578616d706c65"
        + _USER_INIT_KEY_HEX
        + "21 20"
        + "09" * 32
        + "0001  02 aabb  00",
    ),
    (
        log.KeyResponse(
            clients=(
                binding.ClientKeys(client_id=b"\x06", status=binding.KeyStatus.exhausted, result=None),
                binding.ClientKeys(
                    client_id=b"\x07",
                    status=binding.KeyStatus.no_common_suite,
                    result=binding.CipherSuites(offered=(CipherSuite(1), CipherSuite(3))),
                ),
            ),
            history=log.IdentityHistory(
                events=(),
                head=log.SignedTreeHead(
                    tree_head=log.TreeHead(domain=b"b", tree_size=1, timestamp=2, root_hash=b"\x03"),
                    signature=b"\x04",
                ),
            ),
        ),
        "0b  01 06 02  01 07 01 04 0001 0003  00  01 62 0000000000000001 0000000000000002 01 03  01 04",
    ),
    (
        binding.SubmitRequest(
            message_id=b"\x0a" * 16, recipients=(b"a@b.example", b"c@b.example"), message=b"\x00\x01\x00\x02"
        ),
        "10" + "0a" * 16 + "18 0b 6140622e6578616d706c65 0b 6340622e6578616d706c65  04 00010002",
    ),
    (
        binding.SubmitResponse(
            results=(
                binding.RecipientResult(identity=b"a@b", status=binding.RecipientStatus.accepted),
                binding.RecipientResult(identity=b"c@b", status=binding.RecipientStatus.inbox_full),
            )
        ),
        "0a 03 614062 00  03 634062 02",
    ),
    (binding.InboxHello(token_secret=b"\x08" * 32, cursor=7), "20" + "08" * 32 + "00" * 7 + "07"),
    (binding.InboxAck(cursor=0x0102), "0000000000000102"),
    (
        binding.InboxFrame(
            frame_type=binding.InboxFrameType.ready, frame=binding.InboxReady(last_acknowledged=3)
        ),
        "01 0000000000000003",
    ),
    (
        binding.InboxFrame(
            frame_type=binding.InboxFrameType.delivery,
            frame=binding.InboxDelivery(
                sequence=4,
                message_id=b"\x0a" * 16,
                received_at=0x65,
                relayed_by=b"a.example",
                message=b"\x00\x01\x00\x02",
            ),
        ),
        "02 0000000000000004  10" + "0a" * 16 + "0000000000000065  09 612e6578616d706c65  04 00010002",
    ),
    (
        binding.InboxFrame(
            frame_type=binding.InboxFrameType.key_count, frame=binding.InboxKeyCount(available=2)
        ),
        "03 00000002",
    ),
]


@pytest.mark.parametrize(("value", "encoding"), _ENCODINGS, ids=lambda case: type(case).__name__)
def test_encodings(value: Struct, encoding: str) -> None:
    octets = bytes.fromhex(encoding)
    assert octets == value.encode()
    assert value == type(value).decode(octets)


@pytest.mark.parametrize(("value", "encoding"), _ENCODINGS, ids=lambda case: type(case).__name__)
def test_every_truncation_is_refused(value: Struct, encoding: str) -> None:
    octets = bytes.fromhex(encoding)
    for length in range(len(octets)):
        with pytest.raises(DecodeError):
            type(value).decode(octets[:length])


def test_unknown_frame_types_are_refused() -> None:
    with pytest.raises(DecodeError) as caught:
        binding.InboxFrame.decode(bytes.fromhex("09 00000002"))
    assert (caught.value.struct, caught.value.field, caught.value.offset) == ("InboxFrame", "frame_type", 0)


def test_a_boolean_is_zero_or_one() -> None:
    with pytest.raises(DecodeError, match=r"KeySet\.last_resort"):
        binding.KeySet.decode(_KEY_SET.encode()[:-1] + b"\x02")
    with pytest.raises(UsageError, match=r"KeyBundle\.chosen"):
        binding.KeyBundle(
            client_id=b"",
            bundle=seed.UserInitKeyBundle(identity=b"", user_init_key=_USER_INIT_KEY),
            refs=(),
            chosen=None,  # type: ignore[arg-type]
            key_package=b"",
            last_resort=binding.Boolean.true,
        ).encode()


def test_tokens_do_not_show() -> None:
    for value in (
        binding.SessionResponse(token_secret=b"\x08" * 32, expires=1),
        binding.InboxHello(token_secret=b"\x08" * 32, cursor=1),
    ):
        assert "0808" not in repr(value)


def test_what_a_session_request_is_signed_over() -> None:
    signed = binding.session_sign_content(
        domain="b.example",
        challenge=b"\x05" * 32,
        identity=b"a@b.example",
        client_id=b"\x06" * 16,
        credential=_CREDENTIAL,
    )
    content = next(value.encode() for value, _ in _ENCODINGS if isinstance(value, binding.SessionTBS))
    label = b"MLS Federation 1.0 Session"
    assert bytes([len(label)]) + label + (0x4000 | len(content)).to_bytes(2, "big") + content == signed


@pytest.mark.parametrize(
    "identity",
    ["a@b.example", "Zoë.O'Brien+1@xn--bcher-kva.example", "小明@a.example", "a@localhost", "a@1.2-3"],
)
def test_identities(identity: str) -> None:
    name, _, domain = identity.partition("@")
    assert (name, domain) == binding.split_identity(identity.encode())


@pytest.mark.parametrize(
    ("identity", "reason"),
    [
        (b"", "name@domain"),
        (b"alice", "name@domain"),
        (b"@b.example", "name@domain"),
        (b"alice@", "name@domain"),
        (b"a@b@c.example", "name@domain"),
        (b"a@B.example", "domain"),
        (b"a@b..example", "domain"),
        (b"a@b.example.", "domain"),
        (b"a@-b.example", "domain"),
        (b"a@b-.example", "domain"),
        (b"a@b_c.example", "domain"),
        (b"a@" + b"b" * 64, "domain"),
        ("a@bücher.example".encode(), "domain"),
        (b"a@b.example\n", "domain"),
        (b"a b@b.example", "white space"),
        (b"a\x00@b.example", "invisible"),
        ("a\u200bb@b.example".encode(), "invisible"),
        ("a\u202eb@b.example".encode(), "invisible"),
        ("e\u0301@b.example".encode(), "normal form"),
        (b"\xff@b.example", "UTF-8"),
        (b"a" * 250 + b"@b.example", "255"),
    ],
)
def test_what_is_no_identity(identity: bytes, reason: str) -> None:
    with pytest.raises(ValidationError, match=reason) as caught:
        binding.split_identity(identity)
    assert caught.value.code == "bad-identity"


@given(st.binary(max_size=80))
def test_base64url_round_trip(data: bytes) -> None:
    text = binding.to_base64url(data)
    assert data == binding.from_base64url(text)
    assert "=" not in text


@pytest.mark.parametrize("text", ["A", "AB", "AA==", "A+==", "+/", "AA A", "é", None, 5])
def test_what_is_no_base64url(text: object) -> None:
    with pytest.raises(ValueError, match="base64url"):
        binding.from_base64url(text)


_DESCRIPTION = {
    "domain": "b.example",
    "versions": [1],
    "signing_key": "A" * 43,
    "endpoints": {"inbox": "/v1/inbox"},
    "limits": {"body": 5},
}


def test_descriptions() -> None:
    description = binding.ServiceDescription.decode(json.dumps(_DESCRIPTION | {"later": {}}).encode())
    assert ("b.example", (1,), bytes(32)) == (
        description.domain,
        description.versions,
        description.signing_key,
    )
    assert json.loads(description.encode()) == _DESCRIPTION


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("domain", "B.example"),
        ("domain", None),
        ("versions", 1),
        ("versions", [True]),
        ("signing_key", "AAAA"),
        ("signing_key", "=" * 43),
        ("endpoints", ["/v1/inbox"]),
        ("endpoints", {"inbox": "https://evil.example/"}),
        ("endpoints", {"inbox": ""}),
        ("endpoints", {"inbox": "/v1/\ud800"}),
        ("endpoints", {"inbox": "/v1/in box"}),
        ("endpoints", {"inbox": "/v1/inbox?x"}),
        ("limits", {"body": "5"}),
    ],
)
def test_broken_descriptions(member: str, value: object) -> None:
    with pytest.raises(DecodeError) as caught:
        binding.ServiceDescription.decode(json.dumps(_DESCRIPTION | {member: value}).encode())
    assert (member, "ServiceDescription") == (caught.value.field, caught.value.struct)


@pytest.mark.parametrize("document", [b"", b"\xff\xfe\xfd", b"[]", b"1", b"[" * 100_000])
def test_what_is_no_description(document: bytes) -> None:
    with pytest.raises(DecodeError):
        binding.ServiceDescription.decode(document)


def test_problem_reports() -> None:
    body = json.dumps({"type": binding.problem_type("unknown-identity"), "detail": "Nobody."}).encode()
    error = binding.service_error(404, body)
    assert (error.code, error.status, error.message) == ("unknown-identity", 404, "Nobody.")


@pytest.mark.parametrize(
    ("value", "seconds"),
    [(7, 7), (0, 0), (-1, 0), (10**30, 3600), (True, 0), (1.5, 0), ("7", 0), (None, 0)],
)
def test_how_long_a_service_wants_to_be_left_alone(value: object, seconds: int) -> None:
    report = {"type": binding.problem_type("rate-limited"), "detail": "Later.", "retry_after": value}
    assert binding.service_error(429, json.dumps(report).encode()).retry_after == seconds


@pytest.mark.parametrize(
    "body",
    [
        b"<html>Bad gateway</html>",
        b"[]",
        b'{"type": "about:blank"}',
        b'{"type": "urn:mls-federation:error:Not A Code"}',
        b'{"type": 5, "detail": 5}',
    ],
)
def test_answers_that_are_no_problem_report(body: bytes) -> None:
    error = binding.service_error(502, body)
    assert (error.code, error.status) == ("service-error", 502)
    assert "502" in error.message


def test_a_problem_report_can_be_printed_whatever_is_in_it() -> None:
    error = binding.service_error(400, rb'{"type": "urn:mls-federation:error:no", "detail": "a\ud800b"}')
    assert (error.code, error.message) == ("no", "a?b")


def test_no_label_can_be_taken_for_a_user_init_key() -> None:
    """The identity key signs a UserInitKey as the seed has it, without a label: its first octet is 32, the size of an id."""
    for size in (12, 14):
        assert binding.federation_sign_content("x" * size, b"")[0] == 19 + size
    with pytest.raises(UsageError):
        binding.federation_sign_content("x" * 13, b"")


@pytest.mark.parametrize(
    ("said", "offered"),
    [([1, 3], (1, 3)), ([], ()), ("1, 3", ()), ([1, "3", -1, 0x10000, True, 2.0], (1,)), (None, ())],
)
def test_the_suites_that_a_service_says_to_have_keys_for(said: object, offered: tuple[int, ...]) -> None:
    problem = {"type": "urn:mls-federation:error:no-common-suite", "offered_suites": said}
    error = binding.service_error(409, json.dumps(problem).encode())
    assert (error.code, error.offered_suites) == ("no-common-suite", offered)
