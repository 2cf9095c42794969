"""What a leaf must be (§7.2, §7.3, §11.1, §13.4), wherever it comes in: by an Add, an Update, a path, or a tree.

Each rule is held against members and followers; the KeyPackages and leaves are well signed, however wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace as replace_state
from typing import Any

import pytest

from mls_federation.codec import replace
from mls_federation.crypto import CipherSuite, Crypto
from mls_federation.errors import MLSError, RemoteError
from mls_federation.mls import (
    Group,
    PublicGroup,
    Welcome,
    add,
    change_extensions,
    commit,
    decode_message,
    follow,
    group_info,
    join,
    observe,
    receive,
    remove,
)
from mls_federation.mls.authentication import CredentialCheck
from mls_federation.mls.commit import ProposalOrRef, by_reference
from mls_federation.mls.credentials import Credential, CredentialType, X509Credential, basic_credential
from mls_federation.mls.extensions import Extension, ExtensionType, ProposalType, RequiredCapabilities
from mls_federation.mls.joining import open_welcome
from mls_federation.mls.key_package import key_package_tbs
from mls_federation.mls.nodes import Capabilities, LeafNode, ProtocolVersion, sign_leaf_node
from mls_federation.mls.proposals import Proposal
from mls_federation.mls.tree_hashes import tree_hash
from mls_federation.mls.tree_math import LeafIndex
from tests.support.forge import forge, forge_commit, forge_welcome, path_with_leaf, valid_path
from tests.support.pair import NOW, Party, altered_key_package

from .test_credential_events import all_but
from .test_proposal_rules import PRIVATE_EXTENSION, update_of

GREASE = 0x3A3A
X509 = Credential(credential_type=CredentialType.x509, credential=X509Credential(certificates=()))
NOTHING = RequiredCapabilities(extension_types=(), proposal_types=(), credential_types=())


def anybody(credential: Credential, signature_key: bytes, now: int | None) -> None:
    """An application that accepts everybody."""


def required(**changes: Any) -> Extension:
    return Extension(
        extension_type=ExtensionType.required_capabilities,
        extension_data=replace(NOTHING, **changes).encode(),
    )


def capable(suite: Crypto, **changes: Any) -> Capabilities:
    """Of everything that these tests ask for, but for `changes`."""
    able = Capabilities(
        versions=(ProtocolVersion.mls10,),
        cipher_suites=(suite.suite.cipher_suite,),
        extensions=(PRIVATE_EXTENSION.extension_type, ExtensionType(0xF001)),
        proposals=(ProposalType(0xF002),),
        credentials=(CredentialType.basic, CredentialType.x509),
    )
    return replace(able, **changes)


DEMANDS = required(
    extension_types=(ExtensionType(0xF001),),
    proposal_types=(ProposalType(0xF002),),
    credential_types=(CredentialType.x509,),
)


@pytest.fixture
def party(suite_1: Crypto) -> Party:
    """A group that demands much, whose members can do it all."""
    return Party(
        suite_1,
        "ann",
        "ben",
        "eve",
        extensions=(PRIVATE_EXTENSION, DEMANDS),
        capabilities=capable(suite_1),
        grease=False,
    )


# Each shows that leaves are validated where they come in that way, whatever the rule.
ways = pytest.mark.parametrize(
    "way",
    [
        pytest.param("add", marks=pytest.mark.rule("10.1-02", "12.1.1-01")),
        pytest.param("update", marks=pytest.mark.rule("12.1.2-01")),
        pytest.param("path", marks=pytest.mark.rule("12.4.2-03", "7.5-03")),
        pytest.param("tree", marks=pytest.mark.rule("12.4.3.1-08")),
    ],
)

LEAVES: dict[str, tuple[Sequence[str], str, dict[str, Any]]] = {
    "another version": (["7.3-02"], "unsupported-suite", {"versions": (ProtocolVersion(2),)}),
    "another suite": (
        ["7.3-02"],
        "unsupported-suite",
        {"cipher_suites": (CipherSuite.MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_Ed25519,)},
    ),
    "not the group's extension": (
        ["13.4-05", "11.1-01"],
        "unsupported-extension",
        {"extensions": (ExtensionType(0xF001),)},
    ),
    "not a required extension": (
        ["7.3-03", "11.1-01"],
        "missing-capability",
        {"extensions": (PRIVATE_EXTENSION.extension_type,)},
    ),
    "not a required proposal": (["7.3-03", "11.1-01"], "missing-capability", {"proposals": ()}),
    "not a required credential": (
        ["7.3-03", "11.1-01"],
        "missing-capability",
        {"credentials": (CredentialType.basic,)},
    ),
    "not its own credential": (
        ["7.2-04"],
        "unsupported-credential",
        {"credentials": (CredentialType.x509,)},
    ),
}


@ways
@pytest.mark.parametrize(
    ("code", "changes"),
    [
        pytest.param(code, changes, marks=pytest.mark.rule(*rules), id=name)
        for name, (rules, code, changes) in LEAVES.items()
    ],
)
def test_capabilities(party: Party, way: str, code: str, changes: dict[str, Any]) -> None:
    capabilities = capable(party.crypto, **changes)
    if way == "tree":
        assert refusal_to_join(party, capabilities=capabilities) == code
    else:
        assert_refused(party, way, code, capabilities=capabilities)


@pytest.mark.rule("7.2-03")
@ways
def test_an_extension_that_the_leaf_does_not_list(party: Party, way: str) -> None:
    unknown = Extension(extension_type=ExtensionType(0xF00F), extension_data=b"")
    if way == "tree":
        assert refusal_to_join(party, extensions=(unknown,)) == "unsupported-extension"
    else:
        assert_refused(party, way, "unsupported-extension", extensions=(unknown,))


@pytest.mark.rule("7.3-04", "13.3-01")
@ways
def test_a_credential_that_another_member_does_not_support(suite_1: Crypto, way: str) -> None:
    party = Party(suite_1, "ann", "ben", "eve", grease=False)  # who know basic credentials alone
    both = replace(party.client("ann").capabilities, credentials=(CredentialType.basic, CredentialType.x509))
    changes = {"credential": X509, "capabilities": both}
    if way == "tree":
        assert refusal_to_join(party, check=anybody, **changes) == "unsupported-credential"
    else:
        assert_refused(party, way, "unsupported-credential", anybody, **changes)


@pytest.mark.rule("7.3-05", "13.3-01")
@ways
def test_a_member_that_does_not_support_anothers_credential(suite_1: Crypto, way: str) -> None:
    party = Party(suite_1, "ann", "ben", "eve", capabilities=capable(suite_1), grease=False)
    changes = {
        "credential": X509,
        "capabilities": capable(suite_1, credentials=(CredentialType.x509,)),
    }
    if way == "tree":
        assert refusal_to_join(party, check=anybody, **changes) == "unsupported-credential"
    else:
        assert_refused(party, way, "unsupported-credential", anybody, **changes)


@pytest.mark.rule("5.3.1-04")
def test_a_new_credential_in_an_update(party: Party) -> None:
    assert_refused(
        party, "update", "credential-refused", all_but("mallory"), credential=basic_credential(b"mallory")
    )


@pytest.mark.rule("5.3.1-05")
def test_a_new_credential_in_a_path(party: Party) -> None:
    assert_refused(
        party, "path", "credential-refused", all_but("mallory"), credential=basic_credential(b"mallory")
    )


@pytest.mark.rule("13.4-03")
@ways
def test_two_extensions_of_one_type(party: Party, way: str) -> None:
    extensions = (PRIVATE_EXTENSION, PRIVATE_EXTENSION)
    if way == "tree":
        assert refusal_to_join(party, extensions=extensions) == "duplicate-extension"
    else:
        assert_refused(party, way, "duplicate-extension", extensions=extensions)


@pytest.mark.rule("5.1.2-01", "10-03")
@pytest.mark.parametrize("size", [0, 31, 33, 57, 65])
def test_a_signature_key_of_another_scheme(party: Party, size: int) -> None:
    client = party.client("new")
    own = client.key_package(capabilities=party.capabilities)
    leaf = replace(own.key_package.leaf_node, signature_key=bytes(range(size)))
    package = altered_key_package(client, own, leaf).key_package
    forged = forge_commit(party.groups["eve"], [add(package)], valid_path(party.groups["eve"]))
    for check in (
        lambda: receive(party.groups["ann"], forged, now=NOW),
        lambda: observe(follower(party), forged, now=NOW),
    ):
        with pytest.raises(RemoteError) as caught:
            check()
        assert caught.value.code in ("bad-signature", "invalid-public-key")


@pytest.mark.rule("7.2-07", "7.3-01")
@pytest.mark.parametrize(("group_id", "place"), [(b"another", None), (None, 0), (None, 1)])
def test_a_path_leaf_of_another_group_or_place(
    party: Party, group_id: bytes | None, place: int | None
) -> None:
    eve = party.groups["eve"]
    path = valid_path(eve)
    leaf = sign_leaf_node(
        party.crypto,
        eve.signature_key,
        path.leaf_node,
        group_id or eve.group_id,
        eve.own_leaf if place is None else LeafIndex(place),
    )
    refused(party, forge_commit(eve, [], replace(path, leaf_node=leaf)), "bad-signature")


@pytest.mark.rule("7.3-01", "10.1-02", "12.1.1-01")
def test_a_leaf_that_is_not_signed_in_a_key_package_that_is(party: Party) -> None:
    client = party.client("new")
    own = client.key_package(capabilities=party.capabilities)
    leaf = own.key_package.leaf_node
    for signature in (b"", bytes(64), own.key_package.signature):
        package = replace(own.key_package, leaf_node=replace(leaf, signature=signature))
        signature_key = client.signature_key.private_key
        signed = party.crypto.sign_with_label(signature_key, "KeyPackageTBS", key_package_tbs(package))
        package = replace(package, signature=signed)
        eve = party.groups["eve"]
        refused(party, forge_commit(eve, [add(package)], valid_path(eve)), "bad-signature")
        with pytest.raises(MLSError) as caught:
            commit(party.groups["ann"], [add(package)], now=NOW)
        assert caught.value.code == "bad-signature"


@pytest.mark.rule("7.3-12", "7.3-13", "12.2-07", "12.2-14")
def test_keys_that_are_in_the_group_already(party: Party) -> None:
    # The path of a commit is checked too, so that it hides whether its Adds are.
    ben, eve = party.groups["ben"], party.groups["eve"]
    again = party.client("ben").key_package(capabilities=party.capabilities).key_package
    copied = changed_package(party, encryption_key=ben.own_leaf_node.encryption_key)
    for package, code in ((again, "duplicate-signature-key"), (copied, "duplicate-encryption-key")):
        refused(party, forge_commit(eve, [add(package)], None), code)
    both = [changed_package(party) for _ in range(2)]
    refused(party, forge_commit(eve, [add(package) for package in both], None), "duplicate-signature-key")


# -- what is accepted


@pytest.mark.rule("7.2-03")
def test_default_extensions_need_not_be_listed(suite_1: Crypto) -> None:
    party = Party(suite_1, "ann", "ben", grease=False)
    name = Extension(extension_type=ExtensionType.application_id, extension_data=b"\x01x")
    own = party.client("cat").key_package(leaf_extensions=[name])
    party.commit("ann", [add(own.key_package)], joining={"cat": own})
    assert party.groups["cat"].own_leaf_node.extensions == (name,)


@pytest.mark.rule("7.2-05", "13.4-02", "13.5-02")
def test_unknown_capabilities_are_passed_over_in_a_group(suite_1: Crypto) -> None:
    for unknown in (GREASE, 0x1234):
        party = Party(suite_1, "ann", "ben", grease=False)
        basic = party.client("ann").capabilities
        changed = Capabilities(
            versions=(ProtocolVersion(unknown), *basic.versions),
            cipher_suites=(*basic.cipher_suites, CipherSuite(unknown)),
            extensions=(ExtensionType(unknown),),
            proposals=(ProposalType(unknown),),
            credentials=(CredentialType(unknown), *basic.credentials),
        )
        extension = Extension(extension_type=ExtensionType(unknown), extension_data=b"whatever")
        own = party.client("cat").key_package(
            capabilities=changed, leaf_extensions=[extension], extensions=[extension]
        )
        party.commit("ann", [add(own.key_package)], joining={"cat": own})
        party.commit("cat")
        party.propose_update("cat")
        party.commit("ben")
        assert party.groups["ann"].tree.member(party.leaf("cat")).capabilities == changed


@pytest.mark.rule("10-08", "13.4-02")
def test_an_unknown_extension_of_a_key_package_that_nobody_lists(suite_1: Crypto) -> None:
    party = Party(suite_1, "ann", "ben", grease=False)
    for unknown in (GREASE, 0x1234):
        extension = Extension(extension_type=ExtensionType(unknown), extension_data=b"whatever")
        own = party.client(f"member {unknown}").key_package(extensions=[extension])
        party.commit("ann", [add(own.key_package)], joining={f"member {unknown}": own})


@pytest.mark.rule("13.5-02", "12.4.3-02")
def test_grease_that_must_not_be_there_is_refused_as_any_unknown_value(suite_1: Crypto) -> None:
    party = Party(suite_1, "ann", "eve", grease=False)
    for unknown in (GREASE, 0x1234):
        extension = Extension(extension_type=ExtensionType(unknown), extension_data=b"")
        eve = party.groups["eve"]
        refused(
            party,
            forge_commit(eve, [change_extensions([extension])], valid_path(eve)),
            "unsupported-extension",
        )


# -- new demands of a group (§12.1.7, §12.3)


@pytest.mark.rule("12.1.7-01", "12.3-01")
def test_new_demands_are_held_against_those_who_are_added_with_them(suite_1: Crypto) -> None:
    party = Party(suite_1, "ann", "ben", "eve", capabilities=capable(suite_1), grease=False)
    incapable = party.client("new").key_package().key_package
    proposals = [add(incapable), change_extensions([DEMANDS])]
    with pytest.raises(MLSError) as caught:
        commit(party.groups["ann"], proposals, now=NOW)
    assert caught.value.code == "missing-capability"
    eve = party.groups["eve"]
    refused(party, forge_commit(eve, proposals, valid_path(eve)), "missing-capability")


@pytest.mark.rule("12.1.7-01")
def test_new_demands_are_not_held_against_those_who_are_removed_with_them(suite_1: Crypto) -> None:
    party = Party(suite_1, "ann", "ben", capabilities=capable(suite_1), grease=False)
    own = party.client("old").key_package()
    party.commit("ann", [add(own.key_package)], joining={"old": own})
    party.commit("ann", [change_extensions([DEMANDS]), remove(party.leaf("old"))])
    assert party.groups["ben"].context.extensions == (DEMANDS,)


@pytest.mark.rule("12.1.7-01", "11.1-02")
def test_new_demands_that_a_member_does_not_meet(suite_1: Crypto) -> None:
    party = Party(suite_1, "ann", "eve", capabilities=capable(suite_1), grease=False)
    own = party.client("old").key_package()
    party.commit("ann", [add(own.key_package)], joining={"old": own})
    eve = party.groups["eve"]
    refused(party, forge_commit(eve, [change_extensions([DEMANDS])], valid_path(eve)), "missing-capability")


@pytest.mark.rule("12.1.7-02", "13.5-01")
def test_new_extensions_replace_all(suite_1: Crypto) -> None:
    party = Party(suite_1, "ann", "ben", extensions=(DEMANDS,), capabilities=capable(suite_1), grease=False)
    party.commit("ann", [change_extensions([PRIVATE_EXTENSION])])
    assert party.groups["ben"].context.extensions == (PRIVATE_EXTENSION,)
    party.commit("ben", [change_extensions([])])
    assert party.groups["ann"].context.extensions == ()


# -- how they come in


def follower(party: Party) -> PublicGroup:
    return follow(party.crypto, group_info(party.groups["ann"]), now=NOW, check_credential=anybody)


def refused(party: Party, forged: bytes, code: str, check: CredentialCheck = anybody) -> None:
    """By a member and by a follower."""
    with pytest.raises(MLSError) as caught:
        receive(party.groups["ann"], forged, now=NOW, check_credential=check)
    assert caught.value.code == code
    with pytest.raises(MLSError) as caught:
        observe(follower(party), forged, now=NOW, check_credential=check)
    assert caught.value.code == code


def assert_refused(
    party: Party, way: str, code: str, check: CredentialCheck = anybody, **changes: Any
) -> None:
    """Of a leaf with `changes`, in an Add, an Update of Ben's, or Eve's path."""
    eve = party.groups["eve"]
    if way == "path":
        path = valid_path(eve)
        leaf: LeafNode = replace(path.leaf_node, **changes)
        refused(party, forge_commit(eve, [], path_with_leaf(eve, path, leaf)), code, check)
        return
    if way == "add":
        package = changed_package(party, **changes)
        for path_or_none in (valid_path(eve), None):
            refused(party, forge_commit(eve, [add(package)], path_or_none), code, check)
        # Nor do we send it.
        with pytest.raises(MLSError) as caught:
            commit(party.groups["ann"], [add(package)], now=NOW, check_credential=check)
        assert caught.value.code == code
        return
    body = update_of(party, "ben", **changes)
    sent = forge(party.groups["ben"], body)
    ann = receive(party.groups["ann"], sent, now=NOW).group  # type: ignore[union-attr]
    (ref,) = ann.proposals
    listed: list[Proposal | ProposalOrRef] = [by_reference(ref)]
    forged = forge_commit(eve, listed, valid_path(eve))
    with pytest.raises(MLSError) as caught:
        receive(ann, forged, now=NOW, check_credential=check)
    assert caught.value.code == code
    group = observe(follower(party), sent, now=NOW).group
    with pytest.raises(MLSError) as caught:
        observe(group, forged, now=NOW, check_credential=check)
    assert caught.value.code == code


def changed_package(party: Party, **changes: Any) -> Any:
    client = party.client("new")
    own = client.key_package(capabilities=party.capabilities)
    return altered_key_package(client, own, replace(own.key_package.leaf_node, **changes)).key_package


def refusal_to_join(party: Party, check: CredentialCheck = anybody, **changes: Any) -> str:
    """The code of a joiner's error, and of a follower's, about a tree in which a leaf has `changes`."""
    inviter = party.groups["ann"]
    tree = inviter.tree.copy()
    # It is unmerged in the parents above it, so that their parent hashes hold.
    tree.add_leaf(changed_package(party, **changes).leaf_node)
    context = replace(inviter.context, tree_hash=tree_hash(party.crypto, tree))
    corrupt: Group = replace_state(inviter, tree=tree, context=context)
    info = group_info(corrupt, with_external_pub=True)
    with pytest.raises(MLSError) as caught:
        follow(party.crypto, info, now=NOW, check_credential=check)
    code = caught.value.code
    own = party.client("joiner").key_package(capabilities=party.capabilities)
    pending = commit(inviter, [add(own.key_package)], now=NOW)
    assert pending.welcome is not None
    welcome = decode_message(pending.welcome)
    assert isinstance(welcome, Welcome)
    forged = forge_welcome(pending.group, own, open_welcome(party.crypto, welcome, own), info=info)
    with pytest.raises(MLSError) as caught:
        join(party.crypto, forged, own, now=NOW, check_credential=check)
    assert caught.value.code == code
    return code
