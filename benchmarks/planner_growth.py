"""How the whole command grows with the cluster: CPU time and memory over nodes times services, and a plot.

    .venv/bin/python benchmarks/planner_growth.py [--runs N] [--plot FILE.svg]

One node lost, as in `planner_race.py`, whose measurements these are. The exponent is that of the least
squares line through the logarithms: 1 means that twice the nodes times services cost twice the time.
"""

import argparse
import math
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import generate
from planner_race import DECIDED, Times, our_words, their_words

SIZES = ("32x500", "64x1000", "100x2000", "200x5000")
WANTED_EXPONENT, WANTED_MIB = 1.1, 400
TITLE = "CPU seconds of the whole command, one node lost"
WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT = 640, 400, 60, 50, 40, 150
SECONDS = (0.1, 1, 10, 100)


def main() -> None:
    reader = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    reader.add_argument("--runs", type=int, default=5)
    reader.add_argument("--plot", type=Path, help="write the figures as a drawing, too")
    given = reader.parse_args()
    print(f"load {os.getloadavg()[0]:.2f}; CPU seconds and MiB, medians of {given.runs}")
    print(
        f"{'':10}{'nodes x services':>18}{'reconcile plan':>16}{'MiB':>6}{'crm_simulate -R':>17}{'MiB':>6}"
    )
    products, ours, theirs = [], [], []
    for size in SIZES:
        our, their = measure(size, runs=given.runs)
        nodes, services = map(int, size.split("x"))
        products.append(nodes * services)
        ours.append(our.median_s)
        theirs.append(their.median_s)
        print(
            f"{size:10}{products[-1]:18,}{our.median_s:16.2f}{our.peak_mib:6.0f}"
            f"{their.median_s:17.2f}{their.peak_mib:6.0f}",
            flush=True,
        )
        peak_mib = our.peak_mib
    print(
        f"{'exponent':28}{exponent(products, ours):16.2f}{'':6}{exponent(products, theirs):17.2f}"
    )
    print(
        f"wanted: exponent at most {WANTED_EXPONENT}, at most {WANTED_MIB} MiB ({peak_mib:.0f} seen)"
    )
    if given.plot:
        given.plot.write_text(plot(products, ours, theirs), encoding="utf-8")


def measure(size: str, *, runs: int) -> tuple[Times, Times]:
    nodes, services = map(int, size.split("x"))
    ours, theirs = Times(), Times()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        generate.write(folder, generate.cib(nodes, services))
        for _ in range(runs):
            ours.run(our_words(folder), statuses=DECIDED, out=folder / "plan.json")
            theirs.run(their_words(folder), statuses={0}, out=folder / "theirs.txt")
    return ours, theirs


def exponent(products: Sequence[int], seconds: Sequence[float]) -> float:
    """The slope of the least squares line through the logarithms."""
    x, y = [math.log(value) for value in products], [math.log(value) for value in seconds]
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    rise = sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True))
    return rise / sum((a - mean_x) ** 2 for a in x)


# The drawing ----------------------------------------------------------------------------------------


def plot(products: Sequence[int], ours: Sequence[float], theirs: Sequence[float]) -> str:
    """Both programs on logarithmic axes, as SVG that reads on light and dark paper alike."""
    view = f'xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img"'
    parts = [
        f'<svg {view} font-family="sans-serif" font-size="12" fill="#777">',
        f"<title>{TITLE}</title>",
        f'<text x="{LEFT}" y="22" font-size="14">{TITLE}</text>',
    ]
    for seconds in SECONDS:
        y = _y(seconds)
        parts += [
            f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="#7774"/>',
            f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{seconds:g} s</text>',
        ]
    for size, product in zip(SIZES, products, strict=True):
        words = size.replace("x", " x ")
        x = _x(product, products)
        parts.append(f'<text x="{x:.1f}" y="{HEIGHT - 22}" text-anchor="middle">{words}</text>')
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(
        f'<text x="{middle}" y="{HEIGHT - 5}" text-anchor="middle">nodes x services</text>'
    )
    parts += _line("reconcile plan", "#2a9d5c", products, ours)
    parts += _line("crm_simulate -R", "#d1495b", products, theirs)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _line(name: str, colour: str, products: Sequence[int], seconds: Sequence[float]) -> list[str]:
    places = [(_x(p, products), _y(s)) for p, s in zip(products, seconds, strict=True)]
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    last_x, last_y = places[-1]
    dots = [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{colour}"/>' for x, y in places]
    words = f"{name}, {seconds[-1]:.1f} s"
    return [
        f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>',
        *dots,
        f'<text x="{last_x + 10:.1f}" y="{last_y + 4:.1f}" fill="{colour}">{words}</text>',
    ]


def _x(product: int, products: Sequence[int]) -> float:
    span = math.log(products[-1] / products[0])
    room = WIDTH - RIGHT - LEFT - 60
    return LEFT + 40 + room * math.log(product / products[0]) / span


def _y(seconds: float) -> float:
    span = math.log(2 * SECONDS[-1] / SECONDS[0])
    share = math.log(seconds / SECONDS[0]) / span
    return HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * share


if __name__ == "__main__":
    main()
