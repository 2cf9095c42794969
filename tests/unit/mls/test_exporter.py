"""Safe use of the exporter (§8.5): what applications get is for one purpose, of one epoch, and nothing of MLS's own."""

from dataclasses import fields

import pytest

from mls_federation.crypto import CipherSuite, Crypto, CryptoProvider, crypto
from mls_federation.errors import UsageError
from mls_federation.mls import (
    CommitMessage,
    Group,
    RemovedMessage,
    commit,
    create_group,
    decode_group,
    encode_group,
    export_secret,
    receive,
    remove,
)
from tests.support.pair import NOW, Party, new_client

# Every label that RFC 9420 derives something by, from whatever secret (§8, §9, §12.4.3.1).
OWN_LABELS = (
    *(
        "joiner",
        "member",
        "welcome",
        "epoch",
        "sender data",
        "encryption",
        "exporter",
        "exported",
        "external",
    ),
    *("confirm", "membership", "resumption", "authentication", "init", "derived psk", "path", "node", "tree"),
    *("handshake", "application", "key", "nonce", "secret"),
)


@pytest.fixture
def party(suite_1: Crypto) -> Party:
    return Party(suite_1, "ann", "ben")


@pytest.mark.rule("8.5-01")
@pytest.mark.parametrize("cipher_suite", list(CipherSuite), ids=[suite.name for suite in CipherSuite])
def test_the_exporter_hashes_the_context(provider: CryptoProvider, cipher_suite: CipherSuite) -> None:
    suite = crypto(provider, cipher_suite)
    group = create_group(suite, b"g", new_client(suite, "ann").key_package())
    secret = suite.derive_secret(group.secrets.exporter_secret, "label")
    for context in (b"", b"context", bytes(5000)):
        expected = suite.expand_with_label(secret, "exported", suite.hash(context), 32)
        assert export_secret(group, "label", context, 32) == expected
        assert export_secret(group, "label", suite.hash(context), 32) != expected


@pytest.mark.rule("8.5-01")
def test_an_exported_secret_is_for_one_label_context_and_length(party: Party) -> None:
    ann = party.groups["ann"]
    secrets = {
        export_secret(ann, label, context, length)[:16]
        for label in ("one", "two", "on", "One")
        for context in (b"", b"e", b"context", b"\x00")
        for length in (16, 17, 32, 64)
    }
    assert len(secrets) == 4 * 4 * 4


def test_exported_secrets_are_none_of_the_epochs_own(party: Party) -> None:
    ann = party.groups["ann"]
    own = {getattr(ann.secrets, field.name) for field in fields(ann.secrets)}
    own |= set(ann.secret_tree.node_secrets.values())
    exported = {export_secret(ann, label, b"", party.crypto.Nh) for label in OWN_LABELS}
    assert len(exported) == len(OWN_LABELS)
    assert own.isdisjoint(exported)


def test_the_bounds_of_an_exported_secret(party: Party) -> None:
    ann = party.groups["ann"]
    for length in (1, 100, 255 * 32):
        assert len(export_secret(ann, "label", b"", length)) == length
    for length in (-1, 0, 255 * 32 + 1, 1 << 16):
        with pytest.raises(UsageError):
            export_secret(ann, "label", b"", length)


def test_an_exporter_label_says_something(party: Party) -> None:
    for label in ("", "Schlüssel"):
        with pytest.raises(UsageError):
            export_secret(party.groups["ann"], label, b"", 32)


def exported(group: Group) -> bytes:
    return export_secret(group, "label", b"", 32)


def test_an_exported_secret_is_of_one_epoch(party: Party) -> None:
    seen = {exported(party.groups["ann"])}
    for name in ("ann", "ben", "ann"):
        party.commit(name)
        assert exported(party.groups["ann"]) == exported(party.groups["ben"])
        seen.add(exported(party.groups["ann"]))
    assert len(seen) == 4


def test_nothing_is_exported_of_an_epoch_that_has_ended(party: Party) -> None:
    ended = party.groups["ben"].secrets.exporter_secret
    party.commit("ann")
    group = party.groups["ben"]
    assert [past.secrets.exporter_secret for past in group.past_epochs] == [b""]
    stored = encode_group(group)
    assert ended not in stored
    assert group.secrets.exporter_secret in stored
    assert exported(decode_group(party.crypto.provider, stored)) == exported(group)


def test_a_pending_commit_exports_nothing_until_it_is_accepted(party: Party) -> None:
    ann, ben = party.groups["ann"], party.groups["ben"]
    mine, theirs = commit(ann, now=NOW), commit(ben, now=NOW)
    assert mine.sent_from is not None
    assert exported(mine.sent_from) == exported(ann) == exported(ben)
    # Ann's loses: what it would have exported is nobody's.
    received = receive(mine.sent_from, theirs.message, now=NOW)
    assert isinstance(received, CommitMessage)
    assert exported(received.group) == exported(theirs.group)
    assert exported(mine.group) not in {exported(received.group), exported(ann)}


def test_somebody_removed_exports_nothing_of_what_follows(party: Party) -> None:
    party.add("ann", "cat")
    gone = party.groups["cat"]
    pending = commit(party.groups["ann"], [remove(gone.own_leaf)], now=NOW)
    assert isinstance(receive(gone, pending.message, now=NOW), RemovedMessage)
    assert exported(gone) != exported(pending.group)
