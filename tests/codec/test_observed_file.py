"""Keys that nobody knows are refused wherever they stand, by name; keys that somebody knows are not."""

import dataclasses
import json

import msgspec
import pytest

from reconciler.codec import observed_file
from reconciler.model.errors import Corrupt
from reconciler.model.ids import Millis, NodeName, ServiceName
from reconciler.model.observed import (
    Copy,
    Failure,
    Liveness,
    NodeState,
    Observed,
    PromotionScore,
    TicketState,
)

A, N = ServiceName("a"), NodeName("n")
FULL = Observed(
    taken_at_ms=Millis(7),
    nodes=(
        NodeState(name=N, liveness=Liveness.ALIVE, probed=frozenset({A}), attributes=(("k", "v"),)),
    ),
    copies=(Copy(service=A, node=N),),
    failures=(
        Failure(service=A, node=N, count=1, operation="start", reason="", last_ms=Millis(1)),
    ),
    promotion_scores=(PromotionScore(service=A, node=N, score=1),),
    tickets=(TicketState(ticket="t", granted=True),),
)
LISTS = [f.name for f in dataclasses.fields(Observed) if isinstance(getattr(FULL, f.name), tuple)]


def test_what_was_written_is_read() -> None:
    assert observed_file.read(observed_file.write(FULL)) == FULL
    assert observed_file.read(msgspec.json.encode(FULL, order="deterministic")) == FULL


def test_every_part_is_in_the_example() -> None:
    assert all(getattr(FULL, name) for name in LISTS)


@pytest.mark.parametrize("part", ["", *LISTS])
def test_an_unknown_key_is_named(part: str) -> None:
    plain = json.loads(observed_file.write(FULL))
    (plain[part][0] if part else plain)["copiez"] = []
    with pytest.raises(
        Corrupt, match="unknown key " + (rf"{part}\[0\]\.copiez" if part else "copiez")
    ):
        observed_file.read(json.dumps(plain).encode())


@pytest.mark.parametrize("version", [0, 2, "1", None])
def test_another_version_is_refused(version: object) -> None:
    plain = json.loads(observed_file.write(FULL)) | {"version": version}
    with pytest.raises(Corrupt, match="version"):
        observed_file.read(json.dumps(plain).encode())
