"""Streams: messages between members, over TLS 1.3 with a certificate on both ends.

Nothing is parsed before both ends have proven who they are. The order is: TCP, TLS handshake (one authority,
both certificates valid now), the identity in the peer's certificate (cluster, role, name), one line of
greeting from the side that listens, and only then frames. A connection that does not get that far in time is
dropped, and among too many unfinished ones the oldest makes room, so that strangers cannot keep members out.

A stream carries frames: four bytes of length, big endian, then that many bytes of one message; a length of
zero is a sign of life. Each side sends one whenever it has been quiet for `keepalive_ms`, and gives up on a
peer that has been silent for `silence_ms`: that is the bound within which a dead peer is noticed.

    async def talk(stream: Stream) -> None:          # the side that listens
        hello = await stream.receive()               # from stream.peer.name, whatever the message says
        stream.send(Welcome(...))
        async for message in stream:                 # ends when the peer has gone
            ...

    server = await serve(("0.0.0.0", 7410), credentials, talk)

    stream = await connect([("10.0.0.9", 7410)], credentials, Role.CONTROLLER)   # the side that dials

Law: `send` never waits and never grows without bound: a peer that does not read is dropped. Somebody has to
be receiving at all times, or the peer's silence goes unnoticed. What messages mean is not known here.
"""

import asyncio
import contextlib
import socket
import ssl
from collections import Counter, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from reconciler.codec.messages import FRAME_BYTES_MAX, AnyMessage, decode, encode
from reconciler.model.errors import Corrupt, ReconcilerError, Refused, Unreachable
from reconciler.runtime import clock
from reconciler.runtime.address import Address, text_of
from reconciler.runtime.pki import Credentials, Identity, Role, uris

Handler = Callable[["Stream"], Awaitable[None]]
Notice = Callable[[str, str], None]
"""Called with the address of a peer that was turned away or lost, and why; for logs."""

QUEUE_FRAMES_MAX = 4096
QUEUE_BYTES_MAX = 4 * FRAME_BYTES_MAX
HANDSHAKES_MAX = 64
STREAMS_PER_PEER_MAX = 32
CONTEXT_LIFE_MS = 60_000
"""A renewed certificate is used by a listener after at most this long."""

_GREETING = "reconciler/1 "
_REFUSAL = "refused "
_LENGTH_BYTES = 4
_CHUNK_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """How long things may take."""

    handshake_ms: int = 5_000
    """From the TCP connection to the greeting."""
    keepalive_ms: int = 1_000
    silence_ms: int = 4_000
    """A peer that sends nothing for so long is gone, and so is one that takes in nothing for so long."""
    frame_ms: int = 30_000
    """From the first byte of a frame to its last."""


class Stream:
    """One proven connection. Made by `connect` and `serve` only."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        peer: Identity,
        peer_expires: datetime,
        timing: Timing,
    ) -> None:
        self.peer = peer
        self.peer_expires = peer_expires
        """When the peer's certificate ends; the stream itself does not end with it."""
        self.address = address_of(writer)
        self.ended: str | None = None
        """Why the stream has ended; None while it stands."""
        self.heard_ms = clock.monotonic_ms()
        """When the peer last sent anything, signs of life included."""
        self._reader = reader
        self._writer = writer
        self._timing = timing
        self._queue: deque[bytes] = deque()
        self._queued_bytes = 0
        self._stirred = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()
        self._write_task = asyncio.get_running_loop().create_task(self._write_frames())

    def send(self, message: AnyMessage) -> None:
        """Queue a message; it leaves in order, as soon as it can.

        Errors: `Unreachable` when the stream has ended, or ends now because the peer does not keep up.
        """
        data = encode(message)
        if len(data) > FRAME_BYTES_MAX:
            raise Corrupt(f"a message of {len(data)} bytes is over the limit of {FRAME_BYTES_MAX}")
        if self.ended is None and (
            len(self._queue) >= QUEUE_FRAMES_MAX or self._queued_bytes + len(data) > QUEUE_BYTES_MAX
        ):
            self.abort("the peer does not keep up with what it is sent")
        if self.ended is not None:
            raise Unreachable(self.ended)
        self._queue.append(len(data).to_bytes(_LENGTH_BYTES, "big") + data)
        self._queued_bytes += len(data)
        self._empty.clear()
        self._stirred.set()

    async def receive(self) -> AnyMessage:
        """Wait for the next message.

        Errors: `Unreachable` when the peer is gone or silent, `Corrupt` when it does not keep to the
        protocol; the stream has ended in both cases.
        """
        if self.ended is not None:
            raise Unreachable(self.ended)
        try:
            while True:
                if frame := await self._read_frame():
                    return decode(frame)
        except Corrupt as trouble:
            self.abort(str(trouble))
            raise
        except TimeoutError as trouble:
            self.abort(f"nothing heard for {self._timing.silence_ms} ms")
            raise Unreachable(self.ended or "") from trouble
        except (asyncio.IncompleteReadError, OSError) as trouble:
            self.abort(_why(trouble))
            raise Unreachable(self.ended or "") from trouble

    async def __aiter__(self) -> AsyncIterator[AnyMessage]:
        """Yield messages until the peer is gone; `ended` says why. `Corrupt` is raised."""
        while True:
            try:
                message = await self.receive()
            except Unreachable:
                return
            yield message

    async def flush(self) -> None:
        """Wait until everything queued has been handed to the system, or the stream has ended."""
        await self._empty.wait()

    async def close(self) -> None:
        """Send what is queued, say goodbye, and end; takes at most `silence_ms`."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._timing.silence_ms / 1000):
                await self.flush()
                if self.ended is None:
                    self.ended = "closed here"
                    self._writer.close()
                    with contextlib.suppress(OSError):
                        await self._writer.wait_closed()
        self.abort("closed here")

    def abort(self, why: str) -> None:
        """End at once, dropping what is queued. Safe to call twice."""
        if self.ended is None:
            self.ended = why
        self._queue.clear()
        self._empty.set()
        self._write_task.cancel()
        self._writer.transport.abort()

    async def _read_frame(self) -> bytes:
        silence_s = self._timing.silence_ms / 1000
        async with asyncio.timeout(silence_s):
            head = await self._reader.readexactly(1)
        self.heard_ms = clock.monotonic_ms()
        async with asyncio.timeout(self._timing.frame_ms / 1000):
            head += await self._reader.readexactly(_LENGTH_BYTES - 1)
            length = int.from_bytes(head, "big")
            if length > FRAME_BYTES_MAX:
                raise Corrupt(f"a frame of {length} bytes is over the limit of {FRAME_BYTES_MAX}")
            body = bytearray()  # grows with what arrives, not with what was announced
            while len(body) < length:
                async with asyncio.timeout(silence_s):
                    chunk = await self._reader.read(min(_CHUNK_BYTES, length - len(body)))
                if not chunk:
                    raise asyncio.IncompleteReadError(bytes(body[:64]), length)
                body += chunk
            return bytes(body)

    async def _write_frames(self) -> None:
        """Be the one writer: queued frames in order, and a sign of life when there are none."""
        try:
            while True:
                await self._wait_for_work()
                frame = self._queue.popleft() if self._queue else bytes(_LENGTH_BYTES)
                self._queued_bytes -= len(frame) - _LENGTH_BYTES
                self._writer.write(frame)
                async with asyncio.timeout(self._timing.silence_ms / 1000):
                    await self._writer.drain()
                if not self._queue:
                    self._empty.set()
        except TimeoutError:
            self.abort(f"the peer took in nothing for {self._timing.silence_ms} ms")
        except OSError as trouble:
            self.abort(_why(trouble))

    async def _wait_for_work(self) -> None:
        if self._queue:
            return
        self._stirred.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._timing.keepalive_ms / 1000):
                await self._stirred.wait()


class Server:
    """A listening port. Made by `serve`; `close` ends it and every stream it made."""

    def __init__(
        self,
        listener: socket.socket,
        credentials: Credentials,
        handler: Handler,
        *,
        roles: Collection[Role],
        timing: Timing,
        notice: Notice,
    ) -> None:
        self.address: Address = listener.getsockname()[:2]
        self._listener = listener
        self._credentials = credentials
        self._handler = handler
        self._roles = frozenset(roles)
        self._timing = timing
        self._notice = notice
        self._context = credentials.tls(server=True)
        self._context_ms = clock.monotonic_ms()
        self._unproven: dict[asyncio.Task[None], None] = {}
        """Connections that have not proven who they are, oldest first."""
        self._proven: set[asyncio.Task[None]] = set()
        self._per_peer: Counter[Identity] = Counter()
        self._accept_task = asyncio.get_running_loop().create_task(self._accept())

    async def close(self) -> None:
        """Stop listening and end every stream."""
        await asyncio.sleep(0)
        tasks = [self._accept_task, *self._unproven, *self._proven]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._listener.close()
        await asyncio.sleep(0)  # aborted connections close their sockets one turn later

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, address = await loop.sock_accept(self._listener)
            except OSError as trouble:  # out of descriptors, or the caller was gone already
                self._notice("", f"cannot accept: {trouble}")
                await asyncio.sleep(0.05)
                continue
            if len(self._unproven) >= HANDSHAKES_MAX:
                oldest = next(iter(self._unproven))
                del self._unproven[oldest]
                oldest.cancel()
            task = loop.create_task(self._welcome(connection, text_of(address)))
            self._unproven[task] = None
            task.add_done_callback(self._forget)
            await asyncio.sleep(0)  # in a flood, everything else gets its turn, this task first

    def _forget(self, task: asyncio.Task[None]) -> None:
        self._unproven.pop(task, None)
        self._proven.discard(task)
        if not task.cancelled() and (bug := task.exception()):
            asyncio.get_running_loop().call_exception_handler(
                {"message": "a stream's handler failed", "exception": bug, "task": task}
            )

    async def _welcome(self, connection: socket.socket, address: str) -> None:
        try:
            async with asyncio.timeout(self._timing.handshake_ms / 1000):
                stream = await self._prove(connection)
        except (ReconcilerError, OSError, TimeoutError) as trouble:
            self._notice(address, _why(trouble))
            return
        finally:
            if (task := asyncio.current_task()) in self._unproven and task is not None:
                del self._unproven[task]
                self._proven.add(task)
        try:
            await self._handler(stream)
            await stream.close()
        except ReconcilerError as trouble:
            self._notice(f"{stream.peer.name} at {address}", str(trouble))
        finally:
            self._per_peer[stream.peer] -= 1
            stream.abort("closed here")

    async def _prove(self, connection: socket.socket) -> Stream:
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=_CHUNK_BYTES)
        protocol = asyncio.StreamReaderProtocol(reader)
        transport, _ = await loop.connect_accepted_socket(
            lambda: protocol,
            connection,
            ssl=self._tls(),
            ssl_handshake_timeout=self._timing.handshake_ms / 1000,
            ssl_shutdown_timeout=1,
        )
        writer = asyncio.StreamWriter(transport, protocol, reader, loop)
        try:
            peer, expires = _identify(writer)
            self._admit(peer)
        except Refused as trouble:
            await _turn_away(writer, str(trouble))
            raise
        writer.write(f"{_GREETING}{peer.uri}\n".encode())
        _set_options(writer, self._timing)
        self._per_peer[peer] += 1
        return Stream(reader, writer, peer=peer, peer_expires=expires, timing=self._timing)

    def _admit(self, peer: Identity) -> None:
        own = self._credentials.identity
        if peer.cluster != own.cluster:
            raise Refused(f"{peer.uri} is not of cluster {own.cluster}")
        if peer.role not in self._roles:
            raise Refused(f"{peer.uri} may not connect here in its role")
        if self._per_peer[peer] >= STREAMS_PER_PEER_MAX:
            raise Refused(f"{peer.uri} has {STREAMS_PER_PEER_MAX} connections already")

    def _tls(self) -> ssl.SSLContext:
        now_ms = clock.monotonic_ms()
        if now_ms - self._context_ms >= CONTEXT_LIFE_MS:
            self._context_ms = now_ms
            try:
                self._context = self._credentials.tls(server=True)
            except Refused as trouble:  # half-copied files must not end the service
                self._notice("", f"keeping the certificate in use: {trouble}")
        return self._context


async def serve(
    address: Address,
    credentials: Credentials,
    handler: Handler,
    *,
    roles: Collection[Role] = (Role.AGENT, Role.OPERATOR),
    timing: Timing = Timing(),
    notice: Notice = lambda _address, _why: None,
) -> Server:
    """Listen, and run `handler` for every peer that has proven itself in one of these roles.

    The stream is closed when the handler returns. Port 0 takes a free one: see `Server.address`.
    Errors: `Unreachable` when the address cannot be listened on, `Refused` when the credentials are no use.
    """
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(
            *address, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as trouble:
        raise Unreachable(f"cannot listen on {text_of(address)}: {trouble}") from trouble
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(place)
        listener.listen(512)
    except OSError as trouble:
        listener.close()
        raise Unreachable(f"cannot listen on {text_of(address)}: {trouble}") from trouble
    listener.settimeout(0)
    return Server(listener, credentials, handler, roles=roles, timing=timing, notice=notice)


async def connect(
    addresses: Sequence[Address],
    credentials: Credentials,
    expect_role: Role,
    *,
    expect_name: str | None = None,
    timing: Timing = Timing(),
) -> Stream:
    """Connect to the first of these addresses where a member in that role answers and takes us.

    Errors: `Refused` when somebody answered but was not who was wanted, or did not want us; `Unreachable`
    when nobody answered. Each says what happened at every address.
    """
    troubles: list[str] = []
    refused = False
    for address in addresses:
        try:
            async with asyncio.timeout(timing.handshake_ms / 1000):
                return await _dial(address, credentials, expect_role, expect_name, timing)
        except (Refused, ssl.SSLError) as trouble:
            refused = True
            troubles.append(f"{text_of(address)}: {_why(trouble)}")
        except (ReconcilerError, OSError, TimeoutError) as trouble:
            troubles.append(f"{text_of(address)}: {_why(trouble)}")
    if refused:
        raise Refused("; ".join(troubles))
    raise Unreachable("; ".join(troubles) or "there is no address to connect to")


def address_of(writer: asyncio.StreamWriter) -> str:
    """The other end's address, for people."""
    return text_of(writer.get_extra_info("peername"))


async def _dial(
    address: Address,
    credentials: Credentials,
    expect_role: Role,
    expect_name: str | None,
    timing: Timing,
) -> Stream:
    reader, writer = await asyncio.open_connection(
        *address,
        ssl=credentials.tls(server=False),
        limit=_CHUNK_BYTES,
        ssl_handshake_timeout=timing.handshake_ms / 1000,
        ssl_shutdown_timeout=1,
    )
    try:
        peer, expires = _identify(writer)
        _expect(peer, credentials.identity.cluster, expect_role, expect_name)
        _read_greeting(await reader.readline(), credentials.identity)
        _set_options(writer, timing)
        return Stream(reader, writer, peer=peer, peer_expires=expires, timing=timing)
    except BaseException:
        writer.transport.abort()
        raise


async def _turn_away(writer: asyncio.StreamWriter, why: str) -> None:
    """Say why, which only a peer with a certificate of ours can hear, and close."""
    try:
        writer.write(f"{_REFUSAL}{why}\n".encode())
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
    finally:
        writer.transport.abort()


def _expect(peer: Identity, cluster: str, role: Role, name: str | None) -> None:
    if peer.cluster != cluster:
        raise Refused(f"{peer.uri} is not of cluster {cluster}")
    if peer.role is not role or name not in {None, peer.name}:
        raise Refused(f"{peer.uri} answered, not {role} {name or ''}".rstrip())


def _read_greeting(line: bytes, own: Identity) -> None:
    """Believe in the link only now: a TLS 1.3 server judges our certificate after our handshake ended."""
    text = line.decode("utf-8", "replace").strip()
    if not text:
        raise Refused(
            "it closed the connection without a greeting: it does not take our certificate"
        )
    if text.startswith(_REFUSAL):
        raise Refused(text)
    if text != f"{_GREETING}{own.uri}":
        raise Refused(f"it greeted with {text[:300]!r}, and we are {own.uri}")


def _identify(writer: asyncio.StreamWriter) -> tuple[Identity, datetime]:
    certificate = writer.get_extra_info("peercert")
    match uris(certificate):
        case [uri]:
            ends_s = ssl.cert_time_to_seconds(certificate["notAfter"])
            return Identity.parse(uri), datetime.fromtimestamp(ends_s, tz=UTC)
        case several:
            raise Refused(f"a certificate has to name one identity, this one names {len(several)}")


def _set_options(writer: asyncio.StreamWriter, timing: Timing) -> None:
    connection = writer.get_extra_info("socket")
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, timing.silence_ms)


def _why(trouble: Exception) -> str:
    match trouble:
        case TimeoutError():
            return "it took too long"
        case asyncio.IncompleteReadError():
            return "the peer closed the connection"
        case ssl.SSLError():
            return f"TLS: {trouble.reason or trouble}"
        case _:
            return str(trouble) or type(trouble).__name__
