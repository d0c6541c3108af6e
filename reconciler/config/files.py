"""Files of a cluster from a path: one file, or a folder's own *.yaml and *.yml.

Reads regular files only, each within its limit, and no symbolic link that leads out of the folder: a
commit must not be able to show the controller's other files in an error message. Whatever stands in the
way is a diagnostic.
"""

import os
import stat
from pathlib import Path

from reconciler.config.problems import Problems
from reconciler.config.yaml_tree import quoted
from reconciler.model.intent import Origin

FILE_BYTES_MAX = 16 * 1024 * 1024
TOTAL_BYTES_MAX = 64 * 1024 * 1024
FILES_MAX = 5_000
SUFFIXES = (".yaml", ".yml")


def read_files(path: Path, problems: Problems) -> tuple[tuple[str, bytes], ...]:
    """Every file of a cluster with its contents, sorted by name; problems are noted."""
    try:
        names = _names(path)
    except (OSError, ValueError) as trouble:
        _unreadable(path, trouble, problems)
        return ()
    if names is None:
        data = _read(path, path, problems)
        return () if data is None else ((str(path), data),)
    if not names:
        problems.add(
            "R001",
            f"The folder {quoted(str(path))} holds no *.yaml or *.yml file. Folders inside it "
            "are not searched.",
            Origin(path=str(path), line=1),
        )
    if len(names) > FILES_MAX:
        problems.add(
            "R002",
            f"The folder has {len(names):,} files; at most {FILES_MAX:,} are read. Make several clusters of "
            "it.",
            Origin(path=str(path), line=1),
        )
        return ()
    found = []
    for name in names:
        data = _read(path / name, path, problems)
        if data is not None:
            found.append((str(path / name), data))
    return tuple(found)


def check_limits(files: tuple[tuple[str, bytes], ...], problems: Problems) -> bool:
    """Whether files, wherever they came from, are within the limits; those that break one are noted."""
    for name, data in files:
        if len(data) > FILE_BYTES_MAX:
            _too_large(name, len(data), problems)
            return False
    total = sum(len(data) for _, data in files)
    if len(files) > FILES_MAX or total > TOTAL_BYTES_MAX:
        problems.add(
            "R002",
            f"There are {len(files):,} files with {total:,} bytes; a cluster has at most {FILES_MAX:,} files "
            f"and {TOTAL_BYTES_MAX:,} bytes. Make several clusters of it.",
            Origin(path=files[0][0], line=1),
        )
        return False
    return True


def _names(path: Path) -> list[str] | None:
    """Names of the YAML files in a folder, hidden ones left out; None if it is not a folder."""
    if not stat.S_ISDIR(os.stat(path).st_mode):  # noqa: PTH116 - says why it fails, as is_dir() does not
        return None
    with os.scandir(path) as entries:
        names = [
            entry.name
            for entry in entries
            if entry.name.endswith(SUFFIXES) and not entry.name.startswith(".")
        ]
    return sorted(names)


def _read(path: Path, root: Path, problems: Problems) -> bytes | None:
    try:
        real = path.resolve(strict=True)
        if path != root and not real.is_relative_to(root.resolve()):
            problems.add(
                "R001",
                f"{quoted(str(path))} is a symbolic link that leads out of its folder, and is not followed. "
                "Put the file itself here.",
                Origin(path=str(path), line=1),
            )
            return None
        # Never waits for the other end of a pipe, and never follows a link swapped in meanwhile.
        handle = os.open(real, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, RuntimeError, ValueError) as trouble:
        _unreadable(path, trouble, problems)
        return None
    try:
        return _contents(path, handle, problems)
    finally:
        os.close(handle)


def _contents(path: Path, handle: int, problems: Problems) -> bytes | None:
    status = os.fstat(handle)
    if not stat.S_ISREG(status.st_mode):
        problems.add(
            "R001",
            f"{quoted(str(path))} is not a regular file, and is not read.",
            Origin(path=str(path), line=1),
        )
        return None
    if status.st_size > FILE_BYTES_MAX:
        _too_large(str(path), status.st_size, problems)
        return None
    chunks = []
    size = 0
    try:
        while chunk := os.read(handle, 1024 * 1024):
            chunks.append(chunk)
            size += len(chunk)
            if size > FILE_BYTES_MAX:  # it grew while it was read
                _too_large(str(path), size, problems)
                return None
    except OSError as trouble:
        _unreadable(path, trouble, problems)
        return None
    return b"".join(chunks)


def _too_large(name: str, size: int, problems: Problems) -> None:
    problems.add(
        "R002",
        f"The file has {size:,} bytes; at most {FILE_BYTES_MAX:,} are read. Split it, or make several "
        "clusters of it.",
        Origin(path=name, line=1),
    )


def _unreadable(path: Path, trouble: Exception, problems: Problems) -> None:
    reason = getattr(trouble, "strerror", None) or str(trouble)
    problems.add(
        "R001",
        f"{quoted(str(path))} cannot be read: {reason}. Check the path and its permissions.",
        Origin(path=str(path), line=1),
    )
