"""Official vectors: a client that is added to a group and follows it (§12.4.2, §12.4.3.1)."""

from mls_federation.crypto import Crypto, CryptoProvider, KeyPair, crypto
from mls_federation.mls import (
    CommitMessage,
    Group,
    KeyPackage,
    OwnKeyPackage,
    ProposalMessage,
    Welcome,
    decode_message,
    join,
    psk_lookup,
    receive,
)
from mls_federation.mls.epoch import PSKLookup
from mls_federation.mls.ratchet_tree import decode_tree
from tests.support.vector_files import Vector


def verify(provider: CryptoProvider, vector: Vector) -> None:
    """Join, and follow the group through all epochs of the vector."""
    suite = crypto(provider, vector["cipher_suite"])
    own = own_key_package(suite, vector)
    psks = psk_lookup(
        {bytes.fromhex(case["psk_id"]): bytes.fromhex(case["psk"]) for case in vector["external_psks"]}
    )
    group = join_group(suite, vector, own, psks)
    assert group.epoch_authenticator.hex() == vector["initial_epoch_authenticator"]
    for number, case in enumerate(vector["epochs"]):
        try:
            group = follow(group, case, psks)
        except Exception as fault:
            fault.add_note(f"epoch {number} after joining")
            raise
        assert group.epoch_authenticator.hex() == case["epoch_authenticator"]


def own_key_package(suite: Crypto, vector: Vector) -> OwnKeyPackage:
    """The KeyPackage of the vector with its private keys, which belong to its public ones."""
    package = decode_message(bytes.fromhex(vector["key_package"]))
    assert isinstance(package, KeyPackage)
    init_private = bytes.fromhex(vector["init_priv"])
    leaf_private = bytes.fromhex(vector["encryption_priv"])
    signature_private = bytes.fromhex(vector["signature_priv"])
    leaf = package.leaf_node
    kem, scheme = suite.suite.kem, suite.suite.signature_scheme
    assert suite.provider.dh_public_key(kem, init_private) == package.init_key
    assert suite.provider.dh_public_key(kem, leaf_private) == leaf.encryption_key
    assert suite.provider.signature_public_key(scheme, signature_private) == leaf.signature_key
    return OwnKeyPackage(
        key_package=package,
        init_key=KeyPair(init_private, package.init_key),
        encryption_key=KeyPair(leaf_private, leaf.encryption_key),
        signature_key=signature_private,
    )


def join_group(suite: Crypto, vector: Vector, own: OwnKeyPackage, psks: PSKLookup) -> Group:
    welcome = decode_message(bytes.fromhex(vector["welcome"]))
    assert isinstance(welcome, Welcome)
    tree = vector["ratchet_tree"]
    return join(
        suite,
        welcome,
        own,
        now=None,
        tree=None if tree is None else decode_tree(bytes.fromhex(tree)),
        psks=psks,
    )


def follow(group: Group, case: Vector, psks: PSKLookup) -> Group:
    """The group after the proposals and the commit of one epoch."""
    for encoded in case["proposals"]:
        proposed = receive(group, bytes.fromhex(encoded), now=None, psks=psks)
        assert isinstance(proposed, ProposalMessage)
        group = proposed.group
    committed = receive(group, bytes.fromhex(case["commit"]), now=None, psks=psks)
    assert isinstance(committed, CommitMessage)
    return committed.group
