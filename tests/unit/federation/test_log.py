"""Tree heads and histories: what a client believes of a delivery service's log, and what it does not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from mls_federation.codec import Struct, replace
from mls_federation.crypto import CryptoProvider, KeyPair, SignatureScheme, generate_signature_key
from mls_federation.errors import ValidationError, VerificationError
from mls_federation.federation.credentials import identity_credential
from mls_federation.federation.devices import (
    DeviceEvent,
    admit_event,
    claim_event,
    device_request,
    devices_of,
    revoke_event,
)
from mls_federation.federation.log import (
    ChainTip,
    ConsistencyRequest,
    IdentityHistory,
    LoggedEvent,
    SignedTreeHead,
    TreeHead,
    chain_tip,
    compare_heads,
    logged_device,
    sign_tree_head,
    verify_growth,
    verify_history,
    verify_tree_head,
)
from mls_federation.federation.seed import Credential
from mls_federation.transparency import EMPTY_ROOT, root_of
from mls_federation.transparency.tree import consistency_ranges, inclusion_ranges

DOMAIN = "b.example"
BOB = "bob@b.example"


class Log:
    """A delivery service's log, with everything in memory; proofs are computed from the entries themselves."""

    def __init__(self, provider: CryptoProvider) -> None:
        self.provider = provider
        self.key = generate_signature_key(provider, SignatureScheme.ed25519)
        self.entries: list[bytes] = []

    def head(self, size: int | None = None, **changes: object) -> SignedTreeHead:
        size = len(self.entries) if size is None else size
        fields: dict[str, object] = {
            "domain": DOMAIN.encode(),
            "tree_size": size,
            "timestamp": 1000 + size,
            "root_hash": root_of(self.entries[:size]),
        }
        return sign_tree_head(self.provider, self.key.private_key, TreeHead(**fields | changes))  # type: ignore[arg-type]

    def hashes(self, ranges: tuple[tuple[int, int], ...]) -> tuple[bytes, ...]:
        return tuple(root_of(self.entries[start:end]) for start, end in ranges)

    def logged(self, event: DeviceEvent) -> LoggedEvent:
        index = self.entries.index(event.encode())
        path = self.hashes(inclusion_ranges(index, len(self.entries)))
        return LoggedEvent(event=event, index=index, inclusion_path=path)

    def history(self, *events: DeviceEvent) -> IdentityHistory:
        return IdentityHistory(events=tuple(self.logged(event) for event in events), head=self.head())

    def verify(self, history: IdentityHistory, known: ChainTip | None = None, identity: str = BOB) -> object:
        return verify_history(self.provider, self.key.public_key, identity, history, known)


@dataclass(frozen=True)
class Phone:
    client_id: bytes
    credential: Credential
    key: KeyPair


def phone(provider: CryptoProvider, number: int, identity: str = BOB) -> Phone:
    key = generate_signature_key(provider, SignatureScheme.ed25519)
    credential = identity_credential(identity, SignatureScheme.ed25519, key.public_key)
    return Phone(bytes([number]) * 16, credential, key)


def claim(provider: CryptoProvider, device: Phone) -> DeviceEvent:
    return claim_event(provider, device.client_id, device.credential, device.key)


@dataclass(frozen=True)
class Scene:
    """Bob claims, admits a laptop, and revokes it; others come between."""

    log: Log
    first: Phone
    laptop: Phone
    events: tuple[DeviceEvent, ...]


@pytest.fixture
def scene(provider: CryptoProvider) -> Scene:
    log = Log(provider)
    first, laptop = phone(provider, 1), phone(provider, 2)
    events = [claim(provider, first)]
    request = device_request(provider, laptop.client_id, laptop.credential, laptop.key)
    events.append(admit_event(provider, devices_of(provider, events), request, first.credential, first.key))
    events.append(
        revoke_event(provider, devices_of(provider, events), laptop.client_id, first.credential, first.key)
    )
    for number, event in enumerate(events):
        log.entries += [b"another's %d" % number, event.encode()]
    log.entries.append(b"a last one")
    return Scene(log, first, laptop, tuple(events))


# -- heads


def test_a_head(scene: Scene) -> None:
    head = scene.log.head()
    verify_tree_head(scene.log.provider, scene.log.key.public_key, DOMAIN, head)
    assert scene.log.head() == head


def test_a_head_of_an_empty_log(provider: CryptoProvider) -> None:
    log = Log(provider)
    verify_tree_head(provider, log.key.public_key, DOMAIN, log.head())
    with pytest.raises(VerificationError) as caught:
        verify_tree_head(provider, log.key.public_key, DOMAIN, log.head(root_hash=bytes(32)))
    assert caught.value.code == "bad-tree-head"


@pytest.mark.parametrize(
    "change",
    [{"tree_size": 8}, {"timestamp": 0}, {"root_hash": EMPTY_ROOT}, {"domain": b"c.example"}],
    ids=lambda change: next(iter(change)),
)
def test_an_altered_head(scene: Scene, change: dict[str, object]) -> None:
    head = scene.log.head()
    altered = replace(head, tree_head=replace(head.tree_head, **change))
    with pytest.raises(VerificationError) as caught:
        verify_tree_head(scene.log.provider, scene.log.key.public_key, DOMAIN, altered)
    assert caught.value.code == "bad-tree-head"


def test_a_head_signed_by_another_key(scene: Scene, provider: CryptoProvider) -> None:
    other = generate_signature_key(provider, SignatureScheme.ed25519)
    with pytest.raises(VerificationError) as caught:
        verify_tree_head(provider, other.public_key, DOMAIN, scene.log.head())
    assert caught.value.code == "bad-tree-head"


def test_a_head_of_another_domain(scene: Scene) -> None:
    """The signature is good: a key that two domains share must not let the one speak for the other."""
    with pytest.raises(VerificationError) as caught:
        verify_tree_head(scene.log.provider, scene.log.key.public_key, "c.example", scene.log.head())
    assert caught.value.code == "bad-tree-head"


def test_every_pair_of_heads_of_one_log(scene: Scene) -> None:
    log = scene.log
    for second in range(len(log.entries) + 1):
        for first in range(second + 1):
            request = compare_heads(log.head(first), log.head(second))
            assert compare_heads(log.head(second), log.head(first)) == request
            expected = ConsistencyRequest(first=first, second=second) if 0 < first < second else None
            assert request == expected
            path = log.hashes(consistency_ranges(first, second))
            verify_growth(log.head(first), log.head(second), path)
            verify_growth(log.head(second), log.head(first), path)


@pytest.mark.parametrize("change", [{"root_hash": bytes(32)}, {"timestamp": 1}])
def test_two_heads_of_one_size(scene: Scene, change: dict[str, Any]) -> None:
    for pair in (
        (scene.log.head(), scene.log.head(**change)),
        (scene.log.head(**change), scene.log.head()),
    ):
        with pytest.raises(VerificationError) as caught:
            compare_heads(*pair)
        assert caught.value.code == "log-forked"
        with pytest.raises(VerificationError) as caught:
            verify_growth(*pair, ())
        assert caught.value.code == "log-forked"


def test_time_that_runs_backwards(scene: Scene) -> None:
    with pytest.raises(VerificationError) as caught:
        compare_heads(scene.log.head(3), scene.log.head(timestamp=1002))
    assert caught.value.code == "bad-tree-head"


def test_growth_that_is_not_shown(scene: Scene) -> None:
    log = scene.log
    path = log.hashes(consistency_ranges(3, 7))
    other = replace(log.head(7), tree_head=replace(log.head(7).tree_head, root_hash=bytes(32)))
    for older, newer, nodes in (
        (log.head(3), log.head(7), ()),
        (log.head(3), log.head(7), path[1:]),
        (log.head(2), log.head(7), path),
        (log.head(3), other, path),
        (log.head(7), log.head(7), path),
        (log.head(0), log.head(7), path),
    ):
        with pytest.raises(VerificationError) as caught:
            verify_growth(older, newer, nodes)
        assert caught.value.code == "log-rewritten"


# -- histories


def test_a_history(scene: Scene) -> None:
    for count in range(1, 4):
        events = scene.events[:count]
        devices = verify_history(
            scene.log.provider, scene.log.key.public_key, BOB, scene.log.history(*events)
        )
        assert devices == devices_of(scene.log.provider, events)
        assert chain_tip(devices) == ChainTip(count, devices.latest)


def refused(
    scene: Scene, history: IdentityHistory, known: ChainTip | None = None, identity: str = BOB
) -> str:
    """The code with which a history is refused."""
    with pytest.raises((ValidationError, VerificationError)) as caught:
        scene.log.verify(history, known, identity)
    return caught.value.code


def with_event(history: IdentityHistory, which: int, **changes: object) -> IdentityHistory:
    events = list(history.events)
    events[which] = replace(events[which], **changes)
    return replace(history, events=tuple(events))


def test_an_empty_history(scene: Scene) -> None:
    assert refused(scene, scene.log.history()) == "not-in-log"


def test_a_history_of_somebody_else(scene: Scene) -> None:
    assert refused(scene, scene.log.history(*scene.events), identity="eve@b.example") == "wrong-identity"


def test_a_history_under_a_head_of_another_domain(scene: Scene) -> None:
    assert refused(scene, scene.log.history(*scene.events), identity="bob@c.example") == "bad-tree-head"


def test_a_history_with_an_altered_head(scene: Scene) -> None:
    history = scene.log.history(*scene.events)
    head = replace(history.head, signature=bytes(64))
    assert refused(scene, replace(history, head=head)) == "bad-tree-head"


def test_an_event_that_is_not_in_the_log(scene: Scene, provider: CryptoProvider) -> None:
    """The chain is valid, each of its events is signed, the head is the log's: but it does not have the last one."""
    third = phone(provider, 3)
    devices = devices_of(provider, scene.events)
    request = device_request(provider, third.client_id, third.credential, third.key)
    event = admit_event(provider, devices, request, scene.first.credential, scene.first.key)
    history = scene.log.history(*scene.events)
    for index in range(len(scene.log.entries)):
        path = scene.log.hashes(inclusion_ranges(index, len(scene.log.entries)))
        unlogged = LoggedEvent(event=event, index=index, inclusion_path=path)
        assert refused(scene, replace(history, events=(*history.events, unlogged))) == "bad-inclusion-proof"


def test_an_altered_proof(scene: Scene) -> None:
    history = scene.log.history(*scene.events)
    path = history.events[1].inclusion_path
    for changes in (
        {"index": 2},
        {"index": 2**64 - 1},
        {"inclusion_path": ()},
        {"inclusion_path": path[:-1]},
        {"inclusion_path": (*path, bytes(32))},
        {"inclusion_path": (bytes(32), *path[1:])},
    ):
        assert refused(scene, with_event(history, 1, **changes)) == "bad-inclusion-proof"


def test_an_event_that_is_in_the_log_twice(scene: Scene) -> None:
    """One order in the chain, another in the log."""
    log, events = scene.log, scene.events
    log.entries = [events[1].encode(), events[0].encode(), events[2].encode()]
    assert refused(scene, log.history(*events)) == "bad-inclusion-proof"


def test_a_fault_in_the_chain(scene: Scene) -> None:
    history = scene.log.history(*scene.events)
    assert refused(scene, replace(history, events=history.events[::2])) == "stale-event"
    assert refused(scene, replace(history, events=history.events[1:])) == "unknown-identity"


def test_a_history_only_goes_on(scene: Scene, provider: CryptoProvider) -> None:
    history = scene.log.history(*scene.events)
    tips = [chain_tip(devices_of(provider, scene.events[: count + 1])) for count in range(3)]
    for tip in tips:
        scene.log.verify(history, tip)
    assert refused(scene, scene.log.history(*scene.events[:2]), tips[2]) == "history-withheld"


def test_another_first_claim(scene: Scene, provider: CryptoProvider) -> None:
    """Both claims are in the log, so a proof of growth shows nothing: who saw the one knows it by the one alone."""
    seen = chain_tip(devices_of(provider, scene.events[:1]))
    other = claim(provider, phone(provider, 9))
    scene.log.entries.append(other.encode())
    scene.log.verify(scene.log.history(other))
    assert refused(scene, scene.log.history(other), seen) == "history-forked"


def test_devices_in_the_log(scene: Scene, provider: CryptoProvider) -> None:
    devices = devices_of(provider, scene.events)
    assert logged_device(devices, scene.first.credential, scene.first.client_id).lineage == ()
    stranger = phone(provider, 4)
    for device, client_id, code in (
        (scene.laptop, scene.laptop.client_id, "revoked-device"),
        (stranger, stranger.client_id, "not-in-log"),
        (scene.first, scene.laptop.client_id, "not-in-log"),
    ):
        with pytest.raises(ValidationError) as caught:
            logged_device(devices, device.credential, client_id)
        assert caught.value.code == code


def test_round_trips(scene: Scene) -> None:
    values: list[Struct] = [scene.log.head(), scene.log.history(*scene.events)]
    for value in values:
        assert type(value).decode(value.encode()) == value
