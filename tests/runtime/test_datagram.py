import struct

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import example, given
from hypothesis import strategies as st

from reconciler.codec.datagram import (
    DATAGRAM_BYTES_MAX,
    WINDOW,
    Direction,
    Opener,
    Seal,
    Window,
    read_header,
)
from reconciler.membership.heartbeat import Beat
from reconciler.model.errors import Corrupt
from reconciler.model.ids import BootId, Digest, Millis

KEY, OTHER_KEY = bytes(range(32)), bytes(32)
SESSION = 0x1122_3344_5566_7788
BEAT = Beat(boot=BootId("boot-1"), sent_ms=Millis(12_345), tick=7, report=3)

U64 = st.integers(0, 2**64 - 1)
beats = st.builds(
    Beat,
    boot=st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=255).map(BootId),
    sent_ms=U64.map(Millis),
    tick=U64,
    report=U64,
    state=st.none() | st.binary(min_size=32, max_size=32).map(lambda raw: Digest(raw.hex())),
    agent_down=st.booleans(),
    stalled=st.booleans(),
)


def sealed(beat=BEAT, *, counter=0, **overrides):
    given_here = {"key": KEY, "session": SESSION, "counter": counter} | overrides
    return Seal(**given_here).seal(beat)


def opened(opener, data):
    return opener.open(data, read_header(data))


def opener():
    return Opener(key=KEY, session=SESSION)


@given(beats)
def test_what_was_sealed_is_what_is_read(beat):
    data = sealed(beat)
    assert len(data) <= DATAGRAM_BYTES_MAX
    assert opened(opener(), data) == beat


def test_every_seal_is_another_datagram_and_counts_on():
    seal = Seal(key=KEY, session=SESSION, counter=41)
    first, second = seal.seal(BEAT), seal.seal(BEAT)
    assert first != second
    assert [read_header(data).counter for data in (first, second)] == [42, 43]


@given(st.integers(0, 10**4), st.integers(0, 7))
@example(23, 0)  # the lowest bit of the counter: 1 becomes 0
def test_one_flipped_bit_anywhere_is_refused_and_changes_nothing(place, bit):
    data = bytearray(sealed())
    data[place % len(data)] ^= 1 << bit
    receiver = opener()
    with pytest.raises(Corrupt):
        opened(receiver, bytes(data))
    assert opened(receiver, sealed()) == BEAT, "the true datagram still counts as new"


def test_a_counter_of_zero_is_refused_though_its_seal_is_good():
    with pytest.raises(Corrupt):
        opened(opener(), sealed(counter=-1))


@given(st.binary(max_size=1_400))
def test_noise_is_refused(data):
    with pytest.raises(Corrupt):
        opened(opener(), data)


@given(
    st.integers(0, 255),
    st.integers(0, 255),
    st.integers(0, 0xFFFF),
    U64,
    U64,
    st.binary(max_size=1_200),
)
def test_well_formed_headers_of_strangers_are_refused(
    version, direction, length, session, counter, rest
):
    head = struct.pack("!4sBBHQQQ", b"RCHB", version, direction, length, session, counter, 0)
    honest = struct.pack("!4sBBHQQQ", b"RCHB", 1, 1, len(rest), SESSION, counter, 0)
    for data in (head + rest, honest + rest):
        with pytest.raises(Corrupt):
            opened(opener(), data)


@given(st.integers(0, 200))
def test_a_truncated_or_lengthened_datagram_is_refused(size):
    data = sealed()
    for other in (data[:size], data + b"x", data + bytes(DATAGRAM_BYTES_MAX)):
        if other != data:
            with pytest.raises(Corrupt):
                opened(opener(), other)


@pytest.mark.parametrize(
    "overrides",
    [
        {"key": OTHER_KEY},
        {"session": SESSION + 1},
        {"session": SESSION ^ 1 << 60},
        {"direction": Direction.TO_AGENT},
    ],
)
def test_another_key_session_or_direction_is_refused(overrides):
    with pytest.raises(Corrupt):
        opened(opener(), sealed(**overrides))


def test_a_splice_of_two_sessions_is_refused():
    mine, other = sealed(), sealed(session=SESSION + 1, key=OTHER_KEY)
    for data in (mine[:32] + other[32:], other[:32] + mine[32:]):
        with pytest.raises(Corrupt):
            opened(opener(), data)


@pytest.mark.parametrize("body", [b"", b"\0" * 17, b"\xff" * 60, b"\x10" + bytes(49), bytes(51)])
def test_a_sealed_body_of_another_shape_is_refused_and_its_counter_stays_new(body):
    head = struct.pack("!4sBBHQQQ", b"RCHB", 1, 1, len(body) + 16, SESSION, 1, 0)
    nonce = bytes([1]) + (SESSION & 0xFFFFFF).to_bytes(3, "big") + (1).to_bytes(8, "big")
    receiver = opener()
    with pytest.raises(Corrupt):
        opened(receiver, head + AESGCM(KEY).encrypt(nonce, body, head))
    assert opened(receiver, sealed()) == BEAT


def test_a_key_of_another_size_is_refused():
    for key in (b"", bytes(16), bytes(33)):
        with pytest.raises(Corrupt):
            Opener(key=key, session=1)


@given(st.lists(st.integers(1, 3 * WINDOW), min_size=1, max_size=60))
def test_a_replay_is_taken_once_in_whatever_order(counters):
    """Against a set of everything ever taken."""
    receiver, taken = opener(), set()
    for counter in counters:
        new = counter not in taken and counter > max(taken, default=0) - WINDOW
        result = opened(receiver, sealed(counter=counter - 1))
        assert (result is not None) is new
        if new:
            taken.add(counter)


@given(st.lists(st.integers(0, 2**64 - 1), max_size=30))
def test_the_window_keeps_its_size_and_never_takes_twice(counters):
    window, taken = Window(), set()
    for counter in counters:
        if window.takes(counter):
            assert counter not in taken
            window = window.take(counter)
            taken.add(counter)
        assert not window.takes(counter)
        assert window.seen < 1 << WINDOW
