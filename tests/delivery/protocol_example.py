"""The worked example of docs/protocol.md: Bob's keys, made from octets that are known, so that everybody gets the same.

`python -m tests.delivery.protocol_example` prints the blocks of hexadecimal as the document has them, and the declarations
of all structs that it shows.
"""

from __future__ import annotations

import enum
import hashlib

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mls_delivery.signatures import COVERED, sign_request
from mls_federation.codec import Struct
from mls_federation.crypto import CipherSuite, KeyPair, SignatureScheme, crypto
from mls_federation.crypto.pyca import PycaProvider
from mls_federation.federation import (
    binding,
    branches,
    credentials,
    devices,
    envelope,
    group_agreement,
    identity,
    log,
    manifest,
    ordering,
    relay,
    seed,
)
from mls_federation.federation.binding import MEDIA_TYPE
from mls_federation.federation.envelope import Envelope
from mls_federation.media.srtp import SrtpContext
from mls_federation.mls.credentials import CredentialType, basic_credential
from mls_federation.mls.key_package import KeyPackage, create_key_package, key_package_ref
from mls_federation.mls.nodes import Capabilities, Lifetime, ProtocolVersion
from mls_federation.transparency import leaf_hash, root_of
from tests.delivery.presentation import annotated, declaration

BOB = b"bob@b.example"
IDENTITY_PRIVATE_KEY = bytes(range(32))
CLIENT_ID = bytes(range(0xA0, 0xB0))
SECOND_PRIVATE_KEY = bytes(range(32, 64))
SECOND_CLIENT_ID = bytes(range(0xC0, 0xD0))
MESSAGE_ID = bytes(range(0xB0, 0xC0))
PEER_PRIVATE_KEY = bytes(range(0x20, 0x40))
NONCE = bytes(range(0xC0, 0xD0))
MESSAGE = Envelope(message=bytes.fromhex("00010002 deadbeef"), receipt=None).encode()
GROUP_ID = bytes(range(0xC0, 0xD0))
SERVICE_PRIVATE_KEY = bytes(range(0xC0, 0xE0))
NOW = 1_780_000_000
LIFETIME = Lifetime(not_before=NOW - 3600, not_after=NOW + 90 * 24 * 3600)
SUITES = (
    CipherSuite.MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519,
    CipherSuite.MLS_128_DHKEMP256_AES128GCM_SHA256_P256,
)

STRUCTS: tuple[type[Struct | enum.Enum], ...] = (
    binding.FederationSignContent,
    binding.Challenge,
    binding.SessionRequest,
    binding.SessionTBS,
    binding.SessionResponse,
    seed.SeedCipherSuite,
    seed.CredentialType,
    seed.BasicCredential,
    seed.Credential,
    seed.GetUserInitKeyRequest,
    seed.UserInitKey,
    seed.UserInitKeyTBS,
    seed.UserInitKeyBundle,
    seed.GetUserInitKeyResponse,
    manifest.UserInitKeyIDInput,
    binding.Boolean,
    binding.KeySet,
    binding.PublishRequest,
    binding.PublishResponse,
    binding.KeyBundle,
    binding.KeyStatus,
    binding.CipherSuites,
    binding.ClientKeys,
    devices.DeviceTBS,
    devices.DeviceRequest,
    devices.DeviceEventType,
    devices.DeviceEvent,
    devices.DeviceEventTBS,
    identity.FederationIdentity,
    identity.FederationIdentityTBS,
    envelope.Envelope,
    envelope.ApplicationPayload,
    branches.EpochHash,
    branches.GroupHistory,
    binding.SubmitRequest,
    binding.RecipientStatus,
    binding.RecipientResult,
    binding.SubmitResponse,
    relay.RelayedMessage,
    relay.RelayRequest,
    relay.RelayResponse,
    binding.NoticeReason,
    binding.Notice,
    binding.InboxHello,
    binding.InboxAck,
    binding.InboxFrameType,
    binding.InboxReady,
    binding.InboxDelivery,
    binding.InboxKeyCount,
    binding.InboxNotice,
    binding.InboxFrame,
    log.TreeHead,
    log.SignedTreeHead,
    log.LoggedEvent,
    log.IdentityHistory,
    log.HistoryRequest,
    log.KeyResponse,
    log.ConsistencyRequest,
    log.ConsistencyProof,
    log.EntriesRequest,
    log.EntriesResponse,
    group_agreement.OrderingRule,
    group_agreement.GroupAgreement,
    ordering.OrderingReceipt,
    ordering.OrderingReceiptTBS,
    ordering.RegisterGroupRequest,
    ordering.RegisterGroupResponse,
    ordering.CommitRequest,
    ordering.CommitStatus,
    ordering.CommitResponse,
    ordering.OrderedCommit,
    ordering.MissedRequest,
    ordering.MissedCommits,
    ordering.GroupInfoRequest,
    ordering.GroupInfoRequestTBS,
    ordering.GroupInfoResponse,
    SrtpContext,
)


class ExampleProvider(PycaProvider):
    """Without chance: its "random" octets are a hash of a counter, and its ECDSA is that of RFC 6979."""

    def __init__(self) -> None:
        super().__init__(self._next)
        self._calls = 0

    def _next(self, length: int) -> bytes:
        self._calls += 1
        return hashlib.shake_128(b"mls-federation example %d" % self._calls).digest(length)

    def sign(self, scheme: SignatureScheme, private_key: bytes, message: bytes) -> bytes:
        """Sign; the same octets each time."""
        if scheme != SignatureScheme.ecdsa_secp256r1_sha256:
            return super().sign(scheme, private_key, message)
        key = ec.derive_private_key(int.from_bytes(private_key, "big"), ec.SECP256R1())
        return key.sign(message, ec.ECDSA(hashes.SHA256(), deterministic_signing=True))


def identity_key() -> KeyPair:
    """Bob's identity key."""
    public_key = PycaProvider().signature_public_key(SignatureScheme.ed25519, IDENTITY_PRIVATE_KEY)
    return KeyPair(private_key=IDENTITY_PRIVATE_KEY, public_key=public_key)


def credential() -> seed.Credential:
    """Bob's credential."""
    return credentials.identity_credential(BOB.decode(), SignatureScheme.ed25519, identity_key().public_key)


def device_request() -> devices.DeviceRequest:
    """The request of Bob's second device, whose identity key has a private key of its own."""
    provider = PycaProvider()
    public_key = provider.signature_public_key(SignatureScheme.ed25519, SECOND_PRIVATE_KEY)
    second = credentials.identity_credential(BOB.decode(), SignatureScheme.ed25519, public_key)
    key = KeyPair(private_key=SECOND_PRIVATE_KEY, public_key=public_key)
    return devices.device_request(provider, SECOND_CLIENT_ID, second, key)


def admission() -> devices.DeviceEvent:
    """By which the first device admits it, after its own claim."""
    provider = PycaProvider()
    claim = devices.claim_event(provider, CLIENT_ID, credential(), identity_key())
    chain = devices.devices_of(provider, [claim])
    return devices.admit_event(provider, chain, device_request(), credential(), identity_key())


def key_packages() -> tuple[KeyPackage, ...]:
    """Bob's KeyPackages."""
    provider = ExampleProvider()
    return tuple(_key_package(provider, suite) for suite in SUITES)


def _key_package(provider: ExampleProvider, suite: CipherSuite) -> KeyPackage:
    suite_crypto = crypto(provider, suite)
    signature_key = suite_crypto.generate_signature_key()
    extension = identity.identity_extension(
        provider, credential(), identity_key(), suite, signature_key.public_key, ()
    )
    return create_key_package(
        suite_crypto,
        credential=basic_credential(BOB),
        signature_key=signature_key,
        capabilities=Capabilities(
            versions=(ProtocolVersion.mls10,),
            cipher_suites=SUITES,
            extensions=(identity.FEDERATION_IDENTITY,),
            proposals=(),
            credentials=(CredentialType.basic,),
        ),
        lifetime=LIFETIME,
        leaf_extensions=[extension],
    ).key_package


def key_set() -> binding.KeySet:
    """Bob's key set."""
    return manifest.build_key_set(
        PycaProvider(), credential(), identity_key(), key_packages(), last_resort=False
    )


def session_request() -> binding.SessionRequest:
    """Bob's request for a session, with a challenge that is no service's."""
    fields = {"challenge": hashlib.sha256(b"challenge").digest(), "identity": BOB, "client_id": CLIENT_ID}
    signed = binding.session_sign_content(domain="b.example", credential=credential(), **fields)
    signature = PycaProvider().sign(SignatureScheme.ed25519, IDENTITY_PRIVATE_KEY, signed)
    return binding.SessionRequest(credential=credential(), signature=signature, **fields)


def relay_request() -> relay.RelayRequest:
    """The message for Bob, as the service of a.example relays it."""
    relayed = relay.RelayedMessage(message_id=MESSAGE_ID, recipients=(BOB,), message=MESSAGE)
    return relay.RelayRequest(messages=(relayed,), notices=())


def signature_base() -> str:
    """What the service of a.example signs to relay the message."""
    headers = signed_headers()
    parameters = headers["Signature-Input"].partition("=")[2]
    lines = [
        ("@method", "POST"),
        ("@path", "/v1/relay"),
        *((name, headers[name.title().replace("Mls", "MLS")]) for name in COVERED[2:]),
        ("@signature-params", parameters),
    ]
    return "\n".join(f'"{name}": {value}' for name, value in lines)


def signed_headers() -> dict[str, str]:
    """The headers of the request by which it does so, with a nonce that is known."""
    key = Ed25519PrivateKey.from_private_bytes(PEER_PRIVATE_KEY).public_key().public_bytes_raw()
    return sign_request(
        private_key=PEER_PRIVATE_KEY,
        key=key,
        sender="a.example",
        receiver="b.example",
        path="/v1/relay",
        content_type=MEDIA_TYPE,
        body=relay_request().encode(),
        nonce=NONCE,
        now=NOW,
    )


def agreement() -> group_agreement.GroupAgreement:
    """What the members of a group have agreed on whose commits b.example orders."""
    return group_agreement.GroupAgreement(
        version=1,
        ordering=group_agreement.OrderingRule.service,
        domain=b"b.example",
        signing_key=service_key(),
        passed_over=(CipherSuite.MLS_256_DHKEMP521_AES256GCM_SHA512_P521,),
    )


def receipt() -> ordering.OrderingReceipt:
    """A receipt for a commit that nobody has made."""
    tbs = ordering.OrderingReceiptTBS(
        domain=b"b.example",
        group_id=GROUP_ID,
        epoch=8,
        commit_hash=ordering.commit_hash(b"commit"),
        confirmed_transcript_hash=hashlib.sha256(b"transcript").digest(),
        accepted_at=NOW,
    )
    return ordering.sign_receipt(PycaProvider(), SERVICE_PRIVATE_KEY, tbs)


def service_key() -> bytes:
    """The public key of b.example's delivery service."""
    return PycaProvider().signature_public_key(SignatureScheme.ed25519, SERVICE_PRIVATE_KEY)


def log_entries() -> list[bytes]:
    """The log of b.example: Bob has claimed his identity, and then Carol hers."""
    provider = PycaProvider()
    carols_key = bytes(range(0x20, 0x40))
    carols = KeyPair(carols_key, provider.signature_public_key(SignatureScheme.ed25519, carols_key))
    carol = credentials.identity_credential("carol@b.example", SignatureScheme.ed25519, carols.public_key)
    return [
        devices.claim_event(provider, CLIENT_ID, credential(), identity_key()).encode(),
        devices.claim_event(provider, bytes(range(0xE0, 0xF0)), carol, carols).encode(),
    ]


def tree_head(size: int) -> log.SignedTreeHead:
    """The head of the log when it had so many entries."""
    head = log.TreeHead(
        domain=b"b.example", tree_size=size, timestamp=NOW, root_hash=root_of(log_entries()[:size])
    )
    return log.sign_tree_head(PycaProvider(), SERVICE_PRIVATE_KEY, head)


def history() -> log.IdentityHistory:
    """Bob's."""
    bobs, carols = log_entries()
    event = log.LoggedEvent(
        event=devices.DeviceEvent.decode(bobs), index=0, inclusion_path=(leaf_hash(carols),)
    )
    return log.IdentityHistory(events=(event,), head=tree_head(2))


def values() -> dict[str, Struct]:
    """Each struct of which the document shows octets, by the name of its block."""
    packages = key_packages()
    request = session_request()
    message = MESSAGE
    message = envelope.Envelope(message=bytes.fromhex("00010002 deadbeef"), receipt=None).encode()
    refs = tuple(
        key_package_ref(crypto(PycaProvider(), package.cipher_suite), package) for package in packages
    )
    extension = packages[0].leaf_node.extensions[0]
    return {
        "DeviceRequest": device_request(),
        "DeviceEvent": admission(),
        "GroupAgreement": agreement(),
        "OrderingReceipt": receipt(),
        "SessionTBS": binding.SessionTBS(
            domain=b"b.example",
            challenge=request.challenge,
            identity=request.identity,
            client_id=request.client_id,
            credential=request.credential,
        ),
        "SessionRequest": request,
        "GetUserInitKeyRequest": seed.GetUserInitKeyRequest(
            identity=BOB, supported_suites=tuple(seed.from_rfc9420(suite) for suite in SUITES)
        ),
        "GetUserInitKeyResponse": seed.GetUserInitKeyResponse(
            user_init_keys=(seed.UserInitKeyBundle(identity=BOB, user_init_key=key_set().user_init_key),)
        ),
        "UserInitKeyIDInput": manifest.UserInitKeyIDInput(
            label=b"MLS Federation 1.0 UserInitKey", key_package_refs=refs
        ),
        "FederationIdentity": identity.FederationIdentity.decode(extension.extension_data),
        "SubmitRequest": binding.SubmitRequest(
            message_id=MESSAGE_ID, recipients=(BOB, b"carol@b.example"), message=message
        ),
        "SubmitResponse": binding.SubmitResponse(
            results=(
                binding.RecipientResult(identity=BOB, status=binding.RecipientStatus.accepted),
                binding.RecipientResult(identity=b"carol@b.example", status=binding.RecipientStatus.unknown),
            )
        ),
        "RelayRequest": relay_request(),
        "InboxFrame": binding.InboxFrame(
            frame_type=binding.InboxFrameType.delivery,
            frame=binding.InboxDelivery(
                sequence=1, message_id=MESSAGE_ID, received_at=NOW, relayed_by=b"", message=message
            ),
        ),
        "InboxAck": binding.InboxAck(cursor=1),
        "IdentityHistory": history(),
        "SignedTreeHead": tree_head(1),
        "ConsistencyRequest": log.ConsistencyRequest(first=1, second=2),
        "ConsistencyProof": log.ConsistencyProof(path=(leaf_hash(log_entries()[1]),)),
        "KeyPackage 0x0001": packages[0],
        "KeyPackage 0x0002": packages[1],
    }


def main() -> None:
    """Print all blocks of the document that are made from code."""
    for struct in STRUCTS:
        print(f"```tls\n{declaration(struct)}\n```\n")
    for name, value in values().items():
        print(f"```hex {name}\n{annotated(value)}\n```\n")
    print(f"```text\n{signature_base()}\n```\n")
    print("```http\n" + "\n".join(f"{name}: {value}" for name, value in signed_headers().items()) + "\n```")


if __name__ == "__main__":
    main()
