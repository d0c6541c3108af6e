"""The options of `reconcile import`. `cli.app` adds them with `app.add_typer(commands, name="import")`."""

from pathlib import Path
from typing import Annotated

import typer

commands = typer.Typer(
    help="Turn another program's cluster into files for this one.", no_args_is_help=True
)


@commands.callback()
def import_() -> None:
    """Turn another program's cluster into files for this one."""


@commands.command("pacemaker")
def pacemaker(
    cib: Annotated[
        Path,
        typer.Argument(
            metavar="CIB.xml",
            help="What `cibadmin --query` prints, or a scheduler's saved input.",
            show_default=False,
        ),
    ],
    into: Annotated[
        Path,
        typer.Option(metavar="DIR", help="Gets cluster.yaml and observed.json; made if need be."),
    ],
    partial: Annotated[
        bool, typer.Option("--partial", help="Write the rest where something is unsupported.")
    ] = False,
) -> None:
    """Write a Pacemaker cluster's configuration as YAML, and its status as an observation.

    Every difference is said with its line of the XML. Exit status 1 and nothing written if something
    cannot be carried over, unless --partial.
    """
    from reconciler.cli.import_ import run_import_pacemaker

    raise typer.Exit(run_import_pacemaker(cib, into, partial=partial))
