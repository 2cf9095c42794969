"""How values look to the page: the result and event types of `web/src/protocol.d.ts`, as plain dictionaries."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from ..client import Client, Delivery, DeviceDetails, GroupDetails, Sent
from ..crypto import SignatureScheme
from ..errors import DecodeError, MLSError, ServiceError
from ..federation.credentials import basic_identity
from ..federation.manifest import VerifiedBundle
from ..federation.seed import Credential, SeedCipherSuite, UserInitKey, to_rfc9420
from ..media import EPOCH_BITS, SFrameKeys, SrtpKeys
from ..mls.key_package import KeyPackage
from ..mls.nodes import Lifetime

if TYPE_CHECKING:  # loaded when vectors are verified, and not at start-up
    from ..vectors import Result

Shape: TypeAlias = dict[str, Any]


class Uint64(int):
    """A number that is a `bigint` for the page, however small."""


def fault(error: MLSError) -> Shape:
    """`Fault`: an error as it crosses to the page."""
    details: Shape = {}
    if error.section is not None:
        details["section"] = error.section
    if isinstance(error, DecodeError):
        details |= {"struct": error.struct, "field": error.field, "offset": error.offset}
    if isinstance(error, ServiceError):
        details["status"] = error.status
    return {"code": error.code, "message": error.message, "details": details}


def vector_result(result: Result) -> Shape:
    """`VectorResult`: what came of a file of test vectors."""
    return {
        "family": result.family,
        "passed": result.passed,
        "failed": result.failed,
        "skipped": result.skipped,
        "failures": [{"entry": failure.entry, "fault": fault(failure.error)} for failure in result.failures],
    }


def client_state(number: int, client: Client) -> Shape:
    """`ClientState`: who a client is."""
    account = client.account
    return {
        "client": number,
        "identity": account.identity,
        "domain": account.domain,
        "clientId": account.client_id,
        "fingerprint": fingerprint(account.identity_key.public_key),
        "fanout": client.fanout.value,
        "registered": client.is_registered,
        "groups": list(client.groups),
    }


def device(details: DeviceDetails) -> Shape:
    """`Device`: one of those that an identity has or had."""
    return {
        "clientId": details.client_id,
        "fingerprint": fingerprint(details.identity_key),
        "self": details.is_self,
        "active": details.is_active,
    }


def fingerprint(public_key: bytes) -> str:
    """SHA-256 of a public key, in hexadecimal: what people compare."""
    return hashlib.sha256(public_key).hexdigest()


def key_bundle(bundle: VerifiedBundle) -> Shape:
    """`KeyBundle`: what was fetched, field by field, and what was checked of it."""
    domain = bundle.identity.rpartition("@")[2]
    return {
        "identity": bundle.identity,
        "domain": domain,
        "userInitKey": _user_init_key(bundle.user_init_key),
        "keyPackage": _key_package(
            bundle.key_package, bundle.refs[bundle.cipher_suites.index(bundle.chosen)]
        ),
        "keyPackageRefs": list(bundle.refs),
        "lastResort": bundle.last_resort,
        # A bundle that fails any of these checks is refused, and never gets here.
        "verified": [
            f"The bundle is for {bundle.identity}.",
            f"The identity key signed the list of all {len(bundle.cipher_suites)} cipher suites and their keys.",
            "The service chose the best cipher suite that both clients support.",
            "The KeyPackage is the one on the list, its signatures are valid and it has not expired.",
            "The same identity key vouches for the KeyPackage’s signature key.",
        ],
    }


def group_details(details: GroupDetails) -> Shape:
    """`GroupDetails`: a group in its present epoch."""
    return {
        "groupId": details.group_id,
        "epoch": Uint64(details.epoch),
        "cipherSuite": int(details.cipher_suite),
        "cipherSuiteName": details.cipher_suite.name,
        "safetyNumber": details.safety_number,
        "members": [
            {
                "identity": member.identity,
                "leafIndex": member.leaf_index,
                "self": member.is_self,
                "fingerprint": fingerprint(member.identity_key),
            }
            for member in details.members
        ],
    }


def sent(message: Sent) -> Shape:
    """`SentMessage`: what became of it so far."""
    return {"epoch": Uint64(message.epoch), "deliveries": [delivery(one) for one in message.deliveries]}


def delivery(one: Delivery) -> Shape:
    """`Delivery`: what became of a message for one recipient."""
    return {
        "identity": one.identity,
        "status": one.status.replace("_", "-"),
        "messageId": one.message_id,
        "via": list(one.via),
    }


def srtp_keys(identity: str, keys: SrtpKeys) -> Shape:
    """`SrtpKeys`: of one sender. Secret."""
    return {
        "identity": identity,
        "leafIndex": keys.leaf_index,
        "key": keys.master_key,
        "salt": keys.master_salt,
        "mki": keys.mki,
    }


def sframe_keys(identities: Mapping[int, str], keys: SFrameKeys) -> Shape:
    """`SFrameKeys`: of an epoch. Secret.

    Args:
        identities: of all members, by leaf.
    """
    return {
        "epoch": Uint64(keys.epoch),
        "cipherSuite": keys.cipher_suite.name,
        "baseKey": keys.base_key,
        "epochBits": EPOCH_BITS,
        "senderBits": keys.sender_bits,
        "senders": [
            {
                "leafIndex": sender.leaf_index,
                "identity": identities[sender.leaf_index],
                "self": sender.is_self,
                "keyId": Uint64(sender.key_id),
            }
            for sender in keys.senders
        ],
    }


def _user_init_key(manifest: UserInitKey) -> Shape:
    return {
        "userInitKeyId": manifest.user_init_key_id,
        "cipherSuites": [_seed_suite(suite) for suite in manifest.cipher_suites],
        "initKeys": list(manifest.init_keys),
        "credential": _credential(manifest.credential),
        "signature": manifest.signature,
    }


def _seed_suite(suite: SeedCipherSuite) -> Shape:
    # The seed names two suites only; the others go by RFC 9420's names.
    named = suite in SeedCipherSuite.__members__.values()
    return {"value": int(suite), "name": suite.name if named else to_rfc9420(suite).name}


def _credential(credential: Credential) -> Shape:
    basic = basic_identity(credential)
    return {
        "credentialType": credential.credential_type.name,
        "identity": basic.identity.decode("utf-8", "replace"),
        "signatureScheme": {"value": int(basic.algorithm), "name": SignatureScheme(basic.algorithm).name},
        "publicKey": basic.public_key,
        "fingerprint": fingerprint(basic.public_key),
    }


def _key_package(package: KeyPackage, ref: bytes) -> Shape:
    leaf = package.leaf_node
    lifetime = leaf.source
    if not isinstance(lifetime, Lifetime):
        raise TypeError("a verified KeyPackage has a lifetime")
    return {
        "keyPackageRef": ref,
        "version": package.version.name,
        "cipherSuite": {"value": int(package.cipher_suite), "name": package.cipher_suite.name},
        "initKey": package.init_key,
        "encryptionKey": leaf.encryption_key,
        "signatureKey": leaf.signature_key,
        "notBefore": Uint64(lifetime.not_before),
        "notAfter": Uint64(lifetime.not_after),
        "signature": package.signature,
    }
