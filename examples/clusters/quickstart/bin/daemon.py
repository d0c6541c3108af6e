"""Start, stop and status of a small server, as an LSB init script does them.

The port is bound before `start` ends, so that it fails with the reason where it cannot be had. The process
id lies below $RECONCILE_RUN, which each node has for itself. Few imports: `status` runs often.
"""

import os
import sys
from collections.abc import Callable

RUNS, DEAD, STOPPED = 0, 1, 3
RUN = os.environ.get("RECONCILE_RUN", "/run/quickstart")
NODE = os.environ.get("RECONCILE_NODE") or os.uname().nodename


def main(name: str, port: int, serve: Callable[..., None]) -> int:
    """Do what the command line says; returns the exit status. `serve` gets the listening socket.

    A port after the verb makes a second server of the same kind, with its own pid file.
    """
    verb, *own_port = sys.argv[1:] or [""]
    if own_port:
        port = int(own_port[0])
        name = f"{name}-{port}"
    match [verb]:
        case ["start"]:
            return start(name, port, serve)
        case ["stop"]:
            return stop(name)
        case ["status"]:
            return status(name)
    print(f"usage: {name} start|stop|status [PORT]", file=sys.stderr)
    return 2


def start(name: str, port: int, serve: Callable[..., None]) -> int:
    import socket

    if running(name):
        return 0
    try:
        listener = socket.create_server((address(), port), backlog=128)
    except OSError as trouble:
        print(f"{name} cannot listen on port {port}: {trouble.strerror}", file=sys.stderr)
        return 1
    pid = os.fork()
    if pid == 0:
        become_daemon()
        serve(listener)
        os._exit(0)
    os.makedirs(RUN, exist_ok=True)
    with open(f"{pidfile(name)}.new", "w") as file:
        file.write(f"{pid}\n")
    os.replace(f"{pidfile(name)}.new", pidfile(name))
    return 0


def stop(name: str) -> int:
    import select
    import signal

    pid = running(name)
    if pid:
        ended = os.pidfd_open(pid)
        os.kill(pid, signal.SIGTERM)
        if not select.select([ended], [], [], 5.0)[0]:
            os.kill(pid, signal.SIGKILL)
            select.select([ended], [], [])
    if os.path.exists(pidfile(name)):
        os.unlink(pidfile(name))
    return 0


def status(name: str) -> int:
    if running(name):
        return RUNS
    return DEAD if os.path.exists(pidfile(name)) else STOPPED


def running(name: str) -> int:
    """The living process of the pid file, if it is still ours, or 0."""
    try:
        with open(pidfile(name)) as file:
            pid = int(file.read())
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return pid if f"/{name.partition('-')[0]}\0".encode() in file.read() else 0
    except (OSError, ValueError):
        return 0


def pidfile(name: str) -> str:
    return f"{RUN}/{name}.pid"


def address() -> str:
    """Where to listen: everywhere. Nodes that share one machine (`dev --plain`) have one address each."""
    if not os.path.exists(f"{RUN}/address"):
        return ""
    with open(f"{RUN}/address") as file:
        return file.read().strip()


def become_daemon() -> None:
    os.setsid()
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)
