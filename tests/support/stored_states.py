"""Stored states of every version of their encoding, which all later versions must load.

`python -m tests.support.stored_states` adds the files of the present version to `states/`. Those of older versions are never
made again: nothing but the code of their time can make them.

Each file is one story: Ben's group in the middle of much, Dan's KeyPackage before it is used, and what came after. Ben has
skipped keys in this epoch and in a past one, an Update of his own and an Add that wait for a commit, and a late message is on
its way to him. Then Cat commits all that with an external PSK, and sends a message. At last she removes Dan by a commit
with the resumption PSK of an epoch that had ended when Ben's state was stored.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from mls_federation.crypto import CipherSuite, CryptoProvider, crypto
from mls_federation.mls import add, encode_group, encode_key_package, export_secret, pre_shared_key, remove
from mls_federation.mls.psk import ExternalPSK, PreSharedKeyID, PSKType, ResumptionPSK, ResumptionPSKUsage
from tests.support.pair import GROUP_ID, Party

FOLDER = Path(__file__).resolve().parent / "states"
SUITES = (
    CipherSuite.MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519,
    CipherSuite.MLS_128_DHKEMP256_AES128GCM_SHA256_P256,
    CipherSuite.MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_Ed25519,
    CipherSuite.MLS_256_DHKEMP384_AES256GCM_SHA384_P384,
)
PSKS = {b"an external PSK": b"what it is"}


@dataclass(frozen=True)
class StoredMessage:
    """An application message, and what Ben reads in it."""

    message: bytes
    epoch: int
    data: bytes


@dataclass(frozen=True)
class Story:
    """What one file holds.

    Attributes:
        group: Ben's state.
        key_package: Dan's, with its private keys.
        readable: messages that Ben has not read: of this epoch and of past ones, some of them with skipped keys.
        read: messages that he has.
        commit: Cat's, with the Update, the Add and the external PSK.
        welcome: to Dan.
        epoch_authenticator: of the epoch that it begins.
        exported: `exported_by` there.
        reply: Cat's message there.
        last_commit: with Dan's removal and the resumption PSK.
        last_epoch_authenticator: of the epoch that it begins.
    """

    cipher_suite: int
    group: bytes
    key_package: bytes
    readable: tuple[StoredMessage, ...]
    read: tuple[StoredMessage, ...]
    commit: bytes
    welcome: bytes
    epoch_authenticator: bytes
    exported: bytes
    reply: StoredMessage
    last_commit: bytes
    last_epoch_authenticator: bytes


def make_story(provider: CryptoProvider, suite: CipherSuite) -> Story:
    """The story in one suite, by the code of today."""
    party = Party(crypto(provider, suite), "ann", "ben", "cat")
    party.psks |= PSKS
    readable, read = [], []

    def send(sender: str, data: bytes) -> StoredMessage:
        return StoredMessage(party.send(sender, data), party.groups[sender].epoch, data)

    def speak(sender: str) -> None:
        """Four messages, of which Ben has the third."""
        messages = [send(sender, b"%s %d" % (sender.encode(), number)) for number in range(4)]
        party.read("ben", messages[2].message)
        read.append(messages.pop(2))
        readable.extend(messages)

    def nonce() -> bytes:
        return provider.random(party.crypto.Nh)

    readable.append(send("cat", b"late"))
    speak("ann")
    past = ResumptionPSK(
        usage=ResumptionPSKUsage.application, psk_group_id=GROUP_ID, psk_epoch=party.groups["ben"].epoch
    )
    party.commit("ben")
    party.commit("cat")
    speak("ann")
    readable.append(send("cat", b"unread"))
    party.propose_update("ben")
    own = party.client("dan").key_package()
    party.propose("ann", add(own.key_package))
    group, key_package = encode_group(party.groups["ben"]), encode_key_package(own)

    external = PreSharedKeyID(
        psktype=PSKType.external, psk=ExternalPSK(psk_id=next(iter(PSKS))), psk_nonce=nonce()
    )
    added = party.commit("cat", [pre_shared_key(external)], joining={"dan": own})
    assert added.welcome is not None
    reply = send("cat", b"welcome, dan")
    resumption = PreSharedKeyID(psktype=PSKType.resumption, psk=past, psk_nonce=nonce())
    party.groups.pop("dan")
    removed = party.commit("cat", [remove(added.added[0]), pre_shared_key(resumption)])
    return Story(
        cipher_suite=suite,
        group=group,
        key_package=key_package,
        readable=tuple(readable),
        read=tuple(read),
        commit=added.message,
        welcome=added.welcome,
        epoch_authenticator=added.group.epoch_authenticator,
        exported=export_secret(added.group, "stored", b"context", 32),
        reply=reply,
        last_commit=removed.message,
        last_epoch_authenticator=removed.group.epoch_authenticator,
    )


def load_story(file: Path) -> Story:
    """The story of a file."""
    return Story(**{name: _from_json(value) for name, value in json.loads(file.read_text()).items()})


def _to_json(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, tuple):
        return [_to_json(item) for item in value]
    if isinstance(value, StoredMessage | Story):
        return {field.name: _to_json(getattr(value, field.name)) for field in fields(value)}
    return value


def _from_json(value: Any) -> Any:
    if isinstance(value, str):
        return bytes.fromhex(value)
    if isinstance(value, list):
        return tuple(_from_json(item) for item in value)
    if isinstance(value, Mapping):
        return StoredMessage(**{name: _from_json(item) for name, item in value.items()})
    return value


def main() -> None:
    """Add the files of the present version."""
    from mls_federation.crypto.pyca import PycaProvider

    for suite in SUITES:
        story = make_story(PycaProvider(), suite)
        folder = FOLDER / str(int.from_bytes(story.group[:2], "big"))
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / f"suite-{suite:04x}.json"
        if file.exists():
            sys.exit(f"{file.name} of this version is there already, and is never made again")
        file.write_text(json.dumps(_to_json(story), indent=1) + "\n")


if __name__ == "__main__":
    main()
