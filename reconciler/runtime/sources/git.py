"""A branch of a git repository as a source: fetched into a bare repository of our own, never checked out.

The `git` command does the talking; everything it is given is an argument of its own, with nothing of the
system's or a user's configuration, no terminal, no hooks, a closed list of protocols, and limits of time and
size. The files are read as objects: nothing of the repository is ever written to a path that it chose, and
links and submodules are refused.

A branch whose history was rewritten is found all the same, but only an operator may accept it: the new
commit does not descend from the one in force, so it may be an older or a foreign one.

Law: an unreachable, empty or nonsensical repository is trouble, said once; it is never a commit.
"""

import asyncio
import contextlib
import os
import re
import shutil
import signal
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from reconciler.config.files import FILE_BYTES_MAX, FILES_MAX, SUFFIXES, TOTAL_BYTES_MAX
from reconciler.model.errors import Refused, Unreachable
from reconciler.ports import Commit

EVERY_S = 10.0
FETCH_TIMEOUT_S = 60.0
READ_TIMEOUT_S = 20.0
PACK_BYTES_MAX = 1024 * 1024 * 1024
"""No single file that git writes may grow larger, so neither may what it downloads."""
OUTPUT_BYTES_MAX = 2 * TOTAL_BYTES_MAX
PROTOCOLS = "https:ssh:file"
_FETCHED = "refs/reconcile/fetched"
_BRANCH = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./+-]{0,200}", re.ASCII)
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_PASSWORD = re.compile(r"://[^/@\s]+@")
_CONFIGURATION = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.askPass=true",
    "credential.helper=",
    "fetch.recurseSubmodules=false",
    "fetch.fsckObjects=true",
    "gc.auto=0",
    "maintenance.auto=false",
    "protocol.version=2",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Which files of which branch of which repository."""

    url: str
    branch: str
    path: str = ""
    """A folder or a file in the repository; empty for its top folder."""

    def __post_init__(self) -> None:
        if self.url.startswith("-") or any(c in self.url for c in "\n\r\0") or "::" in self.url:
            raise Refused(f"{_hidden(self.url)!r} is not the address of a repository")
        odd = (
            self.branch.endswith((".lock", "/", ".")) or ".." in self.branch or "//" in self.branch
        )
        if not _BRANCH.fullmatch(self.branch) or odd:
            raise Refused(f"{self.branch!r} is not the name of a branch")
        parts = PurePosixPath(self.path).parts
        if self.path.startswith(("/", "-", ":")) or ".." in parts or "\0" in self.path:
            raise Refused(f"{self.path!r} is not a path in a repository")

    def __str__(self) -> str:
        where = f" {self.path}" if self.path else ""
        return f"{_hidden(self.url)} {self.branch}{where}"


class GitSource:
    """Finds a commit whenever the branch moves and the files it names can be read."""

    def __init__(
        self,
        place: Place,
        repository: Path,
        *,
        in_force: Callable[[], str] = lambda: "",
        every_s: float = EVERY_S,
    ) -> None:
        """`repository` is ours to make; `in_force` is the revision that a new one should descend from."""
        self._place = place
        self._repository = repository
        self._in_force = in_force
        self._every_s = every_s
        self._found = ""
        self._trouble = ""

    async def watch(
        self,
        found: Callable[[Commit], Awaitable[None]],
        trouble: Callable[[str], Awaitable[None]],
    ) -> None:
        """Call `found` for the tip of the branch and every later one, until cancelled."""
        while True:
            try:
                commit = await self._look()
                words = ""
            except (Refused, Unreachable) as problem:
                commit, words = None, str(problem)
            if words != self._trouble:
                self._trouble = words
                await trouble(words)
            if commit is not None:
                self._found = commit.revision
                await found(commit)
            await asyncio.sleep(self._every_s)

    async def _look(self) -> Commit | None:
        """Fetch, and read the tip unless it was found before.

        Errors: `Unreachable` for the repository, `Refused` for what is in it.
        """
        await self._prepare()
        branch = f"+refs/heads/{self._place.branch}:{_FETCHED}"
        flags = ("--no-tags", "--no-recurse-submodules", "--no-write-fetch-head", "--quiet")
        await self._git("fetch", *flags, "--", self._place.url, branch, timeout_s=FETCH_TIMEOUT_S)
        words = await self._git("rev-parse", "--verify", "--quiet", f"{_FETCHED}^{{commit}}")
        tip = words.decode().strip()
        if tip == self._found:
            return None
        files = await self._files(tip)
        author, subject = await self._about(tip)
        held = await self._rewritten(tip)
        return Commit(revision=tip, files=files, subject=subject, author=author, held=held)

    async def _prepare(self) -> None:
        if (self._repository / "HEAD").is_file():
            return
        if shutil.which("git") is None:
            raise Unreachable("git is not installed on this machine")
        # Made beside its place and moved there, so that half a repository is never taken for one.
        fresh = self._repository.with_name(f"{self._repository.name}.new")
        await asyncio.to_thread(_remove, fresh)
        await asyncio.to_thread(_remove, self._repository)
        fresh.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        await self._git("init", "--quiet", "--bare", "--template=", "--", str(fresh), inside=False)
        fresh.rename(self._repository)

    async def _rewritten(self, tip: str) -> str:
        """Why an operator has to look, if the branch no longer descends from what is in force."""
        base = next((c for c in (self._in_force(), self._found) if _COMMIT.fullmatch(c)), None)
        if base is None or base == tip:
            return ""
        if await self._succeeds("merge-base", "--is-ancestor", base, tip):
            return ""
        return (
            f"the history of {self._place.branch} was rewritten: {tip[:12]} does not descend from "
            f"{base[:12]}, which is in force"
        )

    async def _about(self, tip: str) -> tuple[str, str]:
        words = await self._git("show", "--no-patch", "--format=%an%x00%s", tip)
        author, _, subject = words.decode("utf-8", "replace").strip().partition("\0")
        return author[:200], subject[:200]

    async def _files(self, tip: str) -> tuple[tuple[str, bytes], ...]:
        entries = await self._entries(tip)
        if not entries:
            raise Refused(f"{tip[:12]} holds no *.yaml or *.yml file in {self._place.path or '/'}")
        if len(entries) > FILES_MAX or sum(entry.size for entry in entries) > TOTAL_BYTES_MAX:
            raise Refused(f"{tip[:12]} holds more or larger files than a cluster may have")
        asked = "".join(f"{entry.object}\n" for entry in entries).encode()
        answer = await self._git("cat-file", "--batch", stdin=asked)
        contents = tuple(_objects(answer))
        if len(contents) != len(entries):
            raise Refused(f"{tip[:12]}: some of its objects are missing")
        names = [entry.name for entry in entries]
        return tuple(sorted(zip(names, contents, strict=True)))

    async def _entries(self, tip: str) -> list["_Entry"]:
        """The YAML files at the place, each a regular file."""
        path = self._place.path.strip("/")
        tree = f"{tip}:{path}" if path else f"{tip}^{{tree}}"
        kind = (await self._git("cat-file", "-t", tree)).decode().strip()
        if kind == "blob":
            parent, _, name = path.rpartition("/")
            listed = await self._tree(f"{tip}:{parent}" if parent else f"{tip}^{{tree}}")
            wanted = [entry for entry in listed if entry.name == name]
        else:
            listed = await self._tree(tree)
            wanted = [
                entry
                for entry in listed
                if entry.name.endswith(SUFFIXES) and not entry.name.startswith(".")
            ]
        for entry in wanted:
            if entry.mode not in {"100644", "100755"}:
                raise Refused(
                    f"{entry.name!r} in {tip[:12]} is a link, a folder or a submodule, not a file"
                )
            if entry.size > FILE_BYTES_MAX:
                raise Refused(f"{entry.name!r} in {tip[:12]} is larger than a file may be")
        return wanted

    async def _tree(self, tree: str) -> list["_Entry"]:
        listing = await self._git("ls-tree", "-z", "--long", "--full-tree", tree)
        return list(_listed(listing))

    async def _succeeds(self, *arguments: str) -> bool:
        try:
            await self._git(*arguments)
        except Unreachable:
            return False
        return True

    async def _git(
        self,
        *arguments: str,
        stdin: bytes = b"",
        timeout_s: float = READ_TIMEOUT_S,
        inside: bool = True,
    ) -> bytes:
        """Run git and return its output.

        Errors: `Unreachable` with the last line of what it said.
        """
        place = (f"--git-dir={self._repository}",) if inside else ()
        settings = [part for setting in _CONFIGURATION for part in ("-c", setting)]
        command = ("git", *place, *settings, *arguments)
        if prlimit := shutil.which("prlimit"):
            command = (prlimit, f"--fsize={PACK_BYTES_MAX}", "--", *command)
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=_environment(),
            cwd="/",
            start_new_session=True,
        )
        try:
            async with asyncio.timeout(timeout_s):
                output, errors = await _talk(process, stdin)
                status = await process.wait()
        except TimeoutError:
            raise Unreachable(
                f"{self._place}: git {arguments[0]} took over {timeout_s} s"
            ) from None
        finally:
            await _end(process)
        if status != 0:
            lines = _hidden(errors.decode("utf-8", "replace")).strip().splitlines()
            said = lines[-1] if lines else f"status {status}"
            raise Unreachable(f"{self._place}: git {arguments[0]}: {said[:300]}")
        return output


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    mode: str
    object: str
    size: int
    name: str


def _listed(listing: bytes) -> Iterator[_Entry]:
    for line in listing.split(b"\0"):
        if not line:
            continue
        head, _, name = line.partition(b"\t")
        mode, _, digest, size = head.decode("ascii").split()
        try:
            text = name.decode("utf-8")
        except UnicodeDecodeError:
            continue  # not a name that a cluster's file can have
        yield _Entry(mode=mode, object=digest, size=int(size) if size.isdigit() else 0, name=text)


def _objects(answer: bytes) -> Iterator[bytes]:
    """Contents out of `cat-file --batch`: a line `id type size`, then so many bytes and a line's end."""
    at = 0
    while at < len(answer):
        end = answer.index(b"\n", at)
        words = answer[at:end].split()
        if len(words) != 3 or words[1] != b"blob":  # noqa: PLR2004 - the format's three words
            return
        size = int(words[2])
        yield answer[end + 1 : end + 1 + size]
        at = end + 1 + size + 1


async def _talk(process: asyncio.subprocess.Process, stdin: bytes) -> tuple[bytes, bytes]:
    """Write and read at the same time, and keep no more than the limits."""
    if process.stdin is None or process.stdout is None or process.stderr is None:
        return b"", b""

    async def write(pipe: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):  # it may end before it has read everything
            pipe.write(stdin)
            await pipe.drain()
            pipe.close()

    _, output, errors = await asyncio.gather(
        write(process.stdin), _read(process.stdout), _read(process.stderr)
    )
    return output, errors


async def _read(pipe: asyncio.StreamReader) -> bytes:
    data = bytearray()
    while chunk := await pipe.read(65_536):
        data += chunk
        if len(data) > OUTPUT_BYTES_MAX:
            raise Refused("git says more than a cluster's files can be")
    return bytes(data)


async def _end(process: asyncio.subprocess.Process) -> None:
    """End git with everything it has started; it may be waiting for a network that never answers."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()
    if (transport := getattr(process, "_transport", None)) is not None:
        transport.close()


def _environment() -> dict[str, str]:
    """Nothing of ours but what finds programs and proves us to a repository over ssh."""
    kept = {name: os.environ[name] for name in ("HOME", "SSH_AUTH_SOCK") if name in os.environ}
    return {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "LC_ALL": "C",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_ALLOW_PROTOCOL": PROTOCOLS,
        "GIT_SSH_COMMAND": "ssh -oBatchMode=yes -oConnectTimeout=10",
        "SSH_ASKPASS": "true",
        **kept,
    }


def _hidden(text: str) -> str:
    """Text without the passwords that addresses may carry."""
    return _PASSWORD.sub("://...@", text)


def _remove(path: Path) -> None:
    shutil.rmtree(path, ignore_errors=True)
