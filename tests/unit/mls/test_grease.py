"""GREASE (§13.5): what we send has values that mean nothing, and what we receive may have any."""

from collections.abc import Sequence

import pytest

from mls_federation.codec import replace
from mls_federation.crypto import CipherSuite, Crypto
from mls_federation.mls import (
    CommitMessage,
    GroupInfo,
    KeyPackage,
    Welcome,
    WireFormat,
    add,
    change_extensions,
    commit,
    decode_message,
    follow,
    group_info,
    join_by_external_commit,
    mls_message,
    observe,
    receive,
    reinit,
    verify_key_package,
)
from mls_federation.mls.credentials import CredentialType
from mls_federation.mls.extensions import (
    Extension,
    ExtensionType,
    ProposalType,
    RequiredCapabilities,
    find_extension,
)
from mls_federation.mls.grease import GREASE_VALUES, grease_extensions
from mls_federation.mls.joining import open_welcome
from mls_federation.mls.nodes import Capabilities, LeafNode, LeafNodeSource
from tests.support.pair import NOW, Party, new_client

LISTS = ("cipher_suites", "extensions", "proposals", "credentials")


def greased(values: Sequence[int]) -> list[int]:
    return [value for value in values if value in GREASE_VALUES]


def types(extensions: Sequence[Extension]) -> list[ExtensionType]:
    return [extension.extension_type for extension in extensions]


def known_capabilities(capabilities: Capabilities) -> dict[str, list[int]]:
    return {
        name: [value for value in getattr(capabilities, name) if value not in GREASE_VALUES] for name in LISTS
    }


def packages(crypto: Crypto, count: int = 60) -> list[KeyPackage]:
    client = new_client(crypto, "ann")
    return [client.key_package().key_package for _ in range(count)]


def assert_greased(leaf: LeafNode) -> None:
    for name in LISTS:
        assert len(greased(getattr(leaf.capabilities, name))) == 1, name
    assert greased(types(leaf.extensions)) == greased(leaf.capabilities.extensions)


def test_the_values_are_those_of_the_registries() -> None:
    assert [f"{value:04X}" for value in GREASE_VALUES] == [
        *("0A0A", "1A1A", "2A2A", "3A3A", "4A4A", "5A5A", "6A6A", "7A7A", "8A8A", "9A9A", "AAAA", "BABA"),
        *("CACA", "DADA", "EAEA"),
    ]


def test_grease_is_on_in_key_packages(suite_1: Crypto) -> None:
    for package in packages(suite_1):
        assert len(greased(types(package.extensions))) == 1
        assert_greased(package.leaf_node)
        assert greased(package.leaf_node.capabilities.versions) == []
        verify_key_package(suite_1, package, NOW)


def test_grease_changes_nothing_else(suite_1: Crypto) -> None:
    client = new_client(suite_1, "ann")
    plain = client.key_package(grease=False).key_package
    for package in (client.key_package().key_package for _ in range(20)):
        assert known_capabilities(package.leaf_node.capabilities) == known_capabilities(
            plain.leaf_node.capabilities
        )
    assert plain.leaf_node.capabilities == client.capabilities
    assert plain.extensions == plain.leaf_node.extensions == ()


def test_grease_is_random(suite_1: Crypto) -> None:
    made = packages(suite_1)
    extensions = [package.extensions[0] for package in made]
    assert len({extension.extension_type for extension in extensions}) > 7
    assert len({len(extension.extension_data) for extension in extensions}) > 7
    for name in ("cipher_suites", "credentials"):
        places = {getattr(package.leaf_node.capabilities, name)[0] in GREASE_VALUES for package in made}
        assert places == {True, False}, name


def test_grease_avoids_what_is_there_already(suite_1: Crypto) -> None:
    taken = [
        Extension(extension_type=ExtensionType(value), extension_data=b"") for value in GREASE_VALUES[1:]
    ]
    [added] = [extension for extension in grease_extensions(suite_1, taken) if extension not in taken]
    assert added.extension_type == GREASE_VALUES[0]
    everything = [*taken, added]
    assert grease_extensions(suite_1, everything) == tuple(everything)


@pytest.mark.parametrize("grease", [True, False])
def test_grease_in_group_infos(suite_1: Crypto, grease: bool) -> None:
    group = Party(suite_1, "ann", "ben").groups["ann"]
    for with_tree in (True, False):
        info = group_info(group, with_tree=with_tree, with_external_pub=True, grease=grease)
        assert len(greased(types(info.extensions))) == grease
        assert find_extension(info.extensions, ExtensionType.external_pub) is not None
        assert types(info.group_context.extensions) == []


@pytest.mark.parametrize("grease", [True, False])
def test_grease_in_welcomes(suite_1: Crypto, grease: bool) -> None:
    own = new_client(suite_1, "cat").key_package()
    pending = commit(
        Party(suite_1, "ann", "ben").groups["ann"], [add(own.key_package)], now=NOW, grease=grease
    )
    assert pending.welcome is not None
    welcome = decode_message(pending.welcome)
    assert isinstance(welcome, Welcome)
    assert len(greased(types(open_welcome(suite_1, welcome, own).group_info.extensions))) == grease


def test_a_welcome_brings_the_extensions_that_the_application_gave(suite_1: Crypto) -> None:
    own = new_client(suite_1, "cat").key_package()
    more = Extension(extension_type=ExtensionType(0xF123), extension_data=b"more")
    group = Party(suite_1, "ann", "ben").groups["ann"]
    made = commit(group, [add(own.key_package)], now=NOW, info_extensions=[more])
    assert made.welcome is not None
    welcome = decode_message(made.welcome)
    assert isinstance(welcome, Welcome)
    assert more in open_welcome(suite_1, welcome, own).group_info.extensions


@pytest.mark.rule("7.2-03")
def test_grease_in_leaves_lasts(suite_1: Crypto) -> None:
    """Updates and commits of a member keep what its leaf says that it supports."""
    party = Party(suite_1, "ann", "ben", "cat")

    def said(name: str) -> tuple[Capabilities, tuple[Extension, ...]]:
        leaf = party.groups["cat"].tree.member(party.leaf(name))
        return leaf.capabilities, leaf.extensions

    before = {name: said(name) for name in ("ann", "ben")}
    party.propose_update("ben")
    party.commit("ann")
    sources = [party.groups["cat"].tree.member(party.leaf(name)).leaf_node_source for name in ("ann", "ben")]
    assert sources == [LeafNodeSource.commit, LeafNodeSource.update]
    assert {name: said(name) for name in ("ann", "ben")} == before
    for _, leaf in party.groups["cat"].tree.members():
        assert_greased(leaf)


def test_grease_in_the_leaf_of_an_external_commit(suite_1: Crypto) -> None:
    party = Party(suite_1, "ann", "ben")
    info = decode_message(mls_message(group_info(party.groups["ann"], with_external_pub=True)).encode())
    assert isinstance(info, GroupInfo)
    pending = join_by_external_commit(suite_1, info, party.client("cat").key_package(), now=NOW)
    received = receive(party.groups["ben"], pending.message, now=NOW)
    assert isinstance(received, CommitMessage)
    assert_greased(received.group.tree.member(received.sender))
    followed = observe(follow(suite_1, info, now=NOW), pending.message, now=NOW)
    assert followed.group.context == received.group.context


@pytest.mark.rule("13.5-01")
def test_no_grease_in_the_group_context_nor_in_what_it_requires(suite_1: Crypto) -> None:
    """An unknown value there would shut members out, or stop them."""
    required = RequiredCapabilities(
        extension_types=(ExtensionType.external_pub,),
        proposal_types=(ProposalType.add,),
        credential_types=(CredentialType.basic,),
    )
    extension = Extension(
        extension_type=ExtensionType.required_capabilities, extension_data=required.encode()
    )
    party = Party(suite_1, "ann", "ben", extensions=(extension,))
    party.commit("ben", [change_extensions((extension,))])
    assert all(group.context.extensions == (extension,) for group in party.groups.values())
    party.commit("ann", [reinit(b"a new one", CipherSuite(1), (extension,))])
    ended = party.groups["ben"].reinit
    assert ended is not None
    assert ended.extensions == (extension,)


@pytest.mark.rule("7.2-05", "13.4-02", "13.5-02")
def test_grease_that_we_receive_is_ignored_everywhere(suite_1: Crypto) -> None:
    """More of it than we send ourselves, in all places at once; the group goes on as ever."""
    everything = [
        Extension(extension_type=ExtensionType(value), extension_data=b"grease") for value in GREASE_VALUES
    ]
    client = new_client(suite_1, "cat")
    capabilities = replace(
        client.capabilities,
        **{name: (*GREASE_VALUES, *getattr(client.capabilities, name)) for name in LISTS},
    )
    own = client.key_package(
        capabilities=capabilities, leaf_extensions=everything, extensions=everything, grease=False
    )
    party = Party(suite_1, "ann", "ben")
    party.clients["cat"] = client
    party.commit("ann", [add(KeyPackage.decode(own.key_package.encode()))], joining={"cat": own})
    party.propose_update("cat", WireFormat.mls_public_message)
    party.commit("ben")
    party.commit("cat", wire_format=WireFormat.mls_public_message)
    assert party.read("ann", party.send("cat", b"data")).data == b"data"
    assert types(party.groups["ann"].tree.member(party.leaf("cat")).extensions) == types(everything)
