"""Draw clusters, judge each, and print how often both schedulers agree, by feature.

`--into` keeps each difference, made as small as it gets, as a file. Exit status 1 if an import wrote
something that cannot be planned.
"""

import argparse
import sys
from collections import Counter, defaultdict
from multiprocessing import Pool
from pathlib import Path
from xml.etree import ElementTree as ET

from tests.conformance.clusters import FEATURES, draw
from tests.conformance.judge import Verdict, judge
from tests.conformance.shrink import shrunk

_WORDS = ("same", "elsewhere", "leaner", "different", "unsupported", "broken", "refused")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.conformance", description=__doc__)
    parser.add_argument("--clusters", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--into", type=Path, help="folder for what differs")
    parser.add_argument(
        "--only", nargs="*", default=[], help="verdicts to keep (default: all but same)"
    )
    parser.add_argument("--most", type=int, default=20, help="how many differences to keep")
    asked = parser.parse_args()
    seeds = range(asked.first, asked.first + asked.clusters)
    with Pool(asked.jobs) as pool:
        verdicts = dict(zip(seeds, pool.imap(_judged, seeds, chunksize=8), strict=True))
        _print_table(verdicts)
        if asked.into:
            asked.into.mkdir(parents=True, exist_ok=True)
            differing = [
                seed for seed, found in verdicts.items() if _counts(found.word, asked.only)
            ]
            work = ((seed, asked.into) for seed in differing[: asked.most])
            for line in pool.imap_unordered(_kept, work):
                print(line, flush=True)
    return int(any(found.word == "broken" for found in verdicts.values()))


def _counts(word: str, only: list[str]) -> bool:
    return word in only if only else word != "same"


def _judged(seed: int) -> Verdict:
    return judge(draw(seed).root)


def _kept(work: tuple[int, Path]) -> str:
    """Shrink one difference and write it down."""
    seed, folder = work
    word = _judged(seed).word
    small = shrunk(draw(seed).root, lambda root: _word(root) == word)
    ET.indent(small)
    path = folder / f"{word}-{seed}.xml"
    path.write_bytes(ET.tostring(small))
    return f"{path}: {judge(small).detail}"


def _word(root: ET.Element) -> str:
    try:
        return judge(root).word
    except Exception:  # noqa: BLE001 - half a cluster may be refused by anyone
        return ""


def _print_table(verdicts: dict[int, Verdict]) -> None:
    rows: dict[str, Counter[str]] = defaultdict(Counter)
    for seed, found in verdicts.items():
        for feature in (*draw(seed).features, "all"):
            rows[feature][found.word] += 1
    print(f"{'feature':<14}" + "".join(f"{word:>12}" for word in _WORDS) + f"{'same':>9}")
    for feature in (*FEATURES, "all"):
        row = rows[feature]
        share = f"{100 * row['same'] / row.total():>7.1f} %" if row else ""
        print(f"{feature:<14}" + "".join(f"{row[word]:>12}" for word in _WORDS) + share)


if __name__ == "__main__":
    sys.exit(main())
