"""SRTP keys as native end points want them: raw, as SDP security descriptions (RFC 4568), and for libsrtp.

Browsers take none of them: there, DTLS makes the keys of SRTP.
"""

from __future__ import annotations

import base64
import importlib
from typing import TYPE_CHECKING, Literal

from ..errors import UnsupportedError, UsageError
from .srtp import MKI_SIZE, SrtpKeys, SrtpProfile

if TYPE_CHECKING:
    import pylibsrtp

# Packets that one master key may protect (RFC 3711 §9.2, RFC 7714 §14.2), as `2^n`.
_LIFETIME = "2^48"


def raw_key(keys: SrtpKeys) -> bytes:
    """Master key and master salt, one behind the other: what most libraries take. Secret."""
    return keys.master_key + keys.master_salt


def sdes_key_params(keys: SrtpKeys) -> str:
    """The key parameters of a security description, with the MKI (RFC 4568 §6.1). Secret.

    `inline:<base64 of key and salt>|2^48|<MKI>:4`, where the MKI is a decimal number.
    """
    inline = base64.b64encode(raw_key(keys)).decode("ascii")
    return f"inline:{inline}|{_LIFETIME}|{int.from_bytes(keys.mki, 'big')}:{MKI_SIZE}"


def sdes_crypto_attribute(keys: SrtpKeys, tag: int = 1) -> str:
    """The SDP attribute for what one sender sends (RFC 4568 §9.1, RFC 7714 §14.1). Secret: SDP that has it goes end to end.

    Args:
        tag: tells it apart from others of the same medium, 0 to 999 999 999.

    Raises:
        UsageError: the tag is out of range.
    """
    if not 0 <= tag < 10**9:
        raise UsageError("the tag of a crypto attribute is a number of at most nine digits")
    return f"a=crypto:{tag} {keys.profile.name} {sdes_key_params(keys)}"


def libsrtp_policy(keys: SrtpKeys, direction: Literal["inbound", "outbound"]) -> pylibsrtp.Policy:
    """What a `pylibsrtp.Session` takes, for all packets of one sender in one epoch. Secret.

    pylibsrtp 1.0 neither writes nor reads MKIs: an application has a session for each epoch, and says which one a packet is for.

    Args:
        direction: `outbound` for packets of our own, `inbound` for those of others.

    Raises:
        UnsupportedError: code `no-pylibsrtp`: it is not installed.
        UsageError: the direction is neither.
    """
    try:
        library = importlib.import_module("pylibsrtp")
    except ImportError as error:
        raise UnsupportedError(
            'pylibsrtp is not installed; the extra "srtp" of mls-federation brings it', code="no-pylibsrtp"
        ) from error
    types = {
        "inbound": library.Policy.SSRC_ANY_INBOUND,
        "outbound": library.Policy.SSRC_ANY_OUTBOUND,
    }
    if direction not in types:
        raise UsageError('the direction is "inbound" or "outbound"')
    profiles = {
        SrtpProfile.AES_CM_128_HMAC_SHA1_80: library.Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
        SrtpProfile.AEAD_AES_128_GCM: library.Policy.SRTP_PROFILE_AEAD_AES_128_GCM,
        SrtpProfile.AEAD_AES_256_GCM: library.Policy.SRTP_PROFILE_AEAD_AES_256_GCM,
    }
    policy: pylibsrtp.Policy = library.Policy(
        key=raw_key(keys), ssrc_type=types[direction], srtp_profile=profiles[keys.profile]
    )
    return policy
