"""The storage port on IndexedDB (`web/src/store.js`): what a client is survives its tab.

A state crosses into JavaScript once each time it is saved, and only the parts of it that have changed. It is encrypted there, and
written in one transaction.
"""

from __future__ import annotations

import importlib
from typing import Any, NoReturn

from ..client import ClientState
from ..client.state_codec import PartKind, state_of
from ..crypto import CryptoProvider
from ..errors import RemoteError, StorageError
from ..storage.parts import Kept, changes


class IndexedDbStorage:
    """`Storage` of one account of this origin. Who uses it holds the account's lock, so that no other tab does.

    Args:
        account: names it in the store.
    """

    def __init__(self, account: str) -> None:
        self._store = importlib.import_module("mls_store")
        self._account = account
        self._kept = Kept()

    async def load(self, provider: CryptoProvider) -> ClientState | None:
        """The state that was saved last; None if none was.

        Raises:
            StorageError: code `unknown-state-version`, `unreadable-state`; `storage-refused`, `storage-failed`.
        """
        read = await self._store.read(self._account)
        _raise_failure(read)
        found: dict[PartKind, list[bytes]] = {kind: [] for kind in PartKind}
        places: dict[PartKind, list[int]] = {kind: [] for kind in PartKind}
        try:
            for kind, place, content in read.to_py():
                found[PartKind(kind)].append(bytes(content))
                places[PartKind(kind)].append(place)
            if not any(found.values()):
                return None
            state = state_of(provider, found)
        except ValueError as error:
            raise StorageError(f"the state cannot be read: {error}", code="unreadable-state") from error
        except RemoteError as error:
            code = error.code if error.code == "unknown-state-version" else "unreadable-state"
            raise StorageError(f"the state cannot be read: {error.message}", code=code) from error
        self._kept = Kept(state, places)
        return state

    async def save(self, state: ClientState) -> None:
        """Keep `state` in the place of what was kept before: wholly, before it returns, or not at all.

        Raises:
            StorageError: it could not be kept; code `storage-refused` if this browser lets the page keep nothing.
        """
        made = changes(self._kept, state)
        account = state.account
        about = {"identity": account.identity, "clientId": account.client_id.hex()}
        _raise_failure(
            await self._store.write(
                self._account,
                _to_js([list(part) for part in made.writes]),
                _to_js([list(place) for place in made.deletes]),
                _to_js(about) if self._kept.state is None else None,
            )
        )
        self._kept = made.kept

    async def remove(self) -> None:
        """Forget the account, with its keys.

        Raises:
            StorageError: it could not be.
        """
        _raise_failure(await self._store.remove(self._account))
        self._kept = Kept()


async def stretch(passphrase: str, salt: bytes, iterations: int) -> bytes:
    """`storage.exported.Stretch`, by WebCrypto: Pyodide's `hashlib` has no PBKDF2."""
    key = await importlib.import_module("mls_store").stretch(passphrase, _to_js(salt), iterations)
    octets: bytes = key.to_bytes()
    return octets


def _raise_failure(answer: Any) -> None:
    failure = getattr(answer, "failure", None)
    if failure is not None:
        _raise(failure)


def _raise(failure: Any) -> NoReturn:
    match failure.kind:
        case "refused":
            raise StorageError(
                f"Nothing can be kept between visits: {failure.reason}. Allow this site to store data, or leave the "
                "private window; or make the client with keep: false, which lasts as long as the page.",
                code="storage-refused",
            )
        case "unreadable":
            raise StorageError(f"The state cannot be read: {failure.reason}.", code="unreadable-state")
        case _:
            raise StorageError(
                f"The state could not be kept: {failure.reason}. Free some space, then try again."
            )


def _to_js(value: Any) -> Any:
    import js  # noqa: PLC0415
    from pyodide.ffi import to_js  # noqa: PLC0415

    return to_js(value, dict_converter=js.Object.fromEntries)
