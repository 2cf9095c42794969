"""Which proposals a commit must not have (§12.2, §12.1): each rule, by the code of its error.

The commits are a member's who keeps no rule; their receiver finds the first fault.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from mls_federation.codec import replace
from mls_federation.crypto import CipherSuite, Crypto
from mls_federation.errors import MLSError, UsageError
from mls_federation.mls import (
    CommitMessage,
    ProposalMessage,
    add,
    commit,
    pre_shared_key,
    receive,
    reinit,
    remove,
)
from mls_federation.mls.commit import ProposalOrRef, by_reference
from mls_federation.mls.credentials import Credential, CredentialType, X509Credential
from mls_federation.mls.extensions import Extension, ExtensionType, ProposalType, RequiredCapabilities
from mls_federation.mls.nodes import LeafNodeSource, Lifetime, ProtocolVersion, sign_leaf_node
from mls_federation.mls.proposals import (
    ExternalInit,
    GroupContextExtensions,
    Proposal,
    ReInit,
    Update,
    proposal,
)
from mls_federation.mls.psk import (
    ExternalPSK,
    PreSharedKeyID,
    PSKType,
    ResumptionPSK,
    ResumptionPSKUsage,
)
from mls_federation.mls.tree_math import LeafIndex
from tests.support.forge import forge, forge_commit, valid_path
from tests.support.pair import LIFETIME, NOW, Party, altered_key_package

SUITE_3 = CipherSuite.MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_Ed25519
PRIVATE_EXTENSION = Extension(extension_type=ExtensionType(0xF000), extension_data=b"")
# A point of small order: nothing can be sealed to it.
NO_KEY = bytes(32)

Forged = list[Proposal | ProposalOrRef]


@dataclass(frozen=True)
class Rule:
    """What is forged, and the code of the error that it must give.

    Attributes:
        by_value: all of it stands in the commit itself, so that its committer is at fault.
        alone: each proposal breaks the rule by itself.
    """

    code: str
    forge: Callable[[Party], Forged]
    by_value: bool = True
    alone: bool = True


def changed_leaf(**changes: Any) -> Callable[[Party], Forged]:
    """Adds a client whose leaf has other fields, well signed."""

    def forged(party: Party) -> Forged:
        client = party.client("new")
        own = client.key_package()
        leaf = replace(own.key_package.leaf_node, **changes)
        return [add(altered_key_package(client, own, leaf).key_package)]

    return forged


def changed_package(**changes: Any) -> Callable[[Party], Forged]:
    """Adds a client whose KeyPackage has other fields, well signed."""

    def forged(party: Party) -> Forged:
        client = party.client("new")
        return [add(altered_key_package(client, client.key_package(), **changes).key_package)]

    return forged


def wrong_capabilities(**changes: Any) -> Callable[[Party], Forged]:
    """Adds a client with other capabilities."""

    def forged(party: Party) -> Forged:
        client = party.client("new")
        capabilities = replace(client.capabilities, **changes)
        return [add(client.key_package(capabilities=capabilities).key_package)]

    return forged


def unsigned_leaf(party: Party) -> Forged:
    client = party.client("new")
    own = client.key_package()
    leaf = replace(own.key_package.leaf_node, signature=bytes(64))
    return [add(replace(own.key_package, leaf_node=leaf))]


def unsigned_package(party: Party) -> Forged:
    return [add(replace(party.client("new").key_package().key_package, signature=bytes(64)))]


def one_key_for_two_purposes(party: Party) -> Forged:
    client = party.client("new")
    own = client.key_package()
    init_key = own.key_package.leaf_node.encryption_key
    return [add(altered_key_package(client, own, init_key=init_key).key_package)]


def key_of_a_member(party: Party) -> Forged:
    client = party.client("new")
    own = client.key_package()
    encryption_key = party.groups["ann"].own_leaf_node.encryption_key
    leaf = replace(own.key_package.leaf_node, encryption_key=encryption_key)
    return [add(altered_key_package(client, own, leaf).key_package)]


def update_of(party: Party, name: str, **changes: Any) -> Proposal:
    """An Update with a fresh key and other changes, well signed."""
    group = party.groups[name]
    leaf = replace(
        group.own_leaf_node,
        encryption_key=party.crypto.generate_key_pair().public_key,
        leaf_node_source=LeafNodeSource.update,
        source=None,
    )
    changed = replace(leaf, **changes)
    signed = sign_leaf_node(party.crypto, group.signature_key, changed, group.group_id, group.own_leaf)
    return proposal(Update(leaf_node=signed))


def proposed_update(**changes: Any) -> Callable[[Party], Forged]:
    """Refers to a bad Update that another member sent."""

    def forged(party: Party) -> Forged:
        return [by_reference(party.propose("ben", update_of(party, "ben", **changes)))]

    return forged


def update_for_another_leaf(party: Party) -> Forged:
    group = party.groups["ben"]
    body = update_of(party, "ben").proposal
    assert isinstance(body, Update)
    signed = sign_leaf_node(
        party.crypto, group.signature_key, body.leaf_node, group.group_id, party.leaf("ann")
    )
    return [by_reference(party.propose("ben", proposal(Update(leaf_node=signed))))]


def update_with_old_key(party: Party) -> Forged:
    old = party.groups["ben"].own_leaf_node.encryption_key
    return proposed_update(encryption_key=old)(party)


def update_with_key_of_another(party: Party) -> Forged:
    other = party.groups["ann"].own_leaf_node.encryption_key
    return proposed_update(encryption_key=other)(party)


def update_and_remove(party: Party) -> Forged:
    return [by_reference(party.propose_update("ben")), remove(party.leaf("ben"))]


def psk_id(nonce: bytes = bytes(32), name: bytes = b"psk") -> PreSharedKeyID:
    return PreSharedKeyID(psktype=PSKType.external, psk=ExternalPSK(psk_id=name), psk_nonce=nonce)


def resumption(usage: ResumptionPSKUsage) -> Callable[[Party], Forged]:
    def forged(party: Party) -> Forged:
        group = party.groups["eve"]
        psk = ResumptionPSK(usage=usage, psk_group_id=group.group_id, psk_epoch=group.epoch)
        identified = PreSharedKeyID(psktype=PSKType.resumption, psk=psk, psk_nonce=bytes(32))
        return [pre_shared_key(identified)]

    return forged


def context_extensions(*extensions: Extension) -> Proposal:
    return proposal(GroupContextExtensions(extensions=extensions))


def required(**changes: Any) -> Extension:
    nothing = RequiredCapabilities(extension_types=(), proposal_types=(), credential_types=())
    return Extension(
        extension_type=ExtensionType.required_capabilities,
        extension_data=replace(nothing, **changes).encode(),
    )


def reinit_to_an_older_version(party: Party) -> Forged:
    body = ReInit(
        group_id=b"new",
        version=ProtocolVersion(0),
        cipher_suite=party.crypto.suite.cipher_suite,
        extensions=(),
    )
    return [proposal(body)]


def twice(party: Party) -> Forged:
    return [add(party.client("new").key_package().key_package) for _ in range(2)]


RULES = {
    # §12.2: the list.
    "an Update of the committer": Rule("own-update-committed", lambda party: [update_of(party, "eve")]),
    "a Remove of the committer": Rule("committer-removed", lambda party: [remove(party.leaf("eve"))]),
    "two Removes": Rule("member-changed-twice", lambda party: [remove(party.leaf("ben"))] * 2, alone=False),
    "Update and Remove": Rule("member-changed-twice", update_and_remove, by_value=False, alone=False),
    "one client added twice": Rule("duplicate-signature-key", twice),
    "a member added": Rule(
        "duplicate-signature-key", lambda party: [add(party.client("ben").key_package().key_package)]
    ),
    "the committer added": Rule(
        "duplicate-signature-key", lambda party: [add(party.client("eve").key_package().key_package)]
    ),
    "one PSK twice": Rule("duplicate-psk", lambda _: [pre_shared_key(psk_id())] * 2),
    "two GroupContextExtensions": Rule(
        "duplicate-group-context-extensions", lambda _: [context_extensions()] * 2
    ),
    "a ReInit beside another proposal": Rule(
        "reinit-not-alone",
        lambda party: [
            reinit(b"new", party.crypto.suite.cipher_suite),
            pre_shared_key(psk_id(bytes(32), b"known")),
        ],
        alone=False,
    ),
    "a ReInit to an older version": Rule("reinit-version", reinit_to_an_older_version),
    "an ExternalInit": Rule(
        "external-init-by-member", lambda _: [proposal(ExternalInit(kem_output=bytes(32)))]
    ),
    "an unknown reference": Rule(
        "unknown-proposal", lambda _: [by_reference(bytes(32))], by_value=False, alone=False
    ),
    # §12.1.1, §10.1, §7.3: whom one adds.
    "another version": Rule("unsupported-version", changed_package(version=ProtocolVersion(0x0A0A))),
    "another cipher suite": Rule("wrong-cipher-suite", changed_package(cipher_suite=SUITE_3)),
    "a leaf of an Update": Rule(
        "wrong-leaf-source", changed_leaf(leaf_node_source=LeafNodeSource.update, source=None)
    ),
    "a leaf of a commit": Rule(
        "wrong-leaf-source", changed_leaf(leaf_node_source=LeafNodeSource.commit, source=b"")
    ),
    "one key for two purposes": Rule("key-reuse", one_key_for_two_purposes),
    "a member's encryption key": Rule("duplicate-encryption-key", key_of_a_member),
    "an extension twice in the KeyPackage": Rule(
        "duplicate-extension", changed_package(extensions=(PRIVATE_EXTENSION, PRIVATE_EXTENSION))
    ),
    "an extension twice in the leaf": Rule(
        "duplicate-extension", changed_leaf(extensions=(PRIVATE_EXTENSION, PRIVATE_EXTENSION))
    ),
    "an extension that the leaf does not know": Rule(
        "unsupported-extension", changed_leaf(extensions=(PRIVATE_EXTENSION,))
    ),
    "a client of another version": Rule("unsupported-suite", wrong_capabilities(versions=())),
    "a client of another suite": Rule("unsupported-suite", wrong_capabilities(cipher_suites=(SUITE_3,))),
    "a credential that the client does not know": Rule(
        "unsupported-credential", wrong_capabilities(credentials=(CredentialType.x509,))
    ),
    "a credential that the members do not know": Rule(
        "unsupported-credential",
        changed_leaf(
            credential=Credential(
                credential_type=CredentialType.x509, credential=X509Credential(certificates=())
            ),
        ),
    ),
    "too early": Rule("outside-lifetime", changed_leaf(source=replace(LIFETIME, not_before=NOW + 1))),
    "too late": Rule("outside-lifetime", changed_leaf(source=replace(LIFETIME, not_after=NOW - 1))),
    "never": Rule("outside-lifetime", changed_leaf(source=Lifetime(not_before=NOW + 1, not_after=NOW - 1))),
    "an init_key that is no key": Rule("invalid-public-key", changed_package(init_key=NO_KEY)),
    "an encryption_key that is no key": Rule("invalid-public-key", changed_leaf(encryption_key=NO_KEY)),
    "an encryption_key of the wrong size": Rule("invalid-public-key", changed_leaf(encryption_key=b"key")),
    "a leaf without a signature": Rule("bad-signature", unsigned_leaf),
    "a KeyPackage without a signature": Rule("bad-signature", unsigned_package),
    # §12.1.2: Updates.
    "an Update that keeps the old key": Rule("key-reuse", update_with_old_key, by_value=False),
    "an Update with another's key": Rule(
        "duplicate-encryption-key", update_with_key_of_another, by_value=False
    ),
    "an Update with a key that is none": Rule(
        "invalid-public-key", proposed_update(encryption_key=NO_KEY), by_value=False
    ),
    "an Update with a leaf of a commit": Rule(
        "wrong-leaf-source",
        proposed_update(leaf_node_source=LeafNodeSource.commit, source=b""),
        by_value=False,
    ),
    "an Update with a leaf of a KeyPackage": Rule(
        "wrong-leaf-source",
        proposed_update(leaf_node_source=LeafNodeSource.key_package, source=LIFETIME),
        by_value=False,
    ),
    "an Update with an extension that the leaf does not know": Rule(
        "unsupported-extension", proposed_update(extensions=(PRIVATE_EXTENSION,)), by_value=False
    ),
    "an Update for another leaf": Rule("bad-signature", update_for_another_leaf, by_value=False),
    # §12.1.3.
    "a Remove of a blank leaf": Rule("not-a-member", lambda _: [remove(LeafIndex(3))]),
    "a Remove outside the tree": Rule("not-a-member", lambda _: [remove(LeafIndex(2**32 - 1))]),
    # §12.1.4, §8.4.
    "a PSK that nobody has": Rule("unknown-psk", lambda _: [pre_shared_key(psk_id())]),
    "a PSK with a short nonce": Rule(
        "bad-psk-nonce", lambda _: [pre_shared_key(psk_id(bytes(31), b"known"))]
    ),
    "a PSK for re-initialisation": Rule("bad-psk-usage", resumption(ResumptionPSKUsage.reinit)),
    "a PSK for a branch": Rule("bad-psk-usage", resumption(ResumptionPSKUsage.branch)),
    # §12.1.7, §13.4, §11.1.
    "a group extension twice": Rule(
        "duplicate-extension", lambda _: [context_extensions(required(), required())]
    ),
    "a group extension that members do not know": Rule(
        "unsupported-extension", lambda _: [context_extensions(PRIVATE_EXTENSION)]
    ),
    "a required extension that members do not know": Rule(
        "missing-capability",
        lambda _: [context_extensions(required(extension_types=(ExtensionType(0xF000),)))],
    ),
    "a required proposal that members do not know": Rule(
        "missing-capability", lambda _: [context_extensions(required(proposal_types=(ProposalType(0xF000),)))]
    ),
    "a required credential that members do not know": Rule(
        "missing-capability",
        lambda _: [context_extensions(required(credential_types=(CredentialType.x509,)))],
    ),
    "required capabilities that are malformed": Rule(
        "malformed",
        lambda _: [
            context_extensions(
                Extension(extension_type=ExtensionType.required_capabilities, extension_data=b"\x00")
            )
        ],
    ),
}


# Which rules of tests/spec/rules.toml each shows.
RULE_IDS = {
    "an Update of the committer": ("12.2-02",),
    "a Remove of the committer": ("12.2-03",),
    "two Removes": ("12.2-04",),
    "Update and Remove": ("12.2-04",),
    "one client added twice": ("12.2-06", "7.3-12"),
    "a member added": ("12.2-07", "7.3-12", "16.7-01"),
    "the committer added": ("12.2-07", "7.3-12"),
    "one PSK twice": ("12.2-08",),
    "two GroupContextExtensions": ("12.2-09",),
    "a ReInit beside another proposal": ("12.2-10",),
    "a ReInit to an older version": ("12.1.5-01",),
    "an ExternalInit": ("12.2-12", "12.1.6-01"),
    "an unknown reference": ("12.4-03",),
    "another version": ("10.1-01",),
    "another cipher suite": ("10.1-01",),
    "a leaf of an Update": ("7.3-08", "10.1-02"),
    "a leaf of a commit": ("7.3-08", "10.1-02"),
    "one key for two purposes": ("10.1-04", "12.1.1-01"),
    "a member's encryption key": ("7.3-13", "12.2-14", "16.7-01"),
    "an extension twice in the KeyPackage": ("13.4-03",),
    "an extension twice in the leaf": ("13.4-03",),
    "an extension that the leaf does not know": ("7.2-03", "10.1-02"),
    "a client of another version": ("7.3-02",),
    "a client of another suite": ("7.3-02",),
    "a credential that the client does not know": ("7.2-04",),
    "a credential that the members do not know": ("7.2-04",),
    "too early": ("7.3-06", "7.3-07"),
    "too late": ("7.3-06", "7.3-07"),
    "never": ("7.3-06", "7.3-07"),
    "an init_key that is no key": ("10-01",),
    "an encryption_key that is no key": ("10-03",),
    "an encryption_key of the wrong size": ("10-03", "5.1.1-01"),
    "a leaf without a signature": ("12.1.1-01",),
    "a KeyPackage without a signature": ("10-04", "10.1-03", "12.1.1-01"),
    "an Update that keeps the old key": ("7.3-10", "12.1.2-01"),
    "an Update with another's key": ("7.3-13", "12.2-14"),
    "an Update with a leaf of a commit": ("7.3-09", "12.1.2-01"),
    "an Update with a leaf of a KeyPackage": ("7.3-09", "12.1.2-01"),
    "an Update with an extension that the leaf does not know": ("7.2-03", "12.1.2-01"),
    "an Update for another leaf": ("7.2-07", "7.3-01", "12.1.2-01"),
    "a Remove of a blank leaf": ("12.1.3-01",),
    "a Remove outside the tree": ("12.1.3-01",),
    "a PSK that nobody has": ("12.4.2-02",),
    "a PSK with a short nonce": ("12.1.4-02",),
    "a PSK for re-initialisation": ("12.1.4-01", "11.2-04"),
    "a PSK for a branch": ("12.1.4-01", "11.3-05"),
    "a group extension twice": ("13.4-03",),
    "a group extension that members do not know": ("13.4-05",),
    "a required extension that members do not know": ("11.1-02", "7.3-03"),
    "a required proposal that members do not know": ("11.1-02", "7.3-03"),
    "a required credential that members do not know": ("11.1-02", "7.3-03"),
}


@pytest.fixture
def party(suite_1: Crypto) -> Party:
    """Ann, Ben and Eve; the fourth leaf is blank. Eve keeps no rule."""
    party = Party(suite_1, "ann", "ben", "eve")
    party.psks[b"known"] = b"secret"
    return party


def rules(*names: str, shown: tuple[str, ...] = ()) -> pytest.MarkDecorator:
    """These, each with the marks of what it shows, and of what all of them show, `shown`."""
    cases = [
        pytest.param(RULES[name], marks=pytest.mark.rule(*shown, *RULE_IDS.get(name, ())), id=name)
        for name in names
    ]
    return pytest.mark.parametrize("rule", cases)


@rules(*RULES, shown=("12.2-01", "12.4-02"))
def test_receivers_refuse(party: Party, rule: Rule) -> None:
    forged = forge_commit(party.groups["eve"], rule.forge(party), valid_path(party.groups["eve"]))
    ann = party.groups["ann"]
    with pytest.raises(MLSError) as caught:
        receive(ann, forged, now=NOW, psks=party.look_up)
    assert caught.value.code == rule.code
    # The group goes on as if nothing had been sent.
    party.commit("ben")


@rules(*(name for name, rule in RULES.items() if rule.by_value), shown=("12.2-01", "12.4-02"))
def test_we_do_not_send_it_ourselves(party: Party, rule: Rule) -> None:
    own = [item for item in rule.forge(party) if isinstance(item, Proposal)]
    before = party.groups["eve"]
    with pytest.raises(MLSError) as caught:
        commit(party.groups["eve"], own, now=NOW, psks=party.look_up)
    assert caught.value.code == rule.code or isinstance(caught.value, UsageError)
    assert party.groups["eve"] is before
    party.commit("eve")


@pytest.mark.rule("12.4.1-02")
@pytest.mark.parametrize("rule", [pytest.param(rule, id=name) for name, rule in RULES.items() if rule.alone])
def test_a_bad_proposal_stops_nobody(party: Party, rule: Rule) -> None:
    """Eve only proposes; the others must be able to commit, and to talk again."""
    for item in rule.forge(party):
        if isinstance(item, Proposal):
            sent = forge(party.groups["eve"], item)
            for name in ("ann", "ben"):
                proposed = receive(party.groups[name], sent, now=NOW)
                assert isinstance(proposed, ProposalMessage)
                party.groups[name] = proposed.group
    pending = commit(party.groups["ann"], now=NOW, psks=party.look_up)
    committed = receive(party.groups["ben"], pending.message, now=NOW, psks=party.look_up)
    assert isinstance(committed, CommitMessage)
    party.groups = {"ann": pending.group, "ben": committed.group}
    assert party.groups["ann"].epoch_authenticator == party.groups["ben"].epoch_authenticator
    assert party.read("ben", party.send("ann", b"still here")).data == b"still here"
