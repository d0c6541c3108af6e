"""Judge many drawn worlds: `python -m tests.oracle.run --seeds 0:20000 --jobs 2`.

Prints one line of figures. What is wrong goes to `--into` as `SEED-VERDICT.json`, drawn and shrunk;
`--replay FILE` tells one of those in words and judges it again. Ends with status 1 where anything is wrong.
"""

import argparse
import functools
import multiprocessing
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec

from reconciler.codec import canonical
from reconciler.model.intent import Intent
from reconciler.model.observed import Observed
from tests.oracle.judge import Judgement, Verdict, judge
from tests.oracle.mixed_worlds import mixed_world
from tests.oracle.shrink import World, shrink
from tests.oracle.tell import tell

LIMIT = 300_000
"""Choices that the oracle looks at in one world; beyond, the world is counted and not judged."""
WRONG = {Verdict.NOT_ALLOWED, Verdict.MISSED, Verdict.FALSE_PROOF, Verdict.LOW_BOUND}


class Case(msgspec.Struct):
    """A world on file."""

    seed: int
    verdict: str
    intent: Intent
    observed: Observed


def try_seed(seed: int, *, nodes: int, services: int) -> tuple[int, str]:
    """The verdict on one world; a planner that fails is a verdict too."""
    try:
        world = mixed_world(seed, nodes_max=nodes, services_max=services)
        return seed, str(judge(*world, limit=LIMIT).verdict)
    except Exception as error:  # noqa: BLE001 - one world must not end the run
        return seed, f"{type(error).__name__}: {error}"[:100]


def main(words: list[str]) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.oracle.run", description=__doc__)
    parser.add_argument("--seeds", default="0:1000", help="first and one past the last, A:B")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--nodes", type=int, default=5)
    parser.add_argument("--services", type=int, default=7)
    parser.add_argument("--into", type=Path, help="where worlds with something wrong are written")
    parser.add_argument("--replay", type=Path, help="tell one written world, and judge it again")
    given = parser.parse_args(words)
    if given.replay:
        return _replay(given.replay)
    first, _, end = given.seeds.partition(":")
    seeds = range(int(first), int(end))
    started = time.monotonic()
    each = functools.partial(try_seed, nodes=given.nodes, services=given.services)
    verdicts: dict[int, str] = {}
    with multiprocessing.Pool(given.jobs) as pool:
        for seed, word in pool.imap_unordered(each, seeds, chunksize=20):
            verdicts[seed] = word
            if word not in _harmless():
                _write(given, seed, word)
    print(summary(verdicts, time.monotonic() - started))
    return 0 if _harmless().issuperset(verdicts.values()) else 1


def summary(verdicts: dict[int, str], seconds: float) -> str:
    """All that was found, in one line."""
    count = Counter(verdicts.values())
    judged = len(verdicts) - count[Verdict.TOO_MANY]
    known = {str(verdict) for verdict in Verdict}
    failed = sum(n for word, n in count.items() if word not in known)
    misses = sum(count[verdict] for verdict in (Verdict.MISSED, Verdict.LOW_BOUND))
    return (
        f"{judged} cases, {misses + count[Verdict.FALSE_PROOF]} misses, "
        f"{count[Verdict.FALSE_PROOF]} false proofs, {count[Verdict.LOW_BOUND]} low bounds, "
        f"{count[Verdict.NOT_ALLOWED]} not allowed, {count[Verdict.NOT_PROVEN]} not proven, "
        f"{count[Verdict.UNBALANCED]} unbalanced, {failed} failed, "
        f"{count[Verdict.TOO_MANY]} too large to enumerate, {seconds:.0f} s"
    )


def _harmless() -> set[str]:
    return {str(verdict) for verdict in set(Verdict) - WRONG - {Verdict.UNBALANCED}}


def _write(given: Any, seed: int, word: str) -> None:
    world = mixed_world(seed, nodes_max=given.nodes, services_max=given.services)
    print(f"seed {seed}: {word}", file=sys.stderr, flush=True)
    if given.into is None:
        return
    given.into.mkdir(parents=True, exist_ok=True)
    small = (
        world
        if word == Verdict.UNBALANCED
        else shrink(world, lambda smaller: _verdict(smaller) == word)
    )
    for name, (intent, observed) in (("drawn", world), ("small", small)):
        case = Case(seed=seed, verdict=word, intent=intent, observed=observed)
        path = given.into / f"{seed}-{word.partition(':')[0].replace(' ', '-')}-{name}.json"
        path.write_bytes(canonical.dump(case))


def _verdict(world: World) -> str:
    try:
        return str(judge(*world, limit=LIMIT).verdict)
    except Exception as error:  # noqa: BLE001 - a smaller world may make no sense at all
        return f"{type(error).__name__}: {error}"[:100]


def _replay(path: Path) -> int:
    case = canonical.load(path.read_bytes(), Case)
    found: Judgement = judge(case.intent, case.observed)
    print(f"seed {case.seed}, written as: {case.verdict}")
    print(tell(case.intent, case.observed, found))
    return 1 if found.verdict in WRONG else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
