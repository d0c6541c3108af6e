"""`reconcile schema`: write the JSON Schemas that editors and other tools rely on, or check them."""

from pathlib import Path

from reconciler.cli.exit_codes import ExitCode
from reconciler.cli.terminal import complain, note
from reconciler.codec import observed_file
from reconciler.config import json_schema
from reconciler.render import plan_json, whatif_json
from reconciler.render.plan_json import indented


def run_schema(directory: Path, check: bool) -> int:
    """Write the schemas into a folder; with `check`, write nothing and return 1 if one is out of date."""
    stale = [name for name, data in schemas().items() if _contents(directory / name) != data]
    if check:
        for name in stale:
            complain(f"{directory / name} is out of date", "`reconcile schema` writes it anew.")
        return int(ExitCode.ERROR if stale else ExitCode.DONE)
    directory.mkdir(parents=True, exist_ok=True)
    for name in stale:
        (directory / name).write_bytes(schemas()[name])
    for name in schemas():
        note(f"{directory / name}: {'written' if name in stale else 'unchanged'}")
    return int(ExitCode.DONE)


def schemas() -> dict[str, bytes]:
    """Every schema by file name."""
    return {
        json_schema.NAME: json_schema.cluster_schema(),
        "observed.schema.json": indented(observed_file.schema()).encode(),
        "plan.schema.json": indented(plan_json.schema()).encode(),
        "simulate.schema.json": indented(whatif_json.schema()).encode(),
    }


def _contents(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None
