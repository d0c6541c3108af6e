#!/usr/bin/env python3
"""How long the command line takes to answer: `--help` and `validate` of the quickstart cluster.

.venv/bin/python benchmarks/startup.py [--times 10]
"""

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RECONCILE = str(Path(sys.executable).with_name("reconcile"))
COMMANDS = (
    ("reconcile --help", ("--help",), 150),
    ("reconcile validate quickstart", ("validate", "examples/clusters/quickstart"), 300),
    ("reconcile plan --cold quickstart", ("plan", "--cold", "examples/clusters/quickstart"), None),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=10)
    times = parser.parse_args().times
    print(f"{'command':34} {'n':>3} {'min':>7} {'median':>7} {'max':>7}   budget")
    for name, words, budget_ms in COMMANDS:
        took = sorted(measure(words) for _ in range(times))
        budget = f"{budget_ms} ms" if budget_ms else "-"
        print(
            f"{name:34} {times:3} {took[0]:7.0f} {statistics.median(took):7.0f} {took[-1]:7.0f}   {budget}"
        )


def measure(words: tuple[str, ...]) -> float:
    """Wall time of one run, in milliseconds."""
    began_s = time.perf_counter()
    done = subprocess.run([RECONCILE, *words], cwd=ROOT, capture_output=True, check=False)
    took_ms = (time.perf_counter() - began_s) * 1000
    if done.returncode not in {0, 3, 4}:
        sys.exit(f"reconcile {' '.join(words)}: {done.stderr.decode()}")
    return took_ms


if __name__ == "__main__":
    main()
