"""SRTP master keys for every sender of a group (RFC 3711, RFC 7714; docs/protocol.md).

Each sender of each epoch has a key of its own, exported from the group under a context that names the profile and the
sender's leaf. The master key identifier (MKI) is the epoch, so that a receiver knows which epoch's key a packet needs.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ..codec import OpenEnum16, Struct, uint16, uint32
from ..errors import UsageError
from ..mls import Group, export_secret
from ..mls.tree_math import LeafIndex

# Exporter labels of our own begin so; the client does not export by them for an application.
RESERVED_LABELS = "MLS Federation "
_EXPORTER_LABEL = RESERVED_LABELS + "1.0 SRTP"
MKI_SIZE = 4


class SrtpProfile(OpenEnum16):
    """Protection profiles, by their DTLS-SRTP code points (RFC 5764 §4.1.2, RFC 7714 §14.2)."""

    AES_CM_128_HMAC_SHA1_80 = 0x0001
    AEAD_AES_128_GCM = 0x0007
    AEAD_AES_256_GCM = 0x0008


# Octets of master key and master salt (RFC 5764 §4.1.2, RFC 7714 §12).
_SIZES = {
    SrtpProfile.AES_CM_128_HMAC_SHA1_80: (16, 14),
    SrtpProfile.AEAD_AES_128_GCM: (16, 12),
    SrtpProfile.AEAD_AES_256_GCM: (32, 12),
}


class SrtpContext(Struct):
    """The exporter's context: for which profile, and for whose packets."""

    profile: uint16
    leaf_index: uint32


@dataclass(frozen=True)
class SrtpKeys:
    """What one sender's packets are protected with in one epoch.

    Attributes:
        leaf_index: the sender.
        epoch: the group's epoch.
        profile: what the keys are for.
        mki: the epoch modulo 2^32, in MKI_SIZE octets, big-endian.
        master_key: 16 or 32 octets. Secret.
        master_salt: 14 or 12 octets. Secret.
    """

    leaf_index: LeafIndex
    epoch: int
    profile: SrtpProfile
    mki: bytes
    master_key: bytes = field(repr=False)
    master_salt: bytes = field(repr=False)


def export_srtp_keys(group: Group, profile: SrtpProfile) -> tuple[SrtpKeys, ...]:
    """The SRTP keys of every member of the present epoch, in the order of their leaves. Secret.

    Raises:
        UsageError: the profile is none of the three.
    """
    sizes = _SIZES.get(profile)
    if sizes is None:
        raise UsageError(f"{profile!r} is no SRTP profile that we know", code="unknown-srtp-profile")
    key_size, salt_size = sizes
    keys = []
    for member in group.members:
        context = SrtpContext(profile=profile, leaf_index=member.leaf_index).encode()
        secret = export_secret(group, _EXPORTER_LABEL, context, key_size + salt_size)
        keys.append(
            SrtpKeys(
                leaf_index=member.leaf_index,
                epoch=group.epoch,
                profile=profile,
                mki=(group.epoch % (1 << 8 * MKI_SIZE)).to_bytes(MKI_SIZE, "big"),
                master_key=secret[:key_size],
                master_salt=secret[key_size:],
            )
        )
    return tuple(keys)


def srtp_profile(name: str) -> SrtpProfile:
    """A profile by its name, such as `AEAD_AES_128_GCM`.

    Raises:
        UsageError: there is none of that name.
    """
    try:
        return SrtpProfile[name]
    except KeyError:
        known = ", ".join(profile.name for profile in SrtpProfile)
        raise UsageError(
            f"{name!r} is no SRTP profile; they are {known}", code="unknown-srtp-profile"
        ) from None
