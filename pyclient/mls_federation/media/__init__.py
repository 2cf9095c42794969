"""Keys for media, derived from an MLS group, and SFrame, which uses them."""

from .dave import export_dave_base_secret
from .media_keys import EpochMediaKeys, MediaKeys
from .sframe import (
    FrameReceiver,
    FrameSender,
    ReceivedFrame,
    SFrameCipherSuite,
    SFrameHeader,
    SFrameKey,
    decode_header,
    derive_key,
    encode_header,
)
from .sframe_keys import EPOCH_BITS, SFrameKeys, SFrameSender, export_sframe_keys
from .srtp import RESERVED_LABELS, SrtpKeys, SrtpProfile, export_srtp_keys, srtp_profile
from .srtp_formats import libsrtp_policy, raw_key, sdes_crypto_attribute, sdes_key_params

__all__ = [
    "EPOCH_BITS",
    "RESERVED_LABELS",
    "EpochMediaKeys",
    "FrameReceiver",
    "FrameSender",
    "MediaKeys",
    "ReceivedFrame",
    "SFrameCipherSuite",
    "SFrameHeader",
    "SFrameKey",
    "SFrameKeys",
    "SFrameSender",
    "SrtpKeys",
    "SrtpProfile",
    "decode_header",
    "derive_key",
    "encode_header",
    "export_dave_base_secret",
    "export_sframe_keys",
    "export_srtp_keys",
    "libsrtp_policy",
    "raw_key",
    "sdes_crypto_attribute",
    "sdes_key_params",
    "srtp_profile",
]
