"""What a new member gets: GroupInfo and Welcome (§12.4.3)."""

from __future__ import annotations

from ..codec import Opt, Struct, Vec, opaque, replace, uint32, without_signature
from ..crypto import CipherSuite, Crypto, HPKECiphertext
from .extensions import Extension
from .group_context import GroupContext
from .psk import PreSharedKeyID


class GroupInfo(Struct, keep_octets=True):
    """Signed summary of an epoch, for joiners."""

    group_context: GroupContext
    extensions: Vec[Extension]
    confirmation_tag: opaque
    signer: uint32
    signature: opaque


class GroupInfoTBS(Struct):
    """What its signature covers."""

    group_context: GroupContext
    extensions: Vec[Extension]
    confirmation_tag: opaque
    signer: uint32


class PathSecret(Struct):
    """The secret of the lowest node above both committer and new member."""

    path_secret: opaque


class GroupSecrets(Struct):
    """What is sealed to one new member."""

    joiner_secret: opaque
    path_secret: Opt[PathSecret]
    psks: Vec[PreSharedKeyID]


class EncryptedGroupSecrets(Struct):
    """GroupSecrets, and for whose KeyPackage."""

    new_member: opaque
    encrypted_group_secrets: HPKECiphertext


class Welcome(Struct):
    """Lets the new members of one commit join (§12.4.3.1)."""

    cipher_suite: CipherSuite
    secrets: Vec[EncryptedGroupSecrets]
    encrypted_group_info: opaque


def group_info_tbs(info: GroupInfo) -> bytes:
    """The GroupInfoTBS that the signature covers."""
    return without_signature(info)


def sign_group_info(crypto: Crypto, signature_key: bytes, info: GroupInfo) -> GroupInfo:
    """`info` signed by the member that its `signer` names."""
    return replace(
        info, signature=crypto.sign_with_label(signature_key, "GroupInfoTBS", group_info_tbs(info))
    )


def verify_group_info(crypto: Crypto, public_key: bytes, info: GroupInfo) -> None:
    """Check the signature.

    Raises:
        VerificationError: it does not fit.
    """
    crypto.verify_with_label(public_key, "GroupInfoTBS", group_info_tbs(info), info.signature)


def welcome_key_and_nonce(crypto: Crypto, welcome_secret: bytes) -> tuple[bytes, bytes]:
    """The key and nonce of `encrypted_group_info` (§12.4.3.1). Secret."""
    key = crypto.expand_with_label(welcome_secret, "key", b"", crypto.suite.aead.Nk)
    nonce = crypto.expand_with_label(welcome_secret, "nonce", b"", crypto.suite.aead.Nn)
    return key, nonce


def encrypt_group_info(crypto: Crypto, welcome_secret: bytes, info: GroupInfo) -> bytes:
    """Seal GroupInfo under the welcome secret."""
    key, nonce = welcome_key_and_nonce(crypto, welcome_secret)
    return crypto.aead_seal(key, nonce, b"", info.encode())


def decrypt_group_info(crypto: Crypto, welcome_secret: bytes, encrypted: bytes) -> GroupInfo:
    """Open it; the signature is still to be verified.

    Raises:
        VerificationError: it does not authenticate.
        DecodeError: it holds no GroupInfo.
    """
    key, nonce = welcome_key_and_nonce(crypto, welcome_secret)
    return GroupInfo.decode(crypto.aead_open(key, nonce, b"", encrypted))
