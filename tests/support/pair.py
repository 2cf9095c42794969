"""Members of a group in memory: what one sends is given to the others as octets, without a network.

After each step `Party` checks that all members agree on everything that MLS says they agree on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from mls_federation.codec import replace as replace_fields
from mls_federation.crypto import Crypto, KeyPair
from mls_federation.mls import (
    DEFAULT_PADDING,
    ApplicationMessage,
    CommitMessage,
    Group,
    OwnKeyPackage,
    Padding,
    PendingCommit,
    ProposalMessage,
    RemovedMessage,
    Sent,
    Welcome,
    WireFormat,
    add,
    commit,
    create_group,
    create_key_package,
    decode_message,
    export_secret,
    join,
    propose,
    propose_update,
    psk_lookup,
    receive,
    remove,
    send_application_data,
)
from mls_federation.mls.credentials import CredentialType, basic_credential
from mls_federation.mls.epoch import PSKLookup
from mls_federation.mls.extensions import Extension
from mls_federation.mls.framing import member
from mls_federation.mls.key_package import key_package_tbs
from mls_federation.mls.nodes import Capabilities, LeafNode, Lifetime, ProtocolVersion, sign_leaf_node
from mls_federation.mls.proposals import Proposal
from mls_federation.mls.ratchet_tree import encode_tree
from mls_federation.mls.tree_hashes import check_unmerged_leaves, tree_hash, verify_parent_hashes
from mls_federation.mls.tree_math import LeafIndex

# 2026-01-01; every clock of these tests.
NOW = 1_767_225_600
LIFETIME = Lifetime(not_before=NOW - 3600, not_after=NOW + 90 * 86400)
GROUP_ID = b"the group"


@dataclass(frozen=True)
class Client:
    """Somebody with a signature key, whose KeyPackages have GREASE in them or not."""

    crypto: Crypto
    name: str
    signature_key: KeyPair
    grease: bool = True

    @property
    def capabilities(self) -> Capabilities:
        """The least that RFC 9420 asks for."""
        return Capabilities(
            versions=(ProtocolVersion.mls10,),
            cipher_suites=(self.crypto.suite.cipher_suite,),
            extensions=(),
            proposals=(),
            credentials=(CredentialType.basic,),
        )

    def key_package(
        self,
        *,
        capabilities: Capabilities | None = None,
        lifetime: Lifetime = LIFETIME,
        leaf_extensions: Sequence[Extension] = (),
        extensions: Sequence[Extension] = (),
        grease: bool | None = None,
    ) -> OwnKeyPackage:
        """A fresh KeyPackage."""
        return create_key_package(
            self.crypto,
            credential=basic_credential(self.name.encode()),
            signature_key=self.signature_key,
            capabilities=capabilities or self.capabilities,
            lifetime=lifetime,
            leaf_extensions=leaf_extensions,
            extensions=extensions,
            grease=self.grease if grease is None else grease,
        )


def new_client(crypto: Crypto, name: str, *, grease: bool = True) -> Client:
    """A client with a fresh signature key."""
    return Client(crypto, name, crypto.generate_signature_key(), grease)


def altered_key_package(
    client: Client, own: OwnKeyPackage, leaf: LeafNode | None = None, **changes: Any
) -> OwnKeyPackage:
    """`own` with another leaf or other fields, signed again: well signed, however wrong."""
    crypto, private_key = client.crypto, client.signature_key.private_key
    leaf = own.key_package.leaf_node if leaf is None else leaf
    package = replace_fields(own.key_package, leaf_node=sign_leaf_node(crypto, private_key, leaf), **changes)
    signature = crypto.sign_with_label(private_key, "KeyPackageTBS", key_package_tbs(package))
    return replace(own, key_package=replace_fields(package, signature=signature))


class Party:
    """A group and all its members, by name.

    Attributes:
        groups: each member's state.
        clients: everybody, members or not.
        psks: external PSKs that everybody knows, by id.
    """

    def __init__(
        self,
        crypto: Crypto,
        *names: str,
        extensions: Sequence[Extension] = (),
        capabilities: Capabilities | None = None,
        grease: bool = True,
    ) -> None:
        self.crypto = crypto
        self.grease = grease
        self.capabilities = capabilities
        self.clients: dict[str, Client] = {}
        self.psks: dict[bytes, bytes] = {}
        first, *others = names
        own = self.client(first).key_package(capabilities=capabilities)
        self.groups = {first: create_group(crypto, GROUP_ID, own, extensions)}
        if others:
            self.add(first, *others)

    def client(self, name: str) -> Client:
        """The client of this name; a new one, if there is none."""
        if name not in self.clients:
            self.clients[name] = new_client(self.crypto, name, grease=self.grease)
        return self.clients[name]

    @property
    def look_up(self) -> PSKLookup:
        """Finds the PSKs that everybody knows."""
        return psk_lookup(self.psks)

    def leaf(self, name: str) -> LeafIndex:
        """A member's leaf."""
        return self.groups[name].own_leaf

    def add(self, by: str, *names: str, path: bool = True) -> PendingCommit:
        """Add clients by one commit."""
        joining = {name: self.client(name).key_package(capabilities=self.capabilities) for name in names}
        return self.commit(by, [add(own.key_package) for own in joining.values()], path=path, joining=joining)

    def remove(self, by: str, *names: str) -> PendingCommit:
        """Remove members by one commit."""
        return self.commit(by, [remove(self.leaf(name)) for name in names])

    def commit(
        self,
        by: str,
        proposals: Sequence[Proposal] = (),
        *,
        path: bool = True,
        joining: dict[str, OwnKeyPackage] | None = None,
        wire_format: WireFormat = WireFormat.mls_private_message,
    ) -> PendingCommit:
        """Commit, and let everybody follow: members by the commit, those who join by the Welcome."""
        pending = commit(
            self.groups[by],
            proposals,
            now=NOW,
            path=path,
            psks=self.look_up,
            wire_format=wire_format,
        )
        self.deliver_commit(by, pending)
        for name, own in (joining or {}).items():
            assert pending.welcome is not None
            self.groups[name] = join_by(self.crypto, pending.welcome, own, psks=self.look_up)
        self.assert_agreement()
        return pending

    def deliver_commit(self, by: str, pending: PendingCommit) -> None:
        """Everybody but the new members follows; those who are removed leave."""
        gone = {leaf for leaf, _ in pending.removed}
        for name, group in list(self.groups.items()):
            if name == by:
                continue
            received = receive(group, pending.message, now=NOW, psks=self.look_up)
            if group.own_leaf in gone:
                assert isinstance(received, RemovedMessage)
                assert received.epoch == group.epoch + 1
                del self.groups[name]
            else:
                assert isinstance(received, CommitMessage)
                assert received.added == pending.added
                assert received.removed == pending.removed
                self.groups[name] = received.group
        self.groups[by] = pending.group

    def propose(
        self, by: str, proposal: Proposal, wire_format: WireFormat = WireFormat.mls_private_message
    ) -> bytes:
        """Send a proposal to everybody; its ProposalRef."""
        return self._deliver_proposal(by, propose(self.groups[by], proposal, wire_format=wire_format))

    def propose_update(self, by: str, wire_format: WireFormat = WireFormat.mls_private_message) -> bytes:
        """Send an Update of the sender's leaf to everybody; its ProposalRef."""
        return self._deliver_proposal(by, propose_update(self.groups[by], wire_format=wire_format))

    def _deliver_proposal(self, by: str, sent: Sent) -> bytes:
        self.groups[by] = sent.group
        refs = set(sent.group.proposals)
        for name, group in self.groups.items():
            if name != by:
                received = receive(group, sent.message, now=NOW)
                assert isinstance(received, ProposalMessage)
                assert received.sender == member(self.leaf(by))
                assert received.proposal_ref in refs
                self.groups[name] = received.group
        return list(sent.group.proposals)[-1]

    def send(self, by: str, data: bytes, *, padding: Padding = DEFAULT_PADDING) -> bytes:
        """Encrypt a message of the application; it reaches nobody yet."""
        sent = send_application_data(self.groups[by], data, padding=padding)
        self.groups[by] = sent.group
        return sent.message

    def read(self, by: str, message: bytes) -> ApplicationMessage:
        """Let one member read a message of the application."""
        received = receive(self.groups[by], message, now=NOW)
        assert isinstance(received, ApplicationMessage)
        self.groups[by] = received.group
        return received

    def assert_agreement(self) -> None:
        """All members see one group, and can use every private key that they hold."""
        (some, *others) = self.groups.values()
        verify_parent_hashes(self.crypto, some.tree)
        check_unmerged_leaves(some.tree)
        assert some.context.tree_hash == tree_hash(self.crypto, some.tree)
        assert [member.leaf_index for member in some.members] == sorted(map(self.leaf, self.groups))
        for other in others:
            assert other.context == some.context
            assert encode_tree(other.tree) == encode_tree(some.tree)
            assert other.epoch_authenticator == some.epoch_authenticator
            assert other.interim_transcript_hash == some.interim_transcript_hash
            assert export_secret(other, "label", b"", 32) == export_secret(some, "label", b"", 32)
        for name, group in self.groups.items():
            assert group.own_leaf_node.signature_key == self.client(name).signature_key.public_key
            for node, keys in group.private_keys.items():
                assert group.tree.encryption_key(node) == keys.public_key
                public_key = self.crypto.provider.dh_public_key(self.crypto.suite.kem, keys.private_key)
                assert public_key == keys.public_key


def join_by(crypto: Crypto, welcome: bytes, own: OwnKeyPackage, psks: PSKLookup | None = None) -> Group:
    """Join by an encoded Welcome."""
    message = decode_message(welcome)
    assert isinstance(message, Welcome)
    return join(crypto, message, own, now=NOW, psks=psks or psk_lookup({}))
