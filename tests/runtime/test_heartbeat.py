"""The process that speaks heartbeats, and the listener that hears them, over real sockets."""

import asyncio
import contextlib
import os
import signal
import socket
from random import Random

import pytest

from reconciler.codec.datagram import DATAGRAM_BYTES_MAX, Seal
from reconciler.membership import liveness
from reconciler.membership.heartbeat import Beat
from reconciler.model.errors import Unreachable
from reconciler.model.ids import BootId, Digest, Millis, NodeName
from reconciler.model.intent import Heartbeat
from reconciler.model.observed import Liveness
from reconciler.runtime import clock, heartbeat, heartbeat_process
from reconciler.runtime.heartbeat import HeartbeatListener, Link, Speaker

ALPHA, BRAVO = NodeName("alpha"), NodeName("bravo")
STATE = Digest("ab" * 32)


class Ear:
    """A listener that remembers, and a way to send it anything."""

    def __init__(self):
        self.heard = []
        self.listener = HeartbeatListener(("127.0.0.1", 0), self._hear)
        self.out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.out.connect(self.listener.address)

    def _hear(self, node, beat, now_ms):
        self.heard.append((node, beat, now_ms))

    def link(self, **options):
        return Link(target="127.0.0.1", port=self.listener.address[1], **options)

    async def until(self, condition, *, deadline_s=5.0):
        async with asyncio.timeout(deadline_s):
            while not condition():  # noqa: ASYNC110 - another process makes it true
                await asyncio.sleep(0.005)


@contextlib.contextmanager
def listening():
    ear = Ear()
    try:
        yield ear
    finally:
        ear.listener.close()
        ear.listener.close()
        ear.out.close()


@contextlib.contextmanager
def speaking(boot="boot-1"):
    speaker = Speaker.start(BootId(boot))
    try:
        yield speaker
    finally:
        speaker.stop()
        speaker.stop()


def begin(ear, speaker, *, every_ms=20, links=None, node=ALPHA):
    session = ear.listener.admit(node)
    speaker.speak(
        session=session.number,
        key=session.key,
        links=links or [ear.link()],
        every_ms=Millis(every_ms),
    )
    return session


def beat(number=1):
    return Beat(boot=BootId("boot-1"), sent_ms=Millis(number), tick=number)


# The process --------------------------------------------------------------------------------------


def test_it_says_what_it_was_told_at_the_asked_rate():
    async def run():
        with listening() as ear, speaking() as speaker:
            begin(ear, speaker)
            speaker.tell(tick=7, report=3, state=STATE)
            await ear.until(lambda: len(ear.heard) >= 20)
            node, last, _ = ear.heard[-1]
            assert node == ALPHA
            assert (last.boot, last.tick, last.report, last.state) == ("boot-1", 7, 3, STATE)
            assert not last.agent_down
            sent = [one.sent_ms for _, one, _ in ear.heard]
            assert 19 <= (sent[-1] - sent[0]) / (len(sent) - 1) <= 60  # a loaded machine skips some

    asyncio.run(run())


def test_one_heartbeat_over_several_links_counts_once_and_a_dead_link_costs_nothing():
    async def run():
        with listening() as ear, speaking() as speaker:
            dead = Link(target="127.0.0.1", port=1)
            gone = Link(target="127.0.0.1", port=ear.listener.address[1], source="198.51.100.1")
            other = ear.link(source="127.0.0.2")
            six = Link(target="::1", port=1)
            begin(ear, speaker, links=[dead, gone, six, ear.link(), other])
            await ear.until(lambda: ear.listener.counts.repeated >= 5)
            assert ear.listener.counts.heard == len(ear.heard)
            assert ear.listener.counts.refused == 0

    asyncio.run(run())


def test_it_goes_on_while_the_agent_tells_it_nothing_and_its_tick_stands_still():
    """As when the agent hangs: the node lives, and the tick says the rest."""

    async def run():
        with listening() as ear, speaking() as speaker:
            begin(ear, speaker)
            speaker.tell(tick=7, report=0, state=None)
            await ear.until(lambda: ear.heard)
            count = len(ear.heard)  # from here on nobody tells it anything
            await ear.until(lambda: len(ear.heard) >= count + 20)
            assert {one.tick for _, one, _ in ear.heard[count:]} == {7}

    asyncio.run(run())


def test_it_says_agent_down_when_the_agent_dies_and_ends_after_a_while(monkeypatch):
    monkeypatch.setattr(heartbeat_process, "AGENT_DOWN_MS", 300)

    async def run():
        with listening() as ear:
            session = ear.listener.admit(ALPHA)
            ours, theirs = socket.socketpair(
                socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK
            )
            ours.send(b'{"boot": "boot-1"}')
            orders = {
                "session": session.number,
                "key": session.key.hex(),
                "links": [["127.0.0.1", ear.listener.address[1], None]],
                "every_ms": 20,
            }
            ours.send(heartbeat.json.dumps(orders).encode())
            running = asyncio.create_task(asyncio.to_thread(heartbeat_process.run, theirs))
            await ear.until(lambda: ear.heard)
            ours.close()
            begun = clock.monotonic_ms()
            await running
            took_ms = clock.monotonic_ms() - begun
            theirs.close()
            assert 300 <= took_ms < 3_000
            await ear.until(lambda: ear.heard[-1][1].agent_down)
            assert not ear.heard[0][1].agent_down
            assert sum(one.agent_down for _, one, _ in ear.heard) >= 5

    asyncio.run(run())


def test_a_killed_agent_is_told_from_a_dead_node():
    """A real agent process is killed hard; its speaker lives on and says so."""
    script = (
        "import sys, time\n"
        "from reconciler.runtime.heartbeat import Link, Speaker\n"
        "speaker = Speaker.start('boot-1')\n"
        "speaker.speak(session=int(sys.argv[1]), key=bytes.fromhex(sys.argv[2]), every_ms=20,\n"
        "    links=[Link(target='127.0.0.1', port=int(sys.argv[3]))])\n"
        "print(speaker.pid, flush=True)\n"
        "time.sleep(60)\n"
    )

    async def run():
        with listening() as ear:
            session = ear.listener.admit(ALPHA)
            agent = await asyncio.create_subprocess_exec(
                heartbeat.sys.executable,
                *("-c", script, str(session.number), session.key.hex()),
                str(ear.listener.address[1]),
                stdout=asyncio.subprocess.PIPE,
            )
            speaker_pid = int(await agent.stdout.readline())
            try:
                await ear.until(lambda: ear.heard)
                agent.kill()
                await agent.wait()
                await ear.until(lambda: ear.heard[-1][1].agent_down)
                # A new agent on that node: its session is heard, the old one's voice is not.
                with speaking() as speaker:
                    begin(ear, speaker)
                    await ear.until(lambda: not ear.heard[-1][1].agent_down)
                    refused = ear.listener.counts.refused
                    await ear.until(lambda: ear.listener.counts.refused > refused + 3)
                    assert not ear.heard[-1][1].agent_down
            finally:
                os.kill(speaker_pid, signal.SIGKILL)

    asyncio.run(run())


def test_it_is_revived_and_repeats_no_counter(monkeypatch):
    monkeypatch.setattr(heartbeat, "RESPAWN_MS", 0)

    async def run():
        with listening() as ear, speaking() as speaker:
            begin(ear, speaker)
            await ear.until(lambda: ear.heard)
            first = speaker.pid
            os.kill(first, signal.SIGKILL)
            ticks = iter(range(100, 10_000))

            def back():
                speaker.tell(tick=next(ticks), report=1, state=None)
                return speaker.pid != first and ear.heard[-1][1].tick >= 100

            await ear.until(back)
            assert ear.listener.counts.repeated == 0
            assert ear.listener.counts.refused == 0

    asyncio.run(run())


def test_a_process_that_takes_over_under_the_same_key_repeats_no_counter():
    async def run():
        with listening() as ear:
            session = ear.listener.admit(ALPHA)
            orders = {
                "session": session.number,
                "key": session.key.hex(),
                "links": [["127.0.0.1", ear.listener.address[1], None]],
                "every_ms": 20,
            }
            for _ in range(3):
                mouth = heartbeat_process.Mouth()
                mouth.obey(heartbeat.json.dumps(orders).encode())
                mouth.speak()
                mouth.close()
            await ear.until(lambda: ear.listener.counts.heard == 3)
            assert ear.listener.counts.repeated == 0

    asyncio.run(run())


@pytest.mark.real
def test_it_has_real_time_priority_and_locked_memory():
    async def run():
        with listening() as ear, speaking() as speaker:
            begin(ear, speaker)
            await ear.until(lambda: ear.heard)
            with open(f"/proc/{speaker.pid}/status") as file:  # noqa: ASYNC230, PTH123
                status = dict(line.split(":", 1) for line in file)
            assert os.sched_getscheduler(speaker.pid) == os.SCHED_RR
            assert int(status["VmLck"].split()[0]) > 1_000
            assert int(status["VmRSS"].split()[0]) < 30 * 1024

    asyncio.run(run())


def test_a_speaker_told_nothing_says_nothing_and_ends_with_its_agent():
    speaker = Speaker.start(BootId("boot-1"))
    speaker._pipe.close()
    assert speaker._process.wait(timeout=5) == 0
    speaker.stop()


# The listener -------------------------------------------------------------------------------------


def test_a_replay_a_forgery_and_a_stranger_are_heard_by_nobody():
    async def run():
        with listening() as ear:
            session = ear.listener.admit(ALPHA)
            seal = Seal(key=session.key, session=session.number)
            genuine = [seal.seal(beat(number)) for number in range(10)]
            forged = Seal(key=bytes(32), session=session.number, counter=50).seal(beat())
            stranger = Seal(key=session.key, session=session.number + 1).seal(beat())
            for data in (*genuine, *reversed(genuine), forged, stranger, *genuine):
                ear.out.send(data)
            counts = ear.listener.counts
            await ear.until(lambda: counts.heard + counts.repeated + counts.refused == 32)
            assert (counts.heard, counts.repeated, counts.refused) == (10, 20, 2)
            assert [one.tick for _, one, _ in ear.heard] == list(range(10))

    asyncio.run(run())


def test_a_new_session_ends_the_old_one_and_a_dismissal_ends_it_too():
    async def run():
        with listening() as ear:
            old = ear.listener.admit(ALPHA)
            other = ear.listener.admit(BRAVO)
            new = ear.listener.admit(ALPHA)
            ear.out.send(Seal(key=old.key, session=old.number).seal(beat()))
            ear.out.send(Seal(key=new.key, session=new.number).seal(beat()))
            ear.out.send(Seal(key=other.key, session=other.number).seal(beat()))
            await ear.until(lambda: ear.listener.counts.heard == 2)
            assert [node for node, _, _ in ear.heard] == [ALPHA, BRAVO]
            ear.listener.dismiss(ALPHA)
            ear.listener.dismiss(ALPHA)
            ear.out.send(Seal(key=new.key, session=new.number, counter=9).seal(beat()))
            await ear.until(lambda: ear.listener.counts.refused == 2)

    asyncio.run(run())


def test_a_flood_of_noise_changes_nothing_but_a_count():
    random = Random(7)

    async def run():
        with listening() as ear:
            session = ear.listener.admit(ALPHA)
            seal = Seal(key=session.key, session=session.number)
            mark = (len(ear.listener._sessions), len(ear.listener._current))
            for number in range(3_000):
                size = random.choice([0, 1, 31, 32, 48, 109, DATAGRAM_BYTES_MAX, 4_000, 60_000])
                noise = random.randbytes(size)
                ear.out.send(random.choice([noise, b"RCHB\x01\x01" + noise]))
                if number % 100 == 0:
                    ear.out.send(seal.seal(beat(number)))
                    await asyncio.sleep(0)
            counts = ear.listener.counts
            await ear.until(lambda: counts.heard + counts.refused == 3_030)
            assert counts.heard == len(ear.heard) == 30
            assert (len(ear.listener._sessions), len(ear.listener._current)) == mark

    asyncio.run(run())


def test_everything_that_waited_is_heard_before_a_timer_looks():
    """After a stall of the listener's process the loop's timers are overdue, and datagrams wait."""

    async def run():
        with listening() as ear:
            session = ear.listener.admit(ALPHA)
            seal = Seal(key=session.key, session=session.number)
            seen = []
            asyncio.get_running_loop().call_later(0.01, lambda: seen.append(len(ear.heard)))
            for number in range(200):
                ear.out.send(seal.seal(beat(number)))
            begun = clock.monotonic_ms()
            while clock.monotonic_ms() - begun < 50:  # the loop is held up
                pass
            await ear.until(lambda: seen)
            assert seen == [200]

    asyncio.run(run())


def test_a_taken_port_is_unreachable():
    async def run():
        with listening() as ear, pytest.raises(Unreachable, match="cannot hear heartbeats"):
            HeartbeatListener(ear.listener.address, lambda *_: None)

    asyncio.run(run())


def test_a_dead_node_is_lost_soon_at_a_hundred_milliseconds():
    """The whole way: process, datagrams, listener and detector, until the process is killed."""
    limits = Heartbeat(every_ms=Millis(100), suspect_ms=Millis(200), lost_ms=Millis(350))

    async def run():
        with listening() as ear, speaking() as speaker:
            begin(ear, speaker, every_ms=100)
            detector = liveness.begin(limits, [ALPHA], clock.monotonic_ms())
            taken, died_ms, said = 0, None, None
            async with asyncio.timeout(10):
                while said is not Liveness.LOST:
                    for node, _, now_ms in ear.heard[taken:]:
                        detector = liveness.hear(detector, node, max(now_ms, detector.called_ms))
                    taken = len(ear.heard)
                    now_ms = clock.monotonic_ms()
                    detector, view = liveness.look(detector, now_ms)
                    said = view.of(ALPHA)
                    if died_ms is None and taken >= 5:
                        os.kill(speaker.pid, signal.SIGKILL)
                        died_ms = clock.monotonic_ms()
                    await asyncio.sleep((view.wake_at_ms - now_ms) / 1000)
            assert died_ms is not None
            assert 200 <= now_ms - died_ms <= 1_500  # about 400 on a machine with time to spare

    asyncio.run(run())
