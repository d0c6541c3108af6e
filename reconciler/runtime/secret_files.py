"""Secrets of services: one file each, in a directory that only its owner can read or change.

A value is read when it is needed and never kept, never logged, and never part of a message. Names come from
the intent, so they are not trusted either: no path, no dot file, no symbolic link is followed.
"""

import os
import re
import stat
from pathlib import Path

from reconciler.model.errors import Refused

BYTES_MAX = 64 * 1024
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", re.ASCII)
_OTHERS = 0o077
_OTHERS_WRITE = 0o022


def read_secret(directory: Path, name: str) -> str:
    """Read the value of a secret; one line break at its end does not belong to it.

    Errors: `Refused`, with a reason that names the secret and not its value.
    """
    if not _NAME.fullmatch(name):
        raise Refused(f"{name[:80]!r} is no name of a secret")
    try:
        data = _read(directory, name)
    except OSError as trouble:
        raise Refused(f"secret {name}: {trouble.strerror}: {directory / name}") from trouble
    try:
        text = data.decode()
    except UnicodeDecodeError as trouble:
        raise Refused(f"secret {name}: it is not UTF-8 text") from trouble
    if "\0" in text:
        raise Refused(f"secret {name}: there is a NUL in it")
    return text.removesuffix("\n").removesuffix("\r")


def _read(directory: Path, name: str) -> bytes:
    place = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _check(os.fstat(place), _OTHERS_WRITE, f"others may write to {directory}")
        file = os.open(
            name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, dir_fd=place
        )
    finally:
        os.close(place)
    with os.fdopen(file, "rb") as opened:
        found = os.fstat(opened.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise Refused(f"secret {name}: it is not a plain file")
        _check(found, _OTHERS, f"secret {name}: others may read or write it; make it 0600")
        data = opened.read(BYTES_MAX + 1)
    if len(data) > BYTES_MAX:
        raise Refused(f"secret {name}: it is larger than {BYTES_MAX} bytes")
    return data


def _check(found: os.stat_result, forbidden: int, words: str) -> None:
    if found.st_mode & forbidden or found.st_uid not in (0, os.geteuid()):
        raise Refused(words)
