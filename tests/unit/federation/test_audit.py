"""Whoever reads a whole log sees what its proofs cannot show."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from mls_federation.codec import replace
from mls_federation.crypto import CryptoProvider, KeyPair, SignatureScheme, generate_signature_key
from mls_federation.errors import VerificationError
from mls_federation.federation.audit import audit
from mls_federation.federation.credentials import identity_credential
from mls_federation.federation.devices import DeviceEvent, claim_event, devices_of, revoke_event
from mls_federation.federation.log import SignedTreeHead, TreeHead, sign_tree_head
from mls_federation.transparency import root_of

BOB, CAROL = "bob@b.example", "carol@b.example"


def claim(provider: CryptoProvider, identity: str, number: int = 1) -> tuple[DeviceEvent, KeyPair]:
    key = generate_signature_key(provider, SignatureScheme.ed25519)
    credential = identity_credential(identity, SignatureScheme.ed25519, key.public_key)
    return claim_event(provider, bytes([number]) * 16, credential, key), key


def head_of(
    provider: CryptoProvider, entries: Sequence[bytes], domain: bytes = b"b.example"
) -> SignedTreeHead:
    head = TreeHead(domain=domain, tree_size=len(entries), timestamp=1, root_hash=root_of(entries))
    return sign_tree_head(provider, bytes(32), head)


def found(provider: CryptoProvider, *events: DeviceEvent | bytes) -> list[tuple[int, str, str]]:
    entries = [event if isinstance(event, bytes) else event.encode() for event in events]
    findings = audit(provider, head_of(provider, entries), entries)
    return [(finding.number, finding.identity, finding.error.code) for finding in findings]


def test_an_honest_log(provider: CryptoProvider) -> None:
    assert found(provider) == []
    assert found(provider, claim(provider, BOB)[0], claim(provider, CAROL)[0]) == []


def test_two_first_claims_of_one_identity(provider: CryptoProvider) -> None:
    first, other = claim(provider, BOB)[0], claim(provider, BOB, 2)[0]
    assert found(provider, first, claim(provider, CAROL)[0], other) == [(2, BOB, "identity-claimed")]


def test_events_that_their_chain_does_not_allow(provider: CryptoProvider) -> None:
    """The first claim's device revokes itself: nobody would be left. And an event of a chain that nobody began."""
    event, key = claim(provider, BOB)
    revoked = revoke_event(provider, devices_of(provider, [event]), event.client_id, event.credential, key)
    assert found(provider, event, revoked) == [(1, BOB, "last-device")]
    assert found(provider, revoked) == [(0, BOB, "unknown-identity")]


def test_what_is_no_event(provider: CryptoProvider) -> None:
    event, _ = claim(provider, BOB)
    unsigned = replace(event, signature=bytes(64))
    stranger, _ = claim(provider, "bob@c.example")
    assert found(provider, b"nothing", unsigned, stranger) == [
        (0, "", "malformed"),
        (1, BOB, "bad-signature"),
        (2, "bob@c.example", "wrong-domain"),
    ]


def test_entries_that_are_not_those_under_the_head(provider: CryptoProvider) -> None:
    entries = [claim(provider, BOB)[0].encode(), claim(provider, CAROL)[0].encode()]
    for shown in (entries[:1], entries[::-1], [*entries, entries[0]]):
        with pytest.raises(VerificationError) as caught:
            audit(provider, head_of(provider, entries), shown)
        assert caught.value.code == "bad-log-entries"
