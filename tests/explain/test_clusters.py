"""Every service that lacks something or moves, in a folder of clusters that is named in RECONCILE_CLUSTERS.

The folder holds CIBs (`*.xml`), or folders with a `cluster.yaml` and an `observed.json` as an import writes
them. What cannot be imported whole is left out. `-s` shows how many questions were answered.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.codec import observed_file
from reconciler.config.load import load_files
from reconciler.importing.pacemaker.importing import CLUSTER, OBSERVED, import_pacemaker
from reconciler.model.intent import Intent
from reconciler.model.observed import Observed
from tests.explain.judge import judged

FOLDER = os.environ.get("RECONCILE_CLUSTERS", "")
LEAVE_OUT = set(os.environ.get("RECONCILE_LEAVE_OUT", "").split())
"""Names of clusters whose every plan takes seconds."""


def clusters(folder: Path) -> Iterator[tuple[str, Intent, Observed]]:
    for path in sorted(folder.iterdir()):
        if path.stem in LEAVE_OUT:
            continue
        if path.suffix == ".xml":
            files = dict(import_pacemaker(path.read_bytes(), path.name, 0, partial=False).files)
        else:
            files = {name: (path / name).read_bytes() for name in (CLUSTER, OBSERVED)}
        if not files:
            continue
        intent = load_files(((CLUSTER, files[CLUSTER]),)).intent
        assert intent is not None, path
        yield path.stem, intent, observed_file.read(files[OBSERVED])


@pytest.mark.slow
@pytest.mark.skipif(not FOLDER, reason="RECONCILE_CLUSTERS names no folder")
def test_everything_that_does_not_run_or_moves_is_explained():
    asked, seen, wrong = 0, 0, []
    for name, intent, observed in clusters(Path(FOLDER)):
        count, faults = judged(intent, observed, observed.taken_at_ms)
        asked, seen = asked + count, seen + 1
        wrong += [f"{name}: {fault}" for fault in faults]
    print(f"{seen} clusters, {asked} questions, {len(wrong)} without a proven answer")
    assert asked
    assert wrong == []
