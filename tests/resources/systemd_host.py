"""A whole host with systemd as its first process, for tests: this machine's own root as an overlay.

`systemd-nspawn` boots it in a control group and a network namespace of its own, in about a second. Nothing
that is written inside reaches the machine. `power_cut` ends it at once, as a power cut would.
"""

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

_CGROUPS = Path("/sys/fs/cgroup")
_BOOT_S = 30.0


def wait_until(what: str, condition: Callable[[], object], limit_s: float = 10.0) -> None:
    """Poll a condition until it holds; fail with its name when it never does."""
    deadline = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {limit_s} s")
        time.sleep(0.01)


class SystemdHost:
    """A booted host. `address` is its D-Bus, reachable from here."""

    def __init__(self, name: str, directory: Path) -> None:
        self.name = name
        self.root = directory / "root"
        self.leader = 0
        self._directory = directory
        self._nspawn: subprocess.Popen[bytes] | None = None
        self._log = directory / "console"
        roots = (_CGROUPS / "unified", _CGROUPS / "systemd")
        if not roots[0].is_dir():
            roots = (_CGROUPS,)
        self._cgroups = [root / name for root in roots if root.is_dir()]

    @property
    def address(self) -> str:
        return f"unix:path=/proc/{self.leader}/root/run/dbus/system_bus_socket"

    def boot(self, units: Mapping[str, str]) -> None:
        """Boot with these unit files added, and wait until the bus is there."""
        self._mount()
        for name, text in units.items():
            (self.root / "etc/systemd/system" / name).write_text(text)
        for cgroup in self._cgroups:
            cgroup.mkdir(exist_ok=True)
        with self._log.open("wb") as log:
            self._nspawn = subprocess.Popen(
                self._command(),
                env=os.environ | {"SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=self._join,  # noqa: PLW1509 - single-threaded
            )
        wait_until(f"{self.name} has a first process", self._has_leader, _BOOT_S)
        bus = Path(f"/proc/{self.leader}/root/run/dbus/system_bus_socket")
        wait_until(f"{self.name} has a bus", bus.exists, _BOOT_S)

    def systemctl(self, *arguments: str) -> str:
        """Run systemctl inside and return what it printed."""
        done = subprocess.run(
            ["nsenter", "-t", str(self.leader), "-a", "systemctl", *arguments],
            capture_output=True,
            text=True,
            check=False,
            timeout=20,
        )
        return done.stdout.strip()

    def main_pid(self, unit: str) -> int:
        """The main process of a unit, as numbered inside."""
        return int(self.systemctl("show", "--property=MainPID", "--value", unit) or 0)

    def kill(self, unit: str) -> None:
        """Kill the main process of a unit with SIGKILL, behind systemd's back."""
        number = str(self.main_pid(unit))
        subprocess.run(["nsenter", "-t", str(self.leader), "-a", "kill", "-9", number], check=True)

    def power_cut(self) -> None:
        """End every process of the host at once."""
        kill = self._cgroups[0] / "cgroup.kill"
        if kill.exists():
            kill.write_text("1")
        if self._nspawn is not None:
            self._nspawn.wait(timeout=10)

    def clear(self) -> None:
        """End it and leave nothing behind."""
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            self.power_cut()
        for mounted in (self.root, self._directory):
            subprocess.run(["umount", "-l", str(mounted)], check=False, capture_output=True)
        for cgroup in self._cgroups:
            wait_until(f"{cgroup} is empty", lambda cgroup=cgroup: _removed(cgroup))
        shutil.rmtree(self._directory, ignore_errors=True)

    def _mount(self) -> None:
        _run("mount", "-t", "tmpfs", "tmpfs", str(self._directory))
        for name in ("upper", "work", "root"):
            (self._directory / name).mkdir()
        options = f"lowerdir=/,upperdir={self._directory}/upper,workdir={self._directory}/work"
        _run("mount", "-t", "overlay", "overlay", "-o", options, str(self.root))
        (self.root / "etc/machine-id").write_bytes(b"")  # truly empty, or nspawn refuses
        (self.root / "etc/hostname").unlink(missing_ok=True)

    def _command(self) -> list[str]:
        # Only the basic target: what else is enabled on this machine stays off. D-Bus comes by its socket.
        return [
            "systemd-nspawn",
            "--quiet",
            f"--directory={self.root}",
            "--register=no",
            "--keep-unit",
            f"--machine={self.name}",
            f"--hostname={self.name}",
            "--private-network",
            "--console=pipe",
            "--boot",
            "systemd.unit=basic.target",
        ]

    def _join(self) -> None:
        for cgroup in self._cgroups:
            (cgroup / "cgroup.procs").write_text("0")

    def _has_leader(self) -> bool:
        assert self._nspawn is not None
        if self._nspawn.poll() is not None:
            raise AssertionError(f"nspawn ended: {self._log.read_text(errors='replace')[-2000:]}")
        for children in Path(f"/proc/{self._nspawn.pid}/task").glob("*/children"):
            for child in children.read_text().split():
                with contextlib.suppress(OSError):
                    if Path(f"/proc/{child}/comm").read_text().strip() == "systemd":
                        self.leader = int(child)
                        return True
        return False


@contextlib.contextmanager
def systemd_host(name: str, units: Mapping[str, str]) -> Iterator[SystemdHost]:
    """Boot a host, and clear it away afterwards; skip the test where nobody may do so."""
    if os.geteuid() != 0 or shutil.which("systemd-nspawn") is None:
        pytest.skip("needs root and systemd-container (scripts/packages)")
    own = f"{name}-{os.getpid()}"  # tests may run side by side
    host = SystemdHost(own, Path(tempfile.mkdtemp(prefix=f"{own}-")))
    try:
        host.boot(units)
        yield host
    finally:
        host.clear()


def _removed(cgroup: Path) -> bool:
    for directory, _, _ in os.walk(cgroup, topdown=False):
        with contextlib.suppress(OSError):
            Path(directory).rmdir()
    return not cgroup.exists()


def _run(*arguments: str) -> None:
    subprocess.run(arguments, check=True, capture_output=True)
