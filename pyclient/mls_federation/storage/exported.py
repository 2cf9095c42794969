"""A client's whole state in one piece, sealed under a passphrase, to be moved to another browser or program.

Only one of the two may go on with it: two that do would use keys twice, and lose each other's groups. So whoever exports closes the
client first, and keeps it closed.

The encoding is ours, in the presentation language: `ExportedAccount`, with `storage_version` 1. The key is made from the passphrase by
PBKDF2 with HMAC-SHA-256 (RFC 8018 §5.2), and seals the state by AES-256-GCM.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Awaitable, Callable
from typing import Annotated, TypeAlias

from ..client import ClientState
from ..client.state_codec import decode_state, encode_state
from ..codec import Fixed, Struct, opaque, uint16, uint32
from ..crypto import AEAD, CryptoProvider
from ..errors import DecodeError, RemoteError, StorageError, UsageError, VerificationError

Stretch: TypeAlias = Callable[[str, bytes, int], Awaitable[bytes]]
"""Makes a key of 32 octets from a passphrase, a salt and a number of iterations, by PBKDF2 with HMAC-SHA-256."""

_LABEL = b"MLSFACCT"
_VERSION = 1
_SALT_SIZE = 16
_NONCE_SIZE = 12
# As OWASP has it for HMAC-SHA-256 (2023).
_ITERATIONS = 600_000
# A file that asks for more would keep us busy for minutes.
_MOST_ITERATIONS = 10_000_000


class ExportedAccount(Struct):
    """What is written into a file."""

    label: Annotated[bytes, Fixed(8)]
    storage_version: uint16
    iterations: uint32
    salt: Annotated[bytes, Fixed(_SALT_SIZE)]
    nonce: Annotated[bytes, Fixed(_NONCE_SIZE)]
    sealed_state: opaque


async def export_account(
    provider: CryptoProvider, stretch: Stretch, state: ClientState, passphrase: str
) -> bytes:
    """Seal the state of a client that does not go on here.

    Raises:
        UsageError: the passphrase is empty.
    """
    salt, nonce = provider.random(_SALT_SIZE), provider.random(_NONCE_SIZE)
    key = await stretch(_normalized(passphrase), salt, _ITERATIONS)
    return ExportedAccount(
        label=_LABEL,
        storage_version=_VERSION,
        iterations=_ITERATIONS,
        salt=salt,
        nonce=nonce,
        sealed_state=provider.aead_seal(AEAD.AES_256_GCM, key, nonce, _LABEL, encode_state(state)),
    ).encode()


async def import_account(
    provider: CryptoProvider, stretch: Stretch, data: bytes, passphrase: str
) -> ClientState:
    """The state that `export_account` has sealed.

    Raises:
        UsageError: the passphrase is empty.
        StorageError: code `not-a-state`: it is no such file; `unknown-state-version`; `wrong-passphrase`: or the file was
            altered; `unreadable-state`.
    """
    try:
        exported = ExportedAccount.decode(data)
    except DecodeError as error:
        raise StorageError("this is no exported account", code="not-a-state") from error
    if exported.label != _LABEL or not 0 < exported.iterations <= _MOST_ITERATIONS:
        raise StorageError("this is no exported account", code="not-a-state")
    if exported.storage_version != _VERSION:
        raise StorageError(
            "a later version of this program exported this account", code="unknown-state-version"
        )
    key = await stretch(_normalized(passphrase), exported.salt, exported.iterations)
    try:
        encoded = provider.aead_open(AEAD.AES_256_GCM, key, exported.nonce, _LABEL, exported.sealed_state)
    except VerificationError:
        raise StorageError(
            "the passphrase is not the one that this account was exported with, or the file was altered",
            code="wrong-passphrase",
        ) from None
    try:
        return decode_state(provider, encoded)
    except RemoteError as error:
        code = error.code if error.code == "unknown-state-version" else "unreadable-state"
        raise StorageError(f"the state cannot be read: {error.message}", code=code) from error


def _normalized(passphrase: str) -> str:
    """The same characters, however a keyboard has composed them."""
    if passphrase == "":
        raise UsageError("the passphrase is empty")
    return unicodedata.normalize("NFKC", passphrase)
