"""May a copy run on a node, or be promoted there: one question at a time, the first no is the answer."""

from collections import defaultdict
from collections.abc import Iterator
from functools import cached_property

from reconciler.core.verify.case import Case
from reconciler.core.verify.facts import FORBIDS
from reconciler.core.verify.values import Violation
from reconciler.model.intent import (
    Location,
    Mandate,
    NegativeScores,
    OnFail,
    OnLoss,
    Requires,
    Role,
    Service,
    TicketRule,
)
from reconciler.model.observed import Failure, Liveness


def starts_are_allowed(case: Case, permits: "Permits") -> Iterator[Violation]:
    """Nothing starts, arrives or is promoted where it may not be."""
    for track in case.acting:
        if track.begins and track.service is not None:
            ask = permits.role if track.promoted else permits.seat
            for place, begin in track.begins.items():
                law = ask(track.name, place[0])
                if law is None and track.promoted:
                    law = permits.seat(track.name, place[0])
                if law is not None:
                    yield Violation(law=law, detail=begin.id)
        elif track.begins:
            for begin in track.begins.values():
                yield Violation(law="only what the intent names is started", detail=begin.id)


class Permits:
    """What the rules and the facts say of a service on a node."""

    def __init__(self, case: Case) -> None:
        self._case = case
        facts, intent = case.facts, case.intent
        self._closed = {name: law for name in facts.states if (law := self._node(name)) is not None}
        self._rules: dict[str, list[Location]] = defaultdict(list)
        for rule in intent.locations:
            for name in facts.members(rule.service):
                self._rules[name].append(rule)
        self._failures: dict[str, list[Failure]] = defaultdict(list)
        for failure in case.observed.failures:
            self._failures[failure.service].append(failure)
        self._tickets: dict[str, list[TicketRule]] = defaultdict(list)
        for ticket in intent.tickets:
            for name in facts.members(ticket.service):
                self._tickets[name].append(ticket)
        self._said: dict[tuple[str, str], int] = {
            (s.service, s.node): s.score for s in case.observed.promotion_scores
        }
        self._led = {str(name) for group in intent.groups for name in group.members[1:]}
        """Members that are promoted with their group, as the first of them is fit."""
        held = {t.ticket for t in case.observed.tickets if t.granted and not t.standby}
        self._held = held
        self._lonely = not case.observed.quorate and intent.on_quorum_loss is not OnLoss.IGNORE
        self._strict = intent.negative_scores is NegativeScores.FORBID

    @cached_property
    def _plain(self) -> frozenset[str]:
        """Services that nothing keeps off any node but the nodes themselves."""
        if self._lonely or (self._strict and any(self._health.values())):
            return frozenset()
        stopped, often = self._case.facts.stopped, self._case.too_many
        special = {*self._rules, *self._failures, *self._tickets, *stopped, *often}
        if self._strict:
            special |= {name for name, _ in self._company}
        return frozenset(
            s.name
            for s in self._case.services.values()
            if s.enabled and not s.maintenance and s.managed and s.name not in special
        )

    def seat(self, name: str, node: str) -> str | None:
        """The law that a copy there would break; None if it may be there."""
        return self._closed.get(node) if name in self._plain else self._special(name, node)

    def _special(self, name: str, node: str) -> str | None:
        service = self._case.services.get(name)
        if service is None:
            return "only what the intent names is started"
        if not service.enabled or service.maintenance or not service.managed:
            return "what is not enabled, not managed or in maintenance is not started"
        closed = self._closed.get(node)
        if closed is not None:
            return closed
        if name in self._case.facts.stopped:
            return "what a failure stops stays stopped"
        if self._lonely and (law := self._majority(service, node)):
            return law
        return self._by_rule(service, node)

    def role(self, name: str, node: str) -> str | None:
        """The law that a promoted copy there would break."""
        service = self._case.services[name]
        for rule in self._rules.get(name, ()):
            if rule.role is Role.PROMOTED and (law := _mandate(rule, node)):
                return law
        for ticket in self._tickets.get(name, ()):
            if ticket.ticket not in self._held:
                return "nothing is promoted without its ticket"
        if self._lonely and service.requires is not Requires.NOTHING:
            promoted = self._case.track((name, True)).runs_on(node)
            if self._case.intent.on_quorum_loss is not OnLoss.FREEZE or not promoted:
                return "nothing is promoted without quorum"
        return self._fit(name, node)

    def _node(self, name: str) -> str | None:
        case = self._case
        node, state = case.facts.nodes[name], case.facts.states[name]
        if state.liveness is not Liveness.ALIVE or name in case.fences:
            return "nothing starts on a node that is not alive"
        if node.standby or node.maintenance:
            return "nothing starts on a node in standby or maintenance"
        if state.standby or state.leaving or name in case.facts.emptied:
            return "nothing starts on a node that everything leaves"
        if case.facts.health(name) <= FORBIDS:
            return "nothing starts on a node that is not healthy"
        return None

    def _majority(self, service: Service, node: str) -> str | None:
        if service.requires is Requires.NOTHING:
            return None
        running = self._case.track((service.name, False)).runs_on(node)
        match self._case.intent.on_quorum_loss:
            case OnLoss.FREEZE if running:
                return None
            case OnLoss.DEMOTE if running and service.promotable:
                return None
            case OnLoss.FREEZE:
                return "nothing starts without quorum"
            case _:
                return "nothing runs without quorum"

    def _by_rule(self, service: Service, node: str) -> str | None:
        name = service.name
        if name in self._rules and (law := self.rule(name, node)):
            return law
        if name in self._failures and self._gave_up(service, node):
            return "nothing starts where it failed too often"
        for ticket in self._tickets.get(name, ()):
            of_copies = ticket.role is not Role.PROMOTED or ticket.on_loss is OnLoss.STOP
            if of_copies and ticket.ticket not in self._held:
                return "nothing runs without its ticket"
        if name in self._case.too_many and service.multiple_active == "stop-only":
            return "what ran too often stays stopped"
        if self._strict and self._total(service, node) < 0:
            return "no score is negative"
        return None

    def rule(self, name: str, node: str) -> str | None:
        """The location rule that keeps a service's copies off a node."""
        for rule in self._rules.get(name, ()):
            if rule.role is not Role.PROMOTED and (law := _mandate(rule, node)):
                return law
        return None

    def _gave_up(self, service: Service, node: str) -> bool:
        operations = {
            "start": service.start,
            "stop": service.stop,
            "promote": service.promote,
            "demote": service.demote,
            "monitor": service.monitor,
        }
        for failure in self._failures[service.name]:
            certain = failure.fatal or failure.count >= -FORBIDS
            if not (certain or service.gives_up(failure.count)):
                continue
            if failure.node != node and not failure.fatal:
                continue
            operation = operations.get(failure.operation)
            if operation is not None and operation.on_fail is OnFail.IGNORE:
                continue
            end_ms = service.forgets_ms(failure.last_ms)
            if end_ms is None or self._case.now_ms < end_ms:
                return True
        return False

    def _total(self, service: Service, node: str) -> int:
        """The scores of a copy there, with what company adds and what staying is worth."""
        case, name = self._case, service.name
        total = self._health[node] + self._company.get((name, node), 0)
        for rule in self._rules.get(name, ()):
            whole = case.facts.members(rule.service)
            counted = isinstance(rule.strength, int) and node in rule.nodes and whole[0] == name
            if counted and rule.role is not Role.PROMOTED:
                total += int(rule.strength)
        if total < 0 and case.track((name, False)).runs_on(node):
            total += service.stickiness
        return total

    @cached_property
    def _health(self) -> dict[str, int]:
        return {node: self._case.facts.health(node) for node in self._case.facts.states}

    @cached_property
    def _company(self) -> dict[tuple[str, str], int]:
        """What wishes to be together add to copies that are."""
        case = self._case
        found: dict[tuple[str, str], int] = defaultdict(int)
        for rule in case.intent.colocations:
            if isinstance(rule.strength, Mandate) or rule.dependent_role is Role.PROMOTED:
                continue
            one = case.track((case.facts.members(rule.dependent)[0], False))
            other = case.track(
                (case.facts.members(rule.primary)[0], rule.primary_role is Role.PROMOTED)
            )
            there = {case.zone(rule.attribute, node) for node in other.seats}
            for node in one.seats:
                if case.zone(rule.attribute, node) in there:
                    found[one.name, node] += rule.strength
        return found

    def _fit(self, name: str, node: str) -> str | None:
        # What is promoted stays so while nobody says a word: silence is no reason to disturb it.
        said = self._said.get((name, node))
        asked = said is not None or name in self._led
        asked = asked or self._case.track((name, True)).runs_on(node)
        total = said or 0
        for rule in self._rules.get(name, ()):
            if rule.role is Role.PROMOTED and node in rule.nodes:
                asked = True
                total += 0 if isinstance(rule.strength, Mandate) else rule.strength
        if not asked or total < 0:
            return "only what is fit for it is promoted"
        return None


def _mandate(rule: Location, node: str) -> str | None:
    if rule.strength is Mandate.REQUIRED and node not in rule.nodes:
        return "required locations hold"
    if rule.strength is Mandate.FORBIDDEN and node in rule.nodes:
        return "forbidden locations hold"
    return None
