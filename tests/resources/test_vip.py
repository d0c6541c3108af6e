"""Addresses on a real cable between two namespaces, with an ear at the far end."""

import asyncio
import contextlib
import dataclasses
import socket
import time
from ipaddress import ip_address

import pytest

from reconciler.model.ids import ServiceName
from reconciler.model.intent import Kind, Service
from reconciler.model.operation import Outcome, Verdict
from reconciler.resources import frames
from reconciler.resources.vip import VipHand
from tests.resources import scripts
from tests.resources.namespaces import Cable, cable, inside, sniffer

pytestmark = pytest.mark.real

FOUR, SIX = "10.7.0.100", "fd00:7::100"


@pytest.fixture
def wire():
    with cable("vips") as made, inside(made.here):
        yield made


def vip(address: str, **parameters: str) -> Service:
    settings = {"address": address, **parameters}
    return Service(
        name=ServiceName("address"), kind=Kind.VIP, parameters=tuple(sorted(settings.items()))
    )


def with_hand(story):
    async def whole():
        hand = VipHand()
        try:
            return await story(hand)
        finally:
            await hand.close()

    return asyncio.run(whole())


def carry_out(operation: str, service: Service, context) -> Outcome:
    return with_hand(lambda hand: getattr(hand, operation)(service, context))


def held(wire: Cable, address: str) -> bool:
    return f" {address}/" in wire.ip(wire.here, "-o", "address", "show")


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        (f"{FOUR}/24", f"{FOUR}/24"),
        (f"{FOUR}/32", f"{FOUR}/32"),
        (FOUR, f"{FOUR}/24"),  # the prefix of the network that it lies in
        (f"{SIX}/64", f"{SIX}/64"),
        (SIX, f"{SIX}/64"),
    ],
)
def test_an_address_goes_to_the_interface_whose_network_holds_it(wire, tmp_path, address, expected):
    context = scripts.context(tmp_path)
    assert carry_out("start", vip(address), context).verdict is Verdict.RUNNING
    shown = wire.ip(wire.here, "-o", "address", "show", "dev", "eth0").splitlines()
    (line,) = [line for line in shown if f" {expected} " in line]
    assert "tentative" not in line
    assert carry_out("stop", vip(address), context).verdict is Verdict.STOPPED
    assert not held(wire, expected.partition("/")[0])


@pytest.mark.parametrize(
    ("address", "protocol"), [(FOUR, frames.ETHERTYPE_ARP), (SIX, frames.ETHERTYPE_IPV6)]
)
def test_neighbours_hear_of_it_five_times_and_can_reach_it(wire, tmp_path, address, protocol):
    parsed = socket.AF_INET6 if ":" in address else socket.AF_INET
    with contextlib.closing(sniffer(wire.there, protocol)) as ear:

        async def story(hand):
            began = time.monotonic()
            outcome = await hand.start(vip(address), scripts.context(tmp_path))
            assert outcome.verdict is Verdict.RUNNING
            assert time.monotonic() - began < 1  # the repeats go on behind it
            assert await asyncio.to_thread(answers, wire, address, parsed)
            times = []
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(2.5):
                    while len(times) < 5:
                        frame = await asyncio.get_running_loop().sock_recv(ear, 2048)
                        if is_announcement(frame, address):
                            times.append(time.monotonic())
            return times

        times = with_hand(story)
    assert len(times) == 5
    assert times[-1] - times[0] > 1


def test_every_look_at_a_held_address_reminds_the_neighbours(wire, tmp_path):
    """Another node may have announced it last, and let go of it since."""
    context = scripts.context(tmp_path)
    with contextlib.closing(sniffer(wire.there, frames.ETHERTYPE_ARP)) as ear:

        async def heard() -> bool:
            async with asyncio.timeout(2):
                while not is_announcement(
                    await asyncio.get_running_loop().sock_recv(ear, 2048), FOUR
                ):
                    pass
            return True

        async def story(hand):
            assert (await hand.start(vip(FOUR), context)).verdict is Verdict.RUNNING
            await hand.close()  # whatever the start still had to announce
            with contextlib.suppress(BlockingIOError):
                while ear.recv(2048):
                    pass
            assert (await hand.probe(vip(FOUR), context)).verdict is Verdict.RUNNING
            assert await heard()

        with_hand(story)


def is_announcement(frame: bytes, address: str) -> bool:
    mac = frame[6:12]
    return frame[: len(frames.announcement(ip_address(address), mac))] == frames.announcement(
        ip_address(address), mac
    )


def answers(wire: Cable, address: str, family: int) -> bool:
    """Connect from the far end: refused means that the machine at the address answered."""
    with inside(wire.there), socket.socket(family, socket.SOCK_STREAM) as there:
        there.settimeout(3)
        return there.connect_ex((address, 9)) == 111


def test_an_announcement_ends_with_its_service(wire, tmp_path):
    with contextlib.closing(sniffer(wire.there, frames.ETHERTYPE_ARP)) as ear:

        async def story(hand):
            context = scripts.context(tmp_path)
            await hand.start(vip(FOUR), context)
            await hand.stop(vip(FOUR), context)
            with contextlib.suppress(BlockingIOError):
                while True:
                    ear.recv(2048)
            await asyncio.sleep(0.6)  # two more announcements would have come
            with pytest.raises(BlockingIOError):
                ear.recv(2048)

        with_hand(story)


def test_an_address_is_taken_as_soon_as_its_holder_has_given_it_up(wire, tmp_path):
    wire.ip(wire.there, "address", "add", f"{FOUR}/24", "dev", "eth0")

    async def story(hand):
        start = asyncio.create_task(hand.start(vip(FOUR), scripts.context(tmp_path)))
        done, _ = await asyncio.wait({start}, timeout=0.5)
        assert not done
        assert not held(wire, FOUR)
        wire.ip(wire.there, "address", "del", f"{FOUR}/24", "dev", "eth0")
        assert (await start).verdict is Verdict.RUNNING

    with_hand(story)
    assert held(wire, FOUR)


@pytest.mark.parametrize("address", [FOUR, SIX])
def test_an_address_that_a_neighbour_answers_for_is_refused_at_the_deadline(
    wire, tmp_path, address
):
    flags = ["nodad"] if ":" in address else []
    prefix = 64 if ":" in address else 24
    wire.ip(wire.there, "address", "add", f"{address}/{prefix}", "dev", "eth0", *flags)
    outcome = carry_out("start", vip(address), scripts.context(tmp_path, timeout_ms=1_500))
    assert outcome.verdict is Verdict.FAILED
    assert "is held by" in outcome.reason
    assert 400 < outcome.took_ms <= 1_500, "asked again, and ended in time"
    assert not held(wire, address)
    wire.ip(wire.there, "address", "del", f"{address}/{prefix}", "dev", "eth0")
    assert carry_out("start", vip(address), scripts.context(tmp_path)).verdict is Verdict.RUNNING


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"interface": "eth7"}, "no interface eth7"),
        ({"address": "192.0.2.1"}, "no interface has a network"),
        ({"address": "nonsense"}, "no address"),
        ({"address": "10.7.0.300"}, "no address"),
        ({"address": f"{FOUR}/33"}, "no prefix"),
        ({"address": f"{FOUR}/x"}, "no address"),
        ({"address": "224.0.0.1/24"}, "cannot be held"),
        ({"address": "0.0.0.0"}, "cannot be held"),
        ({"address": ""}, "no address"),
    ],
)
def test_what_makes_no_sense_is_refused_for_good(wire, tmp_path, parameters, words):
    service = vip(**({"address": FOUR} | parameters))
    outcome = carry_out("start", service, scripts.context(tmp_path))
    assert (outcome.verdict, outcome.definite) == (Verdict.FAILED, True)
    assert words in outcome.reason


def test_the_interface_of_the_service_wins_over_that_of_the_node(wire, tmp_path):
    node = scripts.context(tmp_path, interface="eth0")
    assert carry_out("start", vip("192.0.2.1/32"), node).verdict is Verdict.RUNNING
    assert "192.0.2.1/32" in wire.ip(wire.here, "address", "show", "dev", "eth0")
    assert carry_out("start", vip("192.0.2.2/32", interface="lo"), node).verdict is Verdict.RUNNING
    assert "192.0.2.2/32" in wire.ip(wire.here, "address", "show", "dev", "lo")
    wrong = vip("192.0.2.2/32", interface="eth0")
    assert "rather than eth0" in carry_out("probe", wrong, node).reason
    assert carry_out("stop", wrong, node).verdict is Verdict.STOPPED  # wherever it is
    assert not held(wire, "192.0.2.2")


def test_the_first_address_of_a_network_does_not_take_the_others_with_it(wire, tmp_path):
    context = scripts.context(tmp_path, interface="eth0")
    first = vip("192.0.2.1/24")
    second = dataclasses.replace(vip("192.0.2.2/24"), name=ServiceName("second"))
    for service in (first, second):
        assert carry_out("start", service, context).verdict is Verdict.RUNNING
    assert carry_out("stop", first, context).verdict is Verdict.STOPPED
    assert carry_out("probe", second, context).verdict is Verdict.RUNNING


@pytest.mark.parametrize("side", ["here", "there"])
def test_a_link_that_is_down_is_a_failure_and_seen_at_once(wire, tmp_path, side):
    """Pulled at either end."""
    context = scripts.context(tmp_path)

    async def story(hand):
        assert (await hand.start(vip(FOUR), context)).verdict is Verdict.RUNNING
        died = asyncio.Event()
        assert hand.watch(vip(FOUR), context, died.set) is not None
        await hand.probe(vip(FOUR), context)
        wire.ip(getattr(wire, side), "link", "set", "eth0", "down")
        async with asyncio.timeout(2):
            await died.wait()
        outcome = await hand.probe(vip(FOUR), context)
        assert (outcome.verdict, outcome.reason) == (Verdict.FAILED, "the link of eth0 is down")
        assert (await hand.stop(vip(FOUR), context)).verdict is Verdict.STOPPED
        assert (await hand.start(vip(FOUR), context)).verdict is Verdict.FAILED

    with_hand(story)


def test_changes_of_others_wake_nobody(wire, tmp_path):
    context = scripts.context(tmp_path)

    async def story(hand):
        assert (await hand.start(vip(FOUR), context)).verdict is Verdict.RUNNING
        calls = []
        end = hand.watch(vip(FOUR), context, lambda: calls.append(1))
        await hand.probe(vip(FOUR), context)
        for number in range(20):
            wire.ip(wire.here, "address", "add", f"192.0.2.{number}/32", "dev", "lo")
        await hand.probe(vip(FOUR), context)
        assert calls == []
        end()
        assert (await hand.stop(vip(FOUR), context)).verdict is Verdict.STOPPED
        assert calls == []

    with_hand(story)
