"""Files that operators name: read whole, within a limit, or refused with a reason; written all at once."""

import os
from pathlib import Path

from reconciler.cli.terminal import Trouble
from reconciler.codec import observed_file, saved_plan
from reconciler.model.errors import Corrupt
from reconciler.model.observed import Observed
from reconciler.model.plan import SavedPlan

_OBSERVED_BYTES_MAX = 64 * 1024 * 1024
_PLAN_BYTES_MAX = 128 * 1024 * 1024


def read(path: Path, *, what: str, bytes_max: int) -> bytes:
    """Read a file of at most so many bytes; devices and pipes are read no further than that either.

    Errors: `Trouble` naming the path.
    """
    try:
        with path.open("rb") as file:
            data = file.read(bytes_max + 1)
    except IsADirectoryError:
        raise Trouble(f"{path}: this is a folder, not {what}") from None
    except OSError as trouble:
        raise Trouble(f"{path}: {trouble.strerror}") from None
    except ValueError:  # a NUL in the name
        raise Trouble(f"{path!r}: not a file name") from None
    if len(data) > bytes_max:
        raise Trouble(f"{path}: too large to be {what} (more than {bytes_max >> 20} MiB)")
    return data


def observed(path: Path) -> Observed:
    """Read an observation.

    Errors: `Trouble`.
    """
    try:
        return observed_file.read(read(path, what="an observation", bytes_max=_OBSERVED_BYTES_MAX))
    except Corrupt as trouble:
        raise Trouble(
            f"{path}: {trouble}", detail="schemas/observed.schema.json describes this format."
        ) from None


def plan(path: Path) -> SavedPlan:
    """Read a saved plan.

    Errors: `Trouble`.
    """
    try:
        return saved_plan.read(read(path, what="a saved plan", bytes_max=_PLAN_BYTES_MAX))
    except Corrupt as trouble:
        raise Trouble(
            f"{path}: {trouble}", detail="`reconcile plan CLUSTER --out FILE` makes a plan file."
        ) from None


def is_plan(path: Path) -> bool:
    """Whether this is (meant to be) a saved plan, rather than a cluster's files."""
    if not path.is_file():
        return False
    if path.suffix in {".plan", ".json"}:
        return True
    with path.open("rb") as file:
        return file.read(6) == b'{"id":'


def write(path: Path, data: bytes) -> None:
    """Write a file whole or not at all; what was there before is replaced in one step.

    Errors: `Trouble` naming the path.
    """
    import tempfile  # most commands only read, and this library brings half a dozen others

    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    except OSError as trouble:
        raise Trouble(f"{path}: {trouble.strerror}") from None
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except OSError as trouble:
        Path(temporary).unlink(missing_ok=True)
        raise Trouble(f"{path}: {trouble.strerror}") from None
