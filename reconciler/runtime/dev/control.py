"""The wire from `reconcile dev --kill NODE` to the `reconcile dev` that runs: one line each way.

A unix socket in the state directory, which only its owner can open. A request is `{"do", "target"}`, the
answer `{"said"}` or `{"refused"}`.
"""

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import msgspec

from reconciler.model.errors import Corrupt, Refused, Unreachable

SOCKET = "control"
LINE_BYTES_MAX = 65_536
TIMEOUT_S = 30.0

VERBS = ("kill", "boot", "freeze", "thaw", "cut", "heal", "kill-agent", "describe")


class Request(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to do with which machine."""

    do: str
    target: str = ""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it: exactly one of the two."""

    said: str = ""
    refused: str = ""


def ask(state: Path, request: Request) -> str:
    """Ask the `reconcile dev` that keeps its state there; returns what it says.

    Errors: `Unreachable` when none runs, `Refused` with its reason.
    """
    with _reachable(state / SOCKET) as path, socket.socket(socket.AF_UNIX) as peer:
        peer.settimeout(TIMEOUT_S)
        try:
            peer.connect(path)
            peer.sendall(msgspec.json.encode(request) + b"\n")
            line = peer.makefile("rb").readline(LINE_BYTES_MAX)
        except OSError as trouble:
            raise Unreachable(
                f"no `reconcile dev` answers in {state}: {trouble.strerror or trouble}"
            ) from trouble
    try:
        answer = msgspec.json.decode(line, type=Answer)
    except msgspec.DecodeError as trouble:
        raise Corrupt(f"`reconcile dev` answered nonsense: {trouble}") from trouble
    if answer.refused:
        raise Refused(answer.refused)
    return answer.said


@contextlib.asynccontextmanager
async def serve(state: Path, obey: Callable[[Request], Awaitable[str]]) -> AsyncIterator[None]:
    """Answer requests as long as the context lasts. `obey` raises `Refused` with a reason."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, ValueError):
            writer.write(msgspec.json.encode(await _answer(await reader.readline(), obey)) + b"\n")
            await writer.drain()
        writer.close()

    path = state / SOCKET
    path.unlink(missing_ok=True)
    with _reachable(path) as short:
        server = await asyncio.start_unix_server(talk, short, limit=LINE_BYTES_MAX)
    path.chmod(0o600)
    try:
        yield
    finally:
        server.close()
        path.unlink(missing_ok=True)


async def _answer(line: bytes, obey: Callable[[Request], Awaitable[str]]) -> Answer:
    try:
        request = msgspec.json.decode(line, type=Request)
        if request.do not in VERBS:
            return Answer(refused=f"no such verb: {request.do}")
        return Answer(said=await obey(request))
    except msgspec.DecodeError as trouble:
        return Answer(refused=f"not a request: {trouble}")
    except Refused as trouble:
        return Answer(refused=str(trouble))


@contextlib.contextmanager
def _reachable(path: Path) -> Iterator[str]:
    """A short name of a socket's path, which may be longer than the 107 bytes that sockets allow."""
    try:
        directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    except OSError as trouble:
        raise Unreachable(f"no `reconcile dev` has run in {path.parent}") from trouble
    try:
        yield f"/proc/self/fd/{directory}/{path.name}"
    finally:
        os.close(directory)
