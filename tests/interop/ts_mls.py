"""ts-mls, and its members as Python objects."""

from __future__ import annotations

import json
from typing import Any, Protocol

from mls_federation.mls.ratchet_tree import RatchetTree
from mls_federation.mls.tree_math import NodeIndex, direct_path, node_of
from tests.interop.member import (
    Add,
    ClearExtensions,
    Committed,
    ExternalPSK,
    Proposed,
    Received,
    Remove,
    View,
)


class TsMlsError(Exception):
    """ts-mls refused; its own words."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(f"{name}: {message}")
        self.name = name


class UnmergedLeavesRefused(TsMlsError):
    """ts-mls does not join the group because of its ratchet tree, which `ts_mls_refuses`."""


def ts_mls_refuses(tree: RatchetTree) -> bool:
    """Whether ts-mls takes a valid tree for an invalid one.

    It wants all `unmerged_leaves` on the direct path of an unmerged leaf to be equal.
    """

    def listed(node: NodeIndex) -> tuple[int, ...] | None:
        found = tree.parent_at(node)
        return None if found is None else found.unmerged_leaves

    for leaf, _ in tree.members():
        lists = {listed(node) for node in direct_path(node_of(leaf), tree.leaf_count)} - {None}
        if len(lists) > 1 and any(leaf in found for found in lists if found):
            return True
    return False


class Peer(Protocol):
    """Where ts-mls runs: it answers one line at a time."""

    def exchange(self, line: str) -> str:
        """The answer to a request of `ts_mls_members.js`."""


class TsMls:
    """The place where all members that run ts-mls live."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer

    def call(self, call: str, member: str, **given: Any) -> Any:
        """Let a member do something.

        Raises:
            TsMlsError: it refuses.
        """
        answer = json.loads(self._peer.exchange(json.dumps({"call": call, "member": member, **given})))
        if "error" in answer:
            error = answer["error"]
            refused = "must list leaf node in its unmerged_leaves" in error["message"]
            raise (UnmergedLeavesRefused if refused else TsMlsError)(**error)
        return answer["result"]


class TsMlsMember:
    """A client that runs ts-mls.

    `unmended` shows ts-mls as it is, where it deviates from RFC 9420 and the peer makes up for that.
    """

    def __init__(self, ts_mls: TsMls, name: str, suite: int, *, unmended: bool = False) -> None:
        self.name = name
        self._ts_mls = ts_mls
        self._call("client", suite=suite, unmended=unmended)

    def _call(self, call: str, **given: Any) -> Any:
        return self._ts_mls.call(call, self.name, **given)

    def _message(self, call: str, **given: Any) -> bytes:
        return bytes.fromhex(self._call(call, **given)["message"])

    def learn_psk(self, psk: ExternalPSK) -> None:
        self._call("learnPsk", id=psk.psk_id.hex(), secret=psk.secret.hex())

    def key_package(self) -> bytes:
        return self._message("keyPackage")

    def create(self, group_id: bytes) -> None:
        self._call("create", groupId=group_id.hex())

    def join(self, welcome: bytes) -> None:
        self._call("join", welcome=welcome.hex())

    def commit(self, *proposals: Proposed, public: bool = False) -> Committed:
        made = self._call("commit", proposals=[_described(item) for item in proposals], isPublic=public)
        welcome = made["welcome"]
        return Committed(
            message=bytes.fromhex(made["message"]),
            welcome=None if welcome is None else bytes.fromhex(welcome),
        )

    def propose(self, proposal: Proposed, *, public: bool = False) -> bytes:
        return self._message("propose", proposal=_described(proposal), isPublic=public)

    def propose_update(self, *, public: bool = False) -> bytes:
        return self._message("proposeUpdate", isPublic=public)

    def send(self, data: bytes) -> bytes:
        return self._message("send", data=data.hex())

    def receive(self, message: bytes, *, unmended: bool = False) -> Received:
        received = self._call("receive", message=message.hex(), unmended=unmended)
        return Received(kind=received["kind"], data=bytes.fromhex(received.get("data", "")))

    def group_info(self, *, unmended: bool = False) -> bytes:
        return self._message("groupInfo", unmended=unmended)

    def join_from_outside(self, group_info: bytes, *, resync: bool = False, unmended: bool = False) -> bytes:
        return self._message("joinFromOutside", groupInfo=group_info.hex(), resync=resync, unmended=unmended)

    def leave(self) -> None:
        self._call("leave")

    def exported(self, label: str, context: bytes, length: int) -> bytes:
        return bytes.fromhex(
            self._call("exported", label=label, context=context.hex(), length=length)["secret"]
        )

    @property
    def leaf(self) -> int:
        leaf: int = self._call("view")["ownLeaf"]
        return leaf

    def view(self) -> View:
        seen = self._call("view")
        return View(
            epoch=seen["epoch"],
            tree_hash=bytes.fromhex(seen["treeHash"]),
            confirmed_transcript_hash=bytes.fromhex(seen["confirmedTranscriptHash"]),
            epoch_authenticator=bytes.fromhex(seen["epochAuthenticator"]),
            members=tuple((leaf, bytes.fromhex(identity).decode()) for leaf, identity in seen["members"]),
        )


def _described(proposal: Proposed) -> dict[str, Any]:
    match proposal:
        case Add():
            return {"type": "add", "keyPackage": proposal.key_package.hex()}
        case Remove():
            return {"type": "remove", "leaf": proposal.leaf}
        case ClearExtensions():
            return {"type": "extensions"}
        case ExternalPSK():
            return {"type": "psk", "id": proposal.psk_id.hex(), "nonce": proposal.nonce.hex()}
