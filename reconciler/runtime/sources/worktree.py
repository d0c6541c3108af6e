"""The working tree as a source: the YAML files of a folder, or one file, as they are on the disk.

Changes are noticed by the kernel and confirmed by reading twice, so that a file half written is not taken
for a short one. A look every few seconds finds what the kernel does not tell: a folder that was replaced by
another one, or is gone. Whatever else lies in the folder (editors' copies, git's own files) is not read.

Law: a revision is a digest of contents, so nothing is found twice, however often files are touched; files
that cannot all be read are trouble, never a smaller cluster.
"""

import asyncio
import hashlib
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

from watchfiles import awatch

from reconciler.config.files import SUFFIXES, read_files
from reconciler.config.problems import Problems
from reconciler.ports import Commit

SETTLE_S = 0.1
"""Files have to be the same for this long."""
LOOK_EVERY_MS = 2_000
DEBOUNCE_MS = 100

Files = tuple[tuple[str, bytes], ...]
Signature = tuple[tuple[object, ...], ...]


class WorktreeSource:
    """Finds a commit whenever the contents change."""

    def __init__(self, path: Path) -> None:
        """`path` is a folder or a file; it need not exist yet."""
        self._path = path.absolute()
        self._found: str | None = None
        self._trouble = ""

    async def watch(
        self,
        found: Callable[[Commit], Awaitable[None]],
        trouble: Callable[[str], Awaitable[None]],
    ) -> None:
        """Call `found` for the present contents and every later ones, until cancelled."""
        seen: Signature | None = None
        while True:
            signature = await asyncio.to_thread(_signature, self._path)
            if signature != seen:
                seen = await self._look(found, trouble)
            await self._change()

    async def _look(
        self,
        found: Callable[[Commit], Awaitable[None]],
        trouble: Callable[[str], Awaitable[None]],
    ) -> Signature | None:
        """Read until two looks agree; the signature of what was read, or None to look again."""
        before = await asyncio.to_thread(_signature, self._path)
        files, words = await asyncio.to_thread(_read, self._path)
        await asyncio.sleep(SETTLE_S)
        if await asyncio.to_thread(_signature, self._path) != before:
            return None
        if words != self._trouble:
            self._trouble = words
            await trouble(words)
        if not words:
            revision = f"worktree:{_digest(files)}"
            if revision != self._found:
                self._found = revision
                await found(Commit(revision=revision, files=files))
        return before

    async def _change(self) -> None:
        """Wait until something in the folder may have changed, or it is time to look anyway."""
        folder = self._path if self._path.is_dir() else self._path.parent
        if not folder.is_dir():
            await asyncio.sleep(LOOK_EVERY_MS / 1000)
            return
        changes = awatch(
            folder,
            watch_filter=None,
            debounce=DEBOUNCE_MS,
            step=20,
            recursive=False,
            rust_timeout=LOOK_EVERY_MS,
            yield_on_timeout=True,
        )
        try:
            await anext(changes, None)
        except (OSError, RuntimeError):  # it went away between the look and the watch
            await asyncio.sleep(SETTLE_S)
        finally:
            await changes.aclose()


def _signature(path: Path) -> Signature:
    """What tells contents apart without reading them; empty when there is nothing to read."""
    try:
        if path.is_dir():
            with os.scandir(path) as entries:
                return tuple(
                    sorted(
                        _stamp(entry.path)
                        for entry in entries
                        if entry.name.endswith(SUFFIXES) and not entry.name.startswith(".")
                    )
                )
        return (_stamp(path),)
    except OSError:
        return ()


def _stamp(path: str | Path) -> tuple[object, ...]:
    status = os.stat(path)  # noqa: PTH116 - follows links, as reading does
    return (str(path), status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


def _read(path: Path) -> tuple[Files, str]:
    """The files by names relative to the folder, or why they cannot all be read."""
    problems = Problems()
    files = read_files(path, problems)
    if problems.errors:
        first = problems.sorted()[0]
        return (), f"{first.summary} {first.detail}"
    base = path if path.is_dir() else path.parent
    return tuple((os.path.relpath(name, base), data) for name, data in files), ""


def _digest(files: Files) -> str:
    lines = hashlib.sha256()
    for name, data in files:
        lines.update(f"{len(name)}:{name}{len(data)}:".encode() + data)
    return lines.hexdigest()
