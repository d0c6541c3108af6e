"""The journal of an agent: what it must not forget, on disk before it has an effect.

A file of records, each with its length and a checksum, after a header that names the node and its boot. A
record is appended and fsynced; when the file has grown too far it is written anew, condensed, and renamed
into place, so there is always one whole journal. Reading stops at the first record that is torn or damaged:
what came after is lost, the file is kept aside, and the agent goes on knowing less.

Law: when `write` returns from a durable write, its records survive a power loss. When it raises `OSError`
nothing that was durable before is lost, and the next write puts everything into a new file.
One agent at a time: the state directory is locked for as long as the journal is open.
"""

import contextlib
import fcntl
import os
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from reconciler.core.executor import Memory, condense, remember
from reconciler.core.executor import memory as records
from reconciler.model.errors import Refused
from reconciler.model.ids import BootId, NodeName

VERSION = 1
RECORD_BYTES_MAX = 64 * 1024 * 1024
GROWTH_BYTES = 1024 * 1024
"""How much may be appended before the file is written anew, if it has doubled since."""

_PREFIX_BYTES = 8
_KINDS: dict[str, type[records.Record]] = {
    "term": records.TermRaised,
    "definitions": records.DefinitionsKept,
    "begun": records.StepBegun,
    "ended": records.StepEnded,
    "acknowledged": records.StepAcknowledged,
    "copy": records.CopyKept,
    "block": records.BlockKept,
    "failure": records.FailureKept,
    "score": records.ScoreKept,
    "attribute": records.AttributeKept,
}
_TAGS = {kind: tag for tag, kind in _KINDS.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """First record of a journal: whose it is."""

    version: int
    node: NodeName
    boot: BootId


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a journal held, and what was wrong with it."""

    memory: Memory
    troubles: tuple[str, ...] = ()


class Journal:
    """An open journal. `Journal.open` is the door."""

    def __init__(self, directory: Path, header: Header, lock: int) -> None:
        self._path = directory / "journal"
        self._header = header
        self._lock = lock
        self._file: int | None = None
        """The file that records are appended to; None: it has to be written anew first."""
        self._bytes = 0
        self._bytes_max = 0

    @classmethod
    def open(cls, directory: Path, node: NodeName, boot: BootId) -> tuple["Journal", Found]:
        """Lock the directory, read what is there, and begin a journal of this boot with it.

        Errors: `Refused` when another agent holds the directory, or it cannot be used at all. A full disk
        or a damaged file is neither: it is in `Found.troubles`.
        """
        lock = _lock(directory)
        header = Header(version=VERSION, node=node, boot=boot)
        journal = cls(directory, header, lock)
        found = _read(journal._path, header)
        try:
            journal._rewrite(found.memory)
        except OSError as trouble:
            found = Found(
                memory=found.memory,
                troubles=(*found.troubles, f"the journal cannot be written: {trouble}"),
            )
        return journal, found

    def write(self, added: Iterable[records.Record], memory: Memory, *, durable: bool) -> None:
        """Add records; `memory` is what they lead to.

        Errors: `OSError` when the disk refuses.
        """
        if self._file is None or self._bytes > self._bytes_max:
            self._rewrite(memory)
            return
        data = b"".join(_frame(_encode(record)) for record in added)
        try:
            _write_all(self._file, data)
            if durable:
                os.fsync(self._file)
        except OSError:
            self._let_go()  # what is in the file now is not known: never append to it again
            raise
        self._bytes += len(data)

    def close(self) -> None:
        """Let go of the file and the lock; safe to call twice."""
        self._let_go()
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _rewrite(self, memory: Memory) -> None:
        """Put a whole new file in the place of the old one, durably."""
        self._let_go()
        data = b"".join(
            (
                _frame(msgspec.msgpack.encode(self._header)),
                *(_frame(_encode(record)) for record in condense(memory)),
            )
        )
        new = self._path.with_suffix(".new")
        file = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            _write_all(file, data)
            os.fsync(file)
            new.rename(self._path)
            _sync_directory(self._path.parent)
        except OSError:
            os.close(file)
            with contextlib.suppress(OSError):
                new.unlink(missing_ok=True)
            raise
        self._file = file
        self._bytes = len(data)
        self._bytes_max = max(2 * len(data), len(data) + GROWTH_BYTES)

    def _let_go(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None


def _lock(directory: Path) -> int:
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as trouble:
        raise Refused(f"{directory}: cannot keep state here: {trouble}") from trouble
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as trouble:
        os.close(lock)
        raise Refused(f"{directory}: another agent runs on this state directory") from trouble
    return lock


def _read(path: Path, header: Header) -> Found:
    """Read as much as can be believed."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return Found(memory=Memory())
    except OSError as trouble:
        return Found(memory=Memory(), troubles=(f"the journal cannot be read: {trouble}",))
    frames = list(_frames(data))
    past = _decode_header(frames[0][1]) if frames else None
    if past is None or past.version != VERSION or past.node != header.node:
        return Found(memory=Memory(), troubles=_keep_aside(path, "other", _not_ours(past)))
    memory, whole = _fold(data, frames)
    if past.boot != header.boot:
        memory = memory.of_another_boot()
    if whole:
        return Found(memory=memory)
    words = "the journal is damaged: what it said last is lost"
    return Found(memory=memory.with_a_gap(), troubles=_keep_aside(path, "damaged", words))


def _not_ours(past: Header | None) -> str:
    if past is None:
        return "the journal is damaged at its beginning: nothing of it is used"
    return f"the journal is of node {past.node}, version {past.version}: nothing of it is used"


def _fold(data: bytes, frames: list[tuple[int, bytes]]) -> tuple[Memory, bool]:
    """Make a memory of all records up to the first bad one; say whether that was all."""
    memory = Memory()
    for _, body in frames[1:]:
        record = _decode(body)
        if record is None:
            return memory, False
        memory = remember(memory, record)
    return memory, frames[-1][0] == len(data)


def _keep_aside(path: Path, suffix: str, words: str) -> tuple[str, ...]:
    """Give a file a second name, for whoever wants to know what happened; the first is replaced later."""
    kept = path.with_suffix(f".{suffix}")
    try:
        kept.unlink(missing_ok=True)
        kept.hardlink_to(path)
    except OSError as trouble:
        return (words, f"it cannot be kept aside: {trouble}")
    return (f"{words}; it is kept as {kept.name}",)


def _frame(body: bytes) -> bytes:
    length = len(body).to_bytes(4, "big")
    return length + zlib.crc32(length + body).to_bytes(4, "big") + body


def _frames(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Every whole record with the place where it ends, up to the first that is not."""
    at = 0
    while at + _PREFIX_BYTES <= len(data):
        length = data[at : at + 4]
        end = at + _PREFIX_BYTES + int.from_bytes(length, "big")
        body = data[at + _PREFIX_BYTES : end]
        checksum = int.from_bytes(data[at + 4 : at + _PREFIX_BYTES], "big")
        if end > len(data) or zlib.crc32(length + body) != checksum:
            return
        yield end, body
        at = end


def _encode(record: records.Record) -> bytes:
    return msgspec.msgpack.encode((_TAGS[type(record)], record), order="deterministic")


def _decode(body: bytes) -> records.Record | None:
    try:
        tag, rest = msgspec.msgpack.decode(body, type=tuple[str, msgspec.Raw])
        kind = _KINDS.get(tag)
        return msgspec.msgpack.decode(rest, type=kind) if kind is not None else None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _decode_header(body: bytes) -> Header | None:
    try:
        return msgspec.msgpack.decode(body, type=Header)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _write_all(file: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]


def _sync_directory(directory: Path) -> None:
    opened = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
