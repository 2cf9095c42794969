"""SFrame (RFC 9605) on frames alone."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mls_federation.crypto import CryptoProvider
from mls_federation.errors import MLSError, StateError, UnknownKeyError, UsageError, VerificationError
from mls_federation.media import (
    FrameReceiver,
    FrameSender,
    SFrameCipherSuite,
    SFrameKey,
    decode_header,
    derive_key,
    encode_header,
)
from tests.support.sframe_vectors import sframe_vectors

SUITES = tuple(SFrameCipherSuite)
GCM = SFrameCipherSuite.AES_128_GCM_SHA256_128
LAST = 2**64 - 1
# Each number with which a field becomes longer, and the one before it.
BOUNDARIES = [
    0,
    7,
    8,
    *(bound for size in range(1, 8) for bound in (2 ** (8 * size) - 1, 2 ** (8 * size))),
    LAST,
]

every_suite = pytest.mark.parametrize("suite", SUITES, ids=lambda suite: suite.name)


def key_of(
    suite: SFrameCipherSuite, key_id: int = 0x1234, base_key: bytes = b"the base key...."
) -> SFrameKey:
    return derive_key(suite, base_key, key_id)


def receiver_of(provider: CryptoProvider, *keys: SFrameKey, window: int = 1024) -> FrameReceiver:
    receiver = FrameReceiver(provider, window=window)
    for key in keys:
        receiver.set(key)
    return receiver


def code_of(receiver: FrameReceiver, octets: bytes, metadata: bytes = b"") -> str:
    with pytest.raises(MLSError) as caught:
        receiver.unprotect(octets, metadata)
    return caught.value.code


# -- the RFC's vectors

# Digests of frames of ours, made by code that passed the RFC's vectors: they hold it to that where those are not at hand.
_DIGESTS = {
    SFrameCipherSuite.AES_128_CTR_HMAC_SHA256_80: "3a2c3f5c5b7b09b4a10d0701357943780f443f6fd31f16e5ed7bb1cd93001bff",
    SFrameCipherSuite.AES_128_CTR_HMAC_SHA256_64: "f72960b1ee50da447b79a636af062c70b9b4aa78bffa62bbec65552780351279",
    SFrameCipherSuite.AES_128_CTR_HMAC_SHA256_32: "92172f5a9fcff3f6b41aaa6e911199d0671b0bff0688c70af82133e5ed642bc8",
    SFrameCipherSuite.AES_128_GCM_SHA256_128: "a49cb3a9a560d812fe5b5235f14f5677b576dc3bb3389beed9e9bafffdcc4bed",
    SFrameCipherSuite.AES_256_GCM_SHA512_128: "77c950f906ccedf2bdf6928fe18c87c412392002cf276153437bde04f66a94c2",
}


@every_suite
def test_frames_are_what_they_were_when_the_rfcs_vectors_passed(
    provider: CryptoProvider, suite: SFrameCipherSuite
) -> None:
    frames = hashlib.sha256()
    for key_id in (5, 0x0301, LAST):
        key = key_of(suite, key_id, b"a base key of ours")
        for counter, size in ((0, 0), (7, 1), (8, 50), (LAST, 1000)):
            frames.update(FrameSender(provider, key, counter).protect(bytes(size), b"metadata"))
    assert frames.hexdigest() == _DIGESTS[suite]


@pytest.mark.cpython_only  # the file is not carried into the browser; there, frames are compared with CPython's
def test_headers_of_the_rfc() -> None:
    for vector in sframe_vectors("header"):
        encoded = bytes.fromhex(vector["encoded"])
        assert encode_header(vector["kid"], vector["ctr"]) == encoded
        assert decode_header(encoded) == (vector["kid"], vector["ctr"], len(encoded))


@pytest.mark.cpython_only
def test_frames_of_the_rfc(provider: CryptoProvider) -> None:
    seen = set()
    for vector in sframe_vectors("sframe"):
        suite = SFrameCipherSuite(vector["cipher_suite"])
        seen.add(suite)
        key = derive_key(suite, bytes.fromhex(vector["base_key"]), vector["kid"])
        assert (vector["sframe_key"], vector["sframe_salt"]) == (key.key.hex(), key.salt.hex())
        frame, metadata = bytes.fromhex(vector["pt"]), bytes.fromhex(vector["metadata"])
        protected = FrameSender(provider, key, vector["ctr"]).protect(frame, metadata)
        assert vector["ct"] == protected.hex()
        assert receiver_of(provider, key).unprotect(protected, metadata) == (
            frame,
            vector["kid"],
            vector["ctr"],
        )
    assert seen == set(SUITES)


@pytest.mark.cpython_only
def test_aes_ctr_with_hmac_of_the_rfc(provider: CryptoProvider) -> None:
    """The AEAD alone: what its additional data begin with is taken for a header, and the salt is such that the nonce is theirs."""
    for vector in sframe_vectors("aes_ctr_hmac"):
        suite = SFrameCipherSuite(vector["cipher_suite"])
        assert (suite.Nka, suite.Nk) == (len(vector["enc_key"]) // 2, len(vector["key"]) // 2)
        aad = bytes.fromhex(vector["aad"])
        header = decode_header(aad)
        salt = (int.from_bytes(bytes.fromhex(vector["nonce"]), "big") ^ header.counter).to_bytes(12, "big")
        key = SFrameKey(suite, header.key_id, bytes.fromhex(vector["key"]), salt)
        sealed = FrameSender(provider, key, header.counter).protect(
            bytes.fromhex(vector["pt"]), aad[header.size :]
        )
        assert vector["ct"] == sealed[header.size :].hex()


# -- headers


@given(
    key_id=st.sampled_from(BOUNDARIES) | st.integers(0, LAST),
    counter=st.sampled_from(BOUNDARIES) | st.integers(0, LAST),
)
def test_headers_come_back(key_id: int, counter: int) -> None:
    encoded = encode_header(key_id, counter)
    assert decode_header(encoded + b"ciphertext") == (key_id, counter, len(encoded))
    sizes = [0 if number < 8 else (number.bit_length() + 7) // 8 for number in (key_id, counter)]
    assert len(encoded) == 1 + sum(sizes)


def test_headers_at_all_boundaries() -> None:
    encoded = {encode_header(key_id, counter) for key_id in BOUNDARIES for counter in BOUNDARIES}
    assert len(encoded) == len(BOUNDARIES) ** 2
    assert {len(header) for header in encoded} == set(range(1, 18))
    for header in encoded:
        for end in range(len(header)):
            with pytest.raises(MLSError) as caught:
                decode_header(header[:end])
            assert caught.value.code == "bad-frame"


@pytest.mark.parametrize(
    "header",
    ["", "80", "8007", "0800", "0807", "900008", "90", "88", "8808", "09", "0900ff", "ff" + "00" + "ff" * 15],
)
def test_no_header(header: str) -> None:
    """Too short, or a number that is longer than it need be: §4.3 has one header for each pair of numbers."""
    with pytest.raises(MLSError) as caught:
        decode_header(bytes.fromhex(header))
    assert caught.value.code == "bad-frame"


@given(st.binary(max_size=20))
def test_whatever_decodes_is_what_would_be_encoded(octets: bytes) -> None:
    try:
        header = decode_header(octets)
    except MLSError as error:
        assert error.code == "bad-frame"
    else:
        assert encode_header(header.key_id, header.counter) == octets[: header.size]


@pytest.mark.parametrize("numbers", [(-1, 0), (0, -1), (2**64, 0), (0, 2**64)])
def test_numbers_out_of_range(provider: CryptoProvider, numbers: tuple[int, int]) -> None:
    with pytest.raises(UsageError):
        encode_header(*numbers)
    if numbers[0]:
        with pytest.raises(UsageError):
            key_of(GCM, numbers[0])
    else:
        with pytest.raises(UsageError):
            FrameSender(provider, key_of(GCM), numbers[1])


# -- frames


@given(
    suite=st.sampled_from(SUITES),
    frame=st.binary(max_size=200),
    metadata=st.binary(max_size=40),
    key_id=st.integers(0, LAST),
    counter=st.integers(0, LAST),
)
def test_frames_come_back(
    provider: CryptoProvider,
    suite: SFrameCipherSuite,
    frame: bytes,
    metadata: bytes,
    key_id: int,
    counter: int,
) -> None:
    key = key_of(suite, key_id)
    sender = FrameSender(provider, key, counter)
    protected = sender.protect(frame, metadata)
    assert len(protected) == len(encode_header(key_id, counter)) + len(frame) + suite.Nt
    assert sender.counter == counter + 1
    assert receiver_of(provider, key).unprotect(protected, metadata) == (frame, key_id, counter)


@every_suite
def test_each_changed_octet_is_refused(provider: CryptoProvider, suite: SFrameCipherSuite) -> None:
    key, metadata = key_of(suite), b"metadata"
    sender = FrameSender(provider, key, 300)
    sender.protect(b"another")
    protected = sender.protect(b"a frame of media", metadata)
    receiver = receiver_of(provider, key)
    for place in range(len(protected)):
        for flipped in (1, 0x10, 0x80):
            changed = protected[:place] + bytes([protected[place] ^ flipped]) + protected[place + 1 :]
            assert code_of(receiver, changed, metadata) in {"not-authentic", "unknown-key", "bad-frame"}
    for place in range(len(metadata)):
        changed = metadata[:place] + bytes([metadata[place] ^ 1]) + metadata[place + 1 :]
        assert code_of(receiver, protected, changed) == "not-authentic"
    # None of that is remembered, and the frame itself is taken.
    assert receiver.unprotect(protected, metadata).frame == b"a frame of media"


@every_suite
def test_frames_that_are_cut(provider: CryptoProvider, suite: SFrameCipherSuite) -> None:
    key = key_of(suite)
    protected = FrameSender(provider, key).protect(b"")
    receiver = receiver_of(provider, key)
    for end in range(len(protected)):
        assert code_of(receiver, protected[:end]) == "bad-frame"
    assert code_of(receiver, protected + b"\0") == "not-authentic"
    assert receiver.unprotect(protected).frame == b""


@every_suite
def test_no_two_frames_are_alike(provider: CryptoProvider, suite: SFrameCipherSuite) -> None:
    one, other = key_of(suite, 1), key_of(suite, 2)
    frames = [
        FrameSender(provider, key, counter).protect(bytes(32))[-32:]
        for key in (one, other)
        for counter in range(5)
    ]
    assert len(set(frames)) == 10


def test_the_metadata_is_no_part_of_the_header(provider: CryptoProvider) -> None:
    key = key_of(GCM)
    protected = FrameSender(provider, key).protect(b"frame", b"\x01")
    assert code_of(receiver_of(provider, key), protected) == "not-authentic"
    assert code_of(receiver_of(provider, key), protected, b"\x01\x00") == "not-authentic"


def test_keys_of_other_suites_ids_and_bases_open_nothing(provider: CryptoProvider) -> None:
    protected = FrameSender(provider, key_of(GCM)).protect(b"frame")
    for suite in SUITES:
        for base_key in (b"the base key....", b"another base key"):
            if (suite, base_key) != (GCM, b"the base key...."):
                receiver = receiver_of(provider, key_of(suite, base_key=base_key))
                assert code_of(receiver, protected) == "not-authentic"
    with pytest.raises(UnknownKeyError) as caught:
        receiver_of(provider, key_of(GCM, 1)).unprotect(protected)
    assert (caught.value.code, caught.value.key_id) == ("unknown-key", 0x1234)


def test_the_last_counter(provider: CryptoProvider) -> None:
    key = key_of(GCM)
    sender = FrameSender(provider, key, LAST)
    assert receiver_of(provider, key).unprotect(sender.protect(b"the last")).counter == LAST
    for _ in range(2):
        with pytest.raises(StateError) as caught:
            sender.protect(b"one more")
        assert caught.value.code == "counter-exhausted"


def test_an_empty_base_key() -> None:
    with pytest.raises(UsageError):
        derive_key(GCM, b"", 1)


def test_secrets_are_not_shown() -> None:
    key = key_of(GCM)
    for secret in (key.key, key.salt):
        assert secret.hex() not in repr(key)
        assert repr(secret)[2:-1] not in repr(key)


# -- replays


def test_a_frame_comes_once(provider: CryptoProvider) -> None:
    key = key_of(GCM)
    sender, receiver = FrameSender(provider, key), receiver_of(provider, key)
    first, second = sender.protect(b"1"), sender.protect(b"2")
    for frame in (first, second):
        receiver.unprotect(frame)
        assert code_of(receiver, frame) == "replayed-frame"
    receiver.set(key)
    receiver.set(key_of(GCM))
    assert code_of(receiver, first) == "replayed-frame"


@pytest.mark.parametrize("window", [1, 2, 31, 32, 33, 1024])
def test_frames_out_of_order(provider: CryptoProvider, window: int) -> None:
    """All that is less than the window behind the highest is taken, once; what is further behind is not."""
    key = key_of(GCM)
    sender = FrameSender(provider, key)
    frames = [sender.protect(b"%d" % number) for number in range(window + 3)]
    receiver = receiver_of(provider, key, window=window)
    receiver.unprotect(frames[-1])
    accepted = []
    for number in (*range(window + 2), *range(window + 3)):
        try:
            accepted.append(receiver.unprotect(frames[number]).counter)
        except MLSError as error:
            assert error.code == "replayed-frame"
    assert accepted == list(range(3, window + 2))


@given(st.lists(st.integers(0, 40), max_size=60), st.integers(1, 20))
def test_the_window_as_a_set_would_have_it(counters: list[int], window: int) -> None:
    """Against the plain rule: a counter is new if it was not there, and less than the window behind the highest."""
    provider = _Nothing()
    key = key_of(GCM)
    receiver = FrameReceiver(provider, window=window)  # type: ignore[arg-type]
    receiver.set(key)
    seen: set[int] = set()
    for counter in counters:
        expected = counter not in seen and (not seen or counter > max(seen) - window)
        try:
            receiver.unprotect(encode_header(key.key_id, counter) + bytes(16))
            assert expected
            seen.add(counter)
        except MLSError as error:
            assert error.code == "replayed-frame"
            assert not expected


class _Nothing:
    """Takes every ciphertext for authentic."""

    def aead_open(self, *_: object) -> bytes:
        return b""


def test_a_forged_counter_moves_no_window(provider: CryptoProvider) -> None:
    key = key_of(GCM)
    sender, receiver = FrameSender(provider, key), receiver_of(provider, key, window=4)
    frames = [sender.protect(b"%d" % number) for number in range(6)]
    receiver.unprotect(frames[0])
    forged = encode_header(key.key_id, LAST) + frames[1][3:]
    assert code_of(receiver, forged) == "not-authentic"
    assert [receiver.unprotect(frame).counter for frame in frames[1:]] == [1, 2, 3, 4, 5]


def test_a_far_counter(provider: CryptoProvider) -> None:
    """However far the counter jumps, it costs no more memory than the window."""
    key = key_of(GCM)
    receiver = receiver_of(provider, key)
    for counter in (3, 2**63, LAST):
        assert receiver.unprotect(FrameSender(provider, key, counter).protect(b"")).counter == counter
    assert code_of(receiver, FrameSender(provider, key, 3).protect(b"")) == "replayed-frame"
    assert receiver.unprotect(FrameSender(provider, key, LAST - 1023).protect(b"")).counter == LAST - 1023


@pytest.mark.parametrize("window", [0, -1, 65537])
def test_windows_that_are_none(provider: CryptoProvider, window: int) -> None:
    with pytest.raises(UsageError):
        FrameReceiver(provider, window=window)


# -- keys of a receiver


def test_keys_are_set_and_deleted(provider: CryptoProvider) -> None:
    one, other = key_of(GCM, 1), key_of(GCM, 2)
    receiver = receiver_of(provider, one, other)
    assert (receiver.key_ids, receiver.has(1), receiver.has(3)) == ((1, 2), True, False)
    receiver.delete(1)
    receiver.delete(3)
    assert code_of(receiver, FrameSender(provider, one).protect(b"")) == "unknown-key"
    assert receiver.unprotect(FrameSender(provider, other).protect(b"it")).frame == b"it"
    # Another key of the same id begins anew.
    anew = key_of(GCM, 2, b"another base key")
    receiver.set(anew)
    assert receiver.unprotect(FrameSender(provider, anew).protect(b"it")).frame == b"it"
    assert code_of(receiver, FrameSender(provider, other, 5).protect(b"")) == "not-authentic"


def test_keys_that_are_found_stay_when_a_frame_was_authentic(provider: CryptoProvider) -> None:
    """So nobody fills the receiver's memory with key ids that nobody sends by."""
    asked: list[int] = []

    def find(key_id: int) -> SFrameKey:
        asked.append(key_id)
        if key_id > 100:
            raise UnknownKeyError(key_id)
        return key_of(GCM, key_id)

    receiver = FrameReceiver(provider, find=find)
    for key_id in (1, 2, 3):
        assert code_of(receiver, encode_header(key_id, 0) + bytes(20)) == "not-authentic"
    assert code_of(receiver, encode_header(101, 0) + bytes(20)) == "unknown-key"
    assert not receiver.key_ids
    sender = FrameSender(provider, key_of(GCM, 2))
    frames = [sender.protect(b"1"), sender.protect(b"2")]
    assert [receiver.unprotect(frame).frame for frame in frames] == [b"1", b"2"]
    assert receiver.key_ids == (2,)
    assert code_of(receiver, frames[0]) == "replayed-frame"
    assert asked == [1, 2, 3, 101, 2]


def test_what_is_not_authentic_says_no_more(provider: CryptoProvider) -> None:
    """One code and one message for all suites, whatever was changed."""
    messages = set()
    for suite in SUITES:
        key = key_of(suite)
        protected = FrameSender(provider, key).protect(b"a frame")
        for place in (-1, -suite.Nt - 1):
            changed = bytearray(protected)
            changed[place] ^= 1
            with pytest.raises(VerificationError) as caught:
                receiver_of(provider, key).unprotect(bytes(changed))
            messages.add(str(caught.value))
    assert len(messages) == 1
