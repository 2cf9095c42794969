"""Keys for media, derived from an MLS group."""

from .srtp import RESERVED_LABELS, SrtpKeys, SrtpProfile, export_srtp_keys, srtp_profile

__all__ = ["RESERVED_LABELS", "SrtpKeys", "SrtpProfile", "export_srtp_keys", "srtp_profile"]
