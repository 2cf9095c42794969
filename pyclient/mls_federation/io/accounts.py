"""Moving a client between files, and browsers: its whole state, sealed under a passphrase."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path

from ..crypto.pyca import PycaProvider
from ..errors import StorageError
from ..storage import exported
from ..storage.sqlite import SqliteStorage


async def export_account(storage: str | Path, passphrase: str) -> bytes:
    """What is kept in a file (`connected_client`), for another program or a browser to go on with.

    Nobody may go on with the file after that: delete it once what this returns is in a safe place.

    Raises:
        StorageError: see `SqliteStorage`; code `not-a-state`: there is nothing in it.
        UsageError: the passphrase is empty.
    """
    provider = PycaProvider()
    with SqliteStorage(storage) as file:
        state = file.load(provider)
        if state is None:
            raise StorageError(f"there is no client in {storage}", code="not-a-state")
        return await exported.export_account(provider, _stretch, state, passphrase)


async def import_account(data: bytes, passphrase: str, storage: str | Path) -> str:
    """Keep in a file what was exported, here or in a browser, to go on with it by `connected_client`.

    Returns:
        Its identity.

    Raises:
        StorageError: see `exported.import_account` and `SqliteStorage`; code `account-exists`: the file has a client already.
        UsageError: the passphrase is empty.
    """
    provider = PycaProvider()
    state = await exported.import_account(provider, _stretch, data, passphrase)
    with SqliteStorage(storage) as file:
        if file.load(provider) is not None:
            raise StorageError(f"there is a client in {storage} already", code="account-exists")
        await file.save(state)
    return state.account.identity


async def _stretch(passphrase: str, salt: bytes, iterations: int) -> bytes:
    return await asyncio.to_thread(hashlib.pbkdf2_hmac, "sha256", passphrase.encode(), salt, iterations, 32)
