"""Heartbeats on the way: a small process on every node that speaks them, and a listener that hears them.

The speaker is a process of its own, started early by the agent: no slow action, no full queue and no garbage
collection of the agent delays it. It asks for real-time priority and locked memory, and goes on without where
that is not allowed. When the agent dies it says `agent_down` for ten seconds, so that a dead agent can be
told from a dead node, and then ends; a new agent begins a new session, and the old one is no longer heard.

On a node:

    speaker = Speaker.start(boot, run)                       # early; a child in the agent's process group
    speaker.speak(session=welcome.session, key=welcome.key, every_ms=welcome.heartbeat.every_ms,
                  links=[Link(target="10.0.0.9", port=welcome.heartbeat_port)])
    speaker.know(peers)                                      # whom else to speak to, and to hear
    speaker.tell(tick=n, report=sequence, state=digest)      # at least once per interval
    speaker.backed_ms                                        # when enough others were last heard
    speaker.stop()                                           # leaving for good; otherwise let it see us die

In the controller:

    listener = HeartbeatListener(("0.0.0.0", 7410), heard)   # heard(node, beat, now_ms), on the running loop
    session = listener.admit(node)                           # after Hello: what goes into Welcome
    listener.dismiss(node)                                   # when the node leaves the intent, not its stream
    listener.close()

Law: a datagram not sealed with the key of a live session calls nobody and changes nothing but a count.
"""

import contextlib
import json
import secrets
import socket
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from reconciler.codec.datagram import DATAGRAM_BYTES_MAX, KEY_BYTES, Opener, read_header
from reconciler.membership.heartbeat import Beat
from reconciler.model.errors import Corrupt, Unreachable
from reconciler.model.ids import BootId, Digest, Millis, NodeName
from reconciler.runtime import clock, peer_book

if TYPE_CHECKING:
    from pathlib import Path
    from subprocess import Popen

    from reconciler.codec.messages import Peers

Heard = Callable[[NodeName, Beat, Millis], None]

PEER_PORT = 7411
"""Where nodes hear each other; any other port where it is taken."""
PACKET_BYTES_MAX = 8_192

DRAIN_MAX = 512
"""Datagrams taken in one go, before the loop's other work gets its turn."""
RESPAWN_MS = 1_000
_RECEIVE_BUFFER_BYTES = 4 * 1024 * 1024
_SO_RCVBUFFORCE = 33  # socket(7); Python does not name it


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """One way to a controller. Addresses are numeric: a speaker never waits for a name server."""

    target: str
    port: int
    source: str | None = None
    """Which of this node's addresses to send from; None leaves it to the routing table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """What a node needs to be heard; travels in `Welcome`."""

    number: int
    key: bytes = field(repr=False)


@dataclass(slots=True)
class Counts:
    """Datagrams since the listener began, by what became of them."""

    heard: int = 0
    repeated: int = 0
    """Taken before: the same heartbeat over a second link, or a replay."""
    refused: int = 0
    """Malformed, of no live session, or not sealed with its key."""


class Speaker:
    """The agent's end of the process that speaks heartbeats. No method ever waits for it."""

    def __init__(self, boot: BootId, run: "Path | None") -> None:
        """`start` is the door."""
        self._boot = boot
        self._unsaid: list[dict[str, Any]] = []
        self._session: dict[str, Any] = {}
        self._backed_ms: Millis | None = None
        self._book = peer_book.PeerBook(run)
        self._hearing = _bind_near(self._book.port or PEER_PORT)
        self._process, self._pipe = self._spawn()
        self._spawned_ms = clock.monotonic_ms()
        if self._book.words:
            self._unsaid = [self._book.words]
            self._say()

    @classmethod
    def start(cls, boot: BootId, run: "Path | None" = None) -> Self:
        """Start the process, in the agent's process group, so that whatever ends the group ends it too.

        Whom an earlier agent of this boot was told to hear stands in the run directory, and is heard at once.
        """
        return cls(boot, run)

    @property
    def pid(self) -> int:
        """Process id of the speaker."""
        return self._process.pid

    def speak(self, *, session: int, key: bytes, links: Sequence[Link], every_ms: Millis) -> None:
        """Begin a session: from now on, say a heartbeat over every link each `every_ms`."""
        self._session = {
            "session": session,
            "key": key.hex(),
            "links": [[link.target, link.port, link.source] for link in links],
            "every_ms": every_ms,
        }
        self._unsaid = [*(words for words in self._unsaid if "peers" in words), self._session]
        self._say()

    @property
    def peer_port(self) -> int:
        """Where other nodes' heartbeats are heard; 0: nowhere."""
        return self._hearing.getsockname()[1] if self._hearing is not None else 0

    def know(self, peers: "Peers") -> None:
        """Speak to these nodes too, and hear those."""
        self._book.write(peers, self.peer_port)
        self._unsaid.append(self._book.words)
        self._say()

    def tell(self, *, tick: int, report: int, state: Digest | None, alone: bool = False) -> None:
        """Say what the next heartbeats are to carry, and revive the process should it have died."""
        orders = [words for words in self._unsaid if "news" not in words]
        news = {"tick": tick, "report": report, "state": state, "alone": alone}
        self._unsaid = [*orders, {"news": news}]
        self._say()

    @property
    def backed_ms(self) -> Millis | None:
        """When last enough other nodes were heard that had no controller either."""
        with contextlib.suppress(OSError):
            while packet := self._pipe.recv(PACKET_BYTES_MAX):
                self._backed_ms = Millis(json.loads(packet)["backed_ms"])
        return self._backed_ms

    def stop(self) -> None:
        """End the process at once and without a word: the node leaves on purpose. Safe to call twice."""
        self._end()
        if self._hearing is not None:
            self._hearing.close()

    def _end(self) -> None:
        self._pipe.close()
        self._process.kill()
        self._process.wait()

    def _say(self) -> None:
        try:
            while self._unsaid:
                self._pipe.send(json.dumps(self._unsaid[0]).encode())
                del self._unsaid[0]
        except BlockingIOError:
            pass  # it is behind; what is still unsaid goes with the next news
        except OSError:
            self._revive()

    def _revive(self) -> None:
        now_ms = clock.monotonic_ms()
        if now_ms - self._spawned_ms < RESPAWN_MS:
            return
        self._end()
        self._process, self._pipe = self._spawn()
        self._spawned_ms = now_ms
        known = [words for words in (self._session, self._book.words) if words]
        self._unsaid = [*known, *self._unsaid[-1:]] if known else []

    def _spawn(self) -> tuple["Popen[bytes]", socket.socket]:
        import subprocess

        ours, theirs = socket.socketpair(
            socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK
        )
        heard = [self._hearing.fileno()] if self._hearing is not None else []
        with theirs:
            descriptors = [theirs.fileno(), *heard]
            process = subprocess.Popen(
                [sys.executable, "-I", "-m", f"{__name__}_process", *map(str, descriptors)],
                pass_fds=descriptors,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                cwd="/",
                env={},
            )
        ours.send(json.dumps({"boot": self._boot}).encode())
        return process, ours


class HeartbeatListener:
    """Hears the heartbeats of every admitted node on one port.

    Reads the socket until it is empty, which asyncio's own datagram transport does not: after a stall of this
    process everything that waited in the kernel is heard before any timer can call a node silent.
    """

    def __init__(self, address: tuple[str, int], heard: Heard) -> None:
        """Listen from now on, on the running loop.

        Errors: `Unreachable` when the address is taken or not ours.
        """
        import asyncio

        self.counts = Counts()
        self._heard = heard
        self._sessions: dict[int, tuple[NodeName, Opener]] = {}
        self._current: dict[NodeName, int] = {}
        self._socket = _bind(address)
        self.address: tuple[str, int] = self._socket.getsockname()[:2]
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._socket, self._drain)

    def admit(self, node: NodeName) -> Session:
        """Begin a session for a node, which ends the one it had: call it for a proven stream only."""
        session = Session(number=secrets.randbits(63), key=secrets.token_bytes(KEY_BYTES))
        self.dismiss(node)
        self._sessions[session.number] = (node, Opener(key=session.key, session=session.number))
        self._current[node] = session.number
        return session

    def dismiss(self, node: NodeName) -> None:
        """Hear no more of a node, until it is admitted again."""
        if (number := self._current.pop(node, None)) is not None:
            del self._sessions[number]

    def close(self) -> None:
        """Stop listening. Safe to call twice."""
        if self._socket.fileno() >= 0:
            self._loop.remove_reader(self._socket)
            self._socket.close()

    def _drain(self) -> None:
        for _ in range(DRAIN_MAX):
            try:
                data = self._socket.recv(DATAGRAM_BYTES_MAX + 1)
            except OSError:  # nothing more for now
                return
            self._take(data)

    def _take(self, data: bytes) -> None:
        try:
            header = read_header(data)
            node, opener = self._sessions[header.session]
            beat = opener.open(data, header)
        except (Corrupt, KeyError):
            self.counts.refused += 1
            return
        if beat is None:
            self.counts.repeated += 1
            return
        self.counts.heard += 1
        self._heard(node, beat, clock.monotonic_ms())


def _bind_near(port: int) -> socket.socket | None:
    """Bind this port, or any; None where nothing can be heard, which only makes this node more careful."""
    for address in (("::", port), ("0.0.0.0", port), ("::", 0), ("0.0.0.0", 0)):  # noqa: S104 - sealed
        with contextlib.suppress(Unreachable):
            return _bind(address)
    return None


def _widen(bound: socket.socket) -> None:
    """Make room for bursts: beyond the system's limit where we may, up to it where not."""
    with contextlib.suppress(OSError):
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER_BYTES)
        bound.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _RECEIVE_BUFFER_BYTES)


def _bind(address: tuple[str, int]) -> socket.socket:
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(
            *address, type=socket.SOCK_DGRAM, flags=socket.AI_PASSIVE
        )[0]
        bound = socket.socket(family, kind | socket.SOCK_NONBLOCK, protocol)
    except OSError as trouble:
        raise Unreachable(f"cannot hear heartbeats on {address[0]}: {trouble}") from trouble
    try:
        bound.bind(place)
        _widen(bound)
    except OSError as trouble:
        bound.close()
        raise Unreachable(
            f"cannot hear heartbeats on {address[0]}:{address[1]}: {trouble}"
        ) from trouble
    return bound
