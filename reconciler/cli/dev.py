"""`reconcile dev`: run a whole cluster here, or tell the one that runs to break something."""

import sys
from pathlib import Path
from typing import Literal

from reconciler.cli import context
from reconciler.cli.cluster import load
from reconciler.cli.exit_codes import ExitCode
from reconciler.cli.terminal import say
from reconciler.render.ink import Line, Span, Tone, line

STATE = Path(".reconcile/dev")
"""Where a cluster keeps itself if nobody says otherwise, below the current directory."""

_TONES = {
    "lost": Tone.BAD,
    "power cut": Tone.BAD,
    "blocked": Tone.BAD,
    "does not answer": Tone.BAD,
    "cannot be used": Tone.BAD,
    "suspect": Tone.CHANGE,
    "ended (": Tone.CHANGE,
    "is failed": Tone.CHANGE,
    "may still run": Tone.CHANGE,
    "alive": Tone.GOOD,
    " runs ": Tone.GOOD,
}
"""How a line is coloured: by the first of these words that is in it."""


def run_dev(
    cluster: Path | None, *, state: Path | None, plain: bool, accept: Literal["ask", "auto"]
) -> ExitCode:
    """Run a cluster in the foreground until Ctrl-C.

    Errors: `Refused` when it cannot be started, such as when its network is in use.
    """
    import asyncio

    from reconciler.runtime import clock
    from reconciler.runtime.dev import session
    from reconciler.runtime.dev.cluster import Order, can_isolate

    files = context.cluster(cluster)
    intent = load(files)
    began_ms = clock.monotonic_ms()

    def tell(happened: str) -> None:
        say([_line((clock.monotonic_ms() - began_ms) / 1000, happened)])
        sys.stdout.flush()

    isolated = not plain and can_isolate()
    for words in _introduction(intent.cluster, isolated=isolated, asked=plain):
        tell(words)
    order = Order(files=files.absolute(), intent=intent, plain=not isolated, accept=accept)
    asyncio.run(session.run(order, _state(state), tell))
    return ExitCode.DONE


def run_experiment(verb: str, machine: str, *, state: Path | None) -> ExitCode:
    """Tell the running `reconcile dev` to do something to one of its machines.

    Errors: `Unreachable` when none runs, `Refused` with its reason.
    """
    from reconciler.runtime.dev import control

    said = control.ask(_state(state), control.Request(do=verb, target=machine))
    sys.stdout.write(f"{said}\n")
    return ExitCode.DONE


def _introduction(cluster: str, *, isolated: bool, asked: bool) -> tuple[str, ...]:
    start = f"starting {cluster}; Ctrl-C ends it, and `reconcile plan` in another terminal goes on"
    if isolated:
        return (start,)
    why = (
        "as asked"
        if asked
        else "since this needs root and namespaces, which are not to be had here"
    )
    plain = (
        f"nodes are plain processes of this machine, {why}: addresses are pretended, "
        "and power cuts are not as sudden as real ones"
    )
    return (plain, start)


def _line(since_s: float, happened: str) -> Line:
    tone = next((tone for words, tone in _TONES.items() if words in happened), Tone.PLAIN)
    return line(Span(f"{since_s:7.1f} s  ", Tone.FAINT), body=happened, tone=tone)


def _state(chosen: Path | None) -> Path:
    return (chosen or STATE).absolute()
