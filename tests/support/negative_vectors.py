"""Makes `tests/vectors/negative/`: what must be refused, and the code of the error that it must be refused with.

    python -m tests.support.negative_vectors

Each item has `what` is wrong, and `expect`, the code. Beside them it has either `struct` and `data`, which is no encoding
of that struct, with `at` for the struct and field that the error names and `valid` for the nearest octets that are one;
or `family` and `entry`: a test vector in the working group's format, right but for the one thing.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from mls_federation.codec import replace
from mls_federation.crypto import CipherSuite, Crypto, crypto
from mls_federation.crypto.pyca import PycaProvider
from mls_federation.mls import (
    Group,
    add,
    commit,
    decode_message,
    mls_message,
    propose,
    propose_update,
    remove,
)
from mls_federation.mls.commit import Commit, UpdatePath, by_reference
from mls_federation.mls.extensions import Extension, ExtensionType
from mls_federation.mls.framing import (
    AuthenticatedContent,
    ContentType,
    PrivateContentAAD,
    PrivateMessage,
    PrivateMessageContent,
    PublicMessage,
    SenderData,
    SenderDataAAD,
    WireFormat,
    member,
)
from mls_federation.mls.key_package import key_package_tbs
from mls_federation.mls.nodes import LeafNodeSource, sign_leaf_node
from mls_federation.mls.protection import authenticate, framed_content, sender_data_key
from mls_federation.mls.ratchet_tree import RatchetTree, RatchetTreeNodes, encode_tree, tree_nodes
from mls_federation.mls.secret_tree import MAX_FORWARD, RatchetKind
from mls_federation.mls.tree_hashes import subtree_hash
from mls_federation.mls.tree_math import LeafIndex, NodeIndex, node_of
from mls_federation.mls.welcome import Welcome
from mls_federation.vectors import FAMILIES, Vector
from mls_federation.vectors.trees import KnownTree, Shape, grow

from .forge import forge, forge_commit, path_with_leaf, send_framed, valid_path
from .own_vectors import FOLDER
from .pair import Party, altered_key_package

Item = dict[str, Any]
UNKNOWN_EXTENSION = Extension(extension_type=ExtensionType(0xF123), extension_data=b"")


def main() -> None:
    """Write all files."""
    for name, items in make().items():
        (FOLDER / "negative" / f"{name}.json").write_text(json.dumps(items, indent=1) + "\n")


def make() -> dict[str, list[Item]]:
    """The items of each file."""
    suite = crypto(PycaProvider(), CipherSuite.MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519)
    return {
        "encodings": encodings(),
        "commits": commits(suite),
        "messages": messages(suite),
        "trees": trees(suite),
        "welcomes": welcomes(suite),
        "secrets": secrets(suite),
    }


# -- octets that are no encoding


def encodings() -> list[Item]:
    """Structs that are not in their one encoding (§2.1)."""
    leaf = "0161 0162 0001 0163 020001 020001 00 00 020001 {source} {extensions} 0164"
    lifetime = "0000000000000000 ffffffffffffffff"
    valid_leaf = leaf.format(source=f"01 {lifetime}", extensions="00")
    message = "0161 0000000000000001 {kind} 00 00 00"
    public = "0001 0001 0161 0000000000000001 {sender} 00 {content}"
    return [
        # §2.1.2: only the shortest form of a length, and no length of eight octets.
        malformed("a length in two octets where one does", "ExternalPSK.psk_id", "0161", "400161"),
        malformed("a length in four octets where one does", "ExternalPSK.psk_id", "0161", "8000000161"),
        malformed(
            "a length in four octets where two do",
            "ExternalPSK.psk_id",
            "4040" + "00" * 64,
            "80000040" + "00" * 64,
        ),
        malformed("an empty vector with a length of two octets", "Commit.proposals", "00 00", "4000 00"),
        malformed("a length that begins with the bits 11", "ExternalPSK.psk_id", "0161", "c000000000000001 61"),
        malformed("a length in a list that is not the shortest", "Capabilities.versions", "020001" + "00" * 4, "40020001" + "00" * 4),
        # What is more or less than there is.
        malformed("octets after the end", "Commit.(end)", "00 00", "00 00 00"),
        malformed("octets after the end of a message", "MLSMessage.(end)", "0001 0003 0001 00 00", "0001 0003 0001 00 00 ff"),
        malformed("a length of more than there is", "Welcome.encrypted_group_info", "0001 00 00", "0001 00 bfffffff"),
        malformed("an element that crosses the end of its list", "Capabilities.versions", "020001" + "00" * 4, "0300010a" + "00" * 4),
        malformed("a number that is cut off", "Remove.removed", "00000001", "000001"),
        malformed("nothing at all", "MLSMessage.version", "0001 0003 0001 00 00", ""),
        # §2.1.1: optional values.
        malformed("an optional value whose flag is 2", "Commit.path", "00 00", "00 02"),
        malformed("an optional node whose flag is 255", "RatchetTreeNodes.nodes", "01 00", "01 ff"),
        malformed("an optional secret whose flag is 2", "GroupSecrets.path_secret", "0161 00 00", "0161 02 00"),
        # Enums that have no other values.
        malformed("a psktype of 0", "PreSharedKeyID.psktype", "01 0161 0162", "00 0161 0162"),
        malformed("a psktype of 3", "PreSharedKeyID.psktype", "01 0161 0162", "03 0161 0162"),
        malformed(
            "a resumption PSK's usage of 0",
            "ResumptionPSK.usage",
            "02 01 0161 0000000000000001 0162",
            "02 00 0161 0000000000000001 0162",
            "PreSharedKeyID",
        ),
        malformed("a sender_type of 0", "Sender.sender_type", "01 00000000", "00 00000000"),
        malformed("a sender_type of 5", "Sender.sender_type", "03", "05"),
        malformed("a proposal-or-reference type of 0", "ProposalOrRef.type", "02 0161", "00 0161"),
        malformed("a node_type of 3", "Node.node_type", f"01 {valid_leaf}", f"03 {valid_leaf}"),
        *(
            malformed(
                f"a leaf_node_source of {source}",
                "LeafNode.leaf_node_source",
                valid_leaf,
                leaf.format(source=f"0{source} {lifetime}", extensions="00"),
            )
            for source in (0, 4)
        ),
        *(
            malformed(
                f"a content_type of {kind}",
                "PrivateMessage.content_type",
                message.format(kind="01"),
                message.format(kind=f"0{kind}"),
            )
            for kind in (0, 4)
        ),
        malformed(
            "a content_type of 0 in a PublicMessage",
            "FramedContent.content_type",
            public.format(sender="01 00000001", content="01 0161 0162 0163"),
            public.format(sender="01 00000001", content="00 0161 0162 0163"),
            "MLSMessage",
        ),
        malformed(
            "a sender who joins, with an index",
            "FramedContent.content_type",
            public.format(sender="03", content="01 0161 0162"),
            public.format(sender="03 00000001", content="01 0161 0162"),
            "MLSMessage",
        ),
        # Nothing says how long what follows would be.
        malformed("an unknown wire_format", "MLSMessage.message", "0001 0003 0001 00 00", "0001 0a0a 0001 00 00"),
        malformed("an unknown credential type", "Credential.credential", "0001 0161", "0a0a 0161"),
        malformed("an unknown proposal type", "Proposal.proposal", "0003 00000001", "0a0a 00000001"),
    ]  # fmt: skip


def malformed(what: str, at: str, valid: str, data: str, struct: str | None = None) -> Item:
    """Octets that are no encoding of `struct`; the one that `at` names, if none is given."""
    return {
        "what": what,
        "struct": struct or at.partition(".")[0],
        "data": bytes.fromhex(data).hex(),
        "expect": "malformed",
        "at": at,
        "valid": bytes.fromhex(valid).hex(),
    }


# -- messages of a group, as somebody sees them who only listens


@dataclass(frozen=True)
class Epoch:
    """What the group's members send in one epoch. The last one of an item is the one to be refused."""

    commit: bytes
    proposals: Sequence[bytes] = ()
    authenticator: bytes = b""


Send = Callable[[Party], Sequence[Epoch]]


def following(suite: Crypto, what: str, expect: str, send: Send) -> Item:
    """Ann adds Bob, who only listens; then he gets what `send` says, up to what he must refuse."""
    party = Party(suite, "ann", "ben", "cat", "eve")
    own = party.client("bob").key_package()
    pending = party.commit("ann", [add(own.key_package)], joining={"bob": own})
    assert pending.welcome is not None
    initial = party.groups["bob"].epoch_authenticator
    entry = {
        "cipher_suite": suite.suite.cipher_suite,
        "external_psks": [],
        "key_package": mls_message(own.key_package).encode().hex(),
        "signature_priv": own.signature_key.hex(),
        "encryption_priv": own.encryption_key.private_key.hex(),
        "init_priv": own.init_key.private_key.hex(),
        "welcome": pending.welcome.hex(),
        "ratchet_tree": None,
        "initial_epoch_authenticator": initial.hex(),
        "epochs": [
            {
                "proposals": [proposal.hex() for proposal in epoch.proposals],
                "commit": epoch.commit.hex(),
                "epoch_authenticator": epoch.authenticator.hex(),
            }
            for epoch in send(party)
        ],
    }
    return item("passive-client", what, expect, entry)


def item(family: str, what: str, expect: str, entry: Vector) -> Item:
    """An entry of a family that is right but for one thing."""
    return {"what": what, "family": family, "expect": expect, "entry": entry}


def commits(suite: Crypto) -> list[Item]:
    """Commits of Eve, who keeps no rule."""
    paths: list[tuple[str, str, Forger]] = [
        (
            "the path's leaf is not signed",
            "bad-signature",
            lambda _, path: replace(path, leaf_node=replace(path.leaf_node, signature=bytes(64))),
        ),
        ("the path's leaf is signed for another group", "bad-signature", signed_for(group_id=b"another")),
        ("the path's leaf is signed for another place", "bad-signature", signed_for(leaf=LeafIndex(0))),
        (
            "the path's leaf has the key that it had before",
            "key-reuse",
            leaf_with(lambda party: {"encryption_key": party.groups["eve"].own_leaf_node.encryption_key}),
        ),
        (
            "the path's leaf has another member's encryption key",
            "duplicate-encryption-key",
            leaf_with(lambda party: {"encryption_key": party.groups["ben"].own_leaf_node.encryption_key}),
        ),
        ("the path's leaf has another member's signature key", "duplicate-signature-key", key_of_ben),
        (
            "the path's leaf has a parent hash that does not chain",
            "bad-parent-hash",
            leaf_with(lambda _: {"source": bytes(32)}),
        ),
        (
            "the path's leaf has an extension that it does not list",
            "unsupported-extension",
            leaf_with(lambda _: {"extensions": (UNKNOWN_EXTENSION,)}),
        ),
        (
            "the path's leaf is one of an Update",
            "wrong-leaf-source",
            leaf_with(lambda _: {"leaf_node_source": LeafNodeSource.update, "source": None}),
        ),
        (
            "the path lacks a node",
            "wrong-path-length",
            lambda _, path: replace(path, nodes=path.nodes[:-1]),
        ),
        ("the confirmation tag is wrong", "bad-confirmation-tag", lambda _, path: path),
    ]
    others: list[tuple[str, str, Send]] = [
        ("a Remove is committed without a path", "path-missing", remove_without_path),
        ("a proposal is committed that nobody sent", "unknown-proposal", unknown_reference),
        ("the committer removes itself", "committer-removed", remove_oneself),
        ("the committer commits its own Update", "own-update-committed", own_update),
        ("somebody is added who is there", "duplicate-signature-key", add_again),
        ("a KeyPackage has one key for two uses", "key-reuse", key_package_with_one_key),
        ("the leaf of a KeyPackage is not signed", "bad-signature", unsigned_key_package),
        ("a member who was removed goes on committing", "wrong-epoch", removed_goes_on),
        ("a member who was removed commits in the next epoch", "bad-membership-tag", removed_guesses),
        ("a commit comes a second time", "wrong-epoch", commit_again),
    ]
    return [
        *(following(suite, what, expect, commit_with(forger)) for what, expect, forger in paths),
        *(following(suite, what, expect, send) for what, expect, send in others),
    ]


Forger = Callable[[Party, UpdatePath], UpdatePath]


def commit_with(forger: Forger) -> Send:
    """An empty commit of Eve's with a path that was valid before `forger` had it."""

    def send(party: Party) -> Sequence[Epoch]:
        eve = party.groups["eve"]
        return [Epoch(forge(eve, Commit(proposals=(), path=forger(party, valid_path(eve)))))]

    return send


def leaf_with(changes: Callable[[Party], dict[str, Any]]) -> Forger:
    """The path's leaf with other fields, signed as it should be."""
    return lambda party, path: path_with_leaf(
        party.groups["eve"], path, replace(path.leaf_node, **changes(party))
    )


def signed_for(group_id: bytes | None = None, leaf: LeafIndex | None = None) -> Forger:
    """The path's leaf, signed for another group or place."""

    def forged(party: Party, path: UpdatePath) -> UpdatePath:
        eve = party.groups["eve"]
        place = eve.own_leaf if leaf is None else leaf
        signed = sign_leaf_node(
            eve.crypto, eve.signature_key, path.leaf_node, group_id or eve.group_id, place
        )
        return replace(path, leaf_node=signed)

    return forged


def key_of_ben(party: Party, path: UpdatePath) -> UpdatePath:
    # Ben and Eve are in league: she has his private key.
    ben, eve = party.client("ben").signature_key, party.groups["eve"]
    shared = replace(path.leaf_node, signature_key=ben.public_key)
    signed = sign_leaf_node(party.crypto, ben.private_key, shared, eve.group_id, eve.own_leaf)
    return replace(path, leaf_node=signed)


def remove_without_path(party: Party) -> Sequence[Epoch]:
    return [Epoch(forge_commit(party.groups["eve"], [remove(party.leaf("cat"))]))]


def unknown_reference(party: Party) -> Sequence[Epoch]:
    return [Epoch(forge_commit(party.groups["eve"], [by_reference(bytes(32))]))]


def remove_oneself(party: Party) -> Sequence[Epoch]:
    eve = party.groups["eve"]
    return [Epoch(forge_commit(eve, [remove(eve.own_leaf)], valid_path(eve)))]


def own_update(party: Party) -> Sequence[Epoch]:
    eve = party.groups["eve"]
    sent = propose_update(eve, wire_format=WireFormat.mls_public_message)
    (ref,) = sent.group.proposals
    return [Epoch(forge_commit(eve, [by_reference(ref)], valid_path(eve)), [sent.message])]


def add_again(party: Party) -> Sequence[Epoch]:
    package = party.client("ann").key_package().key_package
    return [Epoch(forge_commit(party.groups["eve"], [add(package)]))]


def key_package_with_one_key(party: Party) -> Sequence[Epoch]:
    dave = party.client("dave")
    own = dave.key_package()
    forged = altered_key_package(dave, own, init_key=own.key_package.leaf_node.encryption_key)
    return [Epoch(forge_commit(party.groups["eve"], [add(forged.key_package)]))]


def unsigned_key_package(party: Party) -> Sequence[Epoch]:
    dave = party.client("dave")
    own = dave.key_package()
    unsigned = replace(own.key_package.leaf_node, signature=bytes(64))
    # The KeyPackage itself is signed, so that its leaf's signature is the only one that is wrong.
    tbs = key_package_tbs(replace(own.key_package, leaf_node=unsigned))
    signature = party.crypto.sign_with_label(dave.signature_key.private_key, "KeyPackageTBS", tbs)
    package = replace(own.key_package, leaf_node=unsigned, signature=signature)
    return [Epoch(forge_commit(party.groups["eve"], [add(package)]))]


def removal(party: Party) -> Epoch:
    """Ann removes Cat."""
    message = party.remove("ann", "cat").message
    return Epoch(message, authenticator=party.groups["bob"].epoch_authenticator)


def removed_goes_on(party: Party) -> Sequence[Epoch]:
    cat = party.groups["cat"]
    return [removal(party), Epoch(commit(cat, now=None).message)]


def removed_guesses(party: Party) -> Sequence[Epoch]:
    """Cat knows what the next epoch's context is, but not its keys."""
    cat = party.groups["cat"]
    removing = removal(party)
    guessed = dataclasses.replace(cat, context=party.groups["bob"].context)
    return [removing, Epoch(forge(guessed, Commit(proposals=(), path=valid_path(cat))))]


def commit_again(party: Party) -> Sequence[Epoch]:
    message = party.commit("ann").message
    return [Epoch(message, authenticator=party.groups["bob"].epoch_authenticator), Epoch(message)]


def messages(suite: Crypto) -> list[Item]:
    """Other messages of members who keep no rule."""
    private = WireFormat.mls_private_message

    def proposals(send: Callable[[Group, Party], Sequence[bytes]]) -> Send:
        return lambda party: [Epoch(b"", send(party.groups["eve"], party))]

    def application_in_the_open(eve: Group, _: Party) -> Sequence[bytes]:
        content = framed_content(eve.context, member(eve.own_leaf), ContentType.application, b"data", b"")
        signed = authenticate(suite, eve.signature_key, WireFormat.mls_public_message, content, eve.context)
        message = PublicMessage(content=signed.content, auth=signed.auth, membership_tag=bytes(suite.Nh))
        return [mls_message(message).encode()]

    def replayed(eve: Group, party: Party) -> Sequence[bytes]:
        message = propose(eve, remove(party.leaf("cat")), wire_format=private).message
        return [message, message]

    def far_ahead(eve: Group, party: Party) -> Sequence[bytes]:
        tree = eve.secret_tree
        for _ in range(MAX_FORWARD + 1):
            tree, _, _ = tree.take_next(suite, eve.own_leaf, RatchetKind.handshake)
        ahead = dataclasses.replace(eve, secret_tree=tree)
        return [propose(ahead, remove(party.leaf("cat")), wire_format=private).message]

    def padded(eve: Group, party: Party) -> Sequence[bytes]:
        """Padding with a one in it."""
        content = framed_content(
            eve.context, member(eve.own_leaf), ContentType.proposal, remove(party.leaf("cat")), b""
        )
        signed = authenticate(suite, eve.signature_key, private, content, eve.context)
        return [mls_message(protect_with_padding(eve, signed, b"\x00\x01\x00")).encode()]

    def signed_by_another(eve: Group, party: Party) -> Sequence[bytes]:
        key = party.client("ben").signature_key.private_key
        return [forge(eve, remove(party.leaf("cat")), wire_format=private, signature_key=key)]

    def altered(eve: Group, party: Party) -> Sequence[bytes]:
        message = propose(eve, remove(party.leaf("cat")), wire_format=WireFormat.mls_public_message).message
        # The last octet of the membership tag.
        return [message[:-1] + bytes([message[-1] ^ 1])]

    def of_another_group(eve: Group, party: Party) -> Sequence[bytes]:
        elsewhere = dataclasses.replace(eve, context=replace(eve.context, group_id=b"another"))
        return [propose(elsewhere, remove(party.leaf("cat"))).message]

    def of_nobody(eve: Group, party: Party) -> Sequence[bytes]:
        content = framed_content(
            eve.context, member(100), ContentType.proposal, remove(party.leaf("cat")), b""
        )
        return [send_framed(eve, content)]

    cases: list[tuple[str, str, Callable[[Group, Party], Sequence[bytes]]]] = [
        ("application data is not encrypted", "public-application", application_in_the_open),
        ("a private message comes a second time", "replayed", replayed),
        ("a generation is more than the bound ahead", "generation-too-far", far_ahead),
        ("the padding is not all zeros", "bad-padding", padded),
        ("a message is signed by another member than its sender", "bad-signature", signed_by_another),
        ("the membership tag is wrong", "bad-membership-tag", altered),
        ("a message is for another group", "wrong-group", of_another_group),
        ("the sender is no member", "not-a-member", of_nobody),
    ]
    return [following(suite, what, expect, proposals(send)) for what, expect, send in cases]


def protect_with_padding(group: Group, message: AuthenticatedContent, padding: bytes) -> PrivateMessage:
    """What `protect_private` makes, but with any padding."""
    suite, content = group.crypto, message.content
    kind = RatchetKind.handshake
    _, generation, key = group.secret_tree.take_next(suite, group.own_leaf, kind)
    aad = PrivateContentAAD(
        group_id=content.group_id,
        epoch=content.epoch,
        content_type=content.content_type,
        authenticated_data=content.authenticated_data,
    )
    plaintext = PrivateMessageContent(
        content_type=content.content_type, content=content.content, auth=message.auth, padding=padding
    )
    # A reuse guard of zeros leaves the nonce as it is.
    ciphertext = suite.aead_seal(key.key, key.nonce, aad.encode(), plaintext.encode())
    sender = SenderData(leaf_index=group.own_leaf, generation=generation, reuse_guard=bytes(4))
    sender_key = sender_data_key(suite, group.secrets.sender_data_secret, ciphertext)
    sender_aad = SenderDataAAD(
        group_id=content.group_id, epoch=content.epoch, content_type=content.content_type
    )
    return PrivateMessage(
        group_id=content.group_id,
        epoch=content.epoch,
        content_type=content.content_type,
        authenticated_data=content.authenticated_data,
        encrypted_sender_data=suite.aead_seal(
            sender_key.key, sender_key.nonce, sender_aad.encode(), sender.encode()
        ),
        ciphertext=ciphertext,
    )


# -- what joiners see


def trees(suite: Crypto) -> list[Item]:
    """Ratchet trees that nobody may join by."""

    def entry(known: KnownTree, tree: RatchetTree, encoded: bytes | None = None) -> Vector:
        nodes = [NodeIndex(node) for node in range(len(tree.nodes))]
        return {
            "cipher_suite": suite.suite.cipher_suite,
            "tree": (encode_tree(tree) if encoded is None else encoded).hex(),
            "group_id": known.group_id.hex(),
            "resolutions": [tree.resolution(node) for node in nodes],
            "tree_hashes": [subtree_hash(suite, tree, node).hex() for node in nodes],
        }

    def changed(what: str, expect: str, shape: Shape, change: Callable[[KnownTree], None]) -> Item:
        known = grow(suite, shape)
        change(known)
        return item("tree-validation", what, expect, entry(known, known.tree))

    def other_parent_hash(known: KnownTree) -> None:
        leaf = replace(known.tree.member(LeafIndex(0)), source=bytes(suite.Nh))
        signer = known.signature_keys[LeafIndex(0)].private_key
        known.tree.set_node(node_of(LeafIndex(0)), sign_leaf_node(suite, signer, leaf, known.group_id))

    def unsigned(known: KnownTree) -> None:
        leaf = replace(known.tree.member(LeafIndex(1)), signature=bytes(64))
        known.tree.set_node(node_of(LeafIndex(1)), leaf)

    def of_another_group(known: KnownTree) -> None:
        leaf = known.tree.member(LeafIndex(0))
        signer = known.signature_keys[LeafIndex(0)].private_key
        known.tree.set_node(node_of(LeafIndex(0)), sign_leaf_node(suite, signer, leaf, b"another"))

    def unmerged_blank(known: KnownTree) -> None:
        root = known.tree.parent_at(known.tree.root)
        assert root is not None
        known.tree.set_node(known.tree.root, replace(root, unmerged_leaves=(3,)))

    def ends_blank() -> Item:
        known = grow(suite, Shape(3))
        nodes = (*tree_nodes(known.tree).nodes, None)
        return item(
            "tree-validation",
            "the tree ends with a blank node",
            "malformed-tree",
            entry(known, known.tree, RatchetTreeNodes(nodes=nodes).encode()),
        )

    def leaf_for_parent() -> Item:
        known = grow(suite, Shape(2))
        first, _, last = tree_nodes(known.tree).nodes
        return item(
            "tree-validation",
            "a leaf stands in a parent's place",
            "malformed-tree",
            entry(known, known.tree, RatchetTreeNodes(nodes=(first, first, last)).encode()),
        )

    def counted_by_members() -> Item:
        """The three members of a tree with four leaves, one of them blank, are not all that has a tree hash."""
        known = grow(suite, Shape(3))
        counted = dict(entry(known, known.tree))
        counted["tree_hashes"] = counted["tree_hashes"][:5]
        return item("tree-validation", "the members are counted, not the leaves", "vector-mismatch", counted)

    return [
        changed("a leaf's parent hash does not chain", "bad-parent-hash", Shape(4), other_parent_hash),
        changed("a leaf is not signed", "bad-signature", Shape(3), unsigned),
        changed("a leaf is signed for another group", "bad-signature", Shape(2), of_another_group),
        changed("a blank leaf is said to be unmerged", "bad-unmerged-leaves", Shape(3), unmerged_blank),
        ends_blank(),
        leaf_for_parent(),
        counted_by_members(),
    ]


def welcomes(suite: Crypto) -> list[Item]:
    """Welcomes that the client that they were sealed to must refuse."""
    family = FAMILIES["welcome"]

    def changed(what: str, expect: str, change: Callable[[Welcome], Welcome]) -> Item:
        entry = dict(family.generate(suite.provider, suite.suite.cipher_suite, 1))
        welcome = decode_message(bytes.fromhex(entry["welcome"]))
        assert isinstance(welcome, Welcome)
        entry["welcome"] = mls_message(change(welcome)).encode().hex()
        return item("welcome", what, expect, entry)

    def named_otherwise(welcome: Welcome) -> Welcome:
        """Whoever tries every ciphertext with HPKE gets in by this."""
        return replace(
            welcome, secrets=tuple(replace(secrets, new_member=bytes(32)) for secrets in welcome.secrets)
        )

    def other_info(welcome: Welcome) -> Welcome:
        info = welcome.encrypted_group_info
        return replace(welcome, encrypted_group_info=info[:-1] + bytes([info[-1] ^ 1]))

    return [
        changed("no secrets are for our KeyPackage, by its reference", "not-for-us", named_otherwise),
        changed("the GroupInfo is not the one that was sealed", "decryption-failed", other_info),
        changed("the Welcome is of another cipher suite", "wrong-cipher-suite", lambda welcome: replace(welcome, cipher_suite=3)),
        item("welcome", "the GroupInfo is signed by somebody else", "bad-signature", {
            **family.generate(suite.provider, suite.suite.cipher_suite, 1),
            "signer_pub": suite.generate_signature_key().public_key.hex(),
        }),
    ]  # fmt: skip


def secrets(suite: Crypto) -> list[Item]:
    """Secrets as implementations with a known fault compute them."""
    entry = dict(FAMILIES["key-schedule"].generate(suite.provider, suite.suite.cipher_suite, 1))
    (epoch,) = entry["epochs"]
    exporter = epoch["exporter"]
    secret = suite.derive_secret(bytes.fromhex(epoch["exporter_secret"]), exporter["label"])
    unhashed = suite.expand_with_label(
        secret, "exported", bytes.fromhex(exporter["context"]), exporter["length"]
    )
    changed = {**exporter, "secret": unhashed.hex()}
    entry["epochs"] = [{**epoch, "exporter": changed}]
    return [item("key-schedule", "the exporter's context is not hashed", "vector-mismatch", entry)]


if __name__ == "__main__":
    main()
