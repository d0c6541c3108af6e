"""`reconcile plan`: show what would be done, from files and facts; change nothing."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from reconciler.cli import context, inputs
from reconciler.cli.exit_codes import ExitCode, of_decision
from reconciler.cli.terminal import Trouble, note, say, say_text
from reconciler.model.ids import Millis
from reconciler.model.intent import Intent
from reconciler.model.observed import Observed
from reconciler.model.plan import SavedPlan

Form = Literal["text", "json", "markdown", "dot", "svg"]

_WHAT_RUNS = """\
A plan depends on what runs now. One of these says it:
  --controller HOST:PORT --pki DIR   ask the controller (or set RECONCILE_CONTROLLER and RECONCILE_PKI)
  --observed FILE                    facts saved earlier (`reconcile status --format observed`)
  --cold                             suppose that every node is alive and nothing runs anywhere"""


_NEW = ("the controller has yet to accept this intent",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where the facts come from; at most one of the first two."""

    facts: Path | None = None
    cold: bool = False
    controller: str | None = None
    pki: Path | None = None


def run_plan(
    cluster: Path | None, source: Source, *, form: Form, out: Path | None, explain: bool
) -> ExitCode:
    """Make or read a plan, save it if wanted, and show it."""
    named = context.cluster(cluster)
    if inputs.is_plan(named):
        saved = _read(named, source, out)
        show(saved, form=form, explain=explain, hints=_hints_for_saved(named, saved))
        return of_decision(saved.decision)
    saved, unaccepted = _make(named, source)
    if out is not None:
        _save(saved, out, source)
    pending = unaccepted or bool(saved.decision.plan.actions)
    hints = _hints(cluster, out) if pending and not source.cold else ()
    show(saved, form=form, explain=explain, hints=(*_NEW[: int(unaccepted)], *hints))
    code = of_decision(saved.decision)
    return ExitCode.CHANGES_PENDING if pending and code is ExitCode.DONE else code


def show(
    saved: SavedPlan, *, form: Form, explain: bool = False, hints: tuple[str, ...] = ()
) -> None:
    """Print a plan in one of its forms."""
    match form:
        case "text":
            from reconciler.render import plan_text

            say(plan_text.render(saved, explain=explain, hints=hints))
        case "json":
            from reconciler.render import plan_json

            say_text(plan_json.render(saved))
        case "markdown":
            from reconciler.render import plan_markdown

            say_text(plan_markdown.render(saved))
        case "dot":
            from reconciler.render import dot

            say_text(dot.plan(saved))
        case "svg":
            from reconciler.render import plan_svg

            say_text(plan_svg.render(saved))


def _read(path: Path, source: Source, out: Path | None) -> SavedPlan:
    if source.facts or source.cold or out:
        raise Trouble(
            f"{path} is a saved plan, which is shown as it was made",
            detail="--observed, --cold and --out go with a cluster's files.",
            code=ExitCode.USAGE,
        )
    return inputs.plan(path)


def _make(path: Path, source: Source) -> tuple[SavedPlan, bool]:
    """A plan, and whether the controller has yet to accept the intent that it is for."""
    if source.facts and source.cold:
        raise Trouble("--observed and --cold exclude each other", code=ExitCode.USAGE)
    from reconciler.cli import cluster, planning

    # Facts first: refusing for want of them needs no reading of files.
    found = _facts(source)
    intent = cluster.load(path)
    facts = found if found is not None else _cold(intent)
    if source.facts is not None:
        _warn_of_strangers(intent, facts.observed)
    saved = planning.make(
        intent,
        facts.observed,
        revision=cluster.revision(path, intent),
        now_ms=facts.now_ms,
    )
    return saved, facts.asked and facts.in_force != saved.intent_digest


@dataclass(frozen=True, slots=True, kw_only=True)
class _Facts:
    """What is known, when, and which intent is in force, if a controller was asked."""

    observed: Observed
    now_ms: Millis
    asked: bool = False
    in_force: str | None = None


def _facts(source: Source) -> _Facts | None:
    """What is known; None for a cold plan, which needs the intent for that."""
    if source.cold:
        return None
    if source.facts is not None:
        observed = inputs.observed(source.facts)
        return _Facts(observed=observed, now_ms=observed.taken_at_ms)
    where = context.find(source.controller, source.pki)
    if where is None:
        raise Trouble("plan from which facts?", detail=_WHAT_RUNS)
    from reconciler.cli import link

    seen = link.observe(where)
    in_force = seen.accepted.digest if seen.accepted else None
    return _Facts(observed=seen.observed, now_ms=seen.now_ms, asked=True, in_force=in_force)


def _cold(intent: Intent) -> _Facts:
    from reconciler.core.cold import cold
    from reconciler.runtime import clock

    observed = cold(intent)
    if any(location.during for location in intent.locations):
        now_ms = Millis(int(clock.utc().timestamp()) * 1000)
        observed = replace(observed, clock_ahead_ms=now_ms)
    return _Facts(observed=observed, now_ms=observed.taken_at_ms)


def _warn_of_strangers(intent: Intent, observed: Observed) -> None:
    """Facts and intent of two clusters give a plan, though not a sensible one."""
    known = {node.name for node in intent.nodes}
    seen = {state.name for state in observed.nodes}
    if seen and not seen & known:
        note(f"warning: these facts know no node of {intent.cluster}; are they another cluster's?")


def _save(saved: SavedPlan, out: Path, source: Source) -> None:
    from reconciler.codec import canonical

    if source.cold:
        raise Trouble(
            "a cold plan cannot be saved, since it fits no cluster that could carry it out",
            detail="--format json keeps it for programs, --format text for people.",
            code=ExitCode.USAGE,
        )
    inputs.write(out, canonical.dump(saved) + b"\n")


def _hints(given: Path | None, out: Path | None) -> tuple[str, ...]:
    if out is not None:
        return (f"`reconcile apply {out}` carries out exactly this, once, if the facts still hold",)
    words = f"reconcile apply {given}" if given is not None else "reconcile apply"
    return (f"`{words}` carries this out",)


def _hints_for_saved(path: Path, saved: SavedPlan) -> tuple[str, ...]:
    if not saved.decision.plan.actions:
        return ()
    return (f"`reconcile apply {path}` carries out exactly this, if the facts still hold",)
