"""Fence agents as processes of this machine, with its secrets: what `fencing` is handed at runtime."""

from collections.abc import Sequence
from pathlib import Path

from reconciler.fencing.agent import PLACES, Ran
from reconciler.fencing.fences import DeviceFences
from reconciler.model.ids import Millis
from reconciler.resources import runner
from reconciler.resources.leftovers import end_leftovers
from reconciler.runtime.secret_files import read_secret

__all__ = ["device_fences", "end_leftovers"]


def device_fences(
    *, run_directory: Path, secrets: Path, places: Sequence[Path] = ()
) -> DeviceFences:
    """Drive the fence agents in these places, and in the distribution's.

    What runs is on record in `run_directory`, so that whoever comes after can end it first.
    """

    async def run(arguments: Sequence[str], given: bytes, *, timeout_ms: Millis) -> Ran:
        done = await runner.run(
            arguments, {}, timeout_ms=timeout_ms, run_directory=run_directory, given=given
        )
        words = done.last_words if done.exit_code is not None else str(done.ending)
        return Ran(exit_code=done.exit_code, output=done.output, words=words)

    return DeviceFences(run, lambda name: read_secret(secrets, name), (*places, *PLACES))
