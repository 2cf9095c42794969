"""A client's inbox: whatever a delivery service puts there, the client refuses it as an event and goes on."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import dataclass, replace

from mls_federation.client.accepting import accept
from mls_federation.client.events import MessageReceived
from mls_federation.client.state import ClientState
from mls_federation.codec import Struct
from mls_federation.codec import replace as replace_fields
from mls_federation.mls import (
    MLSMessage,
    PublicMessage,
    WireFormat,
    add,
    commit,
    decode_message,
    encode_group,
    propose,
    propose_update,
    remove,
)
from mls_federation.mls.framing import FramedContent
from tests.support.forge import send_framed
from tests.support.network import NOW, Peer, enveloped, group_of, message_of

from ..mutation import Pool, mutated, mutated_octets
from ..octets import Octets
from ..providers import RepeatableProvider, UnsafeAcceptAnySignature
from ..target import Finding, Target
from .messages import unsafe_accept_any_confirmation_tag

_PUBLIC = WireFormat.mls_public_message


@dataclass(frozen=True)
class _Inbox:
    """Two clients in a group, one of whom keeps no rule; and what can be sent to the other."""

    honest: ClientState
    rogue: Peer
    group_id: bytes
    messages: tuple[bytes, ...]
    contents: tuple[FramedContent, ...]
    pool: Pool
    late: bytes


def run(data: bytes) -> None:
    """The first octets choose the messages; each is what the one before left a place for."""
    source, inbox = Octets(data), _inbox()
    provider = UnsafeAcceptAnySignature()
    provider.start_over()
    state = _with_provider(inbox.honest, provider)
    with unsafe_accept_any_confirmation_tag(enabled=True):
        for _ in range(1 + source.number(3)):
            message = _message(source, inbox)
            before = {group_id: encode_group(known.group) for group_id, known in state.groups.items()}
            accepted = accept(provider, state, state.cursor + 1, _delivered(source, message), NOW)
            after = {group_id: encode_group(known.group) for group_id, known in state.groups.items()}
            if before != after:
                raise Finding("a message changed the state that it was given to")
            if accepted.state.cursor != state.cursor + 1:
                raise Finding("the cursor does not move")
            state = accepted.state
    known = state.groups.get(inbox.group_id)
    if known is not None and known.group.epoch == inbox.honest.groups[inbox.group_id].group.epoch:
        heard = accept(provider, state, state.cursor + 1, inbox.late, NOW)
        if not any(isinstance(event, MessageReceived) for event in heard.events):
            raise Finding("an honest message is not read any more")


def _delivered(source: Octets, message: bytes) -> bytes:
    """A message in its envelope, which may be broken too."""
    envelope = enveloped(message)
    return mutated_octets(source, envelope) if source.flag(8) else envelope


def _message(source: Octets, inbox: _Inbox) -> bytes:
    """Something for the inbox."""
    group = inbox.rogue.state.groups[inbox.group_id].group
    match source.number(5):
        case 0:
            return mutated_octets(source, source.choice(inbox.messages))
        case 1:
            message = MLSMessage.decode(source.choice(inbox.messages))
            changed: Struct = mutated(source, message, inbox.pool)
            return changed.encode()
        case 2:
            return source.choice(inbox.messages)
    framed = mutated(source, source.choice(inbox.contents), inbox.pool)
    if isinstance(framed.content, bytes):
        return source.choice(inbox.messages)
    if not source.flag(8):
        framed = replace_fields(framed, group_id=group.group_id, epoch=group.epoch)
    return send_framed(group, framed)


def _with_provider(state: ClientState, provider: RepeatableProvider) -> ClientState:
    groups = {
        group_id: replace(
            known, group=replace(known.group, crypto=replace(known.group.crypto, provider=provider))
        )
        for group_id, known in state.groups.items()
    }
    return replace(state, groups=groups)


@functools.cache
def _inbox() -> _Inbox:
    provider = RepeatableProvider()
    alice, bob, carol = (
        Peer(provider, name) for name in ("alice@a.example", "bob@b.example", "carol@c.example")
    )
    alice.publish()
    group_id = group_of(bob, alice, carol)
    before = bob.state
    group = bob.state.groups[group_id].group
    other = Peer(provider, "dave@d.example")
    package = other.bundle().key_package
    leaf = next(member.leaf_index for member in group.members if member.leaf_index != group.own_leaf)
    messages = [
        propose(group, remove(leaf), wire_format=_PUBLIC).message,
        propose(group, add(package), wire_format=_PUBLIC).message,
        propose_update(group, wire_format=_PUBLIC).message,
        commit(group, now=NOW, wire_format=_PUBLIC).message,
        commit(group, [add(package)], now=NOW, wire_format=_PUBLIC).message,
        commit(group, [remove(leaf)], now=NOW, wire_format=_PUBLIC).message,
        commit(group, [add(package)], now=NOW, wire_format=_PUBLIC, path=False).message,
        commit(group, now=NOW).message,
    ]
    contents = [
        message.content for message in map(decode_message, messages) if isinstance(message, PublicMessage)
    ]
    # A Welcome into another group, for keys that alice still has; and the messages of that group.
    second = bob.begin()
    alice.publish()
    bob.add(second, alice)
    bob.send(second, b"in the other group")
    messages += [message_of(outgoing) for outgoing in bob.post()]
    late = Peer(provider, "bob@b.example")
    late.state = before
    late.send(group_id, b"hello")
    alice_state = alice.state
    return _Inbox(
        honest=alice_state,
        rogue=late,
        group_id=group_id,
        messages=tuple(messages),
        contents=tuple(contents),
        pool=Pool(map(decode_message, messages)),
        late=late.post()[-1].message,
    )


def _seeds() -> Iterable[bytes]:
    for kind in range(5):
        for which in range(12):
            yield bytes([0, kind, which]) + bytes((kind * 61 + which * 19 + i * 47) % 256 for i in range(40))
            yield bytes([2, kind, which]) + bytes((kind * 11 + which * 101 + i * 37) % 256 for i in range(60))


TARGET = Target("session", "messages in a client's inbox", run, _seeds, weight=3)
