"""What must not appear in logs: no `repr` of a group's state shows a secret of it."""

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass

import pytest

from mls_federation.codec import Struct
from mls_federation.crypto import Crypto
from mls_federation.mls import add, commit
from mls_federation.mls.framing import ContentType, member
from mls_federation.mls.key_schedule import EpochSecrets
from mls_federation.mls.protection import framed_content
from tests.support.pair import NOW, Party

# Public, or made to be shown.
SHOWN = {"public_key", "signature_keys", "epoch_authenticator", "interim_transcript_hash", "confirmation_tag"}


def secrets_in(value: object) -> Iterator[bytes]:
    """Every field of octets in our dataclasses that is not public. Structs are what goes over the wire."""
    if isinstance(value, bytes):
        if len(value) >= 16:
            yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from secrets_in(item)
    elif isinstance(value, (tuple, list)):
        for item in value:
            yield from secrets_in(item)
    elif is_dataclass(value) and not isinstance(value, (type, Struct)):
        for field in fields(value):
            if field.name not in SHOWN:
                yield from secrets_in(getattr(value, field.name))


@pytest.mark.rule("2-01")
def test_group(suite_1: Crypto) -> None:
    party = Party(suite_1, "ann", "ben", "cat")
    party.read("ben", party.send("ann", b"data"))
    party.commit("ben")
    party.propose_update("ann")
    for group in party.groups.values():
        assert_discreet(group, at_least=20)


@pytest.mark.rule("2-01")
def test_pending_commit(suite_1: Crypto) -> None:
    party = Party(suite_1, "ann", "ben")
    own = party.client("cat").key_package()
    pending = commit(party.groups["ann"], [add(own.key_package)], now=NOW)
    assert_discreet(pending.group, at_least=10)
    shown = repr(pending)
    for secret in {*secrets_in(pending.group), *secrets_in(pending.sent_from), *secrets_in(own.init_key)}:
        assert_not_shown(secret, shown)


@pytest.mark.rule("2-01")
def test_application_data(suite_1: Crypto) -> None:
    party = Party(suite_1, "ann", "ben")
    assert_not_shown(b"confidential", repr(party.read("ben", party.send("ann", b"confidential"))))


def assert_discreet(value: object, at_least: int) -> None:
    found = set(secrets_in(value))
    assert len(found) >= at_least
    shown = repr(value)
    for secret in found:
        assert_not_shown(secret, shown)


def assert_not_shown(secret: bytes, shown: str) -> None:
    assert repr(secret) not in shown
    assert repr(secret)[2:-1] not in shown
    assert secret.hex() not in shown


def test_the_search_finds_secrets(suite_1: Crypto) -> None:
    secrets = EpochSecrets(*(bytes([number]) * 32 for number in range(9)))
    assert len(set(secrets_in(secrets))) == 8


def test_what_is_said_is_not_shown_by_the_message_that_says_it(suite_1: Crypto) -> None:
    content = framed_content(
        Party(suite_1, "ann").groups["ann"].context,
        member(0),
        ContentType.application,
        b"attack at dawn",
        b"",
    )
    assert "content=<14 octets>" in repr(content)
