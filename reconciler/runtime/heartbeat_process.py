"""The process that speaks heartbeats for a node, and does nothing else: `python -m` this module.

It imports little, opens no file, waits in one place (`poll`) and allocates next to nothing, so that it keeps
time on a node that is short of memory and processor. What to say and to whom comes as JSON packets over the
socket pair that it was started with; see `runtime.heartbeat`, which starts it. When the other end of the pair
closes, the agent is dead: it says so for `AGENT_DOWN_MS`, then ends.
"""

import contextlib
import json
import os
import resource
import select
import signal
import socket
import sys
from typing import Any

from reconciler.codec.datagram import Seal
from reconciler.membership.heartbeat import Beat
from reconciler.model.ids import BootId, Digest
from reconciler.runtime import clock

AGENT_DOWN_MS = 10_000
PACKET_BYTES_MAX = 8_192

_RUN_AWAY_US = 500_000
_MCL_CURRENT, _MCL_FUTURE, _MCL_ONFAULT = 1, 2, 4


class Mouth:
    """What this node says, to whom and when."""

    def __init__(self) -> None:
        self._boot = BootId("")
        self._seal: Seal | None = None
        self._links: list[_Link] = []
        self._every_ms = 0
        self._next_ms = 0
        self._news: dict[str, Any] = {"tick": 0, "report": 0, "state": None}
        self._down_since_ms: int | None = None

    def obey(self, packet: bytes) -> None:
        """Take in what the agent said."""
        words: dict[str, Any] = json.loads(packet)
        self._boot = words.get("boot", self._boot)
        if "session" in words:
            # Uptime only grows, so a process that replaces this one under the same key repeats no counter.
            self._seal = Seal(
                key=bytes.fromhex(words["key"]),
                session=words["session"],
                counter=clock.monotonic_us(),
            )
            self.close()
            self._links = [_Link(*parts) for parts in words["links"]]
            self._every_ms = words["every_ms"]
            self._next_ms = clock.monotonic_ms()
        self._news |= words.get("news", {})

    def close(self) -> None:
        """Let go of every link."""
        for link in self._links:
            link.close()

    def agent_died(self) -> bool:
        """Remember that the agent is gone; False when there is nobody to tell."""
        self._down_since_ms = self._next_ms = clock.monotonic_ms()
        return self._seal is not None

    def speak(self) -> int | None:
        """Say what is due; returns the milliseconds until more is, -1 for never, None when all is said."""
        if self._seal is None:
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
        data = self._seal.seal(beat)
        for link in self._links:
            link.send(data)
        self._next_ms = now_ms + max(1, self._every_ms - late_ms % self._every_ms)
        return self._next_ms - now_ms


class _Link:
    """One way to a controller: from one of our addresses (or any) to one of its addresses."""

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


def run(pipe: socket.socket) -> None:
    """Speak until the agent has been dead for long enough."""
    poll = select.poll()
    poll.register(pipe, select.POLLIN)
    mouth = Mouth()
    wait_ms: int | None = -1
    while wait_ms is not None:
        for _ in poll.poll(wait_ms):
            if packet := pipe.recv(PACKET_BYTES_MAX):
                mouth.obey(packet)
            else:
                poll.unregister(pipe)
                if not mouth.agent_died():
                    return
        wait_ms = mouth.speak()
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
    """Run as a child of the agent; the one argument is the descriptor of our end of the pair."""
    for kind in (signal.SIGINT, signal.SIGHUP):
        signal.signal(kind, signal.SIG_IGN)  # the agent decides what these mean
    _claim_priority()
    run(socket.socket(fileno=int(sys.argv[1])))


if __name__ == "__main__":
    main()
