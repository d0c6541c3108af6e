"""Datagrams: heartbeats as sealed bytes, and back; whoever lacks the session's key cannot make or read one.

    offset  bytes  header, in the clear and authenticated
         0      4  magic `RCHB`
         4      1  version
         5      1  direction: 1 to the controller, 2 to the agent of another node
         6      2  length of the sealed rest
         8      8  session
        16      8  counter
        24      8  the sender's clock in milliseconds
        32      -  AES-256-GCM of the body, 16 bytes of tag at its end

The key is fresh for each session and comes over TLS. The nonce is direction, session and counter, so that it
repeats only if a sender repeats a counter, and `seal` never does. A receiver takes each counter once and
none that is more than a window behind. Law: bytes that fail any check change nothing at all.
"""

import struct
from dataclasses import dataclass, replace
from enum import IntEnum

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from reconciler.membership.heartbeat import Beat
from reconciler.model.errors import Corrupt
from reconciler.model.ids import BootId, Digest, Millis

VERSION = 1
DATAGRAM_BYTES_MAX = 1_200
KEY_BYTES = 32
WINDOW = 1_024

_MAGIC = b"RCHB"
_HEADER = struct.Struct("!4sBBHQQQ")
_BODY = struct.Struct("!BQQ32sB")
_TAG_BYTES = 16
_AGENT_DOWN, _STALLED, _HAS_STATE, _ALONE = 1, 2, 4, 8
_COUNTER_MAX = 2**64 - 1


class Direction(IntEnum):
    """Who speaks to whom; part of the nonce, so that nothing can be reflected."""

    TO_CONTROLLER = 1
    TO_AGENT = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What can be read without the key, and believed only after `unseal`."""

    direction: Direction
    session: int
    counter: int
    sent_ms: Millis


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Which counters have been taken: all below `highest - WINDOW`, and those whose bit is set."""

    highest: int = 0
    seen: int = 0
    """Bit n stands for `highest - n`."""

    def takes(self, counter: int) -> bool:
        """Whether this counter is new."""
        behind = self.highest - counter
        return counter > 0 and (behind < 0 or (behind < WINDOW and not self.seen >> behind & 1))

    def take(self, counter: int) -> "Window":
        """Mark a counter as taken. Law: `takes` said yes."""
        ahead = counter - self.highest
        if ahead > 0:
            shifted = self.seen << ahead if ahead < WINDOW else 0
            return Window(highest=counter, seen=(shifted | 1) & ((1 << WINDOW) - 1))
        return replace(self, seen=self.seen | 1 << -ahead)


class Seal:
    """Turns beats into datagrams, with a key that nobody else seals with in this direction."""

    def __init__(
        self,
        *,
        key: bytes,
        session: int,
        counter: int = 0,
        direction: Direction = Direction.TO_CONTROLLER,
    ) -> None:
        """`counter` is the last one used: the first datagram carries the next."""
        self._cipher = AESGCM(_check(key))
        self._session = session
        self._counter = counter
        self._direction = direction

    def seal(self, beat: Beat) -> bytes:
        """Make the next datagram. It may be sent over several links; it is taken once."""
        self._counter += 1
        body = _write_body(beat)
        head = _HEADER.pack(
            _MAGIC,
            VERSION,
            self._direction,
            len(body) + _TAG_BYTES,
            self._session,
            self._counter,
            beat.sent_ms,
        )
        nonce = _nonce(self._direction, self._session, self._counter)
        return head + self._cipher.encrypt(nonce, body, head)


class Opener:
    """Turns the datagrams of one session and direction back into beats, each once."""

    def __init__(
        self, *, key: bytes, session: int, direction: Direction = Direction.TO_CONTROLLER
    ) -> None:
        self._cipher = AESGCM(_check(key))
        self._session = session
        self._direction = direction
        self._window = Window()

    def open(self, data: bytes, header: Header) -> Beat | None:
        """Check and read a datagram whose header has been read; None if it was taken before.

        Errors: `Corrupt` when it is not an untouched datagram of this session. Nothing has changed then.
        """
        if header.session != self._session or header.direction is not self._direction:
            raise Corrupt("a datagram of another session")
        if not self._window.takes(header.counter):
            return None
        nonce = _nonce(header.direction, header.session, header.counter)
        try:
            body = self._cipher.decrypt(nonce, data[_HEADER.size :], data[: _HEADER.size])
        except InvalidTag as trouble:
            raise Corrupt("a datagram that was not sealed with this session's key") from trouble
        beat = _read_body(body, header)
        self._window = self._window.take(header.counter)
        return beat


def read_header(data: bytes) -> Header:
    """Read what says whose datagram this claims to be.

    Errors: `Corrupt` unless size, magic, version, direction and length are exactly right, and the counter
    is one that a sender uses: they begin at 1.
    """
    if not _HEADER.size + _TAG_BYTES <= len(data) <= DATAGRAM_BYTES_MAX:
        raise Corrupt("a datagram of impossible size")
    magic, version, direction, length, session, counter, sent_ms = _HEADER.unpack_from(data)
    if magic != _MAGIC or version != VERSION or direction not in {1, 2} or counter == 0:
        raise Corrupt("not a datagram of this protocol")
    if length != len(data) - _HEADER.size:
        raise Corrupt("a datagram that is shorter or longer than it says")
    return Header(
        direction=Direction(direction), session=session, counter=counter, sent_ms=Millis(sent_ms)
    )


def _check(key: bytes) -> bytes:
    if len(key) != KEY_BYTES:
        raise Corrupt(f"a session key has {KEY_BYTES} bytes, this has {len(key)}")
    return key


def _nonce(direction: int, session: int, counter: int) -> bytes:
    return bytes([direction]) + (session & 0xFFFFFF).to_bytes(3, "big") + counter.to_bytes(8, "big")


def _write_body(beat: Beat) -> bytes:
    boot = beat.boot.encode()
    flags = (
        _AGENT_DOWN * beat.agent_down
        | _STALLED * beat.stalled
        | _HAS_STATE * (beat.state is not None)
        | _ALONE * beat.alone
    )
    state = bytes.fromhex(beat.state) if beat.state is not None else bytes(32)
    return _BODY.pack(flags, beat.tick, beat.report, state, len(boot)) + boot


def _read_body(body: bytes, header: Header) -> Beat:
    try:
        flags, tick, report, state, length = _BODY.unpack_from(body)
        boot = body[_BODY.size :].decode("ascii")
    except (struct.error, UnicodeDecodeError) as trouble:
        raise Corrupt("a heartbeat of another shape") from trouble
    if length != len(boot) or flags & ~(_AGENT_DOWN | _STALLED | _HAS_STATE | _ALONE):
        raise Corrupt("a heartbeat of another shape")
    return Beat(
        boot=BootId(boot),
        sent_ms=header.sent_ms,
        tick=tick,
        report=report,
        state=Digest(state.hex()) if flags & _HAS_STATE else None,
        agent_down=bool(flags & _AGENT_DOWN),
        stalled=bool(flags & _STALLED),
        alone=bool(flags & _ALONE),
    )
