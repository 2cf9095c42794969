"""SRTP keys from a group (docs/protocol.md), tried on libsrtp."""

from __future__ import annotations

import struct
from typing import Any

import pytest

from mls_federation.crypto import CipherSuite, CryptoProvider
from mls_federation.errors import UsageError
from mls_federation.media import SrtpKeys, SrtpProfile, export_srtp_keys, srtp_profile
from mls_federation.mls import export_secret
from tests.support.network import Peer, deliver, group_of

PROFILES = tuple(SrtpProfile)
CHACHA = CipherSuite.MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_Ed25519
P256 = CipherSuite.MLS_128_DHKEMP256_AES128GCM_SHA256_P256

# Octets of master key and master salt (RFC 5764 §4.1.2, RFC 7714 §12).
_SIZES = {
    SrtpProfile.AES_CM_128_HMAC_SHA1_80: (16, 14),
    SrtpProfile.AEAD_AES_128_GCM: (16, 12),
    SrtpProfile.AEAD_AES_256_GCM: (32, 12),
}


class Call:
    """Three members of a group; the third is on a leaf of its own after a change of epoch."""

    def __init__(self, provider: CryptoProvider) -> None:
        self.alice = Peer(provider, "alice@a.example")
        self.bob = Peer(provider, "bob@b.example")
        self.carol = Peer(provider, "carol@c.example")
        self.members = (self.alice, self.bob, self.carol)
        self.group_id = group_of(self.alice, self.bob, self.carol)

    def renew(self) -> None:
        """Go to the next epoch."""
        self.bob.renew(self.group_id)
        deliver(self.bob, self.alice, self.carol)

    def keys(self, member: Peer, profile: SrtpProfile) -> tuple[SrtpKeys, ...]:
        """As one member exports them."""
        return export_srtp_keys(member.group(self.group_id).group, profile)


@pytest.fixture
def call(provider: CryptoProvider) -> Call:
    return Call(provider)


@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.name)
def test_sizes(call: Call, profile: SrtpProfile) -> None:
    for keys in call.keys(call.alice, profile):
        assert _SIZES[profile] == (len(keys.master_key), len(keys.master_salt))
        assert profile == keys.profile


@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.name)
def test_all_members_have_the_same_keys_for_every_sender(call: Call, profile: SrtpProfile) -> None:
    for epoch in (1, 2):
        expected = call.keys(call.alice, profile)
        assert [keys.leaf_index for keys in expected] == [0, 1, 2]
        assert [epoch] * 3 == [keys.epoch for keys in expected]
        assert expected == call.keys(call.bob, profile) == call.keys(call.carol, profile)
        if epoch == 1:
            call.renew()


def test_no_two_senders_profiles_or_epochs_share_anything(call: Call) -> None:
    exported = [keys for profile in PROFILES for keys in call.keys(call.alice, profile)]
    call.renew()
    exported += [keys for profile in PROFILES for keys in call.keys(call.alice, profile)]

    assert len(exported) == 18
    assert len({keys.master_key[:16] for keys in exported}) == 18
    assert len({keys.master_salt[:12] for keys in exported}) == 18


def test_two_groups_of_the_same_people_share_nothing(call: Call) -> None:
    other = group_of(call.alice, call.bob, call.carol)
    assert {keys.master_key for keys in call.keys(call.alice, PROFILES[0])}.isdisjoint(
        keys.master_key for keys in export_srtp_keys(call.alice.group(other).group, PROFILES[0])
    )


def test_they_are_exported_as_the_protocol_says(call: Call) -> None:
    """A second implementation finds them by this rule alone."""
    group = call.carol.group(call.group_id).group
    secret = export_secret(group, "MLS Federation 1.0 SRTP", bytes.fromhex("0007 00000001"), 28)

    keys = call.keys(call.alice, SrtpProfile.AEAD_AES_128_GCM)[1]

    assert (secret[:16], secret[16:]) == (keys.master_key, keys.master_salt)


def test_the_mki_is_the_epoch(call: Call) -> None:
    assert {b"\x00\x00\x00\x01"} == {keys.mki for keys in call.keys(call.bob, PROFILES[0])}
    call.renew()
    assert {b"\x00\x00\x00\x02"} == {keys.mki for keys in call.keys(call.bob, PROFILES[0])}


@pytest.mark.parametrize("suite", [CHACHA, P256], ids=lambda suite: suite.name)
def test_every_cipher_suite_has_them(provider: CryptoProvider, suite: CipherSuite) -> None:
    alice, bob = Peer(provider, "alice@a.example"), Peer(provider, "bob@b.example")
    group_id = alice.begin(suite)
    alice.add(group_id, bob)
    deliver(alice, bob)
    for profile in PROFILES:
        expected = export_srtp_keys(alice.group(group_id).group, profile)
        assert expected == export_srtp_keys(bob.group(group_id).group, profile)


def test_a_member_who_left_has_no_keys_and_the_others_have_new_ones(call: Call) -> None:
    before = call.keys(call.alice, PROFILES[0])
    call.alice.remove(call.group_id, "bob@b.example")
    deliver(call.alice, call.bob, call.carol)

    after = call.keys(call.alice, PROFILES[0])
    assert after == call.keys(call.carol, PROFILES[0])
    assert [keys.leaf_index for keys in after] == [0, 2]
    assert {keys.master_key for keys in before}.isdisjoint(keys.master_key for keys in after)
    assert call.group_id not in call.bob.state.groups


def test_profiles_by_name() -> None:
    assert [srtp_profile(profile.name) for profile in PROFILES] == list(PROFILES)
    for name in ("", "AEAD_AES_512_GCM", "aead_aes_128_gcm", "7", "_SIZES", "name"):
        with pytest.raises(UsageError) as caught:
            srtp_profile(name)
        assert caught.value.code == "unknown-srtp-profile"


def test_an_unknown_profile(call: Call) -> None:
    with pytest.raises(UsageError) as caught:
        call.keys(call.alice, SrtpProfile(0x0002))
    assert caught.value.code == "unknown-srtp-profile"


def test_secrets_are_not_shown(call: Call) -> None:
    for keys in call.keys(call.alice, PROFILES[0]):
        for secret in (keys.master_key, keys.master_salt):
            assert secret.hex() not in repr(keys)
            assert repr(secret)[2:-1] not in repr(keys)


# -- on libsrtp

_SSRC = 0x1234ABCD
_PAYLOAD = b"a frame of somebody's voice"


def rtp_packet(sequence: int) -> bytes:
    """An RTP packet (RFC 3550 §5.1) of payload type 96."""
    return struct.pack("!BBHII", 0x80, 96, sequence, 160 * sequence, _SSRC) + _PAYLOAD


def session(keys: SrtpKeys, *, sending: bool) -> Any:
    """libsrtp, with the keys of one sender."""
    import pylibsrtp

    profiles = {
        SrtpProfile.AES_CM_128_HMAC_SHA1_80: pylibsrtp.Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
        SrtpProfile.AEAD_AES_128_GCM: pylibsrtp.Policy.SRTP_PROFILE_AEAD_AES_128_GCM,
        SrtpProfile.AEAD_AES_256_GCM: pylibsrtp.Policy.SRTP_PROFILE_AEAD_AES_256_GCM,
    }
    kind = pylibsrtp.Policy.SSRC_ANY_OUTBOUND if sending else pylibsrtp.Policy.SSRC_ANY_INBOUND
    return pylibsrtp.Session(
        pylibsrtp.Policy(
            key=keys.master_key + keys.master_salt, ssrc_type=kind, srtp_profile=profiles[keys.profile]
        )
    )


@pytest.mark.cpython_only
@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.name)
def test_a_packet_of_each_member_reaches_each_other(call: Call, profile: SrtpProfile) -> None:
    for leaf, sender in enumerate(call.members):
        sending = session(call.keys(sender, profile)[leaf], sending=True)
        protected = [sending.protect(rtp_packet(sequence)) for sequence in (1, 2, 3)]
        assert all(_PAYLOAD not in packet for packet in protected)
        for receiver in call.members:
            receiving = session(call.keys(receiver, profile)[leaf], sending=False)
            assert [rtp_packet(sequence) for sequence in (1, 2, 3)] == [
                receiving.unprotect(packet) for packet in protected
            ]


@pytest.mark.cpython_only
@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.name)
def test_no_other_keys_open_a_packet(call: Call, profile: SrtpProfile, provider: CryptoProvider) -> None:
    import pylibsrtp

    past = call.keys(call.bob, profile)[0]
    call.renew()
    present = call.keys(call.alice, profile)
    eve = Peer(provider, "eve@c.example")
    hers = eve.begin(group_id=call.group_id)
    packet = session(present[0], sending=True).protect(rtp_packet(1))

    assert session(call.keys(call.bob, profile)[0], sending=False).unprotect(packet) == rtp_packet(1)
    for wrong in (past, present[1], export_srtp_keys(eve.group(hers).group, profile)[0]):
        with pytest.raises(pylibsrtp.Error):
            session(wrong, sending=False).unprotect(packet)
