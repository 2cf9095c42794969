"""The MLS engine (RFC 9420): bytes in, bytes and new states out. It does no I/O and reads no clock."""

from .authentication import CredentialCheck, SuccessorCheck, accept_basic, same_identity
from .committing import (
    PendingCommit,
    add,
    change_extensions,
    commit,
    pre_shared_key,
    propose,
    propose_update,
    reinit,
    remove,
)
from .epoch import PSKLookup, psk_lookup
from .external import join_by_external_commit, propose_from_outside, propose_to_be_added
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
from .padding import DEFAULT_PADDING, Padding, fixed_padding, no_padding, padding_to_multiples, padme
from .public_group import Followed, PublicGroup, follow, observe
from .public_state import decode_public_group, encode_public_group
from .receiving import ApplicationMessage, CommitMessage, ProposalMessage, Received, RemovedMessage, receive
from .resumption import branch, reinitialize
from .retention import DEFAULT_RETENTION, Retention, forget
from .state import (
    decode_group,
    decode_group_parts,
    decode_key_package,
    encode_group,
    encode_group_head,
    encode_key_package,
    encode_past_epochs,
)
from .welcome import GroupInfo, Welcome

__all__ = [
    "DEFAULT_PADDING",
    "DEFAULT_RETENTION",
    "ApplicationMessage",
    "CommitMessage",
    "CredentialCheck",
    "Followed",
    "Group",
    "GroupInfo",
    "KeyPackage",
    "MLSMessage",
    "Member",
    "OwnKeyPackage",
    "PSKLookup",
    "Padding",
    "PendingCommit",
    "PrivateMessage",
    "ProposalMessage",
    "PublicGroup",
    "PublicMessage",
    "Received",
    "RemovedMessage",
    "Retention",
    "Sent",
    "SuccessorCheck",
    "Welcome",
    "WireFormat",
    "accept_basic",
    "add",
    "branch",
    "change_extensions",
    "commit",
    "create_group",
    "create_key_package",
    "decode_group",
    "decode_group_parts",
    "decode_key_package",
    "decode_message",
    "decode_public_group",
    "encode_group",
    "encode_group_head",
    "encode_key_package",
    "encode_past_epochs",
    "encode_public_group",
    "export_secret",
    "find_key_package",
    "fixed_padding",
    "follow",
    "forget",
    "group_info",
    "join",
    "join_by_external_commit",
    "key_package_ref",
    "mls_message",
    "no_padding",
    "observe",
    "padding_to_multiples",
    "padme",
    "pre_shared_key",
    "propose",
    "propose_from_outside",
    "propose_to_be_added",
    "propose_update",
    "psk_lookup",
    "receive",
    "reinit",
    "reinitialize",
    "remove",
    "same_identity",
    "send_application_data",
    "verify_key_package",
]
