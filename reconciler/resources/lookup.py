"""Find the program of an OCF agent by its name, and refuse whatever somebody else could have put there.

Agents live only at ROOT/PROVIDER/TYPE. Both names are checked, links must not lead outside the root, and
everything from `/` down to the file belongs to root and is writable by nobody else (SEC12).
"""

import re
import stat
from dataclasses import dataclass
from pathlib import Path

OCF_ROOT = Path("/usr/lib/ocf")
ROOT = OCF_ROOT / "resource.d"

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", re.ASCII)
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


class NotInstalled(LookupError):  # noqa: N818 - it names what was found
    """There is no such agent on this node."""


class NotTrusted(LookupError):  # noqa: N818
    """There is something by that name, and it must not be run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentProgram:
    """An OCF agent that may be run as root."""

    provider: str
    type: str
    path: Path


def find(name: str, root: Path = ROOT) -> AgentProgram:
    """Find the agent `provider:type`.

    Errors: `NotTrusted` for a name that is none, a path that escapes, or one that others may write;
    `NotInstalled` if there is no such file.
    """
    provider, _, kind = name.removeprefix("ocf:").partition(":")
    if not _NAME.fullmatch(provider) or not _NAME.fullmatch(kind):
        raise NotTrusted(f"{name[:80]!r} is no name of an OCF agent")
    path = root / provider / kind
    try:
        real_root, real = root.resolve(strict=True), path.resolve(strict=True)
        _check_file(real)
        for part in (real, *real.parents):
            _check_owner(part)
    except (FileNotFoundError, NotADirectoryError) as missing:
        raise NotInstalled(f"the OCF agent {provider}:{kind} is not installed") from missing
    except (OSError, RuntimeError) as trouble:
        raise NotTrusted(f"{path} cannot be looked at: {trouble}") from trouble
    if not real.is_relative_to(real_root):
        raise NotTrusted(f"{path} leads outside {root}")
    return AgentProgram(provider=provider, type=kind, path=path)


def _check_file(path: Path) -> None:
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode) or not mode & stat.S_IXUSR:
        raise NotTrusted(f"{path} is no program")


def _check_owner(path: Path) -> None:
    """Root's, and writable by nobody else; in a sticky directory others cannot replace root's files."""
    found = path.lstat()
    if found.st_uid != 0:
        raise NotTrusted(f"{path} does not belong to root")
    sticky = stat.S_ISDIR(found.st_mode) and found.st_mode & stat.S_ISVTX
    if found.st_mode & _OTHERS_WRITE and not sticky:
        raise NotTrusted(f"{path} can be written by others than root")
