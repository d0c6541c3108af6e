"""The first process of a node under `reconcile dev`: as little as a machine needs to live.

It makes the places that no two nodes may share, waits until its wire is plugged in, starts the agent,
starts it again when it dies, and reaps what others left behind. Where it is PID 1 of a namespace its
death is a power cut, done by the kernel; elsewhere it adopts every orphan and kills them all itself.

Law: it never outlives `dev`: the end of its standard input is the end of the node.
It knows nothing of clusters, and imports little: several of them start at once.
"""

import argparse
import contextlib
import ctypes
import os
import selectors
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

PRIVATE_PLACES = ("/run", "/tmp", "/var/tmp", "/dev/shm")  # noqa: S108 - these are the places
"""Where services leave process ids, locks and sockets that must not meet another node's."""
BACKOFF_FIRST_S = 0.1
BACKOFF_MAX_S = 5.0
HEALTHY_S = 10.0
"""An agent that lived this long is started again without waiting for earlier troubles."""

_MS_BIND, _MS_REC, _MS_NOSUID, _MS_NODEV = 4096, 16384, 2, 4
_PR_SET_CHILD_SUBREAPER = 36
_LIBC = ctypes.CDLL(None, use_errno=True)


def main(arguments: list[str] | None = None) -> int:
    """Be the init of one node until standard input ends or says `off`."""
    parser = argparse.ArgumentParser(prog="node_init")
    parser.add_argument("--name", required=True)
    parser.add_argument("--log", type=Path, required=True, help="what the agent prints")
    parser.add_argument("--directory", type=Path, required=True, help="where the agent starts")
    parser.add_argument("--isolated", action="store_true", help="we are PID 1 of our namespaces")
    parser.add_argument("--boot", default="", help="text to show as the kernel's boot id")
    parser.add_argument("--keep", type=Path, action="append", default=[], help="paths to stay seen")
    parser.add_argument("--setting", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("command", nargs="*", help="the agent; none: only hold the namespaces")
    chosen = parser.parse_args(arguments)
    if chosen.isolated:
        _become_machine(chosen.name, chosen.boot, chosen.keep)
    else:
        _LIBC.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    environment = dict(setting.split("=", 1) for setting in chosen.setting)
    os.chdir(chosen.directory)
    init = Init(
        command=chosen.command,
        environment=environment,
        log=chosen.log,
        isolated=chosen.isolated,
    )
    return init.run()


class Init:
    """Reaps, keeps one agent running, and follows the words that `dev` writes to standard input.

    Words, one a line: `go` (the wire is there), `freeze`, `thaw`, `kill-agent`, `off`.
    """

    def __init__(
        self, *, command: list[str], environment: dict[str, str], log: Path, isolated: bool
    ) -> None:
        self._command = command
        self._environment = environment
        self._log = log
        self._isolated = isolated
        self._agent: int | None = None
        self._started_s = 0.0
        self._backoff_s = BACKOFF_FIRST_S
        self._start_at_s: float | None = None
        self._unread = b""

    def run(self) -> int:
        """Serve until told to end; a plain node then kills everything that descends from it."""
        woken, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        selector = selectors.DefaultSelector()
        selector.register(0, selectors.EVENT_READ)
        selector.register(woken, selectors.EVENT_READ)
        _say("ready")
        try:
            while self._turn(selector, woken):
                pass
        finally:
            if not self._isolated:
                kill_descendants()
        return 0

    def _turn(self, selector: selectors.BaseSelector, woken: int) -> bool:
        """Wait for the next thing to do and do it; False when the node is to end."""
        wait_s = None if self._start_at_s is None else max(0.0, self._start_at_s - time.monotonic())
        for key, _ in selector.select(wait_s):
            if key.fd == woken:
                os.read(woken, 4096)
            elif not self._obey():
                return False
        self._reap()
        if self._start_at_s is not None and time.monotonic() >= self._start_at_s:
            self._start_agent()
        return True

    def _obey(self) -> bool:
        heard = os.read(0, 4096)
        *lines, self._unread = (self._unread + heard).split(b"\n")
        if not heard or b"off" in lines:
            return False
        for line in lines:
            match line:
                case b"go" if self._command and self._agent is None:
                    self._start_at_s = time.monotonic()
                case b"freeze":
                    self._signal_all(signal.SIGSTOP)
                case b"thaw":
                    self._signal_all(signal.SIGCONT)
                case b"kill-agent" if self._agent is not None:
                    os.kill(self._agent, signal.SIGKILL)
                case _:
                    pass
        return True

    def _start_agent(self) -> None:
        self._start_at_s = None
        self._started_s = time.monotonic()
        output = os.open(self._log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            self._agent = os.posix_spawn(
                self._command[0],
                self._command,
                self._environment,
                file_actions=[
                    (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
                    (os.POSIX_SPAWN_DUP2, output, 1),
                    (os.POSIX_SPAWN_DUP2, output, 2),
                ],
                setsid=True,
                setsigdef=[signal.SIGPIPE, signal.SIGXFSZ],  # Python ignores them; others must not
            )
        except OSError as trouble:
            os.write(output, f"{self._command[0]}: {trouble.strerror}\n".encode())
            self._agent_ended(127)
            return
        finally:
            os.close(output)
        _say(f"started {self._agent}")

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid == self._agent:
                self._agent_ended(os.waitstatus_to_exitcode(status))

    def _agent_ended(self, status: int) -> None:
        self._agent = None
        now_s = time.monotonic()
        if now_s - self._started_s >= HEALTHY_S:
            self._backoff_s = BACKOFF_FIRST_S
        self._start_at_s = now_s + self._backoff_s
        self._backoff_s = min(self._backoff_s * 2, BACKOFF_MAX_S)
        _say(f"ended {status}")

    def _signal_all(self, number: int) -> None:
        if self._isolated:
            os.kill(-1, number)  # everything in this PID namespace but ourselves
            return
        for pid in descendants(os.getpid()):
            _send(pid, number)


def descendants(root: int) -> Iterator[int]:
    """Process ids that descend from `root`, parents before their children."""
    for task in _children_files(root):
        for child in task:
            yield child
            yield from descendants(child)


def kill_descendants() -> None:
    """Kill everything below this process, what is born meanwhile included; orphans come to us.

    Law: returns only when this process has no child left.
    """
    while True:
        for pid in tuple(descendants(os.getpid())):
            _send(pid, signal.SIGKILL)
        try:
            pid, _ = os.waitpid(-1, 0)
        except ChildProcessError:
            return


def _children_files(pid: int) -> Iterator[list[int]]:
    try:
        tasks = os.listdir(f"/proc/{pid}/task")  # noqa: PTH208 - names, not paths
    except OSError:
        return
    for task in tasks:
        try:
            yield [int(child) for child in _read(f"/proc/{pid}/task/{task}/children").split()]
        except OSError:
            continue


def _read(path: str) -> str:
    with open(path, encoding="ascii") as file:  # noqa: PTH123 - pathlib is not needed twice a node
        return file.read()


def _send(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _say(words: str) -> None:
    """Tell `dev`; if it no longer listens, the end of standard input says so soon enough."""
    with contextlib.suppress(OSError):
        os.write(1, words.encode() + b"\n")


def _become_machine(name: str, boot: str, keep: list[Path]) -> None:
    """Take a host name, private places and, as a fresh machine would, a boot id of our own.

    `unshare` has made the namespaces and mounted /proc. What `keep` names stays visible below a place
    that is covered.
    """
    _check(_LIBC.sethostname(name.encode(), len(name.encode())), f"host name {name}")
    for place in PRIVATE_PLACES:
        if Path(place).is_dir() and not Path(place).is_symlink():
            _cover(place, "tmpfs", [path for path in keep if path.is_relative_to(place)])
    _cover("/sys", "sysfs", [Path("/sys/fs/cgroup")])  # shows our network, not the machine's
    if boot:
        file = Path("/run/boot_id")
        file.write_text(f"{boot}\n", encoding="ascii")
        _mount(str(file), "/proc/sys/kernel/random/boot_id", "", _MS_BIND)


def _cover(place: str, kind: str, keep: list[Path]) -> None:
    """Mount a fresh file system on a place, and put back the directories that must stay seen."""
    held = [(path, os.open(path, os.O_PATH)) for path in keep]
    options = "mode=1777,size=256m" if kind == "tmpfs" else ""
    _mount(kind, place, kind, _MS_NOSUID | _MS_NODEV, options)
    for path, descriptor in held:
        path.mkdir(parents=True, exist_ok=True)
        _mount(f"/proc/self/fd/{descriptor}", str(path), "", _MS_BIND | _MS_REC)
        os.close(descriptor)


def _mount(source: str, target: str, kind: str, flags: int, options: str = "") -> None:
    outcome = _LIBC.mount(
        source.encode(), target.encode(), kind.encode(), ctypes.c_ulong(flags), options.encode()
    )
    _check(outcome, f"mount on {target}")


def _check(outcome: int, what: str) -> None:
    if outcome != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


if __name__ == "__main__":
    sys.exit(main())
