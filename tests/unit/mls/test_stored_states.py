"""States that were stored by this and by all earlier versions are loaded, and are gone on with."""

from pathlib import Path

import pytest

from mls_federation.crypto import CryptoProvider, crypto
from mls_federation.errors import EpochError
from mls_federation.mls import (
    ApplicationMessage,
    CommitMessage,
    Group,
    RemovedMessage,
    decode_group,
    decode_key_package,
    encode_group,
    encode_key_package,
    export_secret,
    psk_lookup,
    receive,
)
from tests.support.pair import NOW, join_by
from tests.support.stored_states import FOLDER, PSKS, SUITES, StoredMessage, Story, load_story

FILES = sorted(FOLDER.glob("*/*.json"))
VERSIONS = sorted({int(file.parent.name) for file in FILES})


@pytest.fixture(params=FILES, ids=lambda file: f"version {file.parent.name}, {file.stem}")
def story(request: pytest.FixtureRequest) -> Story:
    file: Path = request.param
    return load_story(file)


def commit_received(group: Group, message: bytes) -> Group:
    received = receive(group, message, now=NOW, psks=psk_lookup(PSKS))
    assert isinstance(received, CommitMessage)
    return received.group


def read(group: Group, message: StoredMessage) -> Group:
    received = receive(group, message.message, now=NOW)
    assert isinstance(received, ApplicationMessage)
    assert (received.epoch, received.data) == (message.epoch, message.data)
    return received.group


def test_every_version_is_kept_in_every_suite(provider: CryptoProvider, story: Story) -> None:
    assert list(range(1, VERSIONS[-1] + 1)) == VERSIONS
    assert len(FILES) == len(VERSIONS) * len(SUITES)
    written_today = encode_group(decode_group(provider, story.group))
    assert int.from_bytes(written_today[:2], "big") == VERSIONS[-1]


def test_the_story_has_every_part(provider: CryptoProvider, story: Story) -> None:
    group = decode_group(provider, story.group)
    assert group.proposals
    assert group.own_updates
    assert any(ratchet.skipped for ratchet in group.secret_tree.ratchets.values())
    assert any(
        ratchet.skipped for past in group.past_epochs for ratchet in past.secret_tree.ratchets.values()
    )


def test_a_stored_group_reads_messages_once(provider: CryptoProvider, story: Story) -> None:
    group = decode_group(provider, story.group)
    for message in story.readable:
        group = read(group, message)
    for message in (*story.readable, *story.read):
        with pytest.raises(EpochError) as caught:
            receive(group, message.message, now=NOW)
        assert caught.value.code == "replayed"


def test_a_stored_group_follows_commits(provider: CryptoProvider, story: Story) -> None:
    group = commit_received(decode_group(provider, story.group), story.commit)
    assert group.epoch_authenticator == story.epoch_authenticator
    assert export_secret(group, "stored", b"context", 32) == story.exported
    group = read(group, story.reply)
    for message in story.readable:
        group = read(group, message)
    group = commit_received(group, story.last_commit)
    assert group.epoch_authenticator == story.last_epoch_authenticator


def test_a_stored_key_package_joins(provider: CryptoProvider, story: Story) -> None:
    own = decode_key_package(story.key_package)
    group = join_by(crypto(provider, story.cipher_suite), story.welcome, own, psks=psk_lookup(PSKS))
    assert group.epoch_authenticator == story.epoch_authenticator
    assert export_secret(group, "stored", b"context", 32) == story.exported
    group = read(group, story.reply)
    assert isinstance(receive(group, story.last_commit, now=NOW), RemovedMessage)


def test_what_was_stored_before_is_stored_again(provider: CryptoProvider, story: Story) -> None:
    group = decode_group(provider, encode_group(decode_group(provider, story.group)))
    group = commit_received(group, story.commit)
    group = read(group, story.reply)
    assert group.epoch_authenticator == story.epoch_authenticator
    own = decode_key_package(story.key_package)
    assert decode_key_package(encode_key_package(own)) == own
