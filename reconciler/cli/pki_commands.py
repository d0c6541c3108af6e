"""The options of `reconcile pki`. `cli.app` adds them with `app.add_typer(commands, name="pki")`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

commands = typer.Typer(
    help="Make the certificates that agents, controllers and operators prove themselves with.",
    no_args_is_help=True,
)

Directory = Annotated[
    Path, typer.Argument(help="Where the certificates and keys are kept.", show_default=False)
]
Office = Annotated[
    Literal["agent", "controller", "operator"], typer.Option("--role", help="What it may do.")
]
Name = Annotated[str, typer.Option("--name", help="The node's, the controller's or the person's.")]
Days = Annotated[int | None, typer.Option(min=1, max=36500, help="How long it is valid.")]


@commands.command("init")
def init(
    directory: Directory,
    cluster: Annotated[str, typer.Option(help="The cluster's name, as in its intent.")],
    days: Days = None,
) -> None:
    """Make the authority of a cluster, once."""
    from reconciler.cli.pki import run_pki

    raise typer.Exit(run_pki("init", directory, cluster=cluster, days=days))


@commands.command("issue")
def issue(directory: Directory, role: Office, name: Name, days: Days = None) -> None:
    """Make a key and a certificate for one member."""
    from reconciler.cli.pki import run_pki

    raise typer.Exit(run_pki("issue", directory, role=role, name=name, days=days))


@commands.command("renew")
def renew(directory: Directory, role: Office, name: Name, days: Days = None) -> None:
    """Give a member a new certificate for the key it has; nothing needs a restart."""
    from reconciler.cli.pki import run_pki

    raise typer.Exit(run_pki("renew", directory, role=role, name=name, days=days))


@commands.command("show")
def show(
    directory: Directory,
    form: Annotated[
        Literal["text", "json"], typer.Option("--format", help="Form of the output.")
    ] = "text",
) -> None:
    """List the certificates and when they end; status 1 if one has."""
    from reconciler.cli.pki import run_pki

    raise typer.Exit(run_pki("show", directory, form=form))
