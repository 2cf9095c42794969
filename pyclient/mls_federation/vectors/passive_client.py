"""Vectors of a client that is added to a group and follows it (§12.4.2, §12.4.3.1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..codec import replace as replace_fields
from ..crypto import CipherSuite, Crypto, CryptoProvider, KeyPair, crypto
from ..mls import (
    CommitMessage,
    Group,
    KeyPackage,
    OwnKeyPackage,
    ProposalMessage,
    Welcome,
    WireFormat,
    add,
    change_extensions,
    commit,
    decode_message,
    group_info,
    join,
    join_by_external_commit,
    key_package_ref,
    key_schedule,
    mls_message,
    pre_shared_key,
    propose,
    propose_update,
    psk_lookup,
    receive,
    remove,
)
from ..mls.epoch import PSKLookup
from ..mls.joining import open_welcome
from ..mls.proposals import Proposal
from ..mls.psk import ExternalPSK, PreSharedKeyID, PSKType
from ..mls.ratchet_tree import decode_tree, encode_tree
from ..mls.welcome import EncryptedGroupSecrets, encrypt_group_info, sign_group_info
from .entry import Entry, Family, Vector, VectorFormatError, check
from .members import Party, new_key_package, new_party


def verify(provider: CryptoProvider, entry: Entry) -> None:
    """Join, and follow the group through all its epochs."""
    suite = entry.crypto(provider)
    own = _own_key_package(suite, entry)
    psks = psk_lookup({case.octets("psk_id"): case.octets("psk") for case in entry.parts("external_psks")})
    group = _join(suite, entry, own, psks)
    entry.check("initial_epoch_authenticator", group.epoch_authenticator)
    for case in entry.parts("epochs"):
        for index, proposed in enumerate(case.octets_list("proposals")):
            received = receive(group, proposed, now=None, psks=psks)
            if not isinstance(received, ProposalMessage):
                raise VectorFormatError(f"{case.at('proposals')}[{index}] is no proposal")
            group = received.group
        committed = receive(group, case.octets("commit"), now=None, psks=psks)
        if not isinstance(committed, CommitMessage):
            raise VectorFormatError(f"{case.at('commit')} is no commit that lets us stay")
        group = committed.group
        case.check("epoch_authenticator", group.epoch_authenticator)


def _own_key_package(suite: Crypto, entry: Entry) -> OwnKeyPackage:
    """The entry's KeyPackage with its private keys, which belong to its public ones."""
    package = decode_message(entry.octets("key_package"))
    if not isinstance(package, KeyPackage):
        raise VectorFormatError("key_package is a message of another kind")
    leaf = package.leaf_node
    signature_private = entry.octets("signature_priv")
    scheme = suite.suite.signature_scheme
    check(
        "signature_priv",
        leaf.signature_key,
        suite.provider.signature_public_key(scheme, signature_private),
    )
    return OwnKeyPackage(
        key_package=package,
        init_key=_key_pair(suite, entry, "init_priv", package.init_key),
        encryption_key=_key_pair(suite, entry, "encryption_priv", leaf.encryption_key),
        signature_key=signature_private,
    )


def _key_pair(suite: Crypto, entry: Entry, name: str, public_key: bytes) -> KeyPair:
    private_key = entry.octets(name)
    check(name, public_key, suite.provider.dh_public_key(suite.suite.kem, private_key))
    return KeyPair(private_key, public_key)


def _join(suite: Crypto, entry: Entry, own: OwnKeyPackage, psks: PSKLookup) -> Group:
    welcome = decode_message(entry.octets("welcome"))
    if not isinstance(welcome, Welcome):
        raise VectorFormatError("welcome is a message of another kind")
    encoded = entry.optional_octets("ratchet_tree")
    tree = None if encoded is None else decode_tree(encoded)
    return join(suite, welcome, own, now=None, tree=tree, psks=psks)


# -- making them


@dataclass(frozen=True)
class Scenario:
    """What happens in a generated entry. The client itself only listens.

    Attributes:
        epochs: keys of `_EPOCHS`, one for each epoch after the client has joined.
        tree_in_welcome: else the entry has it.
        psk: whether the commit that adds the client uses an external PSK.
        path: whether it has an update path.
        wire_format: of proposals and commits.
    """

    epochs: tuple[str, ...] = ()
    tree_in_welcome: bool = True
    psk: bool = False
    path: bool = True
    wire_format: WireFormat = WireFormat.mls_private_message


@dataclass(frozen=True)
class _Epoch:
    """What the members sent in one epoch, and their states in the next."""

    party: Party
    commit: bytes
    proposals: Sequence[bytes] = ()


@dataclass(frozen=True)
class _Setting:
    """What an epoch happens in."""

    crypto: Crypto
    party: Party
    wire_format: WireFormat

    def group(self, name: str) -> Group:
        """A member's state."""
        return self.party.groups[name]

    def propose(self, by: str, body: Proposal | None = None) -> tuple[_Setting, bytes]:
        """Somebody proposes something; without a proposal, an Update."""
        group = self.group(by)
        sent = (
            propose_update(group, wire_format=self.wire_format)
            if body is None
            else propose(group, body, wire_format=self.wire_format)
        )
        return _Setting(self.crypto, self.party.proposed(by, sent), self.wire_format), sent.message

    def commit(
        self,
        by: str,
        proposals: Sequence[Proposal] = (),
        joining: Mapping[str, OwnKeyPackage] | None = None,
        leaving: Sequence[str] = (),
        sent: Sequence[bytes] = (),
    ) -> _Epoch:
        """Somebody commits, and all others follow."""
        pending = commit(
            self.group(by),
            proposals,
            now=None,
            psks=psk_lookup(self.party.psks),
            wire_format=self.wire_format,
        )
        return _Epoch(self.party.committed(pending, by, joining, leaving), pending.message, sent)


def _empty(setting: _Setting) -> _Epoch:
    return setting.commit("alice")


def _add(setting: _Setting) -> _Epoch:
    own = new_key_package(setting.crypto, "dave")
    return setting.commit("alice", [add(own.key_package)], joining={"dave": own})


def _remove(setting: _Setting) -> _Epoch:
    return setting.commit("alice", [remove(setting.group("carol").own_leaf)], leaving=("carol",))


def _update_by_reference(setting: _Setting) -> _Epoch:
    setting, proposal = setting.propose("carol")
    return setting.commit("alice", sent=[proposal])


def _update_of_leaf_0(setting: _Setting) -> _Epoch:
    setting, proposal = setting.propose("alice")
    return setting.commit("carol", sent=[proposal])


def _by_reference(setting: _Setting) -> _Epoch:
    """Extensions and a PSK that one member proposes and another commits."""
    setting, extensions = setting.propose("carol", change_extensions(()))
    setting, psk = setting.propose("carol", pre_shared_key(_external(setting.crypto, setting.party)))
    return setting.commit("alice", sent=[extensions, psk])


def _external_join(setting: _Setting) -> _Epoch:
    info = group_info(setting.group("alice"), with_external_pub=True)
    own = new_key_package(setting.crypto, "erin")
    pending = join_by_external_commit(setting.crypto, info, own, now=None)
    return _Epoch(setting.party.committed(pending, "erin"), pending.message)


_EPOCHS = {
    "empty": _empty,
    "add": _add,
    "remove": _remove,
    "update": _update_by_reference,
    "update of leaf 0": _update_of_leaf_0,
    "by reference": _by_reference,
    "external join": _external_join,
}


def generate(provider: CryptoProvider, cipher_suite: CipherSuite, scenario: Scenario) -> Vector:
    """An entry for one scenario: alice and carol are there, and bob, who only listens, is added."""
    suite = crypto(provider, cipher_suite)
    party = new_party(suite, "alice", {b"a PSK": suite.random(suite.Nh)})
    carol, bob = new_key_package(suite, "carol"), new_key_package(suite, "bob")
    setting = _Setting(suite, party, scenario.wire_format)
    party = setting.commit("alice", [add(carol.key_package)], joining={"carol": carol}).party

    proposals = [add(bob.key_package)]
    if scenario.psk:
        proposals.append(pre_shared_key(_external(suite, party)))
    psks = psk_lookup(party.psks)
    pending = commit(party.groups["alice"], proposals, now=None, path=scenario.path, psks=psks)
    party = party.committed(pending, "alice")
    assert pending.welcome is not None
    welcome = decode_message(pending.welcome)
    assert isinstance(welcome, Welcome)
    if not scenario.tree_in_welcome:
        welcome = _without_tree(party.groups["alice"], welcome, bob, psks)

    initial, epochs = party.groups["alice"], []
    for name in scenario.epochs:
        epoch = _EPOCHS[name](_Setting(suite, party, scenario.wire_format))
        party = epoch.party
        epochs.append(
            {
                "proposals": [proposal.hex() for proposal in epoch.proposals],
                "commit": epoch.commit.hex(),
                "epoch_authenticator": party.groups["alice"].epoch_authenticator.hex(),
            }
        )
    return {
        "cipher_suite": cipher_suite,
        "external_psks": [{"psk_id": psk_id.hex(), "psk": psk.hex()} for psk_id, psk in party.psks.items()],
        "key_package": mls_message(bob.key_package).encode().hex(),
        "signature_priv": bob.signature_key.hex(),
        "encryption_priv": bob.encryption_key.private_key.hex(),
        "init_priv": bob.init_key.private_key.hex(),
        "welcome": mls_message(welcome).encode().hex(),
        "ratchet_tree": None if scenario.tree_in_welcome else encode_tree(initial.tree).hex(),
        "initial_epoch_authenticator": initial.epoch_authenticator.hex(),
        "epochs": epochs,
    }


def _external(suite: Crypto, party: Party) -> PreSharedKeyID:
    """Names the PSK that everybody in the group has."""
    (psk_id,) = party.psks
    return PreSharedKeyID(
        psktype=PSKType.external, psk=ExternalPSK(psk_id=psk_id), psk_nonce=suite.random(suite.Nh)
    )


def _without_tree(inviter: Group, welcome: Welcome, own: OwnKeyPackage, psks: PSKLookup) -> Welcome:
    """The inviter's Welcome with a GroupInfo that does not bring the ratchet tree."""
    suite = inviter.crypto
    opened = open_welcome(suite, welcome, own, psks)
    info = sign_group_info(suite, inviter.signature_key, replace_fields(opened.group_info, extensions=()))
    secret = key_schedule.welcome_secret(suite, opened.group_secrets.joiner_secret, opened.psk_secret)
    encrypted_info = encrypt_group_info(suite, secret, info)
    package = own.key_package
    sealed = suite.encrypt_with_label(
        package.init_key, "Welcome", encrypted_info, opened.group_secrets.encode()
    )
    secrets = EncryptedGroupSecrets(
        new_member=key_package_ref(suite, package), encrypted_group_secrets=sealed
    )
    return Welcome(cipher_suite=package.cipher_suite, secrets=(secrets,), encrypted_group_info=encrypted_info)


FAMILY = Family(
    name="passive-client",
    keys=frozenset(
        {
            "cipher_suite",
            "external_psks",
            "key_package",
            "signature_priv",
            "encryption_priv",
            "init_priv",
            "welcome",
            "ratchet_tree",
            "initial_epoch_authenticator",
            "epochs",
        }
    ),
    verify=verify,
    generate=generate,
    parameters=(
        Scenario(tree_in_welcome=False, psk=True, path=False),
        Scenario(epochs=("update", "add", "remove")),
        Scenario(
            epochs=("by reference", "update of leaf 0", "empty", "external join"),
            wire_format=WireFormat.mls_public_message,
        ),
    ),
)
