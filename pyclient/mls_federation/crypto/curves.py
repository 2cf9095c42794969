"""Which octets are keys of the curves: scalars of the NIST curves, and the points of the others that no key may be."""

from __future__ import annotations

from .suites import KEM, SignatureScheme

# SEC 2, sections 2.4.2, 2.5.1 and 2.6.1: the orders of the base points.
_P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_P384_ORDER = (
    0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973
)
_P521_ORDER = int(
    "01ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
    "fa51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409",
    16,
)

KEM_ORDERS = {
    KEM.DHKEM_P256_HKDF_SHA256: _P256_ORDER,
    KEM.DHKEM_P384_HKDF_SHA384: _P384_ORDER,
    KEM.DHKEM_P521_HKDF_SHA512: _P521_ORDER,
}
SIGNATURE_ORDERS = {
    SignatureScheme.ecdsa_secp256r1_sha256: _P256_ORDER,
    SignatureScheme.ecdsa_secp384r1_sha384: _P384_ORDER,
    SignatureScheme.ecdsa_secp521r1_sha512: _P521_ORDER,
}
_P25519 = 2**255 - 19
_P448 = 2**448 - 2**224 - 1
# The u-coordinates of points of small order, on each curve and on its twist (RFC 7748 §6; those of order 8 are Bernstein's).
# With these and no others, and whatever the private key, the shared secret is all zeros.
_SMALL_ORDER_25519 = frozenset(
    {
        0,
        1,
        0x00B8495F16056286FDB1329CEB8D09DA6AC49FF1FAE35616AEB8413B7C7AEBE0,
        0x57119FD0DD4E22D8868E1C58C45C44045BEF839C55B1D0B1248C50A3BC959C5F,
        _P25519 - 1,
    }
)
_SMALL_ORDER_448 = frozenset({0, 1, _P448 - 1})


def is_montgomery_key(kem: KEM, public_key: bytes) -> bool:
    """Whether the octets are a public key of X25519 or X448 with which a shared secret is not all zeros.

    Cheaper than to compute one: whether it would be zero does not depend on the private key, which is a multiple of the
    cofactor (RFC 7748 §5), and what is no point of the curve is one of its twist.
    """
    if len(public_key) != kem.Npk:
        return False
    u = int.from_bytes(public_key, "little")
    if kem == KEM.DHKEM_X25519_HKDF_SHA256:
        # RFC 7748 §5: the most significant bit of X25519's last octet is not looked at.
        return (u & (1 << 255) - 1) % _P25519 not in _SMALL_ORDER_25519
    return u % _P448 not in _SMALL_ORDER_448


def scalar_size(order: int) -> int:
    """Octets of a scalar below `order`."""
    return (order.bit_length() + 7) // 8


def candidate(octets: bytes, order: int) -> bytes | None:
    """`octets` as a private key, the bits above the order's length cleared; None if it is not in 1 to order-1."""
    masked = bytes([octets[0] & 0xFF >> -order.bit_length() % 8]) + octets[1:]
    return masked if 0 < int.from_bytes(masked, "big") < order else None
