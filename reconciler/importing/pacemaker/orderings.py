"""Orderings: pairs, and sets expanded into pairs as Pacemaker expands them.

Members of a sequence follow one another; between two sets, every member of a heap counts, and of a sequence
the one at the near end. A set that need not be there in full becomes one ordering with `any-of`.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations, pairwise, product

from reconciler.importing.pacemaker.circles import Circles
from reconciler.importing.pacemaker.document import Cib, Element
from reconciler.importing.pacemaker.notes import Notes
from reconciler.importing.pacemaker.targets import ResourceSet, Target, Targets, clone_of, is_within
from reconciler.importing.pacemaker.words import integer, score, truth
from reconciler.importing.pacemaker.yaml_text import Value

_KINDS = {"mandatory": "required", "optional": "optional", "serialize": "serialize"}
_ACTIONS = ("start", "stop", "promote", "demote")
_OF_ROLES = ("promote", "demote")


def read_orderings(
    cib: Cib, targets: Targets, notes: Notes, groups: Mapping[str, Sequence[str]]
) -> Iterator[dict[str, Value]]:
    """Every ordering of a CIB, as it stands in the file; `groups` are the members of each, in order."""
    circles = Circles(groups)
    for element in cib.section("constraints").all("rsc_order"):
        yield from _Reader(element, cib, targets, notes, circles).read()


class _Reader:
    """Reads one ordering."""

    def __init__(
        self, element: Element, cib: Cib, targets: Targets, notes: Notes, circles: Circles
    ) -> None:
        self._circles = circles
        self._element = element
        self._cib = cib
        self._targets = targets
        self._notes = notes

    def read(self) -> Iterator[dict[str, Value]]:
        sets = self._targets.sets(self._element)
        if sets:
            yield from _joined([*self._of_sets(sets)])
            return
        get = self._element.get
        first_action = get("first-action", default="start").lower()
        then_action = get("then-action", default=first_action).lower()
        settings = self._settings(self._element, first_action, then_action)
        if settings is None:
            return
        firsts = self._targets.named(get("first"), self._element)
        thens = self._targets.named(get("then"), self._element)
        all_needed = truth(get("require-all"), default=True)
        for first, then in product(firsts, thens):
            yield from self._pair(first, then, settings, all_needed=all_needed)

    def _of_sets(self, sets: list[ResourceSet]) -> Iterator[dict[str, Value]]:
        before: ResourceSet | None = None
        for each in sets:
            if before is not None:
                yield from self._between(before, each)
            yield from self._within(each)
            before = each

    def _within(self, found: ResourceSet) -> Iterator[dict[str, Value]]:
        action = found.element.get("action", default="start").lower()
        settings = self._settings(found.element, action, action)
        if settings is None:
            return
        if settings.get("kind") == "serialize":
            chosen = [*combinations(found.members, 2)]
        else:
            chosen = [*pairwise(found.members)] if found.sequential else []
        for first, then in chosen:
            yield from self._pair(first, then, settings)

    def _between(self, one: ResourceSet, other: ResourceSet) -> Iterator[dict[str, Value]]:
        actions = (each.element.get("action", default="start").lower() for each in (one, other))
        settings = self._settings(self._element, *actions)
        if settings is None:
            return
        if not truth(one.element.get("require-all"), default=True) and one.members:
            yield from self._any_of(one, other, settings)
            return
        for first, then in product(one.ends(last=True), other.ends(last=False)):
            yield from self._pair(first, then, settings)

    def _any_of(
        self, one: ResourceSet, other: ResourceSet, settings: dict[str, Value]
    ) -> Iterator[dict[str, Value]]:
        for then in other.members:
            names = list(dict.fromkeys(each.name for each in one.members if each.name != then.name))
            if not names:
                continue
            extra: dict[str, Value] = {"any-of": names[1:]} if names[1:] else {"minimum": 1}
            entry: dict[str, Value] = {"ordering": [names[0], then.name], **settings, **extra}
            yield self._without_circle(entry, tuple(names), then.name)

    def _pair(
        self, first: Target, then: Target, settings: dict[str, Value], *, all_needed: bool = True
    ) -> Iterator[dict[str, Value]]:
        if first.name == then.name or is_within(first, then):
            self._notes.ignored(
                f'The order "{self._element.id}" is one of a resource after itself, or after a part of it.',
                self._cib.origin(self._element),
            )
            return
        for end, action in ((first, "first-action"), (then, "then-action")):
            if settings.get(action) in _OF_ROLES and not end.promotable:
                self._notes.ignored(
                    f'The order "{self._element.id}" waits for {settings[action]} of "{end.name}", which '
                    "never happens to it.",
                    self._cib.origin(self._element),
                )
                return
        entry: dict[str, Value] = {"ordering": [first.name, then.name], **settings}
        clone = clone_of(first.owner)
        if clone is not None and settings.get("first-action") not in {"stop", "demote"}:
            minimum = integer(clone.meta.get("clone-min", ""), 0 if all_needed else 1)
            if minimum > 0:
                entry["minimum"] = minimum
        yield self._without_circle(entry, (first.name,), then.name)

    def _without_circle(
        self, entry: dict[str, Value], firsts: tuple[str, ...], then: str
    ) -> dict[str, Value]:
        """The ordering, as an optional one if it would close a circle of required ones."""
        actions = (str(entry.get("first-action", "start")), str(entry.get("then-action", "start")))
        if "kind" in entry or self._circles.take(firsts, then, actions):
            return entry
        self._notes.changed(
            f'The order "{self._element.id}" closes a circle: each waits for the other, and none could ever '
            "start. It became an optional one.",
            self._cib.origin(self._element),
        )
        return {**entry, "kind": "optional"}

    def _settings(
        self, element: Element, first_action: str, then_action: str
    ) -> dict[str, Value] | None:
        """Everything but the names; None if the ordering is one that nobody can carry out."""
        if first_action not in _ACTIONS or then_action not in _ACTIONS:
            self._notes.left_out(
                f'The order "{self._element.id}" is about the actions {first_action} and {then_action}; '
                f"only {', '.join(_ACTIONS)} can be ordered.",
                self._cib.origin(self._element),
            )
            return None
        kind = self._kind(element)
        settings: dict[str, Value] = {}
        if kind != "required":
            settings["kind"] = kind
        if first_action != "start":
            settings["first-action"] = first_action
        if then_action != "start":
            settings["then-action"] = then_action
        inherited = truth(self._element.get("symmetrical"), default=True)
        if kind != "serialize" and not truth(element.get("symmetrical"), default=inherited):
            settings["symmetrical"] = False
        return settings

    def _kind(self, element: Element) -> str:
        for source in (element, self._element):
            text = source.get("kind").lower()
            if text in _KINDS:
                return _KINDS[text]
            if text:
                self._notes.ignored(
                    f'The kind "{source.get("kind")}" of the order "{self._element.id}" is unknown; '
                    "it counts as Mandatory.",
                    self._cib.origin(source),
                )
                return "required"
            points = source.attributes.get("score")
            if points is not None:
                return "required" if score(points) else "optional"
        return "required"


def _joined(entries: list[dict[str, Value]]) -> Iterator[dict[str, Value]]:
    """Pairs that follow one another with the same settings, as one chain."""
    chain: dict[str, Value] | None = None
    for entry in entries:
        if chain is not None and _follows(chain, entry):
            chain = {**chain, "ordering": [*_names(chain), _names(entry)[-1]]}
            continue
        if chain is not None:
            yield chain
        chain = entry
    if chain is not None:
        yield chain


def _names(entry: dict[str, Value]) -> list[Value]:
    names = entry["ordering"]
    return names if isinstance(names, list) else []


def _follows(chain: dict[str, Value], entry: dict[str, Value]) -> bool:
    if set(chain) != {"ordering"} or set(entry) != {"ordering"}:
        return False
    joined = _names(chain)
    return joined[-1] == _names(entry)[0] and _names(entry)[1] not in joined
