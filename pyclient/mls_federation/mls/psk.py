"""Pre-shared keys (§8.4)."""

from __future__ import annotations

from collections.abc import Sequence

from ..codec import ClosedEnum8, Struct, opaque, select, uint16, uint64
from ..crypto import Crypto
from ..errors import ValidationError

# `PSKLabel.count` is a uint16.
_MAX_PSKS = 0xFFFF


class PSKType(ClosedEnum8):
    """Where a PSK comes from."""

    external = 1
    resumption = 2


class ResumptionPSKUsage(ClosedEnum8):
    """What a resumption PSK is for."""

    application = 1
    reinit = 2
    branch = 3


class ExternalPSK(Struct):
    """A PSK that the application provides."""

    psk_id: opaque


class ResumptionPSK(Struct):
    """The resumption PSK of an epoch of a group."""

    usage: ResumptionPSKUsage
    psk_group_id: opaque
    psk_epoch: uint64


class PreSharedKeyID(Struct):
    """Names one PSK."""

    psktype: PSKType
    psk: ExternalPSK | ResumptionPSK = select(
        "psktype", {PSKType.external: ExternalPSK, PSKType.resumption: ResumptionPSK}
    )
    psk_nonce: opaque


class PSKLabel(Struct):
    """The place of a PSK in the chain of all."""

    id: PreSharedKeyID
    index: uint16
    count: uint16


def check_psk_ids(crypto: Crypto, psks: Sequence[PreSharedKeyID]) -> None:
    """What the names of PSKs must keep to, in a commit and in a Welcome alike (§8.4, §12.1.4, §12.2).

    Raises:
        ValidationError: code `too-many-psks`, `duplicate-psk`, `bad-psk-nonce`.
    """
    if len(psks) > _MAX_PSKS:
        raise ValidationError("more PSKs than can be counted", code="too-many-psks", section="8.4")
    if len(set(psks)) != len(psks):
        raise ValidationError("one PSK is used twice", code="duplicate-psk", section="12.2")
    if any(len(psk_id.psk_nonce) != crypto.Nh for psk_id in psks):
        raise ValidationError("a PSK whose nonce has the wrong size", code="bad-psk-nonce", section="12.1.4")


def psk_secret(crypto: Crypto, psks: Sequence[tuple[PreSharedKeyID, bytes]]) -> bytes:
    """All PSKs of a commit, chained into one secret; Nh zero octets if there are none. Secret."""
    zero = bytes(crypto.Nh)
    secret = zero
    for index, (psk_id, psk) in enumerate(psks):
        label = PSKLabel(id=psk_id, index=index, count=len(psks)).encode()
        psk_input = crypto.expand_with_label(crypto.extract(zero, psk), "derived psk", label, crypto.Nh)
        secret = crypto.extract(psk_input, secret)
    return secret
