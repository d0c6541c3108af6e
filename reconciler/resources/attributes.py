"""What OCF agents have said of this node, read from where `attribute_tool` put it.

The agents' way to speak is a few programs of Pacemaker; ours of the same names stand in a directory of the
node's own, first on the agents' path. Nothing here is believed further than its shape: a file that is not
what the tool writes says nothing.
"""

import json
import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from reconciler.model.ids import Millis
from reconciler.resources import attribute_tool
from reconciler.resources.attribute_tool import COUNT_MAX, FOREVER, NAMES, REBOOT, SCORES

SETTLE_MS_MAX = 3_600_000

_TOOL = Path(attribute_tool.__file__)
_FILE_BYTES_MAX = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """One attribute as it was said last."""

    name: str
    value: str
    settle_ms: Millis = Millis(0)
    forever: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Everything:
    """All that is said at this moment, sorted by name."""

    attributes: tuple[Said, ...] = ()
    scores: tuple[tuple[str, int], ...] = ()


def read(run: Path) -> Everything:
    """Read everything; of an attribute that is said twice, what lasts less long counts."""
    found = {said.name: said for said in _read(run, FOREVER, forever=True)}
    found |= {said.name: said for said in _read(run, REBOOT)}
    scores = {}
    for said in _read(run, SCORES):
        with suppress(ValueError):
            scores[said.name] = attribute_tool.number(said.value)
    return Everything(
        attributes=tuple(found[name] for name in sorted(found)),
        scores=tuple(sorted(scores.items())),
    )


def restore(run: Path, forever: Mapping[str, str]) -> None:
    """Put back what outlives a boot, where the run directory has vanished with the last one.

    Errors: `OSError` when it cannot be kept.
    """
    for name, value in forever.items():
        if attribute_tool.read(run, FOREVER, name) is None:
            attribute_tool.write(run, FOREVER, name, value)


def tools(run: Path) -> Path:
    """The directory of the programs that agents call; made if it is not there.

    Errors: `OSError` when it cannot be made.
    """
    directory = run / "tools"
    directory.mkdir(mode=0o755, parents=True, exist_ok=True)
    # Links, since a run directory is often mounted so that nothing in it can be executed.
    program = _TOOL
    if not os.access(_TOOL, os.X_OK):
        program = directory / "attribute_tool"
        shutil.copyfile(_TOOL, program)
        program.chmod(0o755)
    for name in NAMES:
        _link(directory / name, program)
    _link(directory / "reconcile-python", Path(sys.executable).resolve())
    return directory


def _link(path: Path, target: Path) -> None:
    if path.is_symlink() and path.readlink() == target:
        return
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    new.symlink_to(target)
    new.replace(path)


def _read(run: Path, kind: str, *, forever: bool = False) -> Iterator[Said]:
    try:
        paths = sorted((run / "attributes" / kind).glob("[!.]*"))[:COUNT_MAX]
    except OSError:
        return
    for path in paths:
        with suppress(OSError, ValueError, KeyError, TypeError):
            said = json.loads(path.read_bytes()[:_FILE_BYTES_MAX])
            yield Said(
                name=str(said["name"]),
                value=str(said["value"]),
                settle_ms=Millis(max(0, min(SETTLE_MS_MAX, int(said["settle_ms"])))),
                forever=forever,
            )
