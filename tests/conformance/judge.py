"""One cluster, planned by both schedulers, and what differs.

Both plans become multisets of (kind, service, node). Probes, monitors and what concerns fence devices are
left out, and so are the numbers of copies.
"""

import re
import subprocess
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from xml.etree import ElementTree as ET

from reconciler.codec import observed_file
from reconciler.config.load import load_files
from reconciler.core.reconcile import reconcile
from reconciler.importing.pacemaker.importing import import_pacemaker
from reconciler.model.errors import BrokenLaw
from reconciler.model.ids import Millis

Actions = Counter[tuple[str, str, str]]

_KINDS: Final = frozenset({"start", "stop", "promote", "demote", "reload"})
_ACTION: Final = re.compile(r"^\s*\* Resource action:\s+(\S+)\s+(\S+) on (\S+)\s*$")
_FENCE: Final = re.compile(r"^\s*\* Fencing (\S+) \((?!on\b)\S+\)")
_DEVICE: Final = "fencer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What came of one cluster."""

    word: str
    """`same`; `elsewhere`: the same is done to the same services, on other nodes; `leaner`; `different`;
    `unsupported`; `broken` (by us); or `refused` (by Pacemaker)."""
    detail: str = ""


def judge(root: ET.Element) -> Verdict:
    """Plan a cluster twice, and compare."""
    data = ET.tostring(root)
    try:
        theirs = _pacemaker(data)
    except subprocess.CalledProcessError as refused:
        return Verdict(word="refused", detail=refused.stderr.strip()[-300:])
    try:
        ours = _own(data)
    except BrokenLaw as broken:
        return Verdict(word="broken", detail=str(broken))
    if isinstance(ours, str):
        return Verdict(word="unsupported", detail=ours)
    if ours == theirs:
        return Verdict(word="same")
    extra = " ".join(f"+{':'.join(each)}" for each in sorted((ours - theirs).elements()))
    missing = " ".join(f"-{':'.join(each)}" for each in sorted((theirs - ours).elements()))
    fewer = ours.total() < theirs.total() and all(
        mine >= other for mine, other in zip(_gain(ours), _gain(theirs), strict=True)
    )
    forgotten = any(kind == "fence" for kind, *_ in theirs - ours)
    word = "leaner" if fewer and not forgotten else "different"
    if _without_nodes(ours) == _without_nodes(theirs):
        word = "elsewhere"
    return Verdict(word=word, detail=f"{extra} {missing}".strip())


def _own(data: bytes) -> Actions | str:
    """Our actions, or why there are none."""
    imported = import_pacemaker(data, "cib.xml", Millis(0), partial=False)
    files = dict(imported.files)
    if not files:
        return "; ".join(str(found) for found in imported.diagnostics)
    intent = load_files((("cluster.yaml", files["cluster.yaml"]),)).intent
    if intent is None:
        raise BrokenLaw("an import writes what can be read", str(imported.diagnostics))
    observed = observed_file.read(files["observed.json"])
    found: Actions = Counter()
    for action in reconcile(intent, observed, observed.taken_at_ms).plan.actions:
        node, name = action.target or action.node, str(action.service or action.node)
        if action.kind != "probe" and name != _DEVICE:
            found[str(action.kind), name, str(node)] += 1
    return found


def _pacemaker(data: bytes) -> Actions:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cib.xml"
        path.write_bytes(data)
        command = ["/usr/sbin/crm_simulate", "-S", "-x", str(path)]
        environment = {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "CIB_file": str(path),
            "LC_ALL": "C",
        }
        run = subprocess.run(
            command, capture_output=True, text=True, timeout=60, check=True, env=environment
        )
    return _actions(run.stdout)


def _actions(text: str) -> Actions:
    """The actions of a simulated transition; a live move counts once, at its target."""
    found: Actions = Counter()
    moves: set[tuple[str, str, str]] = set()
    inside = False
    for line in text.splitlines():
        inside = line.startswith("Executing Cluster Transition") or (
            inside and not line.startswith("Revised Cluster Status")
        )
        if not inside:
            continue
        if fence := _FENCE.match(line):
            found["fence", fence[1], fence[1]] += 1
        elif action := _ACTION.match(line):
            name, kind, node = re.sub(r":\d+$", "", action[1]), action[2], action[3]
            if name == _DEVICE:
                continue
            if kind in {"migrate_to", "migrate_from"}:
                moves.add((name, kind, node))
            elif kind in _KINDS:
                found[kind, name, node] += 1
    for name, kind, node in moves:
        if kind == "migrate_from":
            found["migrate", name, node] += 1
            for other, way, source in moves:
                if other == name and way == "migrate_to":
                    found["stop", name, source] -= 1
    return +found


def _without_nodes(actions: Actions) -> Counter[tuple[str, str]]:
    found: Counter[tuple[str, str]] = Counter()
    for (kind, name, _), times in actions.items():
        found[kind, name] += times
    return found


def _gain(actions: Actions) -> tuple[int, int]:
    """How many more copies run, and are promoted, afterwards."""
    count: Counter[str] = Counter()
    for (kind, _, _), times in actions.items():
        count[kind] += times
    return count["start"] - count["stop"], count["promote"] - count["demote"]
