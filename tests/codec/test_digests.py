"""Digests are cut out of bytes; here they are made the long way, out of plain objects, and compared."""

import dataclasses
import hashlib
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.codec import canonical
from reconciler.model.ids import GroupName, Millis, NodeName, ServiceName
from reconciler.model.intent import Group, Intent, Kind, Node, Origin, Service
from reconciler.model.observed import Failure, Liveness, NodeState, Observed

HOSTILE = st.text(alphabet='",:{}[]\\n\\originullé', max_size=12) | st.sampled_from(
    ['"origin":null,', ',"origin":{}', '\\"origin":', "origin", '{,"last_ms":3}', '"heard_ms":null']
)
PLACES = st.none() | st.builds(Origin, path=HOSTILE, line=st.integers(1, 99))


@given(text=HOSTILE, at=PLACES, key=HOSTILE)
def test_an_intent_digest_leaves_out_places_only(text: str, at: Origin | None, key: str) -> None:
    intent = Intent(
        cluster=text,
        nodes=(Node(name=NodeName(text), addresses=(), labels=((key, text),), origin=at),),
        services=(
            Service(name=ServiceName(text), kind=Kind.OCF, parameters=((key, text),), origin=at),
        ),
        groups=(Group(name=GroupName(key), members=(ServiceName(text),), origin=at),),
    )
    assert canonical.intent_digest(intent) == the_long_way(intent, {"origin"})


@given(text=HOSTILE, key=HOSTILE, now=st.integers(-(2**53), 2**53), heard=st.none() | st.just(5))
def test_a_fingerprint_leaves_out_times_only(
    text: str, key: str, now: int, heard: Millis | None
) -> None:
    observed = Observed(
        taken_at_ms=Millis(now),
        nodes=(
            NodeState(
                name=NodeName(text),
                liveness=Liveness.ALIVE,
                probed=frozenset({ServiceName(key), ServiceName(text)}),
                attributes=((key, text), (text, key)),
                heard_ms=heard,
            ),
        ),
        failures=(
            Failure(
                service=ServiceName(key),
                node=NodeName(text),
                count=1,
                operation=key,
                reason=text,
                last_ms=Millis(now),
            ),
        ),
    )
    times = named_times(Observed, NodeState, Failure)
    assert canonical.fingerprint(observed) == the_long_way(observed, times)


def test_what_stands_elsewhere_has_the_same_digest_and_what_says_something_else_has_not() -> None:
    here, there = (Origin(path=path, line=line) for path, line in (("a", 1), ('b"}', 2)))
    one = Intent(cluster="x", nodes=(Node(name=NodeName("n"), addresses=(), origin=here),))
    moved = dataclasses.replace(one, nodes=(dataclasses.replace(one.nodes[0], origin=there),))
    other = dataclasses.replace(one, cluster="y")
    assert canonical.intent_digest(one) == canonical.intent_digest(moved)
    assert canonical.intent_digest(one) != canonical.intent_digest(other)


@pytest.mark.parametrize("kind", [Observed, NodeState, Failure])
def test_every_time_that_is_seen_is_left_out(kind: type) -> None:
    """What values leave out when they are compared, fingerprints leave out too."""
    for name in named_times(kind):
        assert name in canonical._TIMES


def named_times(*kinds: type) -> set[str]:
    own = {f.name for kind in kinds for f in dataclasses.fields(kind) if not f.compare}
    return own | {"taken_at_ms"}


def the_long_way(value: object, keys: set[str]) -> str:
    plain = without(msgspec.to_builtins(value, order="deterministic"), keys)
    return hashlib.sha256(msgspec.json.encode(plain, order="deterministic")).hexdigest()


def without(value: Any, keys: set[str]) -> Any:
    match value:
        case dict():
            return {key: without(part, keys) for key, part in value.items() if key not in keys}
        case list() | tuple():
            return [without(part, keys) for part in value]
        case _:
            return value


def test_more_intents_than_are_remembered_keep_their_own_digests() -> None:
    intents = [Intent(cluster=f"c{n}", nodes=()) for n in range(20)]
    first = [canonical.intent_digest(intent) for intent in intents]
    assert len(set(first)) == len(intents)
    assert [canonical.intent_digest(intent) for intent in intents] == first
    assert len(canonical._remembered) <= canonical._REMEMBERED_MAX
