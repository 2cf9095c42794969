"""The contract of `CryptoProvider`: what every provider does with good keys, and with bad ones."""

from dataclasses import dataclass

import pytest

from mls_federation.crypto import (
    AEAD,
    KEM,
    CipherSuite,
    CryptoProvider,
    KeyPair,
    SignatureScheme,
    SignedMessage,
    generate_signature_key,
    hpke,
)
from mls_federation.crypto.curves import KEM_ORDERS, SIGNATURE_ORDERS, is_montgomery_key
from mls_federation.errors import UsageError, ValidationError, VerificationError

SCHEMES = list(SignatureScheme)
NIST_KEMS = list(KEM_ORDERS)
NIST_SCHEMES = [SignatureScheme(scheme) for scheme in SIGNATURE_ORDERS]
X25519 = KEM.DHKEM_X25519_HKDF_SHA256
X448 = KEM.DHKEM_X448_HKDF_SHA512

# Primes of the fields.
P25519 = 2**255 - 19
P448 = 2**448 - 2**224 - 1
# Order of the base point of edwards25519 (RFC 8032 §5.1).
L25519 = 2**252 + 27742317777372353535851937790883648493

# u-coordinates of small order, canonical or not (RFC 7748 §6.1, §6.2): every private key gives zero with them.
LOW_ORDER_POINTS = [
    *(
        (X25519, u.to_bytes(32, "little"))
        for u in (
            0,
            1,
            325606250916557431795983626356110631294008115727848805560023387167927233504,
            39382357235489614581723060781553021112529911719440698176882885853963445705823,
            P25519 - 1,
            P25519,
            P25519 + 1,
        )
    ),
    *((X448, u.to_bytes(56, "little")) for u in (0, 1, P448 - 1, P448, P448 + 1)),
]

MESSAGE = b"the message"


def test_suites(provider: CryptoProvider) -> None:
    assert all(provider.supports(suite) for suite in CipherSuite)
    for grease in (0x0000, 0x0A0A, 0xFFFF):
        assert not provider.supports(CipherSuite(grease))


@pytest.mark.parametrize("kem", list(KEM))
def test_many_key_agreements_in_one_call(provider: CryptoProvider, kem: KEM) -> None:
    own = [hpke.generate_key_pair(provider, kem) for _ in range(3)]
    peers = [hpke.generate_key_pair(provider, kem) for _ in range(3)]
    agreed = provider.encapsulate_all(
        kem, [pair.private_key for pair in own], [pair.public_key for pair in peers]
    )
    assert agreed == [
        (mine.public_key, provider.dh(kem, theirs.private_key, mine.public_key))
        for mine, theirs in zip(own, peers, strict=True)
    ]
    assert provider.encapsulate_all(kem, [], []) == []
    usable = [pair.public_key for pair in peers[:2]]
    for wrong in (b"", peers[2].public_key[:-1], bytes(kem.Npk)):
        with pytest.raises(ValidationError) as caught:
            provider.encapsulate_all(kem, [pair.private_key for pair in own], [*usable, wrong])
        assert caught.value.code == "invalid-public-key"
    with pytest.raises(UsageError):
        provider.encapsulate_all(kem, [bytes(kem.Nsk + 1)], usable[:1])


@pytest.mark.parametrize("kem", [X25519, X448])
def test_keys_without_a_secret_are_known_without_computing_one(provider: CryptoProvider, kem: KEM) -> None:
    private_key = provider.random(kem.Nsk)
    low_order = [octets for curve, octets in LOW_ORDER_POINTS if curve == kem]
    if kem == X25519:
        low_order += [octets[:31] + bytes([octets[31] | 0x80]) for octets in low_order]
    others = [provider.random(kem.Npk) for _ in range(16)] + [
        u.to_bytes(kem.Npk, "little") for u in (2, 3, 5, 9)
    ]
    for public_key in low_order + others:
        try:
            provider.dh(kem, private_key, public_key)
        except ValidationError:
            usable = False
        else:
            usable = True
        assert usable == (public_key in others)
        assert is_montgomery_key(kem, public_key) == usable
    for public_key in (b"", bytes(kem.Npk - 1), b"\x05" * (kem.Npk + 1)):
        assert not is_montgomery_key(kem, public_key)


def test_name(provider: CryptoProvider) -> None:
    assert provider.name in ("pyca", "webjs")


def test_random(provider: CryptoProvider) -> None:
    assert [len(provider.random(length)) for length in (0, 1, 32, 1000)] == [0, 1, 32, 1000]
    assert len({provider.random(16) for _ in range(100)}) == 100


# -- AEAD


@pytest.mark.parametrize("aead", AEAD)
@pytest.mark.parametrize("size", [0, 1, 16, 1000])
def test_seal_and_open(provider: CryptoProvider, aead: AEAD, size: int) -> None:
    key, nonce, plaintext = bytes(aead.Nk), bytes(aead.Nn), b"x" * size
    sealed = provider.aead_seal(aead, key, nonce, b"aad", plaintext)
    assert type(sealed) is bytes
    assert len(sealed) == size + 16
    opened = provider.aead_open(aead, key, nonce, b"aad", sealed)
    assert type(opened) is bytes
    assert opened == plaintext


@pytest.mark.parametrize("aead", AEAD)
def test_what_does_not_authenticate(provider: CryptoProvider, aead: AEAD) -> None:
    key, nonce = bytes(aead.Nk), bytes(aead.Nn)
    sealed = provider.aead_seal(aead, key, nonce, b"aad", b"plaintext")
    attempts = [(key, nonce, b"aae", sealed), (key, nonce, b"", sealed)]
    attempts += [(flipped(key, 0), nonce, b"aad", sealed), (key, flipped(nonce, 0), b"aad", sealed)]
    attempts += [(key, nonce, b"aad", flipped(sealed, place)) for place in range(len(sealed))]
    attempts += [(key, nonce, b"aad", sealed[:length]) for length in range(len(sealed))]
    attempts += [(key, nonce, b"aad", sealed + b"\x00")]
    for attempt in attempts:
        with pytest.raises(VerificationError) as caught:
            provider.aead_open(aead, *attempt)
        assert caught.value.code == "decryption-failed"


@pytest.mark.parametrize("aead", AEAD)
def test_wrong_sizes_of_key_and_nonce(provider: CryptoProvider, aead: AEAD) -> None:
    key, nonce = bytes(aead.Nk), bytes(aead.Nn)
    wrong_keys = [b"", key[:-1], key + b"\x00", bytes(48 - aead.Nk), bytes(24)]
    wrong_nonces = [b"", nonce[:-1], nonce + b"\x00", bytes(8), bytes(24)]
    for wrong_key, wrong_nonce in [(k, nonce) for k in wrong_keys] + [(key, n) for n in wrong_nonces]:
        with pytest.raises(UsageError):
            provider.aead_seal(aead, wrong_key, wrong_nonce, b"", b"")
        with pytest.raises(UsageError):
            provider.aead_open(aead, wrong_key, wrong_nonce, b"", bytes(16))


# -- Diffie-Hellman


@pytest.mark.parametrize("kem", KEM)
def test_both_sides_agree(provider: CryptoProvider, kem: KEM) -> None:
    one, other = hpke.generate_key_pair(provider, kem), hpke.generate_key_pair(provider, kem)
    assert (len(one.private_key), len(one.public_key)) == (kem.Nsk, kem.Npk)
    assert provider.dh_public_key(kem, one.private_key) == one.public_key
    shared = provider.dh(kem, one.private_key, other.public_key)
    assert type(shared) is bytes
    # RFC 9180 §7.1: an x-coordinate has the size of a field element, with its leading zeros.
    assert len(shared) == kem.Nsk
    assert shared == provider.dh(kem, other.private_key, one.public_key)


@pytest.mark.parametrize(("kem", "point"), LOW_ORDER_POINTS)
def test_points_that_give_zero(provider: CryptoProvider, kem: KEM, point: bytes) -> None:
    private_key = hpke.generate_key_pair(provider, kem).private_key
    assert_no_public_key(provider, kem, private_key, point)


@pytest.mark.rule("5.1.1-01")
@pytest.mark.parametrize("kem", KEM)
def test_public_keys_of_the_wrong_size(provider: CryptoProvider, kem: KEM) -> None:
    keys = hpke.generate_key_pair(provider, kem)
    for wrong in (b"", keys.public_key[:-1], keys.public_key + b"\x00"):
        assert_no_public_key(provider, kem, keys.private_key, wrong)


@pytest.mark.rule("5.1.1-01")
@pytest.mark.parametrize("kem", NIST_KEMS)
def test_points_that_are_not_on_the_curve_or_not_uncompressed(provider: CryptoProvider, kem: KEM) -> None:
    keys = hpke.generate_key_pair(provider, kem)
    for point in wrong_points(keys.public_key):
        assert_no_public_key(provider, kem, keys.private_key, point)


@pytest.mark.parametrize("kem", KEM)
def test_private_keys_that_are_none(provider: CryptoProvider, kem: KEM) -> None:
    keys = hpke.generate_key_pair(provider, kem)
    wrong = [b"", keys.private_key + b"\x00", b"\x00" + keys.private_key]
    if kem in KEM_ORDERS:
        order = KEM_ORDERS[kem]
        wrong += [number.to_bytes(kem.Nsk, "big") for number in (0, order, order + 1)] + [b"\xff" * kem.Nsk]
    else:
        wrong.append(keys.private_key[:-1])
    for private_key in wrong:
        with pytest.raises(UsageError):
            provider.dh_public_key(kem, private_key)
        with pytest.raises(UsageError):
            provider.dh(kem, private_key, keys.public_key)


@pytest.mark.parametrize("kem", NIST_KEMS)
def test_a_scalar_may_lack_its_leading_zeros(provider: CryptoProvider, kem: KEM) -> None:
    # Some implementations keep their keys so; the official vectors have such keys.
    peer = hpke.generate_key_pair(provider, kem).public_key
    for short in (b"\x07", b"\x07" * (kem.Nsk - 1)):
        full = short.rjust(kem.Nsk, b"\x00")
        assert provider.dh_public_key(kem, short) == provider.dh_public_key(kem, full)
        assert provider.dh(kem, short, peer) == provider.dh(kem, full, peer)
    for scheme in NIST_SCHEMES:
        public_key = provider.signature_public_key(scheme, b"\x07")
        provider.verify(scheme, public_key, MESSAGE, provider.sign(scheme, b"\x07", MESSAGE))


@pytest.mark.parametrize("kem", NIST_KEMS)
def test_the_first_and_last_scalar(provider: CryptoProvider, kem: KEM) -> None:
    first = provider.dh_public_key(kem, (1).to_bytes(kem.Nsk, "big"))
    last = provider.dh_public_key(kem, (KEM_ORDERS[kem] - 1).to_bytes(kem.Nsk, "big"))
    # n-1 is the inverse of 1: the same x-coordinate, another y.
    size = (kem.Npk - 1) // 2
    assert first[: 1 + size] == last[: 1 + size]
    assert first != last


@pytest.mark.parametrize("kem", KEM)
def test_derived_keys_are_deterministic(provider: CryptoProvider, kem: KEM) -> None:
    derived = [hpke.derive_key_pair(provider, kem, b"x" * kem.Nsk) for _ in range(2)]
    assert derived[0] == derived[1]
    assert derived[0] != hpke.derive_key_pair(provider, kem, b"y" * kem.Nsk)


def test_scalars_of_p521_have_521_bits(provider: CryptoProvider) -> None:
    # RFC 9180 §7.1.3: the seven highest bits of 66 octets are cleared, the lowest of the first octet may be set.
    kem = KEM.DHKEM_P521_HKDF_SHA512
    first_octets = {
        hpke.derive_key_pair(provider, kem, bytes([number]) * 66).private_key[0] for number in range(12)
    }
    assert first_octets == {0, 1}


# -- signatures


@dataclass(frozen=True)
class Signed:
    scheme: SignatureScheme
    keys: KeyPair
    signature: bytes


@pytest.fixture(params=SCHEMES, ids=[scheme.name for scheme in SCHEMES])
def signed(request: pytest.FixtureRequest, provider: CryptoProvider) -> Signed:
    return sign(provider, request.param)


def sign(provider: CryptoProvider, scheme: SignatureScheme) -> Signed:
    keys = generate_signature_key(provider, scheme)
    return Signed(scheme, keys, provider.sign(scheme, keys.private_key, MESSAGE))


def test_sign_and_verify(provider: CryptoProvider, signed: Signed) -> None:
    assert type(signed.signature) is bytes
    public_key = provider.signature_public_key(signed.scheme, signed.keys.private_key)
    assert public_key == signed.keys.public_key
    provider.verify(signed.scheme, public_key, MESSAGE, signed.signature)


def test_signatures_of_something_else(provider: CryptoProvider, signed: Signed) -> None:
    stranger = generate_signature_key(provider, signed.scheme)
    refuse(provider, signed, message=MESSAGE + b".")
    refuse(provider, signed, message=b"")
    refuse(provider, signed, public_key=stranger.public_key)
    refuse(provider, signed, signature=b"")
    refuse(provider, signed, signature=signed.signature[:-1])
    refuse(provider, signed, signature=signed.signature + b"\x00")
    refuse(provider, signed, signature=bytes(len(signed.signature)))
    for place in (0, len(signed.signature) // 2, len(signed.signature) - 1):
        refuse(provider, signed, signature=flipped(signed.signature, place))


def test_public_keys_that_are_none(provider: CryptoProvider, signed: Signed) -> None:
    key = signed.keys.public_key
    for wrong in (b"", key[:-1], key + b"\x00", bytes(len(key)), b"\xff" * len(key)):
        refuse(provider, signed, public_key=wrong)
    if signed.scheme in NIST_SCHEMES:
        for wrong in wrong_points(key):
            refuse(provider, signed, public_key=wrong)


@pytest.mark.rule("5.1.2-01")
def test_keys_of_another_scheme(provider: CryptoProvider, signed: Signed) -> None:
    for scheme in SCHEMES:
        if scheme != signed.scheme:
            other = generate_signature_key(provider, scheme)
            refuse(provider, signed, public_key=other.public_key)
            with pytest.raises(VerificationError):
                provider.verify(scheme, signed.keys.public_key, MESSAGE, signed.signature)


def test_private_signature_keys_that_are_none(provider: CryptoProvider, signed: Signed) -> None:
    key = signed.keys.private_key
    wrong = [b"", key + b"\x00", b"\x00" + key]
    if signed.scheme in NIST_SCHEMES:
        order = SIGNATURE_ORDERS[signed.scheme]
        wrong += [number.to_bytes(len(key), "big") for number in (0, order)] + [b"\xff" * len(key)]
    else:
        wrong.append(key[:-1])
    for private_key in wrong:
        with pytest.raises(UsageError):
            provider.sign(signed.scheme, private_key, MESSAGE)
        with pytest.raises(UsageError):
            provider.signature_public_key(signed.scheme, private_key)


def test_many_signatures_at_once(provider: CryptoProvider, signed: Signed) -> None:
    good = SignedMessage(signed.keys.public_key, MESSAGE, signed.signature)
    bad = SignedMessage(signed.keys.public_key, b"another", signed.signature)
    provider.verify_all(signed.scheme, [])
    provider.verify_all(signed.scheme, [good])
    provider.verify_all(signed.scheme, [good, good, good])
    for messages in ([bad], [bad, good, good], [good, bad, good], [good, good, bad]):
        with pytest.raises(VerificationError) as caught:
            provider.verify_all(signed.scheme, messages)
        assert caught.value.code == "bad-signature"


def test_an_unknown_scheme(provider: CryptoProvider) -> None:
    unknown = SignatureScheme(0x0A0A)
    with pytest.raises(VerificationError):
        provider.verify(unknown, bytes(32), MESSAGE, bytes(64))
    with pytest.raises(UsageError):
        provider.sign(unknown, bytes(32), MESSAGE)
    with pytest.raises(UsageError):
        provider.signature_public_key(unknown, bytes(32))
    with pytest.raises(UsageError):
        generate_signature_key(provider, unknown)


def test_ed25519_scalars_are_reduced(provider: CryptoProvider) -> None:
    # RFC 8032 §5.1.7: S is below the order, so that nobody can make a second signature out of one.
    signed = sign(provider, SignatureScheme.ed25519)
    scalar = int.from_bytes(signed.signature[32:], "little")
    refuse(provider, signed, signature=signed.signature[:32] + (scalar + L25519).to_bytes(32, "little"))


@pytest.mark.parametrize("scheme", NIST_SCHEMES, ids=[scheme.name for scheme in NIST_SCHEMES])
def test_either_sign_of_s_is_accepted(provider: CryptoProvider, scheme: SignatureScheme) -> None:
    # RFC 8446 knows no rule of a low s, and other implementations send both.
    signed = sign(provider, scheme)
    r, s = from_der(signed.signature)
    for number in (s, SIGNATURE_ORDERS[scheme] - s):
        provider.verify(scheme, signed.keys.public_key, MESSAGE, to_der(integer(r), integer(number)))


@pytest.mark.rule("5.1.2-02")
@pytest.mark.parametrize("scheme", NIST_SCHEMES, ids=[scheme.name for scheme in NIST_SCHEMES])
def test_ecdsa_signatures_that_are_no_der(provider: CryptoProvider, scheme: SignatureScheme) -> None:
    signed = sign(provider, scheme)
    r, s = from_der(signed.signature)
    order = SIGNATURE_ORDERS[scheme]
    whole = to_der(integer(r), integer(s))
    provider.verify(scheme, signed.keys.public_key, MESSAGE, whole)
    size = len(signed.keys.private_key)
    wrong = {
        "raw": r.to_bytes(size, "big") + s.to_bytes(size, "big"),
        "r of zero": to_der(integer(0), integer(s)),
        "s of zero": to_der(integer(r), integer(0)),
        "s of the order": to_der(integer(r), integer(order)),
        "s above the order": to_der(integer(r), integer(s + order)),
        "a leading zero": to_der(b"\x00" + integer(r), integer(s)),
        "a negative number": to_der(integer(r - (1 << (8 * len(integer(r)))), signed=True), integer(s)),
        "no s": sequence(tagged(2, integer(r))),
        "three numbers": sequence(tagged(2, integer(r)) + tagged(2, integer(s)) + tagged(2, b"\x01")),
        "a set": b"\x31" + whole[1:],
        "octet strings": sequence(tagged(4, integer(r)) + tagged(4, integer(s))),
        "an octet behind": whole + b"\x00",
        "an octet behind, inside": sequence(tagged(2, integer(r)) + tagged(2, integer(s)) + b"\x00"),
        "an indefinite length": b"\x30\x80" + tagged(2, integer(r)) + tagged(2, integer(s)) + b"\x00\x00",
        "a length in too long a form": long_form(tagged(2, integer(r)) + tagged(2, integer(s))),
        "nothing": b"\x30\x00",
    }
    accepted = [name for name, signature in wrong.items() if verifies(provider, signed, signature)]
    assert accepted == []


# -- helpers


def assert_no_public_key(provider: CryptoProvider, kem: KEM, private_key: bytes, public_key: bytes) -> None:
    with pytest.raises(ValidationError) as caught:
        provider.dh(kem, private_key, public_key)
    assert caught.value.code == "invalid-public-key"


def refuse(
    provider: CryptoProvider,
    signed: Signed,
    *,
    public_key: bytes | None = None,
    message: bytes = MESSAGE,
    signature: bytes | None = None,
) -> None:
    """Verification fails with one thing changed."""
    with pytest.raises(VerificationError) as caught:
        provider.verify(
            signed.scheme,
            signed.keys.public_key if public_key is None else public_key,
            message,
            signed.signature if signature is None else signature,
        )
    assert caught.value.code == "bad-signature"


def verifies(provider: CryptoProvider, signed: Signed, signature: bytes) -> bool:
    try:
        provider.verify(signed.scheme, signed.keys.public_key, MESSAGE, signature)
    except VerificationError:
        return False
    return True


def flipped(octets: bytes, place: int) -> bytes:
    """`octets` with one bit of the octet at `place` changed."""
    return octets[:place] + bytes([octets[place] ^ 1]) + octets[place + 1 :]


def wrong_points(point: bytes) -> list[bytes]:
    """What is no uncompressed point of the curve that `point` is on."""
    size = (len(point) - 1) // 2
    x, y = point[1 : 1 + size], point[1 + size :]
    sign = y[-1] & 1
    return [
        b"\x04" + x + flipped(y, size - 1),
        b"\x04" + y + x,
        b"\x04" + bytes(2 * size),
        b"\x04" + b"\xff" * (2 * size),
        bytes([2 + sign]) + x,
        bytes([6 + sign]) + x + y,
        b"\x05" + x + y,
        b"\x00",
        b"\x00" + x + y,
        x + y,
    ]


def integer(number: int, *, signed: bool = False) -> bytes:
    """The contents of a DER INTEGER."""
    if signed:
        return number.to_bytes((number.bit_length() + 8) // 8, "big", signed=True)
    return number.to_bytes(number.bit_length() // 8 + 1, "big")


def tagged(tag: int, contents: bytes) -> bytes:
    size = len(contents)
    return bytes([tag, size] if size < 128 else [tag, 0x81, size]) + contents


def sequence(contents: bytes) -> bytes:
    return tagged(0x30, contents)


def long_form(contents: bytes) -> bytes:
    """A SEQUENCE whose length takes one octet more than it must."""
    size = len(contents)
    length = [0x81, size] if size < 128 else [0x82, 0, size]
    return bytes([0x30, *length]) + contents


def to_der(r: bytes, s: bytes) -> bytes:
    return sequence(tagged(2, r) + tagged(2, s))


def from_der(signature: bytes) -> tuple[int, int]:
    """The numbers of an ECDSA-Sig-Value that a provider made."""
    body = signature[2:] if signature[1] < 128 else signature[3:]
    r_size = body[1]
    r, rest = body[2 : 2 + r_size], body[2 + r_size :]
    return int.from_bytes(r, "big"), int.from_bytes(rest[2 : 2 + rest[1]], "big")


@pytest.mark.parametrize("aead", [AEAD.AES_128_GCM, AEAD.AES_256_GCM])
@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, 1000])
def test_aes_ctr_is_what_gcm_encrypts_with(provider: CryptoProvider, aead: AEAD, size: int) -> None:
    """GCM's ciphertext is that of counter mode from 2 on, where the nonce has 12 octets (SP 800-38D §7.1)."""
    key, nonce, text = bytes(range(aead.Nk)), bytes(range(100, 112)), bytes(n % 251 for n in range(size))
    sealed = provider.aead_seal(aead, key, nonce, b"", text)[:-16]
    assert sealed == provider.aes_ctr(key, nonce + bytes([0, 0, 0, 2]), text)
    assert text == provider.aes_ctr(key, nonce + bytes([0, 0, 0, 2]), sealed)


def test_aes_ctr_counts_all_of_its_block(provider: CryptoProvider) -> None:
    key, zeros = bytes(16), bytes(16)
    both = provider.aes_ctr(key, b"\xff" * 16, zeros + zeros)
    assert both[16:] == provider.aes_ctr(key, zeros, zeros)


@pytest.mark.parametrize(
    ("key_size", "block_size"), [(0, 16), (15, 16), (24, 16), (33, 16), (16, 12), (32, 0)]
)
def test_aes_ctr_with_other_sizes(provider: CryptoProvider, key_size: int, block_size: int) -> None:
    with pytest.raises(UsageError):
        provider.aes_ctr(bytes(key_size), bytes(block_size), b"text")
