"""What the declared structs do not say of themselves: the RFC's names of the arms of its selects, and what is encrypted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..codec import Struct
from ..mls.commit import ProposalOrRef, ProposalOrRefType, UpdatePathNode
from ..mls.credentials import Credential, CredentialType
from ..mls.framing import (
    ContentType,
    FramedContent,
    FramedContentAuthData,
    MLSMessage,
    PrivateMessage,
    PublicMessage,
    Sender,
    SenderType,
    WireFormat,
)
from ..mls.nodes import LeafNode, LeafNodeSource, Node, NodeType
from ..mls.proposals import Proposal
from ..mls.psk import PreSharedKeyID, PSKType
from ..mls.welcome import EncryptedGroupSecrets, Welcome

# Our structs have one field for a select; each arm of the RFC's has a name of its own. An arm that is not here has the field's.
ARMS: Mapping[tuple[type[Struct], str], Mapping[Any, str]] = {
    (MLSMessage, "message"): {
        WireFormat.mls_public_message: "public_message",
        WireFormat.mls_private_message: "private_message",
        WireFormat.mls_welcome: "welcome",
        WireFormat.mls_group_info: "group_info",
        WireFormat.mls_key_package: "key_package",
    },
    (Sender, "index"): {SenderType.member: "leaf_index", SenderType.external: "sender_index"},
    (FramedContent, "content"): {
        ContentType.application: "application_data",
        ContentType.proposal: "proposal",
        ContentType.commit: "commit",
    },
    (FramedContentAuthData, "confirmation_tag"): {ContentType.commit: "confirmation_tag"},
    (PublicMessage, "membership_tag"): {SenderType.member: "membership_tag"},
    (Proposal, "proposal"): {},  # each arm is named as its type
    (ProposalOrRef, "proposal_or_ref"): {
        ProposalOrRefType.proposal: "proposal",
        ProposalOrRefType.reference: "reference",
    },
    (LeafNode, "source"): {LeafNodeSource.key_package: "lifetime", LeafNodeSource.commit: "parent_hash"},
    (Node, "node"): {NodeType.leaf: "leaf_node", NodeType.parent: "parent_node"},
    # The fields of these arms stand in the RFC's select themselves; ours are structs.
    (Credential, "credential"): {CredentialType.basic: "basic", CredentialType.x509: "x509"},
    (PreSharedKeyID, "psk"): {PSKType.external: "external", PSKType.resumption: "resumption"},
}

# What is in an encrypted field, and who can read it.
ENCRYPTED: Mapping[tuple[type[Struct], str], str] = {
    (PrivateMessage, "encrypted_sender_data"): "SenderData, for the members of the group",
    (PrivateMessage, "ciphertext"): "PrivateMessageContent, for the members of the group",
    (EncryptedGroupSecrets, "encrypted_group_secrets"): "GroupSecrets, for the new member",
    (Welcome, "encrypted_group_info"): "GroupInfo, for the new members",
    (
        UpdatePathNode,
        "encrypted_path_secret",
    ): "the path secret, once for each node of the copath's resolution",
}


def arm_name(struct: type[Struct], field: str, selector: Any) -> str:
    """The RFC's name of what stands in the select `field` when its selector has this value."""
    if struct is Proposal:
        return str(selector.name)
    return ARMS.get((struct, field), {}).get(selector, field)
