"""The side of PyPI's `rfc9420`, in an environment of its own: one JSON object a line in, one out.

It does what `ours.py` does, as far as it can; what it fails at is left out, and named in `failed`. Its KeyPackages are made by
our engine: it has no call that makes one. It frames handshake messages as PublicMessages.
"""

import gc
import json
import sys
import time
from collections.abc import Callable
from typing import Any

from rfc9420 import (  # type: ignore[import-not-found]
    DefaultCryptoProvider,
    GroupConfig,
    MemoryStorageProvider,
    MLSGroup,
    ProtocolMLSGroup,
)
from rfc9420.messages.data_structures import Welcome  # type: ignore[import-not-found]
from rfc9420.messages.key_packages import KeyPackage  # type: ignore[import-not-found]
from rfc9420.messages.messages import MLSCiphertext  # type: ignore[import-not-found]

_MESSAGES = 20
_REPEATED = 20


class Rfc9420Side:
    """Answers the calls of the benchmark; each is a method, by name."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._config = GroupConfig(DefaultCryptoProvider(), MemoryStorageProvider())
        self._packages: list[bytes] = []
        self._creator_key = b""
        self._joiner: dict[str, bytes] = {}
        self._times: dict[str, list[float]] = {}

    def on_prepare(self, packages: list[str], creator: dict[str, str], joiner: dict[str, str]) -> None:
        """Take everybody's KeyPackages, and the keys of the first and the last member."""
        self._packages = [bytes.fromhex(package) for package in packages]
        self._creator_key = bytes.fromhex(creator["signature_key"])
        self._joiner = {name: bytes.fromhex(key) for name, key in joiner.items()}
        gc.collect()
        gc.freeze()

    def on_round(self, chains: int) -> dict[str, Any]:
        """Go through all that it can do so many times."""
        self._times = {}
        failed = {}
        for _ in range(chains):
            creator, joined = self._messages()
            try:
                self._commit(creator, joined)
            except Exception as error:  # noqa: BLE001 - whatever it raises, it could not do it
                # What nobody can read is no commit.
                self._times.pop("commit_fresh", None)
                failed["commit_fresh"] = f"{type(error).__name__}: {error}"
        return {"times": self._times, "failed": failed}

    def _messages(self) -> tuple[Any, Any]:
        creator, welcome = self._timed("create_and_add", self._create_and_add)
        joined = self._timed("join", lambda: self._join(welcome))
        data = bytes(1000)
        self._read(joined, self._send(creator, data))
        messages: list[bytes] = []

        def send() -> None:
            messages.extend(self._send(creator, data) for _ in range(_MESSAGES))

        def read() -> None:
            for message in messages:
                self._read(joined, message)

        def export() -> None:
            for _ in range(_REPEATED):
                creator.export_secret(b"benchmark", b"context", 32)

        self._timed("encrypt", send, _MESSAGES)
        self._timed("decrypt", read, _MESSAGES)
        self._timed("export", export, _REPEATED)
        # The only way to the octets of a state is below its public interface.
        saved = self._timed("save", lambda: joined._inner.to_bytes())
        self._timed("load", lambda: MLSGroup.from_bytes(self._config, saved))
        return creator, joined

    def _commit(self, creator: Any, joined: Any) -> None:
        def commit() -> Any:
            staged = joined.create_commit(self._joiner["signature_key"])
            joined.apply_staged_commit(staged)
            staged.commit_message.serialize()
            return staged.commit_message

        message = self._timed("commit_fresh", commit)
        self._timed("process_fresh", lambda: creator.process_commit(message, len(self._packages) - 1))

    def _create_and_add(self) -> tuple[Any, bytes]:
        group = MLSGroup.create(self._config, b"benchmark-group!", KeyPackage.deserialize(self._packages[0]))
        for package in self._packages[1:]:
            group.process_proposal(group.add(KeyPackage.deserialize(package), self._creator_key), 0)
        staged = group.create_commit(self._creator_key)
        group.apply_staged_commit(staged)
        staged.commit_message.serialize()
        return group, staged.welcomes[0].serialize()

    def _join(self, welcome: bytes) -> Any:
        # The configured group does not take the key of the leaf; the one inside does.
        inner = ProtocolMLSGroup.from_welcome(
            Welcome.deserialize(welcome),
            self._joiner["init_key"],
            self._config.crypto_provider,
            key_package=KeyPackage.deserialize(self._packages[-1]),
            encryption_private_key=self._joiner["encryption_key"],
        )
        return MLSGroup(self._config, inner)

    def _send(self, group: Any, data: bytes) -> bytes:
        message: bytes = group.protect(data, signing_key=self._creator_key).serialize()
        return message

    def _read(self, group: Any, message: bytes) -> None:
        group.unprotect(MLSCiphertext.deserialize(message))

    def _timed(self, operation: str, call: Callable[[], Any], times: int = 1) -> Any:
        gc.collect()
        began = self._clock()
        result = call()
        self._times.setdefault(operation, []).append((self._clock() - began) / times)
        return result


def main() -> None:
    """Answer until the input ends."""
    side = Rfc9420Side({"wall": time.perf_counter, "cpu": time.process_time}[sys.argv[1]])
    for line in sys.stdin:
        given = json.loads(line)
        print(json.dumps(getattr(side, f"on_{given.pop('call')}")(**given)), flush=True)


if __name__ == "__main__":
    main()
