"""The MLS engine (RFC 9420): bytes in, bytes and new states out. It does no I/O and reads no clock."""

from .committing import PendingCommit, add, commit, pre_shared_key, propose, propose_update, remove
from .epoch import PSKLookup, psk_lookup
from .framing import (
    MLSMessage,
    PrivateMessage,
    PublicMessage,
    WireFormat,
    decode_message,
    mls_message,
)
from .group import Group, Member, Sent, create_group, export_secret, group_info, send_application_data
from .joining import find_key_package, join
from .key_package import KeyPackage, OwnKeyPackage, create_key_package, key_package_ref, verify_key_package
from .receiving import ApplicationMessage, CommitMessage, ProposalMessage, Received, RemovedMessage, receive
from .welcome import GroupInfo, Welcome

__all__ = [
    "ApplicationMessage",
    "CommitMessage",
    "Group",
    "GroupInfo",
    "KeyPackage",
    "MLSMessage",
    "Member",
    "OwnKeyPackage",
    "PSKLookup",
    "PendingCommit",
    "PrivateMessage",
    "ProposalMessage",
    "PublicMessage",
    "Received",
    "RemovedMessage",
    "Sent",
    "Welcome",
    "WireFormat",
    "add",
    "commit",
    "create_group",
    "create_key_package",
    "decode_message",
    "export_secret",
    "find_key_package",
    "group_info",
    "join",
    "key_package_ref",
    "mls_message",
    "pre_shared_key",
    "propose",
    "propose_update",
    "psk_lookup",
    "receive",
    "remove",
    "send_application_data",
    "verify_key_package",
]
