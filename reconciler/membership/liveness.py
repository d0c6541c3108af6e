"""Alive, suspect or lost: what a node's heartbeats, and their absence, say of it.

Picture a watchman on a hill and villages that each light a fire every evening. A village he has never seen
lit, he knows nothing about. One whose fire is later than it usually is, he suspects; how late that is he
learns from its own evenings, for some villages are punctual and some lie behind the fog. One that has been
dark for a fixed number of nights he calls lost, whatever he has learned. And he is an honest watchman: if he
wakes up and finds that he has slept, he does not hold the fires that he could not have seen against anybody.

So there are two thresholds of silence for each node. Suspicion adapts: the mean of the times between its
heartbeats plus four times their usual deviation, never sooner than `suspect_ms`, and never later than two
intervals before loss. Loss does not adapt: exactly `lost_ms`. And silence is not measured on the clock but
in `attended` time, which stands still while the watcher does.

    detector = begin(limits, nodes, now_ms)
    detector = hear(detector, node, now_ms)              # at each heartbeat
    detector, view = look(detector, now_ms)              # at `view.wake_at_ms`, or sooner

Law: no node is lost before `lost_ms` of silence, nor suspect before `suspect_ms`. A node that stays silent
only ever gets worse, and a heartbeat makes it alive at once. Of the time between two calls at most `every_ms`
is held against anybody. A watcher who was cut off suspects all before he calls the first of them lost, as
long as their last heartbeats lie within two intervals: by then he has no quorum (`votes`).

Nothing here is proof: a lost node may well be running. Nothing here reads a clock.
Source: the deviation is that of RFC 6298 (2.3); attended time is our answer to Lifeguard's local health.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from reconciler.model.errors import BrokenLaw
from reconciler.model.ids import Millis, NodeName
from reconciler.model.intent import Heartbeat
from reconciler.model.observed import Liveness

DEVIATIONS = 4
"""How many usual deviations a heartbeat may be late before that means something."""
LOOKS_PER_INTERVAL = 2

_US = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulse:
    """What one node's heartbeats have been like. In microseconds where integers would lose too much."""

    heard_ms: Millis
    attended_ms: Millis
    """The watcher's attended time at the last heartbeat."""
    mean_us: int
    deviation_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Detector:
    """Everything that the watcher remembers."""

    limits: Heartbeat
    called_ms: Millis
    """When it was last awake."""
    attended_ms: Millis = Millis(0)
    """How long it has been awake altogether: time in which it could have heard something."""
    pulses: Mapping[NodeName, Pulse | None] = field(default_factory=dict)
    """Every node it watches for; None until first heard. Replaced, never changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What is said of one node now."""

    node: NodeName
    liveness: Liveness
    heard_ms: Millis | None
    """When it was last heard; None if never."""
    silent_ms: Millis | None
    """For how much attended time it has been silent."""
    margin_ms: Millis | None
    """Attended silence until it is called worse; None when there is nothing worse, or nothing known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What is said of every node now, by name, and when to look again."""

    judgements: tuple[Judgement, ...]
    wake_at_ms: Millis

    def of(self, node: NodeName) -> Liveness:
        """What is said of one node; unknown of one that is not watched."""
        return next((j.liveness for j in self.judgements if j.node == node), Liveness.UNKNOWN)


def begin(limits: Heartbeat, nodes: Iterable[NodeName], now_ms: Millis) -> Detector:
    """Begin to watch, knowing nothing of anybody."""
    return Detector(limits=limits, called_ms=now_ms, pulses=dict.fromkeys(nodes))


def watch(detector: Detector, limits: Heartbeat, nodes: Iterable[NodeName]) -> Detector:
    """Watch for exactly these nodes from now on; of those watched before nothing is forgotten."""
    pulses = {node: detector.pulses.get(node) for node in nodes}
    return replace(detector, limits=limits, pulses=pulses)


def hear(detector: Detector, node: NodeName, now_ms: Millis) -> Detector:
    """Take in one heartbeat; from a node that is not watched for it means nothing."""
    awake = _attend(detector, now_ms)
    if node not in awake.pulses:
        return awake
    pulse = _beat(awake.pulses[node], awake, now_ms)
    return replace(awake, pulses={**awake.pulses, node: pulse})


def look(detector: Detector, now_ms: Millis) -> tuple[Detector, View]:
    """Judge every node.

    `wake_at_ms` is when a judgement changes next if nothing is heard, and never later than half an
    interval from now, because a watcher has to look often to know that it is awake.
    Shape: one pass over N nodes.
    """
    awake = _attend(detector, now_ms)
    judgements = tuple(_judge(node, awake.pulses[node], awake) for node in sorted(awake.pulses))
    waits = [j.margin_ms for j in judgements if j.margin_ms is not None]
    wait_ms = min([max(1, awake.limits.every_ms // LOOKS_PER_INTERVAL), *waits])
    return awake, View(judgements=judgements, wake_at_ms=Millis(now_ms + wait_ms))


def suspicion_ms(pulse: Pulse, limits: Heartbeat) -> Millis:
    """How much silence makes a node with this pulse suspect."""
    usual_ms = (pulse.mean_us + DEVIATIONS * pulse.deviation_us) // _US
    latest_ms = max(limits.suspect_ms, limits.lost_ms - 2 * limits.every_ms)
    return Millis(min(max(usual_ms, limits.suspect_ms), latest_ms, limits.lost_ms))


def _attend(detector: Detector, now_ms: Millis) -> Detector:
    passed_ms = now_ms - detector.called_ms
    if passed_ms < 0:
        raise BrokenLaw("time", f"the watcher was called at {detector.called_ms}, then at {now_ms}")
    counted_ms = min(passed_ms, detector.limits.every_ms)
    return replace(
        detector, called_ms=now_ms, attended_ms=Millis(detector.attended_ms + counted_ms)
    )


def _beat(pulse: Pulse | None, awake: Detector, now_ms: Millis) -> Pulse:
    """Learn from one heartbeat, unless it ends a loss: that was no ordinary lateness."""
    every_us = awake.limits.every_ms * _US
    mean_us, deviation_us = every_us, every_us // 4
    if pulse and awake.attended_ms - pulse.attended_ms < awake.limits.lost_ms:
        gap_us = (awake.attended_ms - pulse.attended_ms) * _US
        deviation_us = pulse.deviation_us + (abs(gap_us - pulse.mean_us) - pulse.deviation_us) // 4
        mean_us = pulse.mean_us + (gap_us - pulse.mean_us) // 8
    return Pulse(
        heard_ms=now_ms,
        attended_ms=awake.attended_ms,
        mean_us=mean_us,
        deviation_us=deviation_us,
    )


def _judge(node: NodeName, pulse: Pulse | None, awake: Detector) -> Judgement:
    if pulse is None:
        return Judgement(
            node=node, liveness=Liveness.UNKNOWN, heard_ms=None, silent_ms=None, margin_ms=None
        )
    silent_ms = awake.attended_ms - pulse.attended_ms
    suspect_ms, lost_ms = suspicion_ms(pulse, awake.limits), awake.limits.lost_ms
    if silent_ms >= lost_ms:
        liveness, worse_ms = Liveness.LOST, None
    elif silent_ms >= suspect_ms:
        liveness, worse_ms = Liveness.SUSPECT, lost_ms
    else:
        liveness, worse_ms = Liveness.ALIVE, suspect_ms
    return Judgement(
        node=node,
        liveness=liveness,
        heard_ms=pulse.heard_ms,
        silent_ms=Millis(silent_ms),
        margin_ms=None if worse_ms is None else Millis(worse_ms - silent_ms),
    )
