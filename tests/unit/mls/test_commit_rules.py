"""What else a commit must be (§12.4.2, §7.5): its path, its tag and its sender, by the code of each error."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mls_federation.codec import replace
from mls_federation.crypto import Crypto, HPKECiphertext
from mls_federation.errors import MLSError, ValidationError, VerificationError
from mls_federation.mls import (
    CommitMessage,
    WireFormat,
    change_extensions,
    commit,
    decode_message,
    follow,
    group_info,
    observe,
    receive,
    remove,
)
from mls_federation.mls.commit import Commit, UpdatePath, by_reference
from mls_federation.mls.credentials import Credential, CredentialType, X509Credential
from mls_federation.mls.epoch import provisional_context
from mls_federation.mls.framing import PublicMessage
from mls_federation.mls.nodes import LeafNodeSource, sign_leaf_node
from mls_federation.mls.treekem import merge_path
from tests.support.forge import forge, forge_commit, path_with_leaf, valid_path
from tests.support.pair import LIFETIME, NOW, Client, Party

from .test_proposal_rules import PRIVATE_EXTENSION

Forger = Callable[[Party, UpdatePath], UpdatePath]


@pytest.fixture
def party(suite_1: Crypto) -> Party:
    """Eve keeps no rule; Ann, on the other side of the tree, gets what she sends."""
    return Party(suite_1, "ann", "ben", "cat", "eve")


def changed_leaf(**changes: object) -> Forger:
    def forged(party: Party, path: UpdatePath) -> UpdatePath:
        return path_with_leaf(party.groups["eve"], path, replace(path.leaf_node, **changes))

    return forged


def old_key(party: Party, path: UpdatePath) -> UpdatePath:
    return changed_leaf(encryption_key=party.groups["eve"].own_leaf_node.encryption_key)(party, path)


def key_of_another(party: Party, path: UpdatePath) -> UpdatePath:
    return changed_leaf(encryption_key=party.groups["ben"].own_leaf_node.encryption_key)(party, path)


def signature_key_of_another(party: Party, path: UpdatePath) -> UpdatePath:
    # Signed by Eve, who cannot do better: the first fault that is found is the signature.
    return changed_leaf(signature_key=party.client("ben").signature_key.public_key)(party, path)


def signature_key_shared_with_another(party: Party, path: UpdatePath) -> UpdatePath:
    # Ben and Eve are in league: she has his private key.
    ben, eve = party.client("ben").signature_key, party.groups["eve"]
    leaf = replace(path.leaf_node, signature_key=ben.public_key)
    signed = sign_leaf_node(party.crypto, ben.private_key, leaf, eve.group_id, eve.own_leaf)
    return replace(path, leaf_node=signed)


def unknown_credential(party: Party, path: UpdatePath) -> UpdatePath:
    x509 = Credential(credential_type=CredentialType.x509, credential=X509Credential(certificates=()))
    known = replace(path.leaf_node.capabilities, credentials=(CredentialType.basic, CredentialType.x509))
    return changed_leaf(credential=x509, capabilities=known)(party, path)


def unsigned(_: Party, path: UpdatePath) -> UpdatePath:
    return replace(path, leaf_node=replace(path.leaf_node, signature=bytes(64)))


def node_key(number: int, key: Callable[[Party, UpdatePath], bytes]) -> Forger:
    def forged(party: Party, path: UpdatePath) -> UpdatePath:
        nodes = list(path.nodes)
        nodes[number] = replace(nodes[number], encryption_key=key(party, path))
        return replace(path, nodes=tuple(nodes))

    return forged


def fewer_nodes(_: Party, path: UpdatePath) -> UpdatePath:
    return replace(path, nodes=path.nodes[:-1])


def more_nodes(party: Party, path: UpdatePath) -> UpdatePath:
    extra = replace(path.nodes[-1], encryption_key=fresh_key(party, path))
    return replace(path, nodes=(*path.nodes, extra))


def ciphertexts(change: Callable[[tuple[HPKECiphertext, ...]], tuple[HPKECiphertext, ...]]) -> Forger:
    """Changes the ciphertexts of the root, one of which is Ann's."""

    def forged(_: Party, path: UpdatePath) -> UpdatePath:
        *below, top = path.nodes
        return replace(
            path, nodes=(*below, replace(top, encrypted_path_secret=change(top.encrypted_path_secret)))
        )

    return forged


def fresh_key(party: Party, _: UpdatePath) -> bytes:
    return party.crypto.generate_key_pair().public_key


def corrupted(sealed: tuple[HPKECiphertext, ...]) -> tuple[HPKECiphertext, ...]:
    return tuple(
        replace(one, ciphertext=one.ciphertext[:-1] + bytes([one.ciphertext[-1] ^ 1])) for one in sealed
    )


def unusable(sealed: tuple[HPKECiphertext, ...]) -> tuple[HPKECiphertext, ...]:
    return tuple(replace(one, kem_output=bytes(32)) for one in sealed)


PATHS: dict[str, tuple[str, Forger]] = {
    "a leaf of an Update": (
        "wrong-leaf-source",
        changed_leaf(leaf_node_source=LeafNodeSource.update, source=None),
    ),
    "a leaf of a KeyPackage": (
        "wrong-leaf-source",
        changed_leaf(leaf_node_source=LeafNodeSource.key_package, source=LIFETIME),
    ),
    "the old key": ("key-reuse", old_key),
    "another member's key": ("duplicate-encryption-key", key_of_another),
    "another member's signature key": ("bad-signature", signature_key_of_another),
    "a signature key shared with another": (
        "duplicate-signature-key",
        signature_key_shared_with_another,
    ),
    "a credential that the application does not accept": ("credential-refused", unknown_credential),
    "an extension that the leaf does not know": (
        "unsupported-extension",
        changed_leaf(extensions=(PRIVATE_EXTENSION,)),
    ),
    "a leaf without a signature": ("bad-signature", unsigned),
    "the leaf's key in a node": (
        "duplicate-encryption-key",
        node_key(0, lambda _, path: path.leaf_node.encryption_key),
    ),
    "a member's key in a node": (
        "duplicate-encryption-key",
        node_key(1, lambda party, _: party.groups["ann"].own_leaf_node.encryption_key),
    ),
    "one key in two nodes": (
        "duplicate-encryption-key",
        node_key(1, lambda _, path: path.nodes[0].encryption_key),
    ),
    "a leaf with a key that is none": ("invalid-public-key", changed_leaf(encryption_key=bytes(32))),
    "a node with a key that is none": ("invalid-public-key", node_key(1, lambda *_: bytes(32))),
    "a node too few": ("wrong-path-length", fewer_nodes),
    "a node too many": ("wrong-path-length", more_nodes),
    "another parent hash": ("bad-parent-hash", changed_leaf(source=bytes(32))),
    "no parent hash": ("bad-parent-hash", changed_leaf(source=b"")),
    "another key in a node": ("bad-parent-hash", node_key(0, fresh_key)),
    "a ciphertext too few": ("wrong-path-length", ciphertexts(lambda sealed: sealed[:-1])),
    "a ciphertext too many": ("wrong-path-length", ciphertexts(lambda sealed: sealed + sealed[:1])),
    "a corrupted ciphertext": ("decryption-failed", ciphertexts(corrupted)),
    "an encapsulated key that is none": ("invalid-public-key", ciphertexts(unusable)),
}


# Which rules of tests/spec/rules.toml each shows.
PATH_RULES = {
    "a leaf of an Update": ("7.3-11", "12.4.2-03"),
    "a leaf of a KeyPackage": ("7.3-11", "12.4.2-03"),
    "the old key": ("12.4.2-04",),
    "another member's key": ("7.3-13", "12.4.2-05"),
    "another member's signature key": ("12.4.2-03", "7.3-01"),
    "a signature key shared with another": ("7.3-12", "12.2-14", "16.7-01"),
    "a credential that the application does not accept": ("5.3.1-05", "7.5-03"),
    "an extension that the leaf does not know": ("7.2-03", "7.5-03"),
    "a leaf without a signature": ("7.3-01", "12.4.2-03"),
    "the leaf's key in a node": ("12.4.2-05",),
    "a member's key in a node": ("12.4.2-05", "16.7-01"),
    "one key in two nodes": ("12.4.2-05",),
    "a node too few": ("7.5-05",),
    "a node too many": ("7.5-05",),
    "another parent hash": ("7.9.2-02",),
    "no parent hash": ("7.9.2-02",),
    "another key in a node": ("7.9.2-02",),
    "a ciphertext too few": ("7.6-01",),
    "a ciphertext too many": ("7.6-01",),
}


@pytest.mark.rule("12.4.2-07")
@pytest.mark.parametrize(
    ("code", "forged"),
    [
        pytest.param(code, forged, marks=pytest.mark.rule(*PATH_RULES.get(name, ())), id=name)
        for name, (code, forged) in PATHS.items()
    ],
)
def test_paths(party: Party, code: str, forged: Forger) -> None:
    eve = party.groups["eve"]
    path = forged(party, valid_path(eve))
    assert_refused(party, forge_commit(eve, [], path), code)


@pytest.mark.rule("7.3-04", "13.3-01")
def test_a_credential_that_the_others_do_not_support(party: Party) -> None:
    # Whatever the application thinks of it: §7.3 asks that each member supports the credentials of all.
    eve = party.groups["eve"]
    forged = forge_commit(eve, [], unknown_credential(party, valid_path(eve)))
    with pytest.raises(MLSError) as caught:
        receive(party.groups["ann"], forged, now=NOW, check_credential=lambda *_: None)
    assert caught.value.code == "unsupported-credential"


@pytest.mark.rule("7.5-06")
def test_a_path_secret_for_another_key(party: Party) -> None:
    # The ciphertext opens, but its secret does not give the public key of the node.
    eve = party.groups["eve"]
    one, other = valid_path(eve), valid_path(eve)
    context = commit_context(party, one)
    secret = party.crypto.random(32)
    sealed = tuple(
        party.crypto.encrypt_with_label(keys, "UpdatePathNode", context, secret)
        for keys in receivers_of_the_root(party)
    )
    *below, top = one.nodes
    forged = replace(one, nodes=(*below, replace(top, encrypted_path_secret=sealed)))
    assert other.nodes[-1] != top
    assert_refused(party, forge_commit(eve, [], forged), "wrong-path-key")


def commit_context(party: Party, path: UpdatePath) -> bytes:
    """The provisional GroupContext of Eve's commit with this path."""
    eve = party.groups["eve"]
    tree = eve.tree.copy()
    merge_path(party.crypto, tree, eve.own_leaf, path)
    return provisional_context(party.crypto, eve.context, tree, ()).encode()


def receivers_of_the_root(party: Party) -> list[bytes]:
    """The public keys below the root on the side where Eve is not."""
    tree = party.groups["eve"].tree
    (*_, (_, beside)) = tree.filtered_direct_path(party.leaf("eve"))
    return [tree.encryption_key(node) for node in tree.resolution(beside)]


# -- the commit as a whole


@pytest.mark.rule("12.4-04")
def test_a_commit_without_the_path_that_it_needs(party: Party) -> None:
    for proposals in ([], [remove(party.leaf("ben"))], [change_extensions([])]):
        assert_refused(party, forge_commit(party.groups["eve"], proposals, None), "path-missing")
    update = party.propose_update("ben", WireFormat.mls_public_message)
    forged = forge_commit(party.groups["eve"], [by_reference(update)], None)
    assert_refused(party, forged, "path-missing")


@pytest.mark.rule("6.1-07", "12.4.2-06")
def test_a_wrong_confirmation_tag(party: Party) -> None:
    eve = party.groups["eve"]
    assert_refused(party, forge_commit(eve, [], valid_path(eve)), "bad-confirmation-tag")


@pytest.mark.rule("6.1-07", "12.4.2-06")
def test_the_tag_of_another_commit(party: Party) -> None:
    eve = party.groups["eve"]
    messages = [
        decode_message(commit(eve, now=NOW, wire_format=WireFormat.mls_public_message).message)
        for _ in range(2)
    ]
    one, other = messages
    assert isinstance(one, PublicMessage)
    assert isinstance(other, PublicMessage)
    assert isinstance(one.content.content, Commit)
    honest = forge(eve, one.content.content, confirmation_tag=one.auth.confirmation_tag)
    assert isinstance(receive(party.groups["ann"], honest, now=NOW), CommitMessage)
    mixed = forge(eve, one.content.content, confirmation_tag=other.auth.confirmation_tag)
    assert_refused(party, mixed, "bad-confirmation-tag")


@pytest.mark.rule("6.1-01")
def test_a_commit_in_another_members_name(party: Party) -> None:
    stranger: Client = party.client("stranger")
    body = Commit(proposals=(), path=valid_path(party.groups["eve"]))
    forged = forge(party.groups["eve"], body, signature_key=stranger.signature_key.private_key)
    with pytest.raises(VerificationError):
        receive(party.groups["ann"], forged, now=NOW)


def assert_refused(party: Party, forged: bytes, code: str) -> None:
    """Ann refuses it, and the group goes on."""
    with pytest.raises(MLSError) as caught:
        receive(party.groups["ann"], forged, now=NOW, psks=party.look_up)
    assert caught.value.code == code
    party.commit("cat")


@pytest.mark.rule("7.6-01")
def test_ciphertexts_for_others_are_counted_too(party: Party) -> None:
    # A path secret that is not for us: who accepts the commit must not depend on where one sits in the tree.
    eve = party.groups["eve"]
    group = follow(party.crypto, group_info(party.groups["ann"]), now=NOW)
    changes: list[Callable[[tuple[HPKECiphertext, ...]], tuple[HPKECiphertext, ...]]] = [
        lambda sealed: sealed[:-1],
        lambda sealed: sealed + sealed[:1],
    ]
    for change in changes:
        path = valid_path(eve)
        for number, node in enumerate(path.nodes):
            changed = replace(node, encrypted_path_secret=change(node.encrypted_path_secret))
            nodes = (*path.nodes[:number], changed, *path.nodes[number + 1 :])
            forged = forge_commit(eve, [], replace(path, nodes=nodes))
            for name in ("ann", "cat"):
                with pytest.raises(ValidationError) as caught:
                    receive(party.groups[name], forged, now=NOW)
                assert caught.value.code == "wrong-path-length"
            with pytest.raises(ValidationError) as caught:
                observe(group, forged, now=NOW)
            assert caught.value.code == "wrong-path-length"
