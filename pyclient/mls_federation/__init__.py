"""Messaging Layer Security (RFC 9420) with federation (draft-omara-mls-federation-00), in pure Python."""

__version__ = "0.1.0"
