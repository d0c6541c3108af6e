"""Where `reconcile plan` spends its time: the whole command phase by phase, one node lost.

    .venv/bin/python benchmarks/planner_phases.py [--capacity FILL] [--runs N] [NODESxSERVICES ...]

Every run is a new process that does what the command does, with a look at its CPU clock between phases;
the table shows the median of each phase in milliseconds. Starting the interpreter is not in it.
Compile the bytecode first.
"""

import argparse
import gc
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import generate

SIZES = ("100x2000", "200x5000")


def main() -> None:
    if sys.argv[1:2] == ["--child"]:
        child(Path(sys.argv[2]))
        return
    reader = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    reader.add_argument("sizes", nargs="*", default=SIZES, metavar="NODESxSERVICES")
    reader.add_argument("--capacity", type=float, help="share of the room in use after the loss")
    reader.add_argument("--runs", type=int, default=5)
    given = reader.parse_args()
    print(f"CPU ms, median of {given.runs}, load {os.getloadavg()[0]:.2f}")
    tables = [phases(size, fill=given.capacity, runs=given.runs) for size in given.sizes]
    print(f"{'phase':<28}" + "".join(f"{size:>12}" for size in given.sizes))
    for name in tables[0]:
        print(f"{name:<28}" + "".join(f"{table.get(name, 0):>12.0f}" for table in tables))
    print(f"{'all':<28}" + "".join(f"{sum(table.values()):>12.0f}" for table in tables))


def phases(size: str, *, fill: float | None, runs: int) -> dict[str, float]:
    nodes, services = map(int, size.split("x"))
    with tempfile.TemporaryDirectory() as name:
        generate.write(Path(name), generate.cib(nodes, services, fill=fill))
        words = [sys.executable, __file__, "--child", name]
        seen = [json.loads(subprocess.check_output(words)) for _ in range(runs)]
    return {phase: statistics.median(one.get(phase, 0) for one in seen) for phase in seen[0]}


class Watch:
    """A clock that is read between phases."""

    def __init__(self) -> None:
        self.spent_ms: dict[str, float] = {}
        self._last_s = time.process_time()

    def lap(self, phase: str) -> None:
        """What was spent since the last look belongs to this phase."""
        now_s = time.process_time()
        self.spent_ms[phase] = self.spent_ms.get(phase, 0) + (now_s - self._last_s) * 1000
        self._last_s = now_s

    def split(self, module: ModuleType, whole: str, phases: dict[str, str]) -> None:
        """Make functions of a module phases of their own, out of the phase `whole` that calls them."""
        for name, phase in phases.items():
            setattr(module, name, self._timed(getattr(module, name), phase, whole))

    def _timed(self, work: Callable[..., Any], phase: str, whole: str) -> Callable[..., Any]:
        def timed(*given: object, **named: object) -> object:
            self.lap(whole)
            try:
                return work(*given, **named)
            finally:
                self.lap(phase)

        return timed


LOADING = {
    "read_part": "load: validate (pydantic)",
    "assemble": "load: names, defaults",
    "_check": "load: checks",
}


WITHIN_LOOPS = {"bits", "holds"}
"""Helpers that are no phase, and too small to look at a clock around each."""


def child(folder: Path) -> None:
    """Do what the command does, as `cli.start`, `cli.plan` and `cli.planning` have it."""
    gc.disable()
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    watch = Watch()
    import reconciler.cli.plan  # noqa: F401
    from reconciler.cli import inputs

    watch.lap("imports: command line")
    from reconciler.cli import planning
    from reconciler.codec import saved_plan
    from reconciler.core import reconcile as core
    from reconciler.render import plan_json

    watch.lap("imports: core, render")
    from reconciler.cli import cluster
    from reconciler.config import load, parts

    watch.lap("imports: pydantic, config")
    observed = inputs.observed(folder / "observed.json")
    watch.lap("read observed")
    watch.split(parts, LOADING["read_part"], {"build": "load: YAML to plain data"})
    watch.split(load, "load: the rest", LOADING)
    intent = cluster.load(folder / "cluster.yaml")
    watch.lap("load: the rest")
    revision = cluster.revision(folder / "cluster.yaml", intent)
    watch.lap("revision")
    watch.split(core, "plan: the rest", stages(core))
    decision = core.reconcile(intent, observed, observed.taken_at_ms)
    watch.lap("plan: the rest")
    verify = planning.verify
    assert verify(decision.plan, intent, observed, decision.placement, observed.taken_at_ms) == ()
    watch.lap("verify")
    saved = saved_plan.bind(decision, intent=intent, revision=revision, observed=observed)
    watch.lap("digests")
    text = plan_json.render(saved)
    watch.lap("render JSON")
    (folder / "plan.json").write_text(text, encoding="utf-8")
    watch.lap("write")
    sys.stdout.write(json.dumps(watch.spent_ms))


def stages(module: ModuleType) -> dict[str, str]:
    """The functions of other modules that a module calls, each a phase named like itself."""
    return {
        name: f"plan: {name}"
        for name, thing in vars(module).items()
        if isinstance(thing, FunctionType) and thing.__module__ != module.__name__
        if name not in WITHIN_LOOPS
    }


if __name__ == "__main__":
    main()
