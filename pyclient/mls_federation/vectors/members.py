"""The members of generated vectors: their key packages, and a group of them in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ..crypto import Crypto, KeyPair
from ..mls import (
    CommitMessage,
    Group,
    OwnKeyPackage,
    PendingCommit,
    ProposalMessage,
    Sent,
    Welcome,
    create_group,
    create_key_package,
    decode_message,
    join,
    psk_lookup,
    receive,
)
from ..mls.credentials import CredentialType, basic_credential
from ..mls.nodes import Capabilities, Lifetime, ProtocolVersion

# Vectors do not age.
_ALWAYS = Lifetime(not_before=0, not_after=(1 << 64) - 1)


@dataclass(frozen=True)
class Party:
    """The states of those members of a group who act, by name. A value: each step gives the next."""

    groups: Mapping[str, Group]
    psks: Mapping[bytes, bytes]

    def proposed(self, by: str, sent: Sent) -> Party:
        """The others have received a proposal."""
        after = {by: sent.group}
        for name, group in self.groups.items():
            if name != by:
                received = receive(group, sent.message, now=None)
                assert isinstance(received, ProposalMessage)
                after[name] = received.group
        return replace(self, groups=after)

    def committed(
        self,
        pending: PendingCommit,
        by: str,
        joining: Mapping[str, OwnKeyPackage] | None = None,
        leaving: Sequence[str] = (),
    ) -> Party:
        """All others have followed a commit, those who join it by its Welcome."""
        psks = psk_lookup(self.psks)
        after = {by: pending.group}
        for name, group in self.groups.items():
            if name not in (by, *leaving):
                received = receive(group, pending.message, now=None, psks=psks)
                assert isinstance(received, CommitMessage)
                after[name] = received.group
        for name, own in (joining or {}).items():
            assert pending.welcome is not None
            welcome = decode_message(pending.welcome)
            assert isinstance(welcome, Welcome)
            after[name] = join(pending.group.crypto, welcome, own, now=None, psks=psks)
        return replace(self, groups=after)


def new_party(crypto: Crypto, name: str, psks: Mapping[bytes, bytes] | None = None) -> Party:
    """A group with one member."""
    group = create_group(crypto, crypto.random(16), new_key_package(crypto, name))
    return Party({name: group}, psks or {})


def new_key_package(crypto: Crypto, name: str, signer: KeyPair | None = None) -> OwnKeyPackage:
    """A fresh KeyPackage for a basic credential."""
    return create_key_package(
        crypto,
        credential=basic_credential(name.encode()),
        signature_key=signer or crypto.generate_signature_key(),
        capabilities=Capabilities(
            versions=(ProtocolVersion.mls10,),
            cipher_suites=(crypto.suite.cipher_suite,),
            extensions=(),
            proposals=(),
            credentials=(CredentialType.basic,),
        ),
        lifetime=_ALWAYS,
    )
