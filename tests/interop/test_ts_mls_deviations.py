"""Where ts-mls 1.6.4 does otherwise than RFC 9420: the whole list, each shown.

The peer makes up for the first four, so that the other tests can use what they stop; the others are kept clear of there.
A test here that fails means that ts-mls has been mended: take away what makes up for it.
"""

import pytest

from mls_federation.crypto import CipherSuite, CryptoProvider, crypto
from mls_federation.errors import DecodeError, ValidationError, VerificationError
from tests.interop.clients import Clients
from tests.interop.member import Add, ClearExtensions, ExternalPSK, Remove
from tests.interop.mixed_group import MixedGroup
from tests.interop.ts_mls import TsMls, TsMlsError, UnmergedLeavesRefused, ts_mls_refuses


def test_external_pub_is_the_bare_key(suite_1_clients: Clients) -> None:
    """§12.4.3.2: the extension's data is a struct with one `HPKEPublicKey`, whose encoding begins with its length."""
    ann, ben = suite_1_clients.ours("ann"), suite_1_clients.theirs("ben")
    MixedGroup(ann, ben)
    with pytest.raises(DecodeError):
        suite_1_clients.ours("cat").join_from_outside(ben.group_info(unmended=True))
    with pytest.raises(TsMlsError):
        suite_1_clients.theirs("cat").join_from_outside(ann.group_info(), unmended=True)


@pytest.mark.parametrize("suite", [2, 5, 7])
def test_signature_keys_of_nist_curves_are_compressed(
    provider: CryptoProvider, ts_mls: TsMls, suite: int
) -> None:
    """§5.1.1: they are uncompressed points."""
    clients = Clients(crypto(provider, CipherSuite(suite)), ts_mls)
    ann, ben = clients.ours("ann"), clients.theirs("ben", unmended=True)
    ann.create(b"a group")
    with pytest.raises(VerificationError):
        ann.commit(Add(ben.key_package()))


def test_an_own_update_has_no_effect(suite_1_clients: Clients) -> None:
    """§12.1.2: who sent an Update uses the new key once it is committed. ts-mls keeps the old one.

    Nor has it a call that makes an Update; later versions have (https://github.com/LukaJCB/ts-mls/pull/451).
    """
    ann, ben = suite_1_clients.ours("ann"), suite_1_clients.theirs("ben")
    MixedGroup(ann, ben)
    ann.receive(ben.propose_update())
    message = ann.commit().message
    with pytest.raises(TsMlsError, match="CryptoError"):
        ben.receive(message, unmended=True)
    assert ben.receive(message).kind == "commit"


def test_external_psks_are_forgotten_in_private_commits(suite_1_clients: Clients) -> None:
    """§12.4.2. Mended in later versions (https://github.com/LukaJCB/ts-mls/pull/450)."""
    ann, ben = suite_1_clients.ours("ann"), suite_1_clients.theirs("ben")
    group = MixedGroup(ann, ben)
    psk = ExternalPSK(b"id", b"secret", suite_1_clients.crypto.random(suite_1_clients.crypto.Nh))
    group.share_psk(psk)
    message = ann.commit(psk).message
    with pytest.raises(TsMlsError, match="Could not find pskId"):
        ben.receive(message, unmended=True)
    assert ben.receive(message).kind == "commit"


def test_a_removed_member_whose_leaf_is_given_away_does_not_see_it(suite_1_clients: Clients) -> None:
    """§12.4.2: a member learns from the proposals that it was removed. ts-mls looks whether its leaf is blank."""
    ann, ben, cat = suite_1_clients.ours("ann"), suite_1_clients.theirs("ben"), suite_1_clients.ours("cat")
    MixedGroup(ann, ben)
    message = ann.commit(Remove(ben.leaf), Add(cat.key_package())).message
    with pytest.raises(TsMlsError, match="No overlap"):
        ben.receive(message)


def test_unmerged_leaves_that_differ_on_a_path_are_refused(suite_1_clients: Clients) -> None:
    """§7.9.2, §12.4.3.1: of two nodes above a leaf the lower may list it as unmerged, and the upper not.

    ts-mls wants all lists on the path to be equal, and does not join a group whose tree is otherwise.
    """
    members = [suite_1_clients.ours(f"member {number}") for number in range(7)]
    group = MixedGroup(*members)
    group.commit(members[4])
    # The last leaf is under a node that member 4 has just filled; the root, above it, is filled anew by member 0.
    eve = suite_1_clients.theirs("eve")
    made = members[0].commit(Add(eve.key_package()))
    assert made.welcome is not None
    with pytest.raises(UnmergedLeavesRefused):
        eve.join(made.welcome)
    assert ts_mls_refuses(members[0].group.tree)


def test_a_blank_root_gets_a_path_secret(suite_1_clients: Clients) -> None:
    """§12.4.1: the commit secret follows from the last path secret of the filtered direct path.

    Where the left half of the tree is empty the root is not on that path. ts-mls takes one step more for it.
    """
    ann, ben = suite_1_clients.ours("ann"), suite_1_clients.ours("ben")
    cat, dan = suite_1_clients.ours("cat"), suite_1_clients.theirs("dan")
    group = MixedGroup(ann, ben, cat, dan)
    group.remove(cat, ann)
    message = cat.commit(Remove(ben.leaf)).message
    with pytest.raises(TsMlsError, match="confirmation tag"):
        dan.receive(message)


def test_changed_extensions_are_committed_without_a_path(suite_1_clients: Clients) -> None:
    """§12.4: a commit of a GroupContextExtensions proposal needs one."""
    ann, ben = suite_1_clients.ours("ann"), suite_1_clients.theirs("ben")
    MixedGroup(ann, ben)
    message = ben.commit(ClearExtensions()).message
    with pytest.raises(ValidationError) as caught:
        ann.receive(message)
    assert caught.value.code == "path-missing"


def test_changed_extensions_that_we_commit(suite_1_clients: Clients) -> None:
    """The other way round nothing is amiss."""
    ann, ben = suite_1_clients.ours("ann"), suite_1_clients.theirs("ben")
    group = MixedGroup(ann, ben)
    group.commit(ann, ClearExtensions())
    group.propose(ben, ClearExtensions())
    group.commit(ann)
