"""Histories of a group in which one member keeps no rule: the others always agree, and can always go on.

That member sends proposals changed under its signature, and so do senders from outside. The honest ones give the same
verdict on each; what one of them commits, all accept; a commit of what was received never fails.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from mls_federation.codec import replace as replace_fields
from mls_federation.errors import RemoteError
from mls_federation.mls import (
    CommitMessage,
    Group,
    PendingCommit,
    ProposalMessage,
    RemovedMessage,
    WireFormat,
    add,
    commit,
    decode_group,
    decode_message,
    encode_group,
    export_secret,
    fixed_padding,
    forget,
    group_info,
    join,
    join_by_external_commit,
    propose,
    propose_update,
    receive,
    remove,
    send_application_data,
)
from mls_federation.mls.framing import ContentType, SenderType
from mls_federation.mls.proposals import Proposal, Update
from mls_federation.mls.receiving import ApplicationMessage
from mls_federation.mls.tree_math import LeafIndex
from mls_federation.mls.welcome import Welcome
from tests.support.forge import send_framed
from tests.support.pair import NOW, Client, new_client

from ..mutation import made, mutated
from ..octets import Octets
from ..scenes import Scene, scenes, start_over
from ..target import Finding, Target, check_state, refused

_MOST_STEPS = 14
_MOST_HONEST = 6
_HONEST = ("ann", "ben", "cat")


@dataclass
class _History:
    """The honest members' states, by name."""

    scene: Scene
    source: Octets
    groups: dict[str, Group]
    met: int = 0
    ended: bool = field(default=False)

    def step(self) -> None:
        """One thing happens."""
        actions = (
            self.forged_proposal,
            self.forged_proposal,
            self.commit,
            self.commit,
            self.proposal,
            self.talk,
            self.restart,
            self.external_join,
            self.invite,
        )
        self.source.choice(actions)()

    def somebody(self) -> str:
        return self.source.choice(sorted(self.groups))

    def wire_format(self) -> WireFormat:
        return self.source.choice([WireFormat.mls_private_message, WireFormat.mls_public_message])

    def any_proposal(self) -> Proposal:
        """A proposal that is somehow made."""
        source, pool = self.source, self.scene.pool
        proposal: Proposal = source.choice(pool.structs[Proposal])
        match source.number(4):
            case 0:
                pass
            case 1:
                proposal = made(source, Proposal, pool)
            case _:
                proposal = mutated(source, proposal, pool)
        return proposal

    def forged_proposal(self) -> None:
        """Somebody who keeps no rule proposes anything."""
        source = self.source
        group = self.groups[self.somebody()]
        proposals = [
            content for content in self.scene.contents if content.content_type == ContentType.proposal
        ]
        framed = replace_fields(source.choice(proposals), content=self.any_proposal())
        sender = framed.sender
        if sender.sender_type == SenderType.member:
            honest = {member.own_leaf for member in self.groups.values()}
            rogue = [leaf for leaf, _ in group.tree.members() if leaf not in honest]
            if not rogue:
                return
            sender = replace_fields(sender, index=source.choice(rogue))
        framed = replace_fields(framed, group_id=group.group_id, epoch=group.epoch, sender=sender)
        message = send_framed(group, framed, signature_key=self.scene.attacker.signature_key)
        self.deliver_proposal(message, None)

    def proposal(self) -> None:
        """An honest member proposes."""
        name = self.somebody()
        group = self.groups[name]
        if self.source.flag():
            sent = propose_update(group, wire_format=self.wire_format())
        else:
            leaf = self.source.choice([leaf for leaf, _ in group.tree.members()])
            sent = propose(group, remove(leaf), wire_format=self.wire_format())
        self.groups[name] = sent.group
        self.deliver_proposal(sent.message, name)

    def deliver_proposal(self, message: bytes, sender: str | None) -> None:
        """All give one verdict, and an honest sender's is good."""
        verdicts = set()
        for name, group in self.groups.items():
            if name == sender:
                continue
            received = refused(receive, group, message, now=NOW)
            if isinstance(received, RemoteError):
                verdicts.add(received.code)
                continue
            if not isinstance(received, ProposalMessage):
                raise Finding(f"a proposal is taken for {type(received).__name__}")
            verdicts.add("accepted")
            self.groups[name] = received.group
        if len(verdicts) > 1 or (sender is not None and verdicts - {"accepted"}):
            raise Finding(f"the members' verdicts on a proposal: {verdicts}")

    def commit(self) -> None:
        """An honest member commits what was received, and perhaps something of its own."""
        by = self.somebody()
        bodies = [self.any_proposal() for _ in range(self.source.number(3))]
        bodies = [body for body in bodies if not isinstance(body.proposal, Update)]
        path, wire_format = not self.source.flag(3), self.wire_format()
        pending = refused(
            lambda: commit(
                self.groups[by],
                bodies,
                now=NOW,
                path=path,
                psks=self.scene.party.look_up,
                wire_format=wire_format,
            )
        )
        if isinstance(pending, RemoteError):
            if not bodies:
                raise Finding(f"what was received keeps a member from committing: {pending.code}")
            return
        self.follow(by, pending)

    def follow(self, by: str | None, pending: PendingCommit) -> None:
        """All accept a commit, and agree."""
        gone = {leaf for leaf, _ in pending.removed}
        for name, group in list(self.groups.items()):
            if name == by:
                continue
            received = refused(receive, group, pending.message, now=NOW, psks=self.scene.party.look_up)
            if group.own_leaf in gone:
                if not isinstance(received, RemovedMessage):
                    raise Finding(f"a removed member sees {received!r}")
                del self.groups[name]
            elif isinstance(received, CommitMessage):
                check_state(received.group)
                self.groups[name] = received.group
            else:
                raise Finding(f"a member refuses another's commit: {received!r}")
        if by is not None:
            self.groups[by] = pending.group
        check_state(pending.group)
        self.agree(pending.group)

    def agree(self, one: Group) -> None:
        """All have what `one` has."""
        for other in self.groups.values():
            if (
                other.context != one.context
                or other.epoch_authenticator != one.epoch_authenticator
                or export_secret(other, "label", b"", 32) != export_secret(one, "label", b"", 32)
            ):
                raise Finding("two members do not agree")
        self.ended = one.reinit is not None

    def talk(self) -> None:
        """A message reaches all."""
        by = self.somebody()
        sent = refused(
            lambda: send_application_data(
                self.groups[by], b"hello", padding=fixed_padding(self.source.number(9))
            )
        )
        if isinstance(sent, RemoteError):
            return  # proposals are pending
        self.groups[by] = sent.group
        for name, group in self.groups.items():
            if name == by:
                continue
            received = receive(group, sent.message, now=NOW)
            if not isinstance(received, ApplicationMessage) or received.data != b"hello":
                raise Finding("a message does not arrive")
            self.groups[name] = received.group

    def restart(self) -> None:
        """A member's state is stored and loaded, and some of the past forgotten."""
        name = self.somebody()
        kept = forget(self.groups[name], NOW + self.source.number(3) * 80_000)
        self.groups[name] = decode_group(self.scene.unsafe.provider, encode_group(kept))

    def newcomer(self) -> Client:
        self.met += 1
        return new_client(self.scene.unsafe, f"newcomer {self.met}")

    def external_join(self) -> None:
        """Somebody joins by itself, perhaps in the place of another."""
        host = self.groups[self.somebody()]
        info = group_info(host, with_external_pub=True)
        own = self.newcomer().key_package()
        replacing = LeafIndex(self.source.number(10)) if self.source.flag(4) else None
        pending = refused(
            lambda: join_by_external_commit(self.scene.unsafe, info, own, now=NOW, replacing=replacing)
        )
        if isinstance(pending, RemoteError):
            return
        self.follow(None, pending)
        self.welcome_back(pending.group)

    def invite(self) -> None:
        """An honest member adds another."""
        by, own = self.somebody(), self.newcomer().key_package()
        pending = refused(
            lambda: commit(
                self.groups[by],
                [add(own.key_package)],
                now=NOW,
                path=not self.source.flag(3),
                psks=self.scene.party.look_up,
            )
        )
        if isinstance(pending, RemoteError):
            return
        self.follow(by, pending)
        if pending.welcome is None:
            raise Finding("a commit with an Add and no Welcome")
        welcome = decode_message(pending.welcome)
        if not isinstance(welcome, Welcome):
            raise Finding("a Welcome that is none")
        joined = join(self.scene.unsafe, welcome, own, now=NOW, psks=self.scene.party.look_up)
        self.agree(joined)
        self.welcome_back(joined)

    def welcome_back(self, joined: Group) -> None:
        check_state(joined)
        if len(self.groups) < _MOST_HONEST:
            self.groups[f"newcomer {self.met}"] = joined


def run(data: bytes) -> None:
    """The octets choose the scene and each step."""
    source = Octets(data)
    scene = source.choice(scenes()[:2])
    start_over(scene)
    groups = {name: replace(scene.party.groups[name], crypto=scene.unsafe) for name in _HONEST}
    history = _History(scene, source, groups)
    for _ in range(_MOST_STEPS):
        if source.spent or history.ended or not history.groups:
            return
        history.step()


def _seeds() -> Iterable[bytes]:
    for scene in range(2):
        for first in range(9):
            for second in range(9):
                yield bytes([scene, first]) + bytes(
                    (first * 41 + second * 13 + i * 67) % 256 for i in range(60)
                )


TARGET = Target("history", "a group with a member who keeps no rule", run, _seeds, weight=6)
