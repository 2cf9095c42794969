"""Media keys as native end points want them, and from epoch to epoch."""

from __future__ import annotations

import base64
import re
import sys
from dataclasses import replace

import pytest

from mls_federation.crypto import CryptoProvider
from mls_federation.errors import UnknownKeyError, UnsupportedError, UsageError, ValidationError
from mls_federation.media import (
    EpochMediaKeys,
    FrameReceiver,
    FrameSender,
    MediaKeys,
    SrtpProfile,
    export_dave_base_secret,
    export_sframe_keys,
    export_srtp_keys,
    libsrtp_policy,
    raw_key,
    sdes_crypto_attribute,
    sdes_key_params,
)
from mls_federation.mls import export_secret
from tests.support.network import Peer, deliver, group_of

PROFILES = tuple(SrtpProfile)
every_profile = pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.name)

# key-info of RFC 4568 §9.2.
_KEY_PARAMS = re.compile(r"inline:([A-Za-z0-9+/]+={0,2})\|2\^([0-9]+)\|([0-9]+):([0-9]{1,3})")


class Call:
    """Two members."""

    def __init__(self, provider: CryptoProvider) -> None:
        self.alice, self.bob = Peer(provider, "alice@a.example"), Peer(provider, "bob@b.example")
        self.group_id = group_of(self.alice, self.bob)

    def renew(self) -> None:
        """Go to the next epoch."""
        self.bob.renew(self.group_id)
        deliver(self.bob, self.alice)

    def keys(self, peer: Peer) -> EpochMediaKeys:
        """All keys of the epoch, as a member exports them."""
        group = peer.group(self.group_id).group
        return EpochMediaKeys(
            export_sframe_keys(group), {profile: export_srtp_keys(group, profile) for profile in PROFILES}
        )


@pytest.fixture
def call(provider: CryptoProvider) -> Call:
    return Call(provider)


# -- formats


@every_profile
def test_security_descriptions(call: Call, profile: SrtpProfile) -> None:
    call.renew()
    for keys in call.keys(call.alice).srtp[profile]:
        parsed = _KEY_PARAMS.fullmatch(sdes_key_params(keys))
        assert parsed is not None
        inline, lifetime, mki, size = parsed.groups()
        assert base64.b64decode(inline, validate=True) == raw_key(keys) == keys.master_key + keys.master_salt
        assert (lifetime, mki, size) == ("48", "2", "4")
        assert int(mki).to_bytes(int(size), "big") == keys.mki
        attribute = sdes_crypto_attribute(keys, 7)
        assert attribute == f"a=crypto:7 {profile.name} {sdes_key_params(keys)}"
        for tag in (-1, 10**9):
            with pytest.raises(UsageError):
                sdes_crypto_attribute(keys, tag)


@pytest.mark.cpython_only
@every_profile
def test_libsrtp_takes_the_policies(call: Call, profile: SrtpProfile) -> None:
    import pylibsrtp

    packet = bytes.fromhex("8060 0001 000000a0 1234abcd") + b"a frame of somebody's voice"
    [ours, theirs] = call.keys(call.alice).srtp[profile]
    protected = pylibsrtp.Session(libsrtp_policy(ours, "outbound")).protect(packet)
    [received, _] = call.keys(call.bob).srtp[profile]
    assert pylibsrtp.Session(libsrtp_policy(received, "inbound")).unprotect(protected) == packet
    for wrong in (theirs, replace(received, master_salt=bytes(len(received.master_salt)))):
        with pytest.raises(pylibsrtp.Error):
            pylibsrtp.Session(libsrtp_policy(wrong, "inbound")).unprotect(protected)
    with pytest.raises(UsageError):
        libsrtp_policy(ours, "both")  # type: ignore[arg-type]


def test_without_pylibsrtp(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pylibsrtp", None)
    with pytest.raises(UnsupportedError) as caught:
        libsrtp_policy(call.keys(call.alice).srtp[PROFILES[0]][0], "inbound")
    assert caught.value.code == "no-pylibsrtp"


def test_dave(call: Call) -> None:
    group = call.bob.group(call.group_id).group
    secret = export_secret(group, "Discord Secure Frames v0", bytes.fromhex("0807060504030201"), 16)
    assert export_dave_base_secret(call.alice.group(call.group_id).group, 0x0102030405060708) == secret
    assert secret != export_dave_base_secret(group, 0x0807060504030201)
    for user_id in (-1, 2**64):
        with pytest.raises(UsageError):
            export_dave_base_secret(group, user_id)


# -- from epoch to epoch


def test_earlier_epochs_stay_for_a_while(call: Call, provider: CryptoProvider) -> None:
    sender = FrameSender(provider, call.keys(call.alice).sframe.sending_key(0))
    first = call.keys(call.bob)
    media = MediaKeys(first)
    assert (media.forgets_at, media.following(call.keys(call.bob), 5)) == (None, media)
    call.renew()
    media = media.following(call.keys(call.bob), 100)
    receiver = FrameReceiver(provider, find=lambda key_id: media.receiving_key(key_id))
    assert [epoch.sframe.epoch for epoch in media.epochs] == [2, 1]
    assert receiver.unprotect(sender.protect(b"on its way")).frame == b"on its way"
    assert (media.forgets_at, media.forgetting(109)) == (110, media)
    for profile in PROFILES:
        for leaf, keys in enumerate(first.srtp[profile]):
            assert media.srtp_keys(profile, bytes([0, 0, 0, 1]), leaf) == keys

    media = media.forgetting(110)
    assert receiver.key_ids
    receiver.find_again()
    assert not receiver.key_ids
    with pytest.raises(UnknownKeyError):
        receiver.unprotect(sender.protect(b"too late"))
    assert media.srtp_keys(PROFILES[0], bytes([0, 0, 0, 1]), 0) is None
    assert media.srtp_keys(PROFILES[0], bytes([0, 0, 0, 2]), 0) is not None
    assert (media.forgets_at, media.epochs) == (None, (call.keys(call.bob),))


def test_each_epoch_has_its_own_end(call: Call) -> None:
    media = MediaKeys(call.keys(call.alice), overlap=3)
    for now in (1, 2, 3):
        call.renew()
        media = media.following(call.keys(call.alice), now)
    left = [[one.sframe.epoch for one in media.forgetting(now).epochs] for now in (3.5, 4, 5, 6)]
    assert left == [[4, 3, 2, 1], [4, 3, 2], [4, 3], [4]]


def test_epochs_whose_low_bits_are_equal(call: Call) -> None:
    """RFC 9605 §5.2: the old one is not there any more when the new one begins."""
    old = call.keys(call.alice)
    call.renew()
    between = call.keys(call.alice)
    call.renew()
    new = call.keys(call.alice)
    rolled_over = replace(new, sframe=replace(new.sframe, epoch=old.sframe.epoch + 256))
    media = MediaKeys(old).following(between, 0).following(rolled_over, 0)
    assert media.epochs == (rolled_over, between)


def test_an_epoch_that_another_has_taken_the_place_of(call: Call) -> None:
    first = call.keys(call.alice)
    call.renew()
    lost = call.keys(call.alice)
    won = replace(lost, sframe=replace(lost.sframe, base_key=bytes(16)))
    media = MediaKeys(first).following(lost, 0).following(won, 0)
    assert media.epochs == (won, first)
    # Nor do epochs stay that came after where the branches part.
    after = replace(lost, sframe=replace(lost.sframe, epoch=3))
    media = MediaKeys(first).following(lost, 0).following(after, 0).following(won, 0)
    assert media.epochs == (won, first)


def test_a_receiver_follows(call: Call, provider: CryptoProvider) -> None:
    """Frames under the keys of an epoch that took another's place are opened; what came before does not come again."""
    lost = call.keys(call.bob)
    won = replace(lost, sframe=replace(lost.sframe, base_key=bytes(16)))
    media = MediaKeys(lost)
    receiver = FrameReceiver(provider, find=lambda key_id: media.receiving_key(key_id))
    frame = FrameSender(provider, call.keys(call.alice).sframe.sending_key(0)).protect(b"lost")
    receiver.unprotect(frame)
    receiver.find_again()
    with pytest.raises(ValidationError) as caught:
        receiver.unprotect(frame)
    assert caught.value.code == "replayed-frame"
    media = media.following(won, 0)
    receiver.find_again()
    key = won.sframe.receiving_key(won.sframe.key_id(0))
    assert receiver.unprotect(FrameSender(provider, key).protect(b"won")).frame == b"won"


def test_secrets_are_not_shown(call: Call) -> None:
    keys = call.keys(call.alice)
    shown = repr(MediaKeys(keys))
    for secret in (keys.sframe.base_key, keys.srtp[PROFILES[0]][0].master_key):
        assert repr(secret)[2:-1] not in shown
