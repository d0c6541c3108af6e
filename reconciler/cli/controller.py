"""`reconcile controller`: decide for a cluster, until told to end."""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from reconciler.cli.exit_codes import ExitCode

if TYPE_CHECKING:
    from reconciler.runtime.controller import Controller


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What was typed."""

    source: str
    """A file, a folder, or the address of a git repository."""
    branch: str
    path: str
    state: Path
    pki: Path
    listen: str
    accept: str
    """`ask`: only an operator's apply accepts an intent; `auto`: a valid commit is accepted at once."""
    every_s: float
    """How often a git repository is looked at."""
    verbose: bool
    secrets: Path = Path("/etc/reconcile/secrets")
    """One file for each secret of a fence device."""
    fence_agents: tuple[Path, ...] = ()
    """Directories of fence agents besides the distribution's."""


def run_controller(options: Options) -> ExitCode:
    """Run a controller in this process. When it ends, the cluster's services run on."""
    from reconciler.runtime import log
    from reconciler.runtime.address import parse_address
    from reconciler.runtime.controller import Controller, Settings, new_incarnation, run_until_told
    from reconciler.runtime.fence_agents import device_fences, end_leftovers
    from reconciler.runtime.pki import Credentials, Role
    from reconciler.stores.sqlite import SqliteStore

    log.to_stderr(verbose=options.verbose)
    base = _base(options)
    settings = Settings(
        credentials=Credentials.sole(options.pki, Role.CONTROLLER),
        listen=parse_address(options.listen),
        accept_auto=options.accept == "auto",
        source=_named(options),
        base=base,
    )
    fences = device_fences(
        run_directory=options.state, secrets=options.secrets, places=options.fence_agents
    )
    store = SqliteStore(options.state, incarnation=new_incarnation())
    end_leftovers(
        options.state
    )  # the store is ours alone by now, and so is what a fence of it left
    try:
        asyncio.run(run_until_told(lambda: _run(Controller(settings, store, fences), options)))
    finally:
        store.close()
    return ExitCode.DONE


async def _run(controller: "Controller", options: Options) -> None:
    from reconciler.runtime.sources.git import GitSource, Place
    from reconciler.runtime.sources.worktree import WorktreeSource

    if is_repository(options):
        place = Place(url=options.source, branch=options.branch or "main", path=options.path)
        source: GitSource | WorktreeSource = GitSource(
            place,
            options.state / "git",
            in_force=lambda: controller.revision,
            every_s=options.every_s,
        )
    else:
        source = WorktreeSource(Path(options.source) / options.path)
    await controller.run(source)


def is_repository(options: Options) -> bool:
    """Whether a branch of a repository is meant rather than a working tree."""
    return bool(options.branch) or "://" in options.source or options.source.startswith("git@")


def _base(options: Options) -> Path | None:
    """The folder that `./` in the files is relative to; in a repository there is none."""
    if is_repository(options):
        return None
    path = (Path(options.source) / options.path).absolute()
    return path if path.is_dir() else path.parent


def _named(options: Options) -> str:
    if not is_repository(options):
        return str((Path(options.source) / options.path).absolute())
    from reconciler.runtime.sources.git import Place

    return str(Place(url=options.source, branch=options.branch or "main", path=options.path))
