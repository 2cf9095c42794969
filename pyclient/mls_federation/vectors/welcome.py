"""Vectors of a Welcome, opened step by step (§12.4.3.1)."""

from __future__ import annotations

from ..crypto import CipherSuite, CryptoProvider, KeyPair, crypto
from ..mls import add, commit, key_schedule, mls_message
from ..mls.framing import decode_message
from ..mls.joining import find_key_package, open_welcome
from ..mls.key_package import KeyPackage, OwnKeyPackage, key_package_ref
from ..mls.welcome import Welcome, verify_group_info
from .entry import Entry, Family, Vector, VectorFormatError, check
from .members import new_key_package, new_party

# The entry has only the key that a Welcome needs.
_UNKNOWN = KeyPair(b"", b"")


def verify(provider: CryptoProvider, entry: Entry) -> None:
    """Find our part, open it and the GroupInfo; check its signature and confirmation tag."""
    suite = entry.crypto(provider)
    package = decode_message(entry.octets("key_package"))
    welcome = decode_message(entry.octets("welcome"))
    if not isinstance(package, KeyPackage) or not isinstance(welcome, Welcome):
        raise VectorFormatError("key_package or welcome is a message of another kind")
    init_private = entry.octets("init_priv")
    check("init_priv", package.init_key, suite.provider.dh_public_key(suite.suite.kem, init_private))
    own = OwnKeyPackage(
        key_package=package,
        init_key=KeyPair(init_private, package.init_key),
        encryption_key=_UNKNOWN,
        signature_key=b"",
    )
    opened = open_welcome(suite, welcome, own)
    check("welcome for another KeyPackage", None, find_key_package(welcome, [(b"other", own)]))
    check("welcome for key_package", own, find_key_package(welcome, [(key_package_ref(suite, package), own)]))

    info, context = opened.group_info, opened.group_info.group_context
    verify_group_info(suite, entry.octets("signer_pub"), info)
    check("PSKs of the Welcome", (), opened.group_secrets.psks)
    check("psk_secret of the Welcome", bytes(suite.Nh), opened.psk_secret)
    secrets = key_schedule.epoch_secrets(
        suite, opened.group_secrets.joiner_secret, opened.psk_secret, context.encode()
    )
    key_schedule.verify_confirmation_tag(
        suite, secrets.confirmation_key, context.confirmed_transcript_hash, info.confirmation_tag
    )


def generate(provider: CryptoProvider, cipher_suite: CipherSuite, members: int) -> Vector:
    """An entry for one of `members` who are added by one commit: the last."""
    suite = crypto(provider, cipher_suite)
    inviter = new_party(suite, "inviter").groups["inviter"]
    owns = [new_key_package(suite, f"member {number}") for number in range(members)]
    pending = commit(inviter, [add(own.key_package) for own in owns], now=None)
    assert pending.welcome is not None
    return {
        "cipher_suite": cipher_suite,
        "init_priv": owns[-1].init_key.private_key.hex(),
        "signer_pub": inviter.own_leaf_node.signature_key.hex(),
        "key_package": mls_message(owns[-1].key_package).encode().hex(),
        "welcome": pending.welcome.hex(),
    }


FAMILY = Family(
    name="welcome",
    keys=frozenset({"cipher_suite", "init_priv", "signer_pub", "key_package", "welcome"}),
    verify=verify,
    generate=generate,
    parameters=(1, 2),
)
