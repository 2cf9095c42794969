"""Our side: members of one group that run our engine, on CPython and inside Pyodide alike."""

from __future__ import annotations

import cProfile
import gc
import json
import pstats
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from mls_federation.crypto import Crypto, CryptoProvider, crypto
from mls_federation.mls import (
    ApplicationMessage,
    CommitMessage,
    Group,
    KeyPackage,
    OwnKeyPackage,
    PendingCommit,
    PrivateMessage,
    Sent,
    Welcome,
    add,
    commit,
    create_group,
    create_key_package,
    decode_group,
    decode_message,
    encode_group,
    encode_key_package,
    export_secret,
    join,
    mls_message,
    no_padding,
    receive,
    remove,
    send_application_data,
)
from mls_federation.mls.credentials import CredentialType, basic_credential
from mls_federation.mls.nodes import Capabilities, Lifetime, ProtocolVersion
from mls_federation.mls.proposals import Proposal
from mls_federation.mls.tree_math import LeafIndex, node_of

from .floor import Encoded, floors
from .operations import (
    DATA_OCTETS,
    EXPORT_CONTEXT,
    EXPORT_LABEL,
    EXPORTED_OCTETS,
    GROUP_ID,
    identity,
)
from .primitives import Primitives
from .results import FLOOR

T = TypeVar("T")

# Lifetimes are checked; others can do that only by the clock.
NOW = int(time.time())
_LIFETIME = Lifetime(not_before=NOW - 3600, not_after=NOW + 14 * 86400)
_MESSAGES = 20
_REPEATED = 20
# What takes a millisecond or two is done some times in a row: once alone, after a collection, it would be the processor's
# caches that are measured. On a full tree those are epochs that follow each other; a fresh tree is fresh but once, so there the
# same values are taken again, from which nothing is remembered.
_EPOCHS = 20
_BATCHES = {
    "key_package": _REPEATED,
    "commit_fresh": _EPOCHS,
    "process_fresh": _EPOCHS,
    "commit_full": _EPOCHS,
    "process_full": _EPOCHS,
    "encrypt": _MESSAGES,
    "decrypt": _MESSAGES,
    "export": _REPEATED,
}
_FRESH = frozenset({"key_package", "create_and_add", "join", "commit_fresh", "process_fresh"})
_LEAST_FULL_CHAINS = 5
_MORE_FULL_CHAINS = 10
_PROFILED_FUNCTIONS = 15


class OurSide:
    """Answers the calls of the benchmark; each is a method, by name."""

    def __init__(self, provider: CryptoProvider, clock: Callable[[], float]) -> None:
        self._crypto: Crypto = crypto(provider, 1)
        self._clock = clock
        self._primitives = Primitives(provider)
        self._profiler = cProfile.Profile()
        self._profiled: str | None = None
        self._floors: dict[str, Callable[[], None]] = {}
        self._signature_keys = [self._crypto.generate_signature_key()]
        self._own: list[OwnKeyPackage] = []
        self._offered: list[bytes] = []
        self._committer: Group | None = None
        self._receiver: Group | None = None
        self._times: defaultdict[str, list[float]] = defaultdict(list)

    def call(self, request: str) -> str:
        """Answer a JSON object `{"call": name, ...arguments}` with the JSON of its result."""
        given = json.loads(request)
        return json.dumps(getattr(self, f"on_{given.pop('call')}")(**given))

    # -- calls

    def on_prices(self) -> dict[str, float]:
        """What the primitives cost now."""
        return self._primitives.prices(self._clock)

    def on_prepare(self, size: int) -> dict[str, int]:
        """Make the KeyPackages of a group of so many, and say how long one is."""
        while len(self._signature_keys) < size:
            self._signature_keys.append(self._crypto.generate_signature_key())
        self._own = [self._key_package(index) for index in range(size)]
        self._offered = [mls_message(own.key_package).encode() for own in self._own]
        self._committer = self._receiver = None
        package = self._own[0].key_package
        octets = {"key_package": len(package.encode()), "leaf": len(package.leaf_node.encode())}
        work = floors(Encoded(**octets), size)
        self._floors = {operation: self._primitives.replay(calls) for operation, calls in work.items()}
        self._settle()
        return octets

    def on_fill(self) -> dict[str, str]:
        """Let every member commit, and keep the states of the first and the last one; they are returned too."""
        receiver, _ = self._create_and_add()
        for index in range(len(self._own)):
            pending = _commit(self._acting(receiver, index) if index else receiver)
            receiver = pending.group if index == 0 else self._processed(receiver, pending.message)
            self._committer = pending.group
        self._receiver = receiver
        self._settle()
        assert self._committer is not None  # there are at least two members
        return {"committer": encode_group(self._committer).hex(), "receiver": encode_group(receiver).hex()}

    def on_invite(self, packages: list[str]) -> dict[str, str]:
        """Replace the first and the last member by others, who are to commit next; the Welcome for them."""
        assert self._receiver is not None  # the group was filled
        proposals = [remove(LeafIndex(0)), remove(LeafIndex(len(self._own) - 1))]
        for package in packages:
            offered = decode_message(bytes.fromhex(package))
            assert isinstance(offered, KeyPackage)
            proposals.append(add(offered))
        pending = _commit(self._acting(self._receiver, 1), proposals)
        assert pending.welcome is not None
        return {"welcome": pending.welcome.hex()}

    def on_load_full(self, committer: str, receiver: str) -> dict[str, int]:
        """Take the states of a group in which every member has committed; their octets are returned."""
        provider = self._crypto.provider
        committing = decode_group(provider, bytes.fromhex(committer))
        receiving = decode_group(provider, bytes.fromhex(receiver))
        # The first commit after loading hashes the whole tree; what is measured are those after it.
        pending = _commit(committing)
        self._committer, self._receiver = pending.group, self._processed(receiving, pending.message)
        self._settle()
        return {"state": len(receiver) // 2}

    def on_round(self, chains: int) -> dict[str, list[float]]:
        """Go through all operations so many times; the seconds of each, and of its floor."""
        self._times.clear()
        for _ in range(chains):
            self._fresh_chain()
        if self._committer is not None:
            # They are short at every size, and a median of few says little.
            for _ in range(max(chains, _LEAST_FULL_CHAINS)):
                self._full_chain()
        return dict(self._times)

    def on_profile(self, operation: str, chains: int) -> list[tuple[str, int, float]]:
        """The functions that an operation spends most of its time in: name, calls and milliseconds, one time's share each."""
        self._times.clear()
        # By the benchmark's clock: what else the machine does would look like some function's time.
        # Without those in C, whose calls would seem to take longer than they do; their time is their callers'.
        self._profiler = cProfile.Profile(self._clock, builtins=False)
        self._profiled = operation
        for _ in range(chains):
            if operation in _FRESH:
                self._fresh_chain()
            else:
                for _ in range(_MORE_FULL_CHAINS):
                    self._full_chain()
        self._profiled = None
        times = len(self._times[operation]) * _BATCHES.get(operation, 1)
        statistics: Any = pstats.Stats(self._profiler)
        rows = []
        for (file, _, function), (_, calls, own, _, _) in statistics.stats.items():
            module = file.partition("mls_federation/")[2] or Path(file).name
            rows.append((f"{module}: {function}", calls // times, own / times * 1e3))
        return sorted(rows, key=lambda row: -row[2])[:_PROFILED_FUNCTIONS]

    def on_joiner(self) -> dict[str, str]:
        """A Welcome, and what the last member needs to join by it: for another process."""
        _, welcome = self._create_and_add()
        return {"welcome": welcome.hex(), "key_package": encode_key_package(self._own[-1]).hex()}

    def on_lend(self) -> dict[str, Any]:
        """The KeyPackages, and the private keys of the first and the last, for a side that cannot make its own."""
        creator, joiner = self._own[0], self._own[-1]
        return {
            "packages": [own.key_package.encode().hex() for own in self._own],
            "creator": {"signature_key": creator.signature_key.hex()},
            "joiner": {
                "init_key": joiner.init_key.private_key.hex(),
                "encryption_key": joiner.encryption_key.private_key.hex(),
                "signature_key": joiner.signature_key.hex(),
            },
        }

    def on_plaintexts(self) -> dict[str, int]:
        """Octets of what was encrypted, for a test to compare with those that the floor counts."""
        creator, welcome = self._create_and_add()
        pending = _commit(self._join(welcome, -1))
        self._processed(creator, pending.message)
        sealed, message = decode_message(welcome), decode_message(pending.message)
        assert isinstance(sealed, Welcome)
        assert isinstance(message, PrivateMessage)
        tag = 16
        octets = {
            "group_info": len(sealed.encrypted_group_info) - tag,
            "commit_fresh": len(message.ciphertext) - tag,
        }
        if self._committer is not None:
            message = decode_message(_commit(self._committer).message)
            assert isinstance(message, PrivateMessage)
            octets["commit_full"] = len(message.ciphertext) - tag
        return octets

    # -- the two chains: each begins with fresh values, so that nothing is remembered from the last time

    def _fresh_chain(self) -> None:
        self._timed("key_package", lambda: [self._encoded_key_package() for _ in range(_REPEATED)])
        creator, welcome = self._timed("create_and_add", self._create_and_add)
        joined = self._timed("join", lambda: self._join(welcome, -1))
        pending = self._timed("commit_fresh", lambda: [_commit(joined) for _ in range(_EPOCHS)])
        self._timed("process_fresh", lambda: [self._processed(creator, each.message) for each in pending])

    def _full_chain(self) -> None:
        committer, receiver = self._committer, self._receiver
        assert committer is not None
        assert receiver is not None
        commits: list[bytes] = []

        def advance() -> Group:
            group = committer
            for _ in range(_EPOCHS):
                pending = _commit(group)
                commits.append(pending.message)
                group = pending.group
            return group

        def follow() -> Group:
            group = receiver
            for message in commits:
                group = self._processed(group, message)
            return group

        self._committer = committing = self._timed("commit_full", advance)
        self._receiver = receiving = self._timed("process_full", follow)

        data = bytes(DATA_OCTETS)
        first = _sent(committing, data)
        sending, reading = first.group, self._read(receiving, first.message)
        messages: list[bytes] = []

        def send() -> None:
            group = sending
            for _ in range(_MESSAGES):
                sent = _sent(group, data)
                group = sent.group
                messages.append(sent.message)

        def read() -> None:
            group = reading
            for message in messages:
                group = self._read(group, message)

        self._timed("encrypt", send)
        self._timed("decrypt", read)

        def export() -> None:
            for _ in range(_REPEATED):
                export_secret(committing, EXPORT_LABEL, EXPORT_CONTEXT, EXPORTED_OCTETS)

        self._timed("export", export)
        saved = self._timed("save", lambda: encode_group(receiving))
        self._timed("load", lambda: decode_group(self._crypto.provider, saved))

    def _acting(self, group: Group, index: int) -> Group:
        """What a member needs to commit: all have it in common but the leaf and its signature key."""
        return replace(
            group,
            own_leaf=LeafIndex(index),
            signature_key=self._own[index].signature_key,
            private_keys={node_of(LeafIndex(index)): self._own[index].encryption_key},
        )

    # -- operations, from octets to octets

    def _key_package(self, index: int) -> OwnKeyPackage:
        return create_key_package(
            self._crypto,
            credential=basic_credential(identity(index)),
            signature_key=self._signature_keys[index],
            capabilities=Capabilities(
                versions=(ProtocolVersion.mls10,),
                cipher_suites=(self._crypto.suite.cipher_suite,),
                extensions=(),
                proposals=(),
                credentials=(CredentialType.basic,),
            ),
            lifetime=_LIFETIME,
            grease=False,
        )

    def _encoded_key_package(self) -> bytes:
        return mls_message(self._key_package(0).key_package).encode()

    def _create_and_add(self) -> tuple[Group, bytes]:
        proposals = []
        for offered in self._offered[1:]:
            package = decode_message(offered)
            assert isinstance(package, KeyPackage)
            proposals.append(add(package))
        pending = _commit(create_group(self._crypto, GROUP_ID, self._own[0]), proposals)
        assert pending.welcome is not None
        return pending.group, pending.welcome

    def _join(self, encoded: bytes, index: int) -> Group:
        welcome = decode_message(encoded)
        assert isinstance(welcome, Welcome)
        return join(self._crypto, welcome, self._own[index], now=NOW)

    def _processed(self, group: Group, message: bytes) -> Group:
        received = receive(group, message, now=NOW)
        assert isinstance(received, CommitMessage)
        return received.group

    def _read(self, group: Group, message: bytes) -> Group:
        received = receive(group, message, now=NOW)
        assert isinstance(received, ApplicationMessage)
        return received.group

    def _timed(self, operation: str, call: Callable[[], T]) -> T:
        times = _BATCHES.get(operation, 1)
        gc.collect()
        profiled = operation == self._profiled
        if profiled:
            self._profiler.enable()
        began = self._clock()
        result = call()
        self._times[operation].append((self._clock() - began) / times)
        if profiled:
            self._profiler.disable()
        floor = self._floors.get(operation)
        if floor is not None:
            # Under the same conditions: the collector leaves little in the processor's caches.
            gc.collect()
            began = self._clock()
            for _ in range(times):
                floor()
            self._times[FLOOR + operation].append((self._clock() - began) / times)
        return result

    def _settle(self) -> None:
        """Keep what the benchmark itself holds from being walked through by every collection of the measured code."""
        gc.collect()
        freeze: Any = getattr(gc, "freeze", None)
        if freeze is not None:
            freeze()


def _commit(group: Group, proposals: Sequence[Proposal] = ()) -> PendingCommit:
    """A commit whose octets are those that it must have: others add neither GREASE nor padding."""
    return commit(group, proposals, now=NOW, grease=False, padding=no_padding)


def _sent(group: Group, data: bytes) -> Sent:
    return send_application_data(group, data, padding=no_padding)
