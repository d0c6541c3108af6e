"""`reconcile simulate`: let nodes, link groups and services fail in a model, and say what is left.

Nothing is asked of a cluster but its facts, and nothing is changed anywhere.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from reconciler.cli import cluster, context, inputs, sweeping
from reconciler.cli.exit_codes import ExitCode
from reconciler.cli.plan import Source
from reconciler.cli.terminal import Trouble, say, say_text
from reconciler.codec import canonical, saved_plan
from reconciler.core import whatif
from reconciler.core.cold import cold
from reconciler.core.whatif import Baseline, Fault, NodeFault, Scenario, ServiceFault, Sweep
from reconciler.membership import votes
from reconciler.model.ids import Millis, NodeName, ServiceName
from reconciler.model.intent import Intent
from reconciler.model.observed import Liveness, Observed
from reconciler.render.whatif import Facts, Simulation
from reconciler.render.words import close

Form = Literal["text", "json", "markdown"]

_DEPTHS = {"single": 1, "double": 2}
_WAYS = """\
One of these says what fails:
  --fail node:NAME              a node; may be given several times, all at once
  --fail domain:LABEL=VALUE     every node with this label, such as domain:rack=a
  --fail service:NAME[@NODE]    a service, on one node or wherever it runs
  --sweep single|double         everything, one after the other, or every two at once"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What to try, and how."""

    fail: tuple[str, ...] = ()
    sweep: Literal["single", "double"] | None = None
    domains: tuple[str, ...] = ()
    judged: bool = False
    workers: int | None = None


def run_simulate(path: Path | None, source: Source, wishes: Wishes, *, form: Form) -> ExitCode:
    """Simulate failures and show what comes of them: status 4 when a promise breaks."""
    _refuse_nonsense(source, wishes)
    named = context.cluster(path)
    intent = cluster.load(named)
    observed, now_ms, facts = _facts(source, intent)
    baseline = whatif.settle(intent, observed, now_ms, quorate, judged=wishes.judged)
    revision = cluster.revision(named, intent)
    if wishes.sweep is not None:
        simulation = _swept(baseline, facts, revision, wishes)
    else:
        simulation = _tried(baseline, facts, revision, wishes)
    show(simulation, form)
    return ExitCode.BLOCKED if simulation.sweep.broken else ExitCode.DONE


def quorate(members: Collection[str], heard: Mapping[str, Liveness]) -> bool:
    """Whether a controller apart that hears these members holds the majority."""
    return votes.count(members, heard).quorate


def show(simulation: Simulation, form: Form) -> None:
    """Print a simulation in one of its forms."""
    match form:
        case "text":
            from reconciler.render import whatif_text

            say(whatif_text.render(simulation))
        case "json":
            from reconciler.render import whatif_json

            say_text(whatif_json.render(simulation))
        case "markdown":
            from reconciler.render import whatif_markdown

            say_text(whatif_markdown.render(simulation))


def _refuse_nonsense(source: Source, wishes: Wishes) -> None:
    if not wishes.fail and wishes.sweep is None:
        raise Trouble("simulate which failures?", detail=_WAYS, code=ExitCode.USAGE)
    if wishes.fail and wishes.sweep is not None:
        raise Trouble("--fail and --sweep exclude each other", code=ExitCode.USAGE)
    if wishes.domains and wishes.sweep is None:
        raise Trouble(
            "--domain goes with --sweep",
            detail="--fail domain:LABEL=VALUE lets one link group fail.",
            code=ExitCode.USAGE,
        )
    if source.facts and source.cold:
        raise Trouble("--observed and --cold exclude each other", code=ExitCode.USAGE)


def _facts(source: Source, intent: Intent) -> tuple[Observed, Millis, Facts]:
    """The facts that were named, else the controller's, else a cold start."""
    if source.facts is not None:
        observed = inputs.observed(source.facts)
        return observed, observed.taken_at_ms, "file"
    where = None if source.cold else context.find(source.controller, source.pki)
    if where is None:
        return cold(intent), Millis(0), "cold"
    from reconciler.cli import link

    seen = link.observe(where)
    return seen.observed, seen.now_ms, "controller"


def _swept(baseline: Baseline, facts: Facts, revision: str, wishes: Wishes) -> Simulation:
    depth = _DEPTHS[wishes.sweep or "single"]
    _known_labels(baseline.intent, wishes.domains)
    faults = whatif.list_faults(baseline, wishes.domains)
    scenarios = whatif.list_scenarios(faults, depth)
    workers = wishes.workers or sweeping.default_workers()
    found = sweeping.outcomes(baseline, scenarios, workers=workers, judged=wishes.judged)
    sweep = whatif.gather(baseline, found, depth=depth, domains=wishes.domains, faults=faults)
    return _simulation(baseline, sweep, facts, revision)


def _tried(baseline: Baseline, facts: Facts, revision: str, wishes: Wishes) -> Simulation:
    faults = dict.fromkeys(fault for word in wishes.fail for fault in _read(word, baseline))
    trial = whatif.attempt(baseline, Scenario(faults=tuple(faults)), judged=wishes.judged)
    sweep = whatif.gather(baseline, (trial.outcome,), depth=0)
    plan = saved_plan.bind(
        trial.decision, intent=baseline.intent, revision=revision, observed=trial.observed
    )
    return replace(_simulation(baseline, sweep, facts, revision), plan=plan)


def _simulation(baseline: Baseline, sweep: Sweep, facts: Facts, revision: str) -> Simulation:
    return Simulation(
        baseline=baseline,
        sweep=sweep,
        facts=facts,
        revision=revision,
        intent_digest=canonical.intent_digest(baseline.intent),
        observed_digest=canonical.fingerprint(baseline.observed),
    )


# What fails -----------------------------------------------------------------------------------------


def _read(word: str, baseline: Baseline) -> Iterator[Fault]:
    """The faults that a `--fail` names."""
    kind, _, name = word.partition(":")
    match kind:
        case "node" if name:
            yield NodeFault(node=_node(name, baseline))
        case "domain" if "=" in name:
            yield _domain(name, baseline)
        case "service" if name:
            yield from _service(name, baseline)
        case _:
            raise Trouble(f'cannot tell what "{word}" means', detail=_WAYS, code=ExitCode.USAGE)


def _node(name: str, baseline: Baseline) -> NodeName:
    _known("node", name, [node.name for node in baseline.intent.nodes])
    return NodeName(name)


def _domain(words: str, baseline: Baseline) -> Fault:
    label, _, value = words.partition("=")
    _known_labels(baseline.intent, (label,))
    groups = {fault.value: fault for fault in whatif.domain_faults(baseline, label)}
    _known(f"value of label {label}", value, list(groups))
    return groups[value]


def _service(words: str, baseline: Baseline) -> Iterator[Fault]:
    name, at, node = words.partition("@")
    _known("service", name, [service.name for service in baseline.intent.services])
    service = ServiceName(name)
    if at:
        yield ServiceFault(service=service, node=_node(node, baseline))
        return
    running = sorted({copy.node for copy in baseline.observed.copies if copy.service == service})
    if not running:
        raise Trouble(
            f'"{name}" runs nowhere, so it cannot fail',
            detail=f"--fail service:{name}@NODE keeps it from one node.",
        )
    yield from (ServiceFault(service=service, node=each) for each in running)


def _known_labels(intent: Intent, labels: Sequence[str]) -> None:
    known = sorted({key for node in intent.nodes for key, _ in node.labels})
    for label in labels:
        _known("label", label, known)


def _known(what: str, name: str, names: Sequence[str]) -> None:
    if name not in names:
        raise Trouble(f'no {what} "{name}" in this cluster', detail=close(name, names))
