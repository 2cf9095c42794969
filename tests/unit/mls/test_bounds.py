"""Numbers and lists as large as the wire lets them be: refused like any other fault, and at no great cost."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable

import pytest

from mls_federation.codec import replace
from mls_federation.crypto import Crypto
from mls_federation.errors import ValidationError
from mls_federation.mls import (
    Group,
    add,
    commit,
    follow,
    group_info,
    join_by_external_commit,
    observe,
    receive,
    verify_key_package,
)
from mls_federation.mls.extensions import Extension, ExtensionType
from tests.support.forge import forge_commit
from tests.support.pair import NOW, Party, new_client


@pytest.fixture
def party(suite_1: Crypto) -> Party:
    return Party(suite_1, "ann", "eve", "ben")


def in_last_epoch(group: Group) -> Group:
    """Whoever founds a group can say that it is in this epoch."""
    return dataclasses.replace(group, context=replace(group.context, epoch=2**64 - 1))


def refused(code: str, action: Callable[[], object]) -> None:
    with pytest.raises(ValidationError) as caught:
        action()
    assert caught.value.code == code


def test_no_epoch_comes_after_the_last(party: Party) -> None:
    ann, eve = (in_last_epoch(party.groups[name]) for name in ("ann", "eve"))
    package = party.client("dan").key_package()
    forged = forge_commit(eve, [add(package.key_package)])
    info = group_info(eve, with_external_pub=True)
    public = follow(party.crypto, info, now=NOW)
    for action in (
        lambda: receive(ann, forged, now=NOW),
        lambda: observe(public, forged, now=NOW),
        lambda: commit(ann, now=NOW),
        lambda: join_by_external_commit(party.crypto, info, package, now=NOW),
    ):
        refused("last-epoch", action)


def test_long_lists_of_capabilities_are_not_compared_entry_by_entry(suite_1: Crypto) -> None:
    types = [ExtensionType(number) for number in range(0x1000, 0x1000 + 20_000)]
    client = new_client(suite_1, "ann")
    capabilities = replace(client.capabilities, extensions=(ExtensionType(0xF000),) * 40_000 + tuple(types))
    extensions = [Extension(extension_type=kind, extension_data=b"") for kind in types]
    own = client.key_package(capabilities=capabilities, leaf_extensions=extensions)
    began = time.process_time()
    verify_key_package(suite_1, own.key_package, NOW)
    # Entry by entry it is a minute.
    assert time.process_time() - began < 5
