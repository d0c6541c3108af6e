"""The process that speaks heartbeats for a node, and hears a few others': `python -m` this module.

It imports little, opens no file, waits in one place (`poll`) and allocates next to nothing, so that it keeps
time on a node that is short of memory and processor. What to say and to whom comes as JSON packets over the
socket pair that it was started with; see `runtime.heartbeat`, which starts it. When the other end of the pair
closes, the agent is dead: it says so for `AGENT_DOWN_MS`, then ends.

What it hears of other nodes it tells the agent in one number: when last enough of them were there and had
no controller either (`membership.ring`).
"""

import contextlib
import json
import os
import resource
import select
import signal
import socket
import sys
from dataclasses import replace
from typing import Any

from reconciler.codec.datagram import DATAGRAM_BYTES_MAX, Direction, Opener, Seal, read_header
from reconciler.membership.heartbeat import Beat
from reconciler.model.errors import Corrupt
from reconciler.model.ids import BootId, Digest
from reconciler.runtime import clock

AGENT_DOWN_MS = 10_000
PACKET_BYTES_MAX = 8_192
DRAIN_MAX = 64
STALL_MS = 250
"""Standing still for longer than this, what waited in the socket meanwhile is not believed to be new."""

_RUN_AWAY_US = 500_000
_MCL_CURRENT, _MCL_FUTURE, _MCL_ONFAULT = 1, 2, 4


class Mouth:
    """What this node says, to whom and when."""

    def __init__(self) -> None:
        self._boot = BootId("")
        self._to_controller: _Audience | None = None
        self._to_peers: _Audience | None = None
        self._every_ms = 0
        self._next_ms = 0
        self._news: dict[str, Any] = {"tick": 0, "report": 0, "state": None, "alone": False}
        self._down_since_ms: int | None = None

    def obey(self, packet: bytes) -> None:
        """Take in what the agent said."""
        words: dict[str, Any] = json.loads(packet)
        self._boot = words.get("boot", self._boot)
        if "session" in words:
            self._to_controller = _Audience(words, Direction.TO_CONTROLLER, self._to_controller)
            self._begin(words["every_ms"])
        if "peers" in words:
            self._to_peers = _Audience(words["peers"], Direction.TO_AGENT, self._to_peers)
            self._begin(words["peers"]["every_ms"])
        self._news |= words.get("news", {})

    def close(self) -> None:
        """Let go of every link."""
        for audience in (self._to_controller, self._to_peers):
            if audience is not None:
                audience.close()

    def _begin(self, every_ms: int) -> None:
        self._every_ms = every_ms
        self._next_ms = clock.monotonic_ms()

    def agent_died(self) -> bool:
        """Remember that the agent is gone; False when there is nobody to tell."""
        self._down_since_ms = self._next_ms = clock.monotonic_ms()
        return bool(self._every_ms)

    def speak(self) -> int | None:
        """Say what is due; returns the milliseconds until more is, -1 for never, None when all is said."""
        if not self._every_ms:
            return -1
        now_ms = clock.monotonic_ms()
        if self._down_since_ms is not None and now_ms - self._down_since_ms >= AGENT_DOWN_MS:
            return None
        if now_ms < self._next_ms:
            return self._next_ms - now_ms
        late_ms = now_ms - self._next_ms
        beat = Beat(
            boot=self._boot,
            sent_ms=now_ms,
            tick=self._news["tick"],
            report=self._news["report"],
            state=Digest(self._news["state"]) if self._news["state"] else None,
            agent_down=self._down_since_ms is not None,
            stalled=late_ms >= self._every_ms,
        )
        if self._to_controller is not None:
            self._to_controller.tell(beat)
        if self._to_peers is not None:
            self._to_peers.tell(replace(beat, alone=self._news["alone"]))
        self._next_ms = now_ms + max(1, self._every_ms - late_ms % self._every_ms)
        return self._next_ms - now_ms


class Ear:
    """What this node hears of others: which of them are there, and have no controller."""

    def __init__(self, hearing: socket.socket | None) -> None:
        self.socket = hearing
        self._sessions: dict[int, Opener] = {}
        self._alone_ms: dict[int, int] = {}
        """Per session, when a peer that had no controller was last heard; one that has one is not in it."""
        self._enough = 1
        self._told_ms = 0

    def obey(self, packet: bytes) -> None:
        """Take in whom to hear; sessions that go on keep their windows."""
        words: dict[str, Any] = json.loads(packet).get("peers")
        if not words:
            return
        self._sessions = {
            session: self._sessions.get(session)
            or Opener(key=bytes.fromhex(key), session=session, direction=Direction.TO_AGENT)
            for session, key in words["hear"]
        }
        self._alone_ms = {s: at for s, at in self._alone_ms.items() if s in self._sessions}
        self._enough = words["enough"]

    def hear(self, *, late: bool) -> None:
        """Read what has arrived. Late: this process stood still, so it may be old, and says nothing."""
        if self.socket is None:
            return
        for _ in range(DRAIN_MAX):
            try:
                data = self.socket.recv(DATAGRAM_BYTES_MAX + 1)
            except OSError:  # nothing more for now
                return
            if not late:
                self._take(data)

    def news(self, now_ms: int) -> bytes | None:
        """What the agent should know and was not told: when enough were last heard."""
        latest = sorted(self._alone_ms.values(), reverse=True)
        if not self._sessions and self._enough:
            return None
        backed_ms = now_ms if not self._enough else 0
        if 0 < self._enough <= len(latest):
            backed_ms = latest[self._enough - 1]
        if backed_ms <= self._told_ms:
            return None
        self._told_ms = backed_ms
        return json.dumps({"backed_ms": backed_ms}).encode()

    def close(self) -> None:
        """Hear nobody any more, so that the next agent can."""
        if self.socket is not None:
            self.socket.close()
        self.socket = None

    def _take(self, data: bytes) -> None:
        try:
            header = read_header(data)
            beat = self._sessions[header.session].open(data, header)
        except (Corrupt, KeyError):
            return
        if beat is None:
            return
        if beat.alone and not beat.agent_down:
            self._alone_ms[header.session] = clock.monotonic_ms()
        else:
            self._alone_ms.pop(header.session, None)


class _Audience:
    """Whom heartbeats are sealed for, and the ways there."""

    def __init__(
        self, words: dict[str, Any], direction: Direction, earlier: "_Audience | None"
    ) -> None:
        # Uptime only grows, so whoever replaces this under the same key repeats no counter.
        self._seal = Seal(
            key=bytes.fromhex(words["key"]),
            session=words["session"],
            counter=clock.monotonic_us(),
            direction=direction,
        )
        if earlier is not None:
            earlier.close()
        self._links = [_Link(*parts) for parts in words["links"]]

    def tell(self, beat: Beat) -> None:
        """Say this over every link."""
        data = self._seal.seal(beat)
        for link in self._links:
            link.send(data)

    def close(self) -> None:
        """Let go of every link."""
        for link in self._links:
            link.close()


class _Link:
    """One way to a controller or a peer: from one of our addresses (or any) to one of its addresses."""

    def __init__(self, target: str, port: int, source: str | None) -> None:
        self._target = (target, port)
        self._source = source
        self._socket: socket.socket | None = None

    def send(self, data: bytes) -> None:
        """Send on this link if it works now; if not, try to open it anew for the next heartbeat."""
        try:
            if self._socket is None:
                self._socket = self._open()
            self._socket.send(data)
        except (ConnectionRefusedError, BlockingIOError):
            pass  # nobody listens there yet, or the queue is full: the next one is soon
        except OSError:
            self.close()

    def close(self) -> None:
        """Close it; the next `send` opens it anew."""
        if self._socket is not None:
            self._socket.close()
        self._socket = None

    def _open(self) -> socket.socket:
        family = socket.AF_INET6 if ":" in self._target[0] else socket.AF_INET
        opened = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_PRIORITY, 6)
            if self._source is not None:
                opened.bind((self._source, 0))
            opened.connect(self._target)
        except OSError:
            opened.close()
            raise
        return opened


def run(pipe: socket.socket, hearing: socket.socket | None = None) -> None:
    """Speak until the agent has been dead for long enough, and hear others for as long as it lives."""
    poll = select.poll()
    poll.register(pipe, select.POLLIN)
    if hearing is not None:
        poll.register(hearing, select.POLLIN)
    mouth, ear, wait_ms, due_ms = Mouth(), Ear(hearing), -1, 0
    while True:
        ready = {number for number, _ in poll.poll(wait_ms)}
        late = wait_ms >= 0 and clock.monotonic_ms() > due_ms + STALL_MS
        if ear.socket is not None and ear.socket.fileno() in ready:
            ear.hear(late=late)
        if pipe.fileno() in ready:
            if packet := pipe.recv(PACKET_BYTES_MAX):
                mouth.obey(packet)
                ear.obey(packet)
            else:
                poll.unregister(pipe)
                if ear.socket is not None:
                    poll.unregister(ear.socket)
                ear.close()
                if not mouth.agent_died():
                    return
        said = mouth.speak()
        if said is None:
            break
        wait_ms, due_ms = said, clock.monotonic_ms() + said
        if words := ear.news(clock.monotonic_ms()) if ear.socket is not None else None:
            with contextlib.suppress(
                OSError
            ):  # the agent is behind, or gone: a later number will do
                pipe.send(words)
    mouth.close()


def _claim_priority() -> None:
    """Ask to be scheduled at once, never swapped out and killed last; where refused, go on without.

    A real-time process that spins would starve its node, so the kernel ends this one if it ever does.
    """
    resource.setrlimit(resource.RLIMIT_RTTIME, (_RUN_AWAY_US, _RUN_AWAY_US))
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    with contextlib.suppress(OSError):
        handle = os.open("/proc/self/oom_score_adj", os.O_WRONLY)
        os.write(handle, b"-1000")
        os.close(handle)
    with contextlib.suppress(ImportError, OSError, AttributeError):
        import ctypes

        # On fault: what was never used need not come into memory for it.
        ctypes.CDLL(None).mlockall(_MCL_CURRENT | _MCL_FUTURE | _MCL_ONFAULT)


def main() -> None:
    """Run as a child of the agent: the descriptors of our end of the pair, and of where others are heard."""
    for kind in (signal.SIGINT, signal.SIGHUP):
        signal.signal(kind, signal.SIG_IGN)  # the agent decides what these mean
    _claim_priority()
    hearing = socket.socket(fileno=int(sys.argv[2])) if len(sys.argv) > 2 else None  # noqa: PLR2004
    run(socket.socket(fileno=int(sys.argv[1])), hearing)


if __name__ == "__main__":
    main()
