"""Official vectors: every message decodes and encodes to the same octets (§6, §12)."""

import pytest

from mls_federation.codec import Struct
from mls_federation.mls.commit import Commit
from mls_federation.mls.framing import (
    AnyMessage,
    ContentType,
    MLSMessage,
    PrivateMessage,
    PublicMessage,
    decode_message,
    mls_message,
)
from mls_federation.mls.key_package import KeyPackage
from mls_federation.mls.proposals import (
    Add,
    ExternalInit,
    GroupContextExtensions,
    PreSharedKey,
    ReInit,
    Remove,
    Update,
)
from mls_federation.mls.ratchet_tree import RatchetTreeNodes
from mls_federation.mls.welcome import GroupInfo, GroupSecrets, Welcome
from tests.support.strategies import rebuilt
from tests.support.vector_files import every_vector

MESSAGES: dict[str, type[AnyMessage]] = {
    "mls_welcome": Welcome,
    "mls_group_info": GroupInfo,
    "mls_key_package": KeyPackage,
    "public_message_application": PublicMessage,
    "public_message_proposal": PublicMessage,
    "public_message_commit": PublicMessage,
    "private_message": PrivateMessage,
}
STRUCTS: dict[str, type[Struct]] = {
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
CONTENT_TYPES = {
    "public_message_application": ContentType.application,
    "public_message_proposal": ContentType.proposal,
    "public_message_commit": ContentType.commit,
}


def test_every_field_is_checked() -> None:
    for vector in every_vector("messages"):
        assert vector.keys() == {*MESSAGES, *STRUCTS}


@pytest.mark.parametrize("name", MESSAGES)
def test_messages(name: str) -> None:
    for vector in every_vector("messages"):
        octets = bytes.fromhex(vector[name])
        message = decode_message(octets)
        assert type(message) is MESSAGES[name]
        assert rebuilt(MLSMessage.decode(octets)).encode() == octets
        assert mls_message(message).encode() == octets
        if isinstance(message, PublicMessage):
            assert message.content.content_type == CONTENT_TYPES[name]


@pytest.mark.parametrize("name", STRUCTS)
def test_structs(name: str) -> None:
    for vector in every_vector("messages"):
        octets = bytes.fromhex(vector[name])
        assert rebuilt(STRUCTS[name].decode(octets)).encode() == octets
