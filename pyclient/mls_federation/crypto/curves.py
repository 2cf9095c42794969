"""Scalars of the NIST curves: which octets are private keys, and how random octets become one."""

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


def scalar_size(order: int) -> int:
    """Octets of a scalar below `order`."""
    return (order.bit_length() + 7) // 8


def candidate(octets: bytes, order: int) -> bytes | None:
    """`octets` as a private key, the bits above the order's length cleared; None if it is not in 1 to order-1."""
    masked = bytes([octets[0] & 0xFF >> -order.bit_length() % 8]) + octets[1:]
    return masked if 0 < int.from_bytes(masked, "big") < order else None
