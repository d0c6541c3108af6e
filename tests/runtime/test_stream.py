"""Streams between members, and the refusal of everybody else before a byte of theirs is a message."""

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import sys
from dataclasses import replace

import pytest

from reconciler.codec.messages import FRAME_BYTES_MAX, Request, Response, encode
from reconciler.model.errors import Corrupt, Refused, Unreachable
from reconciler.runtime import clock, pki, stream
from reconciler.runtime.address import parse_address
from reconciler.runtime.pki import Credentials, Role
from reconciler.runtime.stream import Timing, connect, serve
from tests.runtime.members import authority, forged, member, trusting

QUICK = Timing(handshake_ms=1_000, keepalive_ms=50, silence_ms=300, frame_ms=600)
PATIENT = Timing(handshake_ms=2_000, keepalive_ms=100, silence_ms=2_000, frame_ms=2_000)


class Listener:
    """A controller that remembers whom it let in, what reached it and whom it turned away."""

    def __init__(self, server=None):
        self.server = server
        self.streams, self.messages, self.notices, self.troubles = [], [], [], []

    @property
    def address(self):
        return self.server.address

    async def talk(self, peer):
        self.streams.append(peer)
        try:
            async for message in peer:
                self.messages.append((peer.peer, message))
                peer.send(Response(id=message.id, body={"from": peer.peer.name}))
        except Corrupt as trouble:
            self.troubles.append(str(trouble))
            raise

    def notice(self, address, why):
        self.notices.append(why)


@contextlib.asynccontextmanager
async def listening(credentials=None, *, timing=QUICK, **options):
    listener = Listener()
    credentials = credentials or member(Role.CONTROLLER)
    listener.server = await serve(
        ("127.0.0.1", 0),
        credentials,
        listener.talk,
        timing=timing,
        notice=listener.notice,
        **options,
    )
    try:
        yield listener
    finally:
        await listener.server.close()


async def until(condition, *, deadline_s=5.0):
    async with asyncio.timeout(deadline_s):
        while not condition():  # noqa: ASYNC110 - conditions of another process's making
            await asyncio.sleep(0.005)


def dial(listener, credentials=None, *, role=Role.CONTROLLER, timing=QUICK, **options):
    return connect(
        [listener.address], credentials or member(Role.AGENT), role, timing=timing, **options
    )


def ask(number=1):
    return Request(id=number, method="observe", body={})


# Members ----------------------------------------------------------------------------------------


def test_members_talk_and_each_knows_who_the_other_is():
    async def run():
        async with listening() as listener:
            mine = await dial(listener, expect_name="main")
            mine.send(ask(7))
            answer = await mine.receive()
            assert answer == Response(id=7, body={"from": "alpha"})
            assert (mine.peer.role, mine.peer.name) == (Role.CONTROLLER, "main")
            assert listener.streams[0].peer == member(Role.AGENT).identity
            assert mine.peer_expires > clock.utc()
            await mine.close()
            await until(lambda: listener.streams[0].ended)

    asyncio.run(run())


def test_messages_keep_their_order_and_large_ones_pass():
    async def run():
        async with listening(timing=PATIENT) as listener:
            mine = await dial(listener, timing=PATIENT)
            for number in range(300):
                mine.send(ask(number))
            mine.send(Request(id=300, method="apply", body={"intent": "x" * 5_000_000}))
            answers = [(await mine.receive()).id for _ in range(301)]
            assert answers == list(range(301))
            await mine.close()

    asyncio.run(run())


def test_quiet_members_stay_connected_by_signs_of_life():
    async def run():
        async with listening() as listener:
            mine = await dial(listener)
            waiting = asyncio.create_task(mine.receive())
            begun = clock.monotonic_ms()
            await until(lambda: clock.monotonic_ms() - begun > 3 * QUICK.silence_ms)
            assert mine.ended is None
            assert clock.monotonic_ms() - mine.heard_ms < QUICK.silence_ms
            mine.send(ask())
            assert (await waiting).id == 1
            await mine.close()

    asyncio.run(run())


def test_the_first_address_that_works_is_taken():
    async def run():
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))  # bound and not listening: refused
            async with listening() as listener:
                addresses = [taken.getsockname(), listener.address]
                mine = await connect(addresses, member(Role.AGENT), Role.CONTROLLER, timing=QUICK)
                await mine.close()

    asyncio.run(run())


def test_what_was_sent_before_a_close_arrives():
    async def run():
        async with listening() as listener:
            mine = await dial(listener)
            mine.send(ask())
            await mine.close()
            await until(lambda: listener.messages)
            with pytest.raises(Unreachable, match="closed here"):
                mine.send(ask())

    asyncio.run(run())


def test_a_renewed_certificate_is_used_without_a_restart(tmp_path, monkeypatch):
    shop = shutil.copytree(authority(), tmp_path / "shop")
    monkeypatch.setattr(stream, "CONTEXT_LIFE_MS", 0)

    async def run():
        credentials = Credentials.load(shop, Role.CONTROLLER, "main")
        async with listening(credentials) as listener:
            before = await dial(listener)
            pki.renew(shop, Role.CONTROLLER, "main", days=5)
            after = await dial(listener)
            assert after.peer_expires < before.peer_expires
            (shop / "controller-main.crt").write_text("half a certif")
            third = await dial(listener)
            assert third.peer_expires == after.peer_expires, "the one in use is kept"
            for mine in (before, after, third):
                await mine.close()

    asyncio.run(run())


# Strangers --------------------------------------------------------------------------------------


def refused_here(listener, coroutine, match):
    async def check():
        with pytest.raises(Refused, match=match):
            await coroutine
        await until(lambda: listener.notices)
        assert listener.streams == []

    return check()


@pytest.mark.parametrize(
    ("names", "options", "match"),
    [
        (["reconciler://shop/agent/alpha"], {"signer": None}, "TLSV1_ALERT_UNKNOWN_CA|UNKNOWN_CA|greeting"),
        (["reconciler://shop/agent/alpha"], {"ends_days": -0.5}, "EXPIRED|greeting"),
        (["reconciler://shop/agent/alpha"], {"starts_days": 1}, "BAD_CERTIFICATE|greeting"),
        (["reconciler://bank/agent/alpha"], {}, "not of cluster shop"),
        (["reconciler://shop/controller/evil"], {}, "may not connect here"),
        (["reconciler://shop/root/alpha"], {}, "not the identity"),
        (["https://shop/agent/alpha"], {}, "not the identity"),
        ([], {}, "names 0"),
        (
            ["reconciler://shop/agent/alpha", "reconciler://shop/operator/olga"],
            {},
            "names 2",
        ),
    ],
    ids=[
        "self-signed", "expired", "not yet valid", "other cluster", "other role",
        "unknown role", "other scheme", "no name", "two names",
    ],
)  # fmt: skip
def test_a_bad_certificate_is_refused_before_it_is_heard(tmp_path, names, options, match):
    async def run():
        bad = forged(tmp_path, *names, **({"signer": authority()} | options))
        async with listening() as listener:
            await refused_here(listener, dial(listener, bad), match)

    asyncio.run(run())


def test_a_member_of_another_authority_is_refused_by_both_sides():
    async def run():
        async with listening() as listener:
            stranger = member(Role.AGENT, "shop", "-twin")
            await refused_here(listener, dial(listener, stranger), "CERTIFICATE_VERIFY_FAILED")
            listener.notices.clear()
            trusting_ours = trusting(stranger, authority())
            await refused_here(listener, dial(listener, trusting_ours), "UNKNOWN_CA|greeting")

    asyncio.run(run())


def test_no_certificate_is_refused():
    async def run():
        async with listening() as listener:
            context = ssl.create_default_context(cafile=authority() / "ca.crt")
            context.check_hostname = False
            assert await send_raw(listener, frame(encode(ask())), context) == b""
            await until(lambda: listener.notices)
            assert listener.streams == []

    asyncio.run(run())


def test_tls_1_2_is_refused():
    async def run():
        async with listening() as listener:
            context = member(Role.AGENT).tls(server=False)
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            context.maximum_version = ssl.TLSVersion.TLSv1_2
            with pytest.raises((ssl.SSLError, ConnectionError)):
                await asyncio.open_connection(*listener.address, ssl=context)
            await until(lambda: listener.notices)
            assert listener.streams == []

    asyncio.run(run())


@pytest.mark.parametrize("noise", [b"GET / HTTP/1.1\r\n\r\n", b"\0" * 4096, os.urandom(4096), b""])
def test_plaintext_and_noise_are_refused(noise):
    async def run():
        async with listening() as listener:
            answer = await send_raw(listener, noise + frame(encode(ask())), None)
            assert b"reconciler" not in answer
            assert listener.streams == []
            assert listener.notices

    asyncio.run(run())


def test_an_operator_is_refused_where_only_agents_may_connect_and_told_so():
    async def run():
        async with listening(roles=[Role.AGENT]) as listener:
            olga = member(Role.OPERATOR)
            await refused_here(listener, dial(listener, olga), "may not connect here in its role")

    asyncio.run(run())


def test_a_dialler_refuses_a_wrong_name_and_a_wrong_role_before_it_speaks():
    async def run():
        async with listening() as listener:
            with pytest.raises(Refused, match="controller/main answered, not controller other"):
                await dial(listener, expect_name="other")
            with pytest.raises(Refused, match="answered, not operator"):
                await dial(listener, role=Role.OPERATOR)
            await until(lambda: all(peer.ended for peer in listener.streams))
            assert listener.messages == []

    asyncio.run(run())


def test_an_agent_s_certificate_cannot_listen_as_a_controller():
    async def run():
        async with listening(member(Role.AGENT)) as listener:
            with pytest.raises(Refused, match="CERTIFICATE_VERIFY_FAILED"):
                await dial(listener, member(Role.OPERATOR))

    asyncio.run(run())


def test_a_certificate_filed_under_another_name_is_noticed():
    async def run():
        async with listening() as listener:
            mislaid = member(Role.AGENT)
            wrong = replace(mislaid, identity=replace(mislaid.identity, name="bravo"))
            with pytest.raises(Refused, match="we are reconciler://shop/agent/bravo"):
                await dial(listener, wrong)

    asyncio.run(run())


def test_nobody_there_is_unreachable_and_says_where():
    async def run():
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            port = taken.getsockname()[1]
            with pytest.raises(Unreachable, match=f"127.0.0.1:{port}: "):
                await connect(
                    [("127.0.0.1", port)], member(Role.AGENT), Role.CONTROLLER, timing=QUICK
                )
        with pytest.raises(Unreachable, match="no address"):
            await connect([], member(Role.AGENT), Role.CONTROLLER)

    asyncio.run(run())


# Floods and dawdlers ------------------------------------------------------------------------------


def test_a_connection_that_says_nothing_is_dropped_in_time():
    async def run():
        async with listening() as listener:
            begun = clock.monotonic_ms()
            assert await send_raw(listener, b"", None, end=False) == b""
            assert clock.monotonic_ms() - begun < 2 * QUICK.handshake_ms
            assert listener.streams == []

    asyncio.run(run())


def test_a_handshake_spoken_byte_by_byte_is_dropped_in_time():
    async def run():
        async with listening() as listener:
            hello = ssl.MemoryBIO()
            half = member(Role.AGENT).tls(server=False).wrap_bio(ssl.MemoryBIO(), hello)
            with contextlib.suppress(ssl.SSLWantReadError):
                half.do_handshake()
            reader, writer = await asyncio.open_connection(*listener.address)
            begun = clock.monotonic_ms()
            with contextlib.suppress(ConnectionError):
                for byte in hello.read():
                    writer.write(bytes([byte]))
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(0.05):
                            if await reader.read(1) == b"":
                                break
            assert clock.monotonic_ms() - begun < 2 * QUICK.handshake_ms
            assert listener.streams == []
            writer.transport.abort()

    asyncio.run(run())


def test_members_get_in_while_strangers_hold_every_place():
    async def run():
        async with listening(timing=PATIENT) as listener:
            held = [
                await asyncio.open_connection(*listener.address)
                for _ in range(stream.HANDSHAKES_MAX + 20)
            ]
            begun = clock.monotonic_ms()
            mine = await dial(listener, timing=PATIENT)
            assert clock.monotonic_ms() - begun < PATIENT.handshake_ms
            async with asyncio.timeout(PATIENT.handshake_ms / 2000):
                assert await held[0][0].read() == b"", "the oldest makes room at once"
            assert len(listener.server._unproven) <= stream.HANDSHAKES_MAX
            await mine.close()
            for _, writer in held:
                writer.transport.abort()

    asyncio.run(run())


def test_one_identity_has_a_limited_number_of_streams(monkeypatch):
    monkeypatch.setattr(stream, "STREAMS_PER_PEER_MAX", 2)

    async def run():
        async with listening() as listener:
            first, second = [await dial(listener) for _ in range(2)]
            with pytest.raises(Refused, match="has 2 connections already"):
                await dial(listener)
            await dial_and_close(listener, member(Role.OPERATOR))
            await first.close()
            await until(lambda: any(peer.ended for peer in listener.streams[:2]))
            await until(lambda: listener.server._per_peer[member(Role.AGENT).identity] == 1)
            await dial_and_close(listener, member(Role.AGENT))
            await second.close()

    asyncio.run(run())


# Members that misbehave -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (struct.pack("!I", FRAME_BYTES_MAX + 1) + b"x", "over the limit"),
        (struct.pack("!I", 0xFFFF_FFFF), "over the limit"),
        (struct.pack("!I", 0x8000_0000) * 2, "over the limit"),
        (struct.pack("!I", 5) + b"hello", "not a message"),
        (struct.pack("!I", 1) + b"\xc1", "not a message"),
        (struct.pack("!I", 4096) + os.urandom(4096), "not a message"),
        (struct.pack("!I", 20_000) + b"\x91" * 20_000, "not a message"),
    ],
)
def test_bad_frames_end_the_stream_and_nothing_else(data, match):
    async def run():
        async with listening() as listener:
            await send_raw(listener, data, member(Role.AGENT).tls(server=False))
            await until(lambda: listener.troubles)
            assert match in listener.troubles[0]
            assert listener.messages == []
            await dial_and_close(listener, member(Role.AGENT))

    asyncio.run(run())


def test_a_frame_that_is_announced_and_not_sent_takes_no_memory_and_ends_in_time():
    async def run():
        async with listening() as listener:
            begun = clock.monotonic_ms()
            data = struct.pack("!I", FRAME_BYTES_MAX) + b"x"
            await send_raw(listener, data, member(Role.AGENT).tls(server=False), end=False)
            await until(lambda: listener.streams[0].ended)
            assert clock.monotonic_ms() - begun < QUICK.handshake_ms + QUICK.frame_ms
            assert listener.messages == []

    asyncio.run(run())


def test_a_frame_that_dribbles_in_ends_in_time():
    async def run():
        async with listening() as listener:
            _, writer = await proven(listener)
            writer.write(struct.pack("!I", 1_000))
            begun = clock.monotonic_ms()
            with contextlib.suppress(ConnectionError):
                while not listener.streams[0].ended:
                    writer.write(b"x")
                    await asyncio.sleep(0.02)
            assert clock.monotonic_ms() - begun < 2 * QUICK.frame_ms
            writer.transport.abort()

    asyncio.run(run())


def test_a_peer_that_stops_is_noticed_within_the_bound():
    """Stopped, not closed: its kernel still acknowledges what it is sent."""
    script = (
        "import asyncio, sys\n"
        "from pathlib import Path\n"
        "from reconciler.runtime.pki import Credentials, Role\n"
        "from reconciler.runtime.stream import connect\n"
        "async def main():\n"
        "    mine = await connect([('127.0.0.1', int(sys.argv[1]))],\n"
        "        Credentials.load(Path(sys.argv[2]), Role.AGENT, 'alpha'), Role.CONTROLLER)\n"
        "    await mine.receive()\n"
        "asyncio.run(main())\n"
    )

    async def run():
        timing = replace(QUICK, silence_ms=1_500)  # the other side sends every second
        async with listening(timing=timing) as listener:
            other = subprocess.Popen(  # noqa: ASYNC220 - it is started once
                [sys.executable, "-c", script, str(listener.address[1]), str(authority())]
            )
            try:
                await until(lambda: listener.streams)
                other.send_signal(signal.SIGSTOP)
                begun = clock.monotonic_ms()
                await until(lambda: listener.streams[0].ended)
                assert clock.monotonic_ms() - begun <= timing.silence_ms + 1_000
                assert listener.streams[0].ended == "nothing heard for 1500 ms"
            finally:
                other.kill()
                other.wait()

    asyncio.run(run())


def test_a_peer_that_does_not_read_is_dropped_and_never_waited_for(monkeypatch):
    monkeypatch.setattr(stream, "QUEUE_FRAMES_MAX", 50)

    async def run():
        async with listening(timing=PATIENT) as listener:
            _, writer = await proven(listener)
            await until(lambda: listener.streams)
            theirs = listener.streams[0]
            with pytest.raises(Unreachable, match="does not keep up"):
                await pour(theirs)
            assert theirs.ended == "the peer does not keep up with what it is sent"
            writer.transport.abort()

    asyncio.run(run())


def test_a_handler_that_fails_ends_its_own_stream_only():
    async def run():
        failures = []
        asyncio.get_running_loop().set_exception_handler(
            lambda _, context: failures.append(context["exception"])
        )

        async def talk(peer):
            if (await peer.receive()).id == 1:
                raise ZeroDivisionError

        server = await serve(("127.0.0.1", 0), member(Role.CONTROLLER), talk, timing=QUICK)
        mine, other = [
            await connect([server.address], member(Role.AGENT), Role.CONTROLLER, timing=QUICK)
            for _ in range(2)
        ]
        mine.send(ask(1))
        with pytest.raises(Unreachable):
            await mine.receive()
        assert [type(failure) for failure in failures] == [ZeroDivisionError]
        assert other.ended is None
        await other.close()
        await server.close()

    asyncio.run(run())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("alpha", ("alpha", 7410)),
        ("10.0.0.1:80", ("10.0.0.1", 80)),
        ("[::1]:80", ("::1", 80)),
        ("[::1]", ("::1", 7410)),
        ("::1", ("::1", 7410)),
    ],
)
def test_addresses(text, expected):
    assert parse_address(text) == expected


@pytest.mark.parametrize("text", ["", ":80", "a:", "a:b", "a:0", "a:65536", "a:-1", "a:٣"])
def test_bad_addresses(text):
    with pytest.raises(Refused):
        parse_address(text)


# Hands ------------------------------------------------------------------------------------------


def frame(data):
    return struct.pack("!I", len(data)) + data


async def pour(mine):
    for number in range(10_000):
        mine.send(Response(id=number, body={"x": "y" * 100_000}))
        if number % 10 == 0:
            await asyncio.sleep(0)


async def dial_and_close(listener, credentials):
    mine = await dial(listener, credentials)
    await mine.close()


async def proven(listener):
    """A raw connection that got as far as the greeting, and from there does what it likes."""
    reader, writer = await asyncio.open_connection(
        *listener.address, ssl=member(Role.AGENT).tls(server=False)
    )
    assert (await reader.readline()).startswith(b"reconciler/1 ")
    return reader, writer


async def send_raw(listener, data, context, *, end=True):
    """Send these bytes, and return all that comes back until the other side closes."""
    reader, writer = await asyncio.open_connection(*listener.address, ssl=context)
    try:
        writer.write(data)
        if end and context is None:
            writer.write_eof()
        async with asyncio.timeout(5):
            return await reader.read()
    except (ssl.SSLError, ConnectionError):  # turned away with an alert
        return b""
    finally:
        writer.transport.abort()
