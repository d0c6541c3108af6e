"""A world and what is wrong with its answer, in a few lines that people read."""

import dataclasses

from reconciler.model.intent import Intent
from reconciler.model.observed import Observed
from tests.oracle.brute_force import Oracle
from tests.oracle.facts import Choice
from tests.oracle.judge import Judgement


def tell(intent: Intent, observed: Observed, judgement: Judgement) -> str:
    """The world, the answer, the better one, and the levels in which they differ."""
    oracle = Oracle(intent, observed)
    lines = [f"verdict: {judgement.verdict}", *judgement.broken, *_world(intent, observed)]
    lines.append(f"got:    {_seats(oracle, judgement.seats)}")
    if judgement.got is not None and judgement.best is not None:
        lines.append(f"better: {_seats(oracle, judgement.better)}")
        got, best = oracle.tell(judgement.got.worth), oracle.tell(judgement.best.worth)
        lines += [
            f"  {name}: {got[name]}, better {best[name]}"
            for name in oracle.names
            if got[name] != best[name]
        ]
        if judgement.got.even != judgement.best.even:
            lines.append(f"  squares: {-judgement.got.even}, better {-judgement.best.even}")
    return "\n".join(lines)


def _world(intent: Intent, observed: Observed) -> list[str]:
    lines = [_plain(intent, {"cluster", "nodes", "services", "groups"}, "intent")]
    lines += [_plain(node, {"addresses", "origin"}, "node") for node in intent.nodes]
    lines += [_plain(s, {"kind", "safety", "origin"}, "service") for s in intent.services]
    lines += [_plain(group, {"origin"}, "group") for group in intent.groups]
    lines += [_plain(s, {"boot", "probed"}, "state") for s in observed.nodes]
    lines += [_plain(copy, set(), "copy") for copy in observed.copies]
    lines += [_plain(one, {"reason", "operation", "last_ms"}, "") for one in observed.failures]
    lines += [_plain(one, set(), "promotion") for one in observed.promotion_scores]
    return lines + [_plain(one, set(), "ticket") for one in observed.tickets]


def _plain(value, left_out: set[str], word: str) -> str:
    """The fields of a value that are not as always."""
    said = []
    for field in dataclasses.fields(value):
        told = getattr(value, field.name)
        default = field.default
        if field.default_factory is not dataclasses.MISSING:
            default = field.default_factory()
        if field.name in left_out or (told == default and field.name != "liveness"):
            continue
        if isinstance(told, tuple) and told and dataclasses.is_dataclass(told[0]):
            said += [_plain(one, {"origin"}, field.name) for one in told]
        elif dataclasses.is_dataclass(told):
            said.append(_plain(told, set(), field.name))
        else:
            said.append(f"{field.name}={told if not isinstance(told, str) else str(told)}")
    return f"{word}({' '.join(said)})"


def _seats(oracle: Oracle, seats: dict[str, Choice]) -> str:
    words = []
    for name, choice in sorted(seats.items()):
        for at, count in enumerate(choice.counts):
            mark = "*" if choice.promoted >> at & 1 else ""
            words += [f"{name}@{oracle.facts.nodes[at]}{mark}"] * count
    return " ".join(words)
