"""Vectors of every message's encoding: each decodes, and encodes to the same octets (§6, §12)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..codec import Struct
from ..crypto import CipherSuite, CryptoProvider, crypto
from ..mls import (
    Group,
    add,
    change_extensions,
    commit,
    group_info,
    join,
    propose,
    remove,
    send_application_data,
)
from ..mls.commit import Commit
from ..mls.extensions import Extension, ExtensionType, RequiredCapabilities
from ..mls.framing import (
    AnyMessage,
    ContentType,
    MLSMessage,
    PrivateMessage,
    PublicMessage,
    WireFormat,
    decode_message,
    member,
    mls_message,
)
from ..mls.joining import open_welcome
from ..mls.key_package import KeyPackage
from ..mls.padding import fixed_padding
from ..mls.proposals import (
    Add,
    ExternalInit,
    GroupContextExtensions,
    PreSharedKey,
    ReInit,
    Remove,
    Update,
)
from ..mls.protection import authenticate, framed_content
from ..mls.psk import ExternalPSK, PreSharedKeyID, PSKType
from ..mls.ratchet_tree import RatchetTreeNodes, encode_tree
from ..mls.welcome import GroupInfo, GroupSecrets, Welcome
from .entry import Entry, Family, Vector, check
from .members import new_key_package, new_party
from .trees import Shape, grow, update_leaf_of

_MESSAGES: dict[str, type[AnyMessage]] = {
    "mls_welcome": Welcome,
    "mls_group_info": GroupInfo,
    "mls_key_package": KeyPackage,
    "public_message_application": PublicMessage,
    "public_message_proposal": PublicMessage,
    "public_message_commit": PublicMessage,
    "private_message": PrivateMessage,
}
_STRUCTS: dict[str, type[Struct]] = {
    "ratchet_tree": RatchetTreeNodes,
    "group_secrets": GroupSecrets,
    "add_proposal": Add,
    "update_proposal": Update,
    "remove_proposal": Remove,
    "pre_shared_key_proposal": PreSharedKey,
    "re_init_proposal": ReInit,
    "external_init_proposal": ExternalInit,
    "group_context_extensions_proposal": GroupContextExtensions,
    "commit": Commit,
}
_CONTENT_TYPES = {
    "public_message_application": ContentType.application,
    "public_message_proposal": ContentType.proposal,
    "public_message_commit": ContentType.commit,
}


def verify(_: CryptoProvider, entry: Entry) -> None:
    """Each field is what its name says, and encodes to the same octets when it is built anew."""
    for name, kind in _MESSAGES.items():
        octets = entry.octets(name)
        message = decode_message(octets)
        check(f"kind of {name}", kind.__name__, type(message).__name__)
        if isinstance(message, PublicMessage):
            check(f"content_type of {name}", _CONTENT_TYPES[name], message.content.content_type)
        entry.check(name, mls_message(message).encode())
        entry.check(name, rebuilt(MLSMessage.decode(octets)).encode())
    for name, struct in _STRUCTS.items():
        entry.check(name, rebuilt(struct.decode(entry.octets(name))).encode())


def rebuilt(value: Any) -> Any:
    """An equal value, made anew from its innermost parts: it has no octets left from where it was read."""
    if isinstance(value, Struct):
        return type(value)(**{name: rebuilt(getattr(value, name)) for name in value._fields})
    if isinstance(value, Sequence) and not isinstance(value, bytes | str):
        return tuple(rebuilt(item) for item in value)
    return value


def generate(provider: CryptoProvider, cipher_suite: CipherSuite, _: None) -> Vector:
    """An entry whose messages are valid ones of a group, but for the PublicMessage with application data."""
    suite = crypto(provider, cipher_suite)
    known = grow(suite, Shape(2))
    founder = new_party(suite, "founder").groups["founder"]
    own = new_key_package(suite, "newcomer")
    adding = commit(founder, [add(own.key_package)], now=None)
    assert adding.welcome is not None
    welcome = decode_message(adding.welcome)
    assert isinstance(welcome, Welcome)
    newcomer = join(suite, welcome, own, now=None)
    private = send_application_data(newcomer, b"application data", padding=fixed_padding(16))
    public = WireFormat.mls_public_message
    proposing = propose(newcomer, remove(founder.own_leaf), wire_format=public)
    extensions = _required_capabilities()
    committing = commit(newcomer, [change_extensions(extensions)], now=None, wire_format=public)
    committed = decode_message(committing.message)
    assert isinstance(committed, PublicMessage)
    assert isinstance(committed.content.content, Commit)
    psk = PreSharedKeyID(
        psktype=PSKType.external, psk=ExternalPSK(psk_id=b"a PSK"), psk_nonce=suite.random(suite.Nh)
    )
    reinit = ReInit(
        group_id=b"the next group",
        version=newcomer.context.version,
        cipher_suite=cipher_suite,
        extensions=extensions,
    )
    external_init = ExternalInit(kem_output=suite.random(suite.suite.kem.Npk))
    octets = {
        "mls_welcome": adding.welcome,
        "mls_group_info": mls_message(group_info(newcomer, with_external_pub=True)).encode(),
        "mls_key_package": mls_message(own.key_package).encode(),
        "ratchet_tree": encode_tree(known.tree),
        "group_secrets": open_welcome(suite, welcome, own).group_secrets.encode(),
        "add_proposal": Add(key_package=own.key_package).encode(),
        "update_proposal": Update(leaf_node=update_leaf_of(known, founder.own_leaf)).encode(),
        "remove_proposal": Remove(removed=newcomer.own_leaf).encode(),
        "pre_shared_key_proposal": PreSharedKey(psk=psk).encode(),
        "re_init_proposal": reinit.encode(),
        "external_init_proposal": external_init.encode(),
        "group_context_extensions_proposal": GroupContextExtensions(extensions=extensions).encode(),
        "commit": committed.content.content.encode(),
        "public_message_application": _public_application(newcomer),
        "public_message_proposal": proposing.message,
        "public_message_commit": committing.message,
        "private_message": private.message,
    }
    return {name: value.hex() for name, value in octets.items()}


def _required_capabilities() -> tuple[Extension, ...]:
    nothing = RequiredCapabilities(extension_types=(), proposal_types=(), credential_types=())
    return (Extension(extension_type=ExtensionType.required_capabilities, extension_data=nothing.encode()),)


def _public_application(group: Group) -> bytes:
    """Application data as a PublicMessage: well-formed, and forbidden. Its tag is of the right size, no more."""
    content = framed_content(
        group.context, member(group.own_leaf), ContentType.application, b"application data", b""
    )
    signed = authenticate(
        group.crypto, group.signature_key, WireFormat.mls_public_message, content, group.context
    )
    message = PublicMessage(content=signed.content, auth=signed.auth, membership_tag=bytes(group.crypto.Nh))
    return mls_message(message).encode()


FAMILY = Family(
    name="messages",
    keys=frozenset({*_MESSAGES, *_STRUCTS}),
    verify=verify,
    generate=generate,
    parameters=(None,),
    by_suite=False,
)
