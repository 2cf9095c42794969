"""Real groups with real messages, which the targets start from. They are the same in each run."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import dataclass, replace

from mls_federation.codec import Struct, encode_vector
from mls_federation.crypto import CipherSuite, Crypto, KeyPair, crypto
from mls_federation.mls import (
    Group,
    OwnKeyPackage,
    PublicGroup,
    PublicMessage,
    Welcome,
    WireFormat,
    add,
    change_extensions,
    commit,
    decode_message,
    follow,
    group_info,
    join_by_external_commit,
    pre_shared_key,
    propose,
    propose_from_outside,
    propose_to_be_added,
    propose_update,
    reinit,
    remove,
    send_application_data,
)
from mls_federation.mls.credentials import basic_credential
from mls_federation.mls.extensions import Extension, ExtensionType, ExternalSender, RequiredCapabilities
from mls_federation.mls.framing import FramedContent
from mls_federation.mls.joining import OpenedWelcome, open_welcome
from mls_federation.mls.proposals import Proposal
from mls_federation.mls.psk import ExternalPSK, PreSharedKeyID, PSKType
from mls_federation.mls.ratchet_tree import tree_nodes
from tests.support.pair import GROUP_ID, NOW, Party, new_client

from .mutation import Pool
from .providers import RepeatableProvider, UnsafeAcceptAnySignature

PSK_ID = b"a psk"
PUBLIC = WireFormat.mls_public_message


@dataclass(frozen=True, eq=False)
class Scene:
    """A group in one epoch, who is in it, and what can be sent there.

    Attributes:
        party: all members. `eve` keeps no rule.
        unsafe: the group's cipher suite, with a provider that takes any signature.
        messages: valid ones of this epoch, encoded, that nobody has received.
        contents: what the public ones among them have inside.
        newcomer: somebody whom `welcome` is for.
        opened: `welcome`, decrypted.
        pool: the parts of all this.
    """

    party: Party
    unsafe: Crypto
    messages: tuple[bytes, ...]
    contents: tuple[FramedContent, ...]
    newcomer: OwnKeyPackage
    welcome: Welcome
    opened: OpenedWelcome
    pool: Pool

    @property
    def crypto(self) -> Crypto:
        """The group's cipher suite."""
        return self.party.crypto

    def victim(self, *, safe: bool) -> Group:
        """The state of the member whom messages are given to."""
        group = self.party.groups["ann"]
        return group if safe else replace(group, crypto=self.unsafe)

    @property
    def attacker(self) -> Group:
        """The state of a member who keeps no rule."""
        return self.party.groups["eve"]


def start_over(scene: Scene) -> None:
    """The randomness of the next input is that of the first."""
    for provider in (scene.crypto.provider, scene.unsafe.provider):
        assert isinstance(provider, RepeatableProvider)
        provider.start_over()


@functools.cache
def scenes() -> tuple[Scene, ...]:
    """All of them."""
    x25519 = CipherSuite.MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519
    return (
        _scene(x25519, ragged=False, proposals=False),
        _scene(x25519, ragged=True, proposals=True),
        _scene(CipherSuite.MLS_128_DHKEMP256_AES128GCM_SHA256_P256, ragged=False, proposals=True),
    )


@functools.cache
def follower(scene: Scene, *, safe: bool) -> PublicGroup:
    """Somebody who follows the group without its secrets."""
    group = scene.party.groups["ann"]
    public = follow(scene.crypto, group_info(group), now=NOW)
    public = replace(public, proposals=group.proposals)
    return public if safe else replace(public, crypto=scene.unsafe)


def _scene(suite: CipherSuite, *, ragged: bool, proposals: bool) -> Scene:
    party, outsider, late = new_party(crypto(RepeatableProvider(), suite), ragged=ragged)
    if proposals:
        _propose_to_all(party)
    eve, named = party.groups["eve"], party.client("somebody")
    messages = [*_proposals(party), *_commits(party), send_application_data(_open(eve), b"hello").message]
    messages += late
    info = group_info(party.groups["ben"], with_external_pub=True)
    eve_again = party.client("eve").key_package()
    for own, replacing in ((named.key_package(), None), (eve_again, party.leaf("eve"))):
        joined = join_by_external_commit(party.crypto, info, own, now=NOW, replacing=replacing)
        messages.append(joined.message)
    messages += [
        propose_from_outside(party.crypto, GROUP_ID, eve.epoch, 0, outsider, body)
        for body in (remove(party.leaf("cat")), add(named.key_package().key_package), _psk(party))
    ]
    messages.append(propose_to_be_added(party.crypto, GROUP_ID, eve.epoch, named.key_package()))
    newcomer = named.key_package()
    pending = commit(_open(eve), [add(newcomer.key_package), _psk(party)], now=NOW, psks=party.look_up)
    assert pending.welcome is not None
    welcome = decode_message(pending.welcome)
    assert isinstance(welcome, Welcome)
    opened = open_welcome(party.crypto, welcome, newcomer, party.look_up)
    decoded = [decode_message(message) for message in messages]
    contents = tuple(message.content for message in decoded if isinstance(message, PublicMessage))
    parts: list[Struct] = [
        *decoded,
        welcome,
        info,
        opened.group_secrets,
        opened.group_info,
        tree_nodes(eve.tree),
    ]
    return Scene(
        party=party,
        unsafe=replace(party.crypto, provider=UnsafeAcceptAnySignature()),
        messages=tuple(messages),
        contents=contents,
        newcomer=newcomer,
        welcome=welcome,
        opened=opened,
        pool=_pool(parts, party),
    )


def new_party(suite: Crypto, *, ragged: bool) -> tuple[Party, KeyPair, list[bytes]]:
    """A group of `ann`, `ben`, `cat`, `eve` and others; the keys of a sender from outside; and messages of past epochs."""
    outsider = new_client(suite, "outsider").signature_key
    senders = [ExternalSender(signature_key=outsider.public_key, credential=basic_credential(b"outsider"))]
    required = RequiredCapabilities(extension_types=(), proposal_types=(), credential_types=())
    party = Party(
        suite,
        "ben",
        extensions=[
            Extension(extension_type=ExtensionType.external_senders, extension_data=encode_vector(senders)),
            Extension(extension_type=ExtensionType.required_capabilities, extension_data=required.encode()),
        ],
    )
    party.psks[PSK_ID] = b"shared before"
    party.add("ben", "ann", "cat", "eve")
    party.commit("ann")
    party.commit("cat", wire_format=PUBLIC)
    if ragged:
        party.add("ben", "dan", "fay", "gil")
        party.commit("gil")
        party.add("fay", "hal", path=False)
        party.remove("eve", "dan")
        party.add("eve", "ida", "jon", path=False)
    late = [party.send(name, b"late") for name in ("cat", "eve")]
    party.commit("ben")
    return party, outsider, late


def _propose_to_all(party: Party) -> None:
    """Proposals that a commit can refer to."""
    party.propose_update("ben", PUBLIC)
    party.propose("eve", _psk(party), PUBLIC)
    party.propose("ben", remove(party.leaf("cat")))
    party.propose("ann", add(party.client("kim").key_package().key_package), PUBLIC)


def _proposals(party: Party) -> Iterable[bytes]:
    eve, context = party.groups["eve"], party.groups["eve"].context
    bodies = (
        remove(party.leaf("cat")),
        add(party.client("somebody").key_package().key_package),
        _psk(party),
        change_extensions(context.extensions),
        reinit(b"anew", context.cipher_suite, context.extensions),
    )
    for body in bodies:
        yield propose(eve, body, wire_format=PUBLIC).message
    yield propose_update(eve, wire_format=PUBLIC).message
    yield propose(eve, bodies[0]).message


def _commits(party: Party) -> Iterable[bytes]:
    eve, context = party.groups["eve"], party.groups["eve"].context
    somebody = add(party.client("somebody").key_package().key_package)
    lists: tuple[list[Proposal], ...] = (
        [],
        [somebody],
        [remove(party.leaf("cat"))],
        [_psk(party)],
        [change_extensions(context.extensions)],
    )
    for group in {id(eve): eve, id(_open(eve)): _open(eve)}.values():
        for bodies in lists:
            yield commit(group, bodies, now=NOW, psks=party.look_up, wire_format=PUBLIC).message
    ending = [reinit(b"anew", context.cipher_suite)]
    yield commit(_open(eve), ending, now=NOW, wire_format=PUBLIC, path=False).message
    yield commit(_open(eve), [somebody], now=NOW, wire_format=PUBLIC, path=False).message
    yield commit(_open(eve), now=NOW).message


def _open(group: Group) -> Group:
    """The group without proposals, in which anything can be sent."""
    return replace(group, proposals={}) if group.proposals else group


def _psk(party: Party) -> Proposal:
    psk = PreSharedKeyID(
        psktype=PSKType.external,
        psk=ExternalPSK(psk_id=PSK_ID),
        psk_nonce=party.crypto.random(party.crypto.Nh),
    )
    return pre_shared_key(psk)


def _pool(parts: Iterable[Struct], party: Party) -> Pool:
    pool = Pool(parts)
    for ref in party.groups["ann"].proposals:
        pool.add(ref)
    return pool
