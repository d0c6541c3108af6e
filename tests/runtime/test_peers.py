"""Nodes hear each other: real processes on real sockets, and the controller's part of it."""

import asyncio
import contextlib
import stat

from reconciler.codec.messages import Peers
from reconciler.membership import ring
from reconciler.model.ids import BootId, Millis, NodeName
from reconciler.model.intent import Intent, Node, OnLoss
from reconciler.runtime import clock
from reconciler.runtime.heartbeat import Speaker
from reconciler.runtime.peer_sessions import PeerSessions
from tests.runtime.agent_peer import until

EVERY_MS = Millis(20)
KEYS = {1: bytes(32), 2: b"\1" * 32, 3: b"\2" * 32}


@contextlib.contextmanager
def speaking(run=None):
    speaker = Speaker.start(BootId("boot"), run)
    try:
        yield speaker
    finally:
        speaker.stop()


def peers(session, hear, to, *, enough=1, keys=KEYS):
    return Peers(
        every_ms=EVERY_MS,
        session=session,
        key=KEYS[session],
        to=tuple(("127.0.0.1", speaker.peer_port) for speaker in to),
        hear=tuple((other, keys[other]) for other in hear),
        enough=enough,
    )


def acquaint(one, other, *, enough=1):
    one.know(peers(1, [2], [other], enough=enough))
    other.know(peers(2, [1], [one], enough=enough))


def say(*speakers, alone):
    for speaker in speakers:
        speaker.tell(tick=1, report=0, state=None, alone=alone)


async def advances(speaker):
    """Wait until it hears more than it has heard by now."""
    now_ms = clock.monotonic_ms()
    return await until(lambda: (speaker.backed_ms or 0) > now_ms, "peers are heard", 5)


def test_two_nodes_without_a_controller_back_each_other_and_with_one_they_do_not(tmp_path):
    async def run():
        with speaking() as one, speaking() as other:
            assert one.peer_port != other.peer_port
            acquaint(one, other)
            say(one, other, alone=True)
            await advances(one)
            await advances(other)
            say(
                other, alone=False
            )  # it hears a controller: what it does not say is as good as silence
            await until(lambda: _stands_still(one), "nobody backs it", 5)
            say(other, alone=True)
            await advances(one)

    asyncio.run(run())


def _stands_still(speaker):
    return clock.monotonic_ms() - speaker.backed_ms > 15 * EVERY_MS


def test_the_peer_s_end_is_noticed_and_one_of_two_is_not_enough():
    async def run():
        with speaking() as one, speaking() as other, speaking() as third:
            one.know(peers(1, [2, 3], [], enough=2))
            other.know(peers(2, [], [one]))
            third.know(peers(3, [], [one]))
            say(one, other, third, alone=True)
            await advances(one)
            third.stop()
            await until(lambda: _stands_still(one), "one is not enough", 5)

    asyncio.run(run())


def test_who_has_another_key_is_not_heard():
    async def run():
        with speaking() as one, speaking() as other, speaking() as third:
            one.know(peers(1, [2], [third], keys=KEYS | {2: b"\7" * 32}))
            other.know(peers(2, [], [one, third]))
            third.know(peers(3, [2], []))
            say(other, alone=True)
            await advances(third)
            await advances(third)
            assert one.backed_ms is None

    asyncio.run(run())


def test_the_next_agent_of_this_boot_knows_its_peers_and_hears_them_where_they_speak(tmp_path):
    async def run():
        with speaking() as other:
            with speaking(tmp_path) as one:
                acquaint(one, other)
                port = one.peer_port
            say(other, alone=True)
            with speaking(tmp_path) as one:
                assert one.peer_port == port
                await advances(one)

    asyncio.run(run())
    assert stat.S_IMODE((tmp_path / "peers").stat().st_mode) == 0o600


def test_a_damaged_book_is_as_good_as_none(tmp_path):
    for damage in ("", "{}", "[1]", '{"port": "x", "peers": {}}', '{"port": 1, "peers": 3}'):
        (tmp_path / "peers").write_text(damage)
        with speaking(tmp_path) as one:
            say(one, alone=True)
            assert one.backed_ms is None
            assert one._process.poll() is None


def test_a_speaker_that_was_killed_comes_back_with_its_peers():
    async def run():
        with speaking() as one, speaking() as other:
            acquaint(one, other)
            say(one, other, alone=True)
            await advances(one)
            one._process.kill()
            one._process.wait()

            def backed():
                say(one, alone=True)
                return (one.backed_ms or 0) > now_ms

            now_ms = clock.monotonic_ms()
            await until(backed, "it hears again", 5)
            await advances(other)

    asyncio.run(run())


def test_a_cluster_of_one_cannot_be_cut_off():
    async def run():
        with speaking() as one:
            one.know(peers(1, [], [], enough=0))
            say(one, alone=True)
            await advances(one)

    asyncio.run(run())


# The controller's part ----------------------------------------------------------------------------


def intent(*names, **more):
    nodes = tuple(
        Node(name=NodeName(name), addresses=(f"10.0.0.{i}",)) for i, name in enumerate(names)
    )
    return Intent(cluster="shop", nodes=nodes, **more)


def connected(*names, boot="boot", host="10.9.0.{}", port=7411):
    sessions = PeerSessions()
    for number, name in enumerate(names):
        sessions.admit(NodeName(name), BootId(boot), host=host.format(number), port=port)
    return sessions


def test_everybody_is_told_once_and_sender_and_hearer_have_the_same_key():
    wanted = intent("a", "b", "c")
    sessions = connected("a", "b", "c")
    told = dict(sessions.news(wanted, EVERY_MS))
    assert sorted(told) == ["a", "b", "c"]
    assert {word.enough for word in told.values()} == {ring.enough(3)}
    for name, word in told.items():
        others = {(other.session, other.key) for n, other in told.items() if n != name}
        assert set(word.hear) == others
        assert len(word.to) == 4, "two peers, each by its connection and by its intent"
    assert dict(sessions.news(wanted, EVERY_MS)) == {}


def test_a_node_that_comes_back_keeps_its_key_in_the_same_boot_only():
    wanted = intent("a", "b")
    sessions = connected("a", "b")
    before = dict(sessions.news(wanted, EVERY_MS))[NodeName("a")]
    sessions.dismiss(NodeName("a"))
    assert dict(sessions.news(wanted, EVERY_MS))[NodeName("b")].hear == ()
    sessions.admit(NodeName("a"), BootId("boot"), host="10.9.0.0", port=7411)
    assert dict(sessions.news(wanted, EVERY_MS))[NodeName("a")].key == before.key
    sessions.admit(NodeName("a"), BootId("another"), host="10.9.0.0", port=7411)
    after = dict(sessions.news(wanted, EVERY_MS))
    assert after[NodeName("a")].key != before.key
    assert after[NodeName("b")].hear == ((after[NodeName("a")].session, after[NodeName("a")].key),)


def test_nothing_is_sent_to_another_machine_for_a_node_on_this_one_and_strangers_are_left_out():
    sessions = connected("a", "b", "stranger", host="127.0.0.{}")
    told = dict(sessions.news(intent("a", "b"), EVERY_MS))
    assert sorted(told) == ["a", "b"]
    assert told[NodeName("a")].to == (("127.0.0.1", 7411),)
    assert dict(connected("a", "b").news(intent("a", "b"), EVERY_MS))[NodeName("a")].to == (
        ("10.9.0.1", 7411),
        ("10.0.0.1", 7411),
    )


def test_who_hears_on_no_port_is_not_spoken_to_and_without_majorities_everybody_has_to_agree():
    sessions = connected("a", "b", "c", port=0)
    told = dict(sessions.news(intent("a", "b", "c", on_quorum_loss=OnLoss.IGNORE), EVERY_MS))
    assert {(word.to, word.enough) for word in told.values()} == {((), 2)}
