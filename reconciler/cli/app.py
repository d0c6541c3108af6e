"""What a user types: every command with its options and help, and nothing of what it does.

`reconcile --help` has to answer at once, so this module imports the command line's own library and no
more; each command brings its module when it runs. The modules return a status; `main` gives it back.
"""

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer
from typer.core import TyperOption

from reconciler import __version__
from reconciler.cli.ending import ended
from reconciler.cli.import_commands import commands as import_commands
from reconciler.cli.pki_commands import commands as pki_commands

app = typer.Typer(
    name="reconcile",
    help="Commit what should run where; it is kept so on your Linux machines.",
    no_args_is_help=True,
    add_help_option=False,  # it has one below, which takes no line of a screen that is full
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)

Cluster = Annotated[
    Path, typer.Argument(help="The cluster's YAML file, or the folder of them.", show_default=False)
]
ContextCluster = Annotated[
    Path | None,
    typer.Argument(
        help="The cluster's YAML file or folder; the one of .reconcile/context.json if not given.",
        show_default=False,
    ),
]
Controller = Annotated[
    str | None,
    typer.Option(
        "--controller",
        metavar="HOST:PORT",
        help="The controller to ask (else RECONCILE_CONTROLLER, or .reconcile/context.json).",
    ),
]
Pki = Annotated[
    Path | None,
    typer.Option("--pki", metavar="DIR", help="The operator's certificates (else RECONCILE_PKI)."),
]
TextOrJson = Annotated[
    Literal["text", "json"], typer.Option("--format", help="Form of the output.")
]


def _version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"reconcile {__version__}\n")
        raise typer.Exit


def _help(ctx: typer.Context, *, wanted: bool) -> None:
    if wanted:
        sys.stdout.write(ctx.get_help() + "\n")
        raise typer.Exit


@app.callback()
def reconcile(
    show_help: Annotated[
        bool, typer.Option("--help", "-h", callback=_help, is_eager=True, hidden=True)
    ] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say which this is.")
    ] = False,
) -> None:
    """Commit what should run where; it is kept so on your Linux machines."""


@app.command()
def validate(
    cluster: Cluster,
    form: TextOrJson = "text",
) -> None:
    """Check a cluster's files and report every problem at once."""
    from reconciler.cli.validate import run_validate

    raise typer.Exit(run_validate(cluster, form))


@app.command()
def plan(  # noqa: PLR0913, PLR0917 - one parameter for each option
    cluster: ContextCluster = None,
    observed: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Plan from these facts instead of the controller's."),
    ] = None,
    cold: Annotated[
        bool, typer.Option("--cold", help="Plan as if every node were alive and nothing ran.")
    ] = False,
    format: Annotated[  # noqa: A002 - the option's own name
        Literal["text", "json", "markdown", "dot", "svg"], typer.Option(help="Form of the output.")
    ] = "text",
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Also save the plan, for `reconcile apply FILE`."),
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Every reason, and every setting in force.")
    ] = False,
    controller: Controller = None,
    pki: Pki = None,
) -> None:
    """Show what would be done and why; do nothing.

    CLUSTER may also be a saved plan, which is shown as it was made. Exit status: 0 nothing to do,
    3 changes pending, 4 something stays blocked or unplaced, 1 error.
    """
    from reconciler.cli.plan import Source, run_plan

    source = Source(facts=observed, cold=cold, controller=controller, pki=pki)
    raise typer.Exit(run_plan(cluster, source, form=format, out=out, explain=explain))


@app.command()
def apply(
    cluster: ContextCluster = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask; needed in a pipe.")] = False,
    confirm_shrink: Annotated[
        bool,
        typer.Option("--confirm-shrink", help="Yes, a good part of what runs is meant to end."),
    ] = False,
    controller: Controller = None,
    pki: Pki = None,
) -> None:
    """Plan, ask, have the controller carry it out, and follow.

    CLUSTER may also be a saved plan, which is carried out exactly and once, or refused as stale
    (status 5) with what changed. Ctrl-C ends the following, not the apply.
    """
    from reconciler.cli.apply import Wishes, run_apply

    wishes = Wishes(yes=yes, confirm_shrink=confirm_shrink, controller=controller, pki=pki)
    raise typer.Exit(run_apply(cluster, wishes))


@app.command()
def status(
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Keep looking; q ends it.")] = False,
    format: Annotated[  # noqa: A002
        Literal["text", "json", "observed"],
        typer.Option(help="Form of the output; `observed` is what `plan --observed` reads."),
    ] = "text",
    controller: Controller = None,
    pki: Pki = None,
) -> None:
    """Show how the cluster stands.

    Exit status: 0 all is as wanted, 3 something is under way or waits, 4 something is blocked or
    unplaced, 1 error.
    """
    from reconciler.cli.status import run_status

    raise typer.Exit(run_status(watch=watch, form=format, controller=controller, pki=pki))


@app.command()
def explain(  # noqa: PLR0913, PLR0917
    service: Annotated[str, typer.Argument(help="The service.", show_default=False)],
    node: Annotated[str | None, typer.Option(help="Only this node: why (not) there?")] = None,
    cluster: Annotated[
        Path | None,
        typer.Option(metavar="CLUSTER", help="Explain by this intent, not by the one in force."),
    ] = None,
    observed: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Explain by these facts.")
    ] = None,
    cold: Annotated[
        bool, typer.Option("--cold", help="Explain as if every node were alive and nothing ran.")
    ] = False,
    form: TextOrJson = "text",
    controller: Controller = None,
    pki: Pki = None,
) -> None:
    """Say why a service runs where it does, or does not run.

    Node by node: first what forbids it, then what it scores; last, what would have to change.
    """
    from reconciler.cli.explain import run_explain
    from reconciler.cli.plan import Source

    source = Source(facts=observed, cold=cold, controller=controller, pki=pki)
    raise typer.Exit(run_explain(service, node=node, cluster=cluster, source=source, form=form))


@app.command()
def simulate(  # noqa: PLR0913, PLR0917
    cluster: ContextCluster = None,
    fail: Annotated[
        list[str] | None,
        typer.Option(
            metavar="WHAT",
            help="node:NAME, service:NAME[@NODE] or domain:LABEL=VALUE; several fail at once.",
        ),
    ] = None,
    sweep: Annotated[
        Literal["single", "double"] | None,
        typer.Option(help="Try every failure, or also every two at once."),
    ] = None,
    domain: Annotated[
        list[str] | None,
        typer.Option(
            metavar="LABEL", help="Let nodes with the same label, such as rack, fail too."
        ),
    ] = None,
    observed: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Begin with these facts.")
    ] = None,
    cold: Annotated[
        bool,
        typer.Option("--cold", help="Begin with everything where a cold plan puts it."),
    ] = False,
    format: Annotated[  # noqa: A002
        Literal["text", "json", "markdown"], typer.Option(help="Form of the output.")
    ] = "text",
    verify: Annotated[
        bool, typer.Option("--verify", help="Have every plan checked independently; takes longer.")
    ] = False,
    workers: Annotated[
        int | None,
        typer.Option(min=1, max=256, help="Processes to use; one for each processor by default."),
    ] = None,
    controller: Controller = None,
    pki: Pki = None,
) -> None:
    """Try what failures would do: what is lost, and what moves.

    Promises of the intent (`survive`) are held against the outcomes. Begins with the facts of
    --observed or of the controller, else with a cold start; changes nothing.
    Exit status: 0 every promise (`survive`) holds, 4 one breaks, 1 error.
    """
    from reconciler.cli.plan import Source
    from reconciler.cli.simulate import Wishes, run_simulate

    source = Source(facts=observed, cold=cold, controller=controller, pki=pki)
    wishes = Wishes(
        fail=tuple(fail or ()),
        sweep=sweep,
        domains=tuple(domain or ()),
        judged=verify,
        workers=workers,
    )
    raise typer.Exit(run_simulate(cluster, source, wishes, form=format))


@app.command()
def clear(
    service: Annotated[
        str | None, typer.Argument(help="The service; all of them if not given.")
    ] = None,
    controller: Controller = None,
    pki: Pki = None,
) -> None:
    """Forget failures, so that nodes given up are tried again."""
    from reconciler.cli.clear import run_clear

    raise typer.Exit(run_clear(service, controller=controller, pki=pki))


@app.command()
def fence(
    node: Annotated[str, typer.Argument(help="The node.")],
    confirm: Annotated[
        bool, typer.Option("--confirm", help="Do nothing to it: you have seen that it is off.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask; needed in a pipe.")] = False,
    controller: Controller = None,
    pki: Pki = None,
) -> None:
    """Fence a node, or confirm that it is off."""
    from reconciler.cli.fence import Wishes, run_fence

    wishes = Wishes(confirm=confirm, yes=yes, controller=controller, pki=pki)
    raise typer.Exit(run_fence(node, wishes))


@app.command()
def graph(
    cluster: ContextCluster = None,
    format: Annotated[  # noqa: A002
        Literal["text", "json", "dot", "svg"], typer.Option(help="Form of the output.")
    ] = "text",
) -> None:
    """Draw how services depend on each other and where they may run."""
    from reconciler.cli.graph import run_graph

    raise typer.Exit(run_graph(cluster, form=format))


@app.command()
def history(
    last: Annotated[int, typer.Option(min=1, max=10_000, help="How many records.")] = 20,
    form: TextOrJson = "text",
    controller: Controller = None,
    pki: Pki = None,
) -> None:
    """Show what was decided and what came of it."""
    from reconciler.cli.history import run_history

    raise typer.Exit(run_history(last=last, form=form, controller=controller, pki=pki))


@app.command()
def schema(
    directory: Annotated[Path, typer.Argument(help="Where to write them; made if need be.")] = Path(
        "schemas"
    ),
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; status 1 if one is out of date.")
    ] = False,
) -> None:
    """Write the JSON Schemas that editors and programs use."""
    from reconciler.cli.schema import run_schema

    raise typer.Exit(run_schema(directory, check))


app.add_typer(import_commands, name="import", short_help="Bring a Pacemaker cluster along.")
app.add_typer(pki_commands, name="pki", short_help="Make and renew members' certificates.")


@app.command()
def agent(  # noqa: PLR0913, PLR0917
    node: Annotated[str, typer.Option(metavar="NAME", help="The node that this is.")],
    controller: Annotated[
        list[str],
        typer.Option(metavar="HOST:PORT", help="Whom to obey; may be given several times."),
    ],
    pki: Annotated[
        Path, typer.Option(metavar="DIR", help="Where this node's certificate and key are.")
    ] = Path("/etc/reconcile/pki"),
    state: Annotated[
        Path, typer.Option(metavar="DIR", help="What must outlive a reboot is kept here.")
    ] = Path("/var/lib/reconcile/agent"),
    run: Annotated[
        Path, typer.Option(metavar="DIR", help="What must not outlive a reboot is kept here.")
    ] = Path("/run/reconcile"),
    interface: Annotated[
        str | None, typer.Option(help="Where addresses go that name no interface.")
    ] = None,
    secrets: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where the secrets of this node are.")
    ] = None,
    fence_agents: Annotated[
        list[Path] | None,
        typer.Option(metavar="DIR", help="Fence agents besides the distribution's."),
    ] = None,
    pretend_addresses: Annotated[
        bool,
        typer.Option("--pretend-addresses", help="Note addresses down instead of adding them."),
    ] = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="Log every step.")] = False,
) -> None:
    """Run a node's services as the controller says. Runs for ever."""
    from reconciler.cli.agent import run_agent

    raise typer.Exit(
        run_agent(
            node=node,
            controllers=controller,
            pki=pki,
            state=state,
            run=run,
            interface=interface,
            secrets=secrets,
            pretend_addresses=pretend_addresses,
            fence_agents=fence_agents or (),
            verbose=verbose,
        )
    )


@app.command()
def controller(  # noqa: PLR0913, PLR0917
    source: Annotated[
        str, typer.Argument(help="The cluster's file or folder, or a git repository's address.")
    ],
    branch: Annotated[
        str, typer.Option(help="Watch this branch of the repository (`main` for an address).")
    ] = "",
    path: Annotated[str, typer.Option(help="The file or folder below the source.")] = "",
    state: Annotated[Path, typer.Option(metavar="DIR", help="Where decisions are kept.")] = Path(
        "/var/lib/reconcile/controller"
    ),
    pki: Annotated[
        Path, typer.Option(metavar="DIR", help="Where its certificate and key are.")
    ] = Path("/etc/reconcile/pki"),
    listen: Annotated[
        str, typer.Option(metavar="HOST:PORT", help="Where agents and operators find it.")
    ] = "0.0.0.0:7410",
    accept: Annotated[
        Literal["ask", "auto"],
        typer.Option(help="Commits wait for `reconcile apply`, or are accepted if valid."),
    ] = "ask",
    every: Annotated[
        float, typer.Option(metavar="SECONDS", help="How often the repository is looked at.")
    ] = 10.0,
    secrets: Annotated[
        Path, typer.Option(metavar="DIR", help="Where the secrets of fence devices are.")
    ] = Path("/etc/reconcile/secrets"),
    fence_agents: Annotated[
        list[Path] | None,
        typer.Option(metavar="DIR", help="Fence agents besides the distribution's."),
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", help="Log every step.")] = False,
) -> None:
    """Decide for a cluster: watch its files and nodes. Runs for ever."""
    from reconciler.cli.controller import Options, run_controller

    options = Options(
        source=source,
        branch=branch,
        path=path,
        state=state,
        pki=pki,
        listen=listen,
        accept=accept,
        every_s=every,
        secrets=secrets,
        fence_agents=tuple(fence_agents or ()),
        verbose=verbose,
    )
    raise typer.Exit(run_controller(options))


@app.command()
def dev(  # noqa: PLR0913, PLR0917
    cluster: ContextCluster = None,
    state: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where it keeps itself (.reconcile/dev).")
    ] = None,
    plain: Annotated[
        bool, typer.Option("--plain", help="Plain processes, even where root allows more.")
    ] = False,
    accept: Annotated[
        Literal["ask", "auto"],
        typer.Option(help="Commits wait for `reconcile apply`, or are accepted if valid."),
    ] = "ask",
    kill: Annotated[str | None, typer.Option(metavar="NODE", help="Cut its power.")] = None,
    boot: Annotated[str | None, typer.Option(metavar="NODE", help="Give it power again.")] = None,
    freeze: Annotated[str | None, typer.Option(metavar="NODE", help="Stop its clock.")] = None,
    thaw: Annotated[str | None, typer.Option(metavar="NODE", help="Let it go on.")] = None,
    cut: Annotated[str | None, typer.Option(metavar="NODE", help="Pull its network cable.")] = None,
    heal: Annotated[str | None, typer.Option(metavar="NODE", help="Plug it in again.")] = None,
    kill_agent: Annotated[
        str | None, typer.Option(metavar="NODE", help="Kill its agent, not its services.")
    ] = None,
    describe: Annotated[
        bool, typer.Option("--describe", help="Facts for scripts, as JSON.")
    ] = False,
) -> None:
    """Run a whole cluster on this machine, to try things out.

    The options that name a NODE (or `controller`) are for another terminal: they do something to a
    machine of the cluster that runs here.
    """
    from reconciler.cli.dev import run_dev, run_experiment

    wishes = {
        "kill": kill,
        "boot": boot,
        "freeze": freeze,
        "thaw": thaw,
        "cut": cut,
        "heal": heal,
        "kill-agent": kill_agent,
        "describe": "" if describe else None,
    }
    asked = [(verb, machine) for verb, machine in wishes.items() if machine is not None]
    for verb, machine in asked:
        run_experiment(verb, machine, state=state)
    if not asked:
        raise typer.Exit(run_dev(cluster, state=state, plain=plain, accept=accept))


_UNLISTED = frozenset({"install_completion", "show_completion", "version"})
"""They work, and docs/cli.md tells of them; the screen has no room."""


def main() -> None:
    """Run the command line; `reconciler.cli.start` calls this."""
    command = typer.main.get_command(app)
    for option in command.params:
        if isinstance(option, TyperOption) and option.name in _UNLISTED:
            option.hidden = True
    sys.exit(ended(lambda: command(prog_name="reconcile")))
