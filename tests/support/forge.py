"""Messages of a member who keeps no rule: rightly signed and sealed, with contents that the API refuses to send."""

from __future__ import annotations

from collections.abc import Sequence

from mls_federation.codec import replace
from mls_federation.crypto import Crypto
from mls_federation.mls import (
    Group,
    OwnKeyPackage,
    Welcome,
    commit,
    decode_message,
    key_schedule,
    mls_message,
)
from mls_federation.mls.commit import Commit, ProposalOrRef, UpdatePath, by_value
from mls_federation.mls.framing import (
    AnyContent,
    ContentType,
    FramedContent,
    PublicMessage,
    WireFormat,
    member,
)
from mls_federation.mls.group_context import GroupContext
from mls_federation.mls.joining import OpenedWelcome
from mls_federation.mls.key_package import key_package_ref
from mls_federation.mls.nodes import LeafNode, sign_leaf_node
from mls_federation.mls.proposals import Proposal
from mls_federation.mls.protection import authenticate, framed_content, protect_private, protect_public
from mls_federation.mls.welcome import (
    EncryptedGroupSecrets,
    GroupInfo,
    GroupSecrets,
    encrypt_group_info,
    sign_group_info,
)

from .pair import NOW

_TYPES = {bytes: ContentType.application, Proposal: ContentType.proposal, Commit: ContentType.commit}


def forge(
    group: Group,
    content: AnyContent,
    *,
    wire_format: WireFormat = WireFormat.mls_public_message,
    confirmation_tag: bytes | None = None,
    signature_key: bytes | None = None,
) -> bytes:
    """A message of `group`'s member with any content. A commit gets a confirmation tag that is wrong, if none is given."""
    content_type = _TYPES[type(content)]
    framed = framed_content(group.context, member(group.own_leaf), content_type, content, b"")
    return send_framed(group, framed, wire_format, confirmation_tag, signature_key)


def send_framed(
    group: Group,
    framed: FramedContent,
    wire_format: WireFormat = WireFormat.mls_public_message,
    confirmation_tag: bytes | None = None,
    signature_key: bytes | None = None,
    context: GroupContext | None = None,
) -> bytes:
    """`framed`, signed and protected as it is."""
    if framed.content_type == ContentType.commit and confirmation_tag is None:
        confirmation_tag = bytes(group.crypto.Nh)
    context = context or group.context
    signed = authenticate(
        group.crypto, signature_key or group.signature_key, wire_format, framed, context, confirmation_tag
    )
    if wire_format == WireFormat.mls_private_message:
        _, private = protect_private(group.crypto, group.secrets, group.secret_tree, signed)
        return mls_message(private).encode()
    public = protect_public(group.crypto, group.secrets.membership_key, signed, context)
    return mls_message(public).encode()


def forge_commit(
    group: Group, proposals: Sequence[Proposal | ProposalOrRef], path: UpdatePath | None = None
) -> bytes:
    """A commit of these proposals, checked by nobody."""
    listed = tuple(item if isinstance(item, ProposalOrRef) else by_value(item) for item in proposals)
    return forge(group, Commit(proposals=listed, path=path))


def valid_path(group: Group) -> UpdatePath:
    """The update path of an empty commit that would be valid."""
    sent = decode_message(commit(group, now=NOW, wire_format=WireFormat.mls_public_message).message)
    assert isinstance(sent, PublicMessage)
    assert isinstance(sent.content.content, Commit)
    assert sent.content.content.path is not None
    return sent.content.content.path


def path_with_leaf(group: Group, path: UpdatePath, leaf: LeafNode) -> UpdatePath:
    """`path` with another leaf, signed by its owner."""
    signed = sign_leaf_node(group.crypto, group.signature_key, leaf, group.group_id, group.own_leaf)
    return replace(path, leaf_node=signed)


def forge_welcome(
    inviter: Group,
    own: OwnKeyPackage,
    opened: OpenedWelcome,
    *,
    info: GroupInfo | None = None,
    group_secrets: GroupSecrets | None = None,
) -> Welcome:
    """The Welcome that was `opened`, with another GroupInfo, signed by the inviter, or other secrets."""
    crypto: Crypto = inviter.crypto
    info = sign_group_info(crypto, inviter.signature_key, info or opened.group_info)
    group_secrets = group_secrets or opened.group_secrets
    welcome_secret = key_schedule.welcome_secret(crypto, group_secrets.joiner_secret, opened.psk_secret)
    encrypted_info = encrypt_group_info(crypto, welcome_secret, info)
    package = own.key_package
    sealed = crypto.encrypt_with_label(package.init_key, "Welcome", encrypted_info, group_secrets.encode())
    secrets = EncryptedGroupSecrets(
        new_member=key_package_ref(crypto, package), encrypted_group_secrets=sealed
    )
    return Welcome(cipher_suite=package.cipher_suite, secrets=(secrets,), encrypted_group_info=encrypted_info)
