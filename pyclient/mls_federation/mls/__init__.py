"""The MLS engine (RFC 9420): bytes in, bytes and new states out. It does no I/O and reads no clock."""
