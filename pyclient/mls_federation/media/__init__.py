"""Keys for media, derived from an MLS group."""

from .srtp import SrtpKeys, SrtpProfile, export_srtp_keys, srtp_profile

__all__ = ["SrtpKeys", "SrtpProfile", "export_srtp_keys", "srtp_profile"]
