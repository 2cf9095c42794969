"""A member that runs our engine."""

from __future__ import annotations

import time

from mls_federation.codec import replace
from mls_federation.crypto import CipherSuite, Crypto
from mls_federation.mls import (
    ApplicationMessage,
    CommitMessage,
    Group,
    GroupInfo,
    KeyPackage,
    OwnKeyPackage,
    ProposalMessage,
    RemovedMessage,
    Welcome,
    WireFormat,
    add,
    change_extensions,
    commit,
    create_group,
    decode_message,
    export_secret,
    group_info,
    join,
    join_by_external_commit,
    mls_message,
    pre_shared_key,
    propose,
    propose_update,
    psk_lookup,
    receive,
    remove,
    send_application_data,
)
from mls_federation.mls.credentials import BasicCredential, CredentialType
from mls_federation.mls.extensions import Extension, ExtensionType, ProposalType, find_extension
from mls_federation.mls.nodes import Capabilities, Lifetime
from mls_federation.mls.proposals import Proposal
from mls_federation.mls.psk import ExternalPSK as ExternalPSKName
from mls_federation.mls.psk import PreSharedKeyID, PSKType
from mls_federation.mls.ratchet_tree import decode_tree
from mls_federation.mls.tree_math import LeafIndex
from tests.interop.member import (
    Add,
    ClearExtensions,
    Committed,
    ExternalPSK,
    Proposed,
    Received,
    Remove,
    View,
)
from tests.support.pair import new_client

_PRIVATE_EXTENSION = ExtensionType(0xF0A0)


class OurMember:
    """A client that runs `mls_federation.mls`.

    Attributes:
        path: whether its commits have a path even where they need none.
    """

    def __init__(self, crypto: Crypto, name: str) -> None:
        self.name = name
        self.path = True
        self._crypto = crypto
        self._client = new_client(crypto, name)
        self._key_package: OwnKeyPackage | None = None
        self._psks: dict[bytes, bytes] = {}
        self._group: Group | None = None

    @property
    def group(self) -> Group:
        """The group that it is in."""
        assert self._group is not None
        return self._group

    def _fresh_key_package(self) -> OwnKeyPackage:
        # ts-mls reads the machine's clock, so these tests have no time of their own.
        now = _now()
        return self._client.key_package(
            lifetime=Lifetime(not_before=now - 3600, not_after=now + 7 * 86400),
            capabilities=_with_unknown_values(self._client.capabilities),
            leaf_extensions=(Extension(extension_type=_PRIVATE_EXTENSION, extension_data=b"of no concern"),),
        )

    def learn_psk(self, psk: ExternalPSK) -> None:
        self._psks[psk.psk_id] = psk.secret

    def key_package(self) -> bytes:
        self._key_package = self._fresh_key_package()
        return mls_message(self._key_package.key_package).encode()

    def create(self, group_id: bytes) -> None:
        self._group = create_group(self._crypto, group_id, self._fresh_key_package())

    def join(self, welcome: bytes) -> None:
        message = decode_message(welcome)
        assert isinstance(message, Welcome)
        assert self._key_package is not None
        self._group = join(self._crypto, message, self._key_package, now=_now(), psks=psk_lookup(self._psks))

    def commit(self, *proposals: Proposed, public: bool = False) -> Committed:
        pending = commit(
            self.group,
            [_proposal(item) for item in proposals],
            now=_now(),
            path=self.path,
            psks=psk_lookup(self._psks),
            wire_format=_wire_format(public),
        )
        self._group = pending.group
        return Committed(pending.message, pending.welcome)

    def propose(self, proposal: Proposed, *, public: bool = False) -> bytes:
        sent = propose(self.group, _proposal(proposal), wire_format=_wire_format(public))
        self._group = sent.group
        return sent.message

    def propose_update(self, *, public: bool = False) -> bytes:
        sent = propose_update(self.group, wire_format=_wire_format(public))
        self._group = sent.group
        return sent.message

    def send(self, data: bytes) -> bytes:
        sent = send_application_data(self.group, data)
        self._group = sent.group
        return sent.message

    def receive(self, message: bytes) -> Received:
        received = receive(self.group, message, now=_now(), psks=psk_lookup(self._psks))
        if isinstance(received, RemovedMessage):
            self._group = None
            return Received("removed")
        self._group = received.group
        match received:
            case ApplicationMessage():
                return Received("application", received.data)
            case ProposalMessage():
                return Received("proposal")
            case CommitMessage():
                return Received("commit")

    def group_info(self) -> bytes:
        return mls_message(group_info(self.group, with_external_pub=True)).encode()

    def join_from_outside(self, group_info: bytes, *, resync: bool = False) -> bytes:
        info = decode_message(group_info)
        assert isinstance(info, GroupInfo)
        pending = join_by_external_commit(
            self._crypto,
            info,
            self._fresh_key_package(),
            now=_now(),
            replacing=self._former_leaf(info) if resync else None,
        )
        self._group = pending.group
        return pending.message

    def _former_leaf(self, info: GroupInfo) -> LeafIndex:
        data = find_extension(info.extensions, ExtensionType.ratchet_tree)
        assert data is not None
        own = self._client.signature_key.public_key
        (leaf,) = (leaf for leaf, node in decode_tree(data).members() if node.signature_key == own)
        return leaf

    def leave(self) -> None:
        self._group = None

    def exported(self, label: str, context: bytes, length: int) -> bytes:
        return export_secret(self.group, label, context, length)

    @property
    def leaf(self) -> int:
        return self.group.own_leaf

    def view(self) -> View:
        group = self.group
        return View(
            epoch=group.epoch,
            tree_hash=group.context.tree_hash,
            confirmed_transcript_hash=group.context.confirmed_transcript_hash,
            epoch_authenticator=group.epoch_authenticator,
            members=tuple(
                (leaf, _identity(node.credential.credential)) for leaf, node in group.tree.members()
            ),
        )


def _with_unknown_values(capabilities: Capabilities) -> Capabilities:
    """Capabilities that ts-mls cannot know; it must leave them alone (§13.5)."""
    return replace(
        capabilities,
        cipher_suites=(*capabilities.cipher_suites, CipherSuite(0x0A0A)),
        extensions=(_PRIVATE_EXTENSION, ExtensionType(0x1A1A)),
        proposals=(ProposalType(0x2A2A),),
        credentials=(*capabilities.credentials, CredentialType(0x3A3A)),
    )


def _now() -> int:
    return int(time.time())


def _wire_format(public: bool) -> WireFormat:
    return WireFormat.mls_public_message if public else WireFormat.mls_private_message


def _proposal(proposed: Proposed) -> Proposal:
    match proposed:
        case Add():
            package = decode_message(proposed.key_package)
            assert isinstance(package, KeyPackage)
            return add(package)
        case Remove():
            return remove(LeafIndex(proposed.leaf))
        case ClearExtensions():
            return change_extensions(())
        case ExternalPSK():
            named = ExternalPSKName(psk_id=proposed.psk_id)
            return pre_shared_key(
                PreSharedKeyID(psktype=PSKType.external, psk=named, psk_nonce=proposed.nonce)
            )


def _identity(credential: object) -> str:
    assert isinstance(credential, BasicCredential)
    return credential.identity.decode()
