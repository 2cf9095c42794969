"""docs/protocol.md says what the code does: its declarations, its tables, and every octet of its examples."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest

from mls_delivery.context import ENDPOINTS
from mls_delivery.refusals import KINDS
from mls_delivery.service import Limits
from mls_federation.crypto import CryptoProvider, SignatureScheme
from mls_federation.federation import binding, log, manifest, seed
from mls_federation.mls.key_package import KeyPackage
from tests.delivery import protocol_example as example
from tests.delivery.presentation import annotated, declaration, octets
from tests.delivery.support import Clock, Device, Running, checked, running_service

_DOCUMENT = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text(encoding="utf-8")
_DECLARATIONS = [
    text
    for block in re.findall(r"^```tls\n(.*?)\n```$", _DOCUMENT, re.DOTALL | re.MULTILINE)
    for text in re.split(r"\n\n", block)
]
_EXAMPLES: dict[str, str] = dict(
    re.findall(r"^```hex ([^\n]+)\n(.*?)\n```$", _DOCUMENT, re.DOTALL | re.MULTILINE)
)


def _table(heading: str) -> list[list[str]]:
    """The rows of the table whose first column has this heading."""
    (body,) = re.findall(rf"^\| {heading} \|.*\n\|[-|]+\n((?:\|.*\n)+)", _DOCUMENT, re.MULTILINE)
    return [[cell.strip().strip("`") for cell in row.strip("|").split("|")] for row in body.splitlines()]


def test_declarations() -> None:
    assert sorted(_DECLARATIONS) == sorted(declaration(struct) for struct in example.STRUCTS)


def test_every_struct_of_the_binding_is_declared() -> None:
    ours = {
        cls for cls in vars(binding).values() if isinstance(cls, type) and cls.__module__ == binding.__name__
    }
    assert ours - set(example.STRUCTS) == {binding.ServiceDescription}


def test_examples_are_reproducible() -> None:
    """To mend the document: `python -m tests.delivery.protocol_example`."""
    assert {name: annotated(value) for name, value in example.values().items()} == _EXAMPLES


@pytest.mark.parametrize("name", sorted(_EXAMPLES))
def test_examples_decode_and_encode(name: str) -> None:
    struct = type(example.values()[name])
    data = octets(_EXAMPLES[name])
    assert struct.decode(data).encode() == data
    assert struct.decode(data) == example.values()[name]


def test_the_id_of_the_example_is_the_hash_that_is_shown() -> None:
    digest = hashlib.sha256(octets(_EXAMPLES["UserInitKeyIDInput"])).hexdigest()
    assert digest in _EXAMPLES["GetUserInitKeyResponse"]


def test_the_example_obeys_the_manifest_rule(provider: CryptoProvider) -> None:
    response = seed.GetUserInitKeyResponse.decode(octets(_EXAMPLES["GetUserInitKeyResponse"]))
    key_set = binding.KeySet(
        user_init_key=response.user_init_keys[0].user_init_key,
        key_packages=_documented_key_packages(),
        last_resort=binding.Boolean.false,
    )
    manifest.verify_key_set(provider, example.BOB, key_set, now=example.NOW)
    covered = octets(_EXAMPLES["GetUserInitKeyResponse"])[4 + 2 + len(example.BOB) : -2 - 64]
    signature = response.user_init_keys[0].user_init_key.signature
    provider.verify(SignatureScheme.ed25519, example.identity_key().public_key, covered, signature)


def test_the_session_request_is_signed(provider: CryptoProvider) -> None:
    label, content = b"MLS Federation 1.0 Session", octets(_EXAMPLES["SessionTBS"])
    signed = bytes([len(label)]) + label + (0x4000 | len(content)).to_bytes(2, "big") + content
    signature = octets(_EXAMPLES["SessionRequest"])[-64:]
    provider.verify(SignatureScheme.ed25519, example.identity_key().public_key, signed, signature)


def test_the_history_of_the_example_is_believed(provider: CryptoProvider) -> None:
    history = log.IdentityHistory.decode(octets(_EXAMPLES["IdentityHistory"]))
    (key,) = re.findall(r"`signing_key`\n\n```\n([0-9a-f]{64})\n```", _DOCUMENT)
    found = log.verify_history(provider, bytes.fromhex(key), example.BOB.decode(), history)
    assert found.root == example.credential()
    leaves = re.findall(r"^([0-9a-f]{64})  (?:Bob|Carol)'s$", _DOCUMENT, re.MULTILINE)
    assert leaves[0] == hashlib.sha256(b"\x00" + history.events[0].event.encode()).hexdigest()
    root = hashlib.sha256(b"\x01" + bytes.fromhex("".join(leaves))).digest()
    assert root == history.head.tree_head.root_hash
    kept = log.SignedTreeHead.decode(octets(_EXAMPLES["SignedTreeHead"]))
    asked = log.ConsistencyRequest.decode(octets(_EXAMPLES["ConsistencyRequest"]))
    assert log.compare_heads(kept, history.head) == asked
    proof = log.ConsistencyProof.decode(octets(_EXAMPLES["ConsistencyProof"]))
    log.verify_growth(kept, history.head, proof.path)


def _documented_key_packages() -> tuple[bytes, ...]:
    packages = tuple(octets(_EXAMPLES[f"KeyPackage {number}"]) for number in ("0x0001", "0x0002"))
    assert packages == tuple(KeyPackage.decode(package).encode() for package in packages)
    return packages


def test_the_signed_request_is_reproducible(provider: CryptoProvider) -> None:
    (base,) = re.findall(r'^```text\n("@method".*?)\n```$', _DOCUMENT, re.DOTALL | re.MULTILINE)
    (lines,) = re.findall(r"^```http\n(Content-Type.*?)\n```$", _DOCUMENT, re.DOTALL | re.MULTILINE)
    headers = dict(line.split(": ", 1) for line in lines.splitlines())
    assert base == example.signature_base()
    assert headers == example.signed_headers()
    digest = base64.b64encode(hashlib.sha256(octets(_EXAMPLES["RelayRequest"])).digest()).decode()
    assert headers["Content-Digest"] == f"sha-256=:{digest}:"
    key = provider.signature_public_key(SignatureScheme.ed25519, example.PEER_PRIVATE_KEY)
    assert binding.to_base64url(key) in base
    signature = base64.b64decode(headers["Signature"].partition("=")[2].strip(":"))
    provider.verify(SignatureScheme.ed25519, key, base.encode("ascii"), signature)


def test_the_table_of_errors() -> None:
    assert {row[0]: int(row[1]) for row in _table("code")} == {
        code: kind.status for code, kind in KINDS.items()
    }


def test_the_table_of_limits() -> None:
    assert {row[0]: int(row[1]) for row in _table("limit")} == asdict(Limits())


def test_the_table_of_end_points() -> None:
    paths = {row[0]: row[1].strip("`").split()[-1].strip("`") for row in _table("end point") if row[0]}
    assert paths == ENDPOINTS


def test_the_table_of_close_codes() -> None:
    ours = {value for name, value in vars(binding).items() if name.startswith("CLOSE_")}
    assert {int(row[0]) for row in _table("close code")} == ours | {1012}


def test_the_description() -> None:
    (document,) = re.findall(r'^```json\n(\{\n  "domain".*?)\n```$', _DOCUMENT, re.DOTALL | re.MULTILINE)
    description = binding.ServiceDescription.decode(document.encode())
    assert json.loads(description.encode()) == json.loads(document)
    assert description.endpoints == ENDPOINTS


@pytest.fixture
def bob(provider: CryptoProvider, tmp_path: Path) -> Iterator[Device]:
    """Bob, with the key of the example, registered at a service whose clock has the example's time."""
    clock = Clock(example.NOW)
    with running_service(provider, tmp_path / "b.sqlite3", clock=clock) as service:
        device = Device(provider, service, example.BOB, example.identity_key(), example.CLIENT_ID)
        device.claim()
        device.open_session()
        yield device


def test_a_service_answers_a_client_of_the_seed_with_the_documented_octets(bob: Device) -> None:
    response = seed.GetUserInitKeyResponse.decode(octets(_EXAMPLES["GetUserInitKeyResponse"]))
    bob.publish(
        binding.KeySet(
            user_init_key=response.user_init_keys[0].user_init_key,
            key_packages=_documented_key_packages(),
            last_resort=binding.Boolean.false,
        )
    )
    answer = bob.service.request(
        "POST",
        "/v1/bundles",
        octets(_EXAMPLES["GetUserInitKeyRequest"]),
        {"Content-Type": "application/mls-get-user-init-key-request"},
    )
    assert answer.headers["content-type"] == "application/mls-get-user-init-key-response"
    assert checked(answer) == octets(_EXAMPLES["GetUserInitKeyResponse"])


def test_a_service_delivers_the_documented_message(bob: Device) -> None:
    service: Running = bob.service
    answer = service.post("/v1/messages", octets(_EXAMPLES["SubmitRequest"]), "application/mls-federation")
    assert checked(answer) == octets(_EXAMPLES["SubmitResponse"])
    with bob.inbox() as inbox:
        assert inbox.ready() == 0
        assert inbox.frame() == binding.InboxKeyCount(available=0)
        assert inbox.connection.recv(timeout=20) == octets(_EXAMPLES["InboxFrame"])
        inbox.connection.send(octets(_EXAMPLES["InboxAck"]))
