"""A real agent with a service that has roles: Debian's Stateful, promoted by order, and what it says."""

import asyncio
import os

import pytest

from reconciler.core.definition import definition_digest
from reconciler.model.ids import Millis, ServiceName
from reconciler.model.intent import Kind, Operation, Role, Service
from reconciler.model.operation import Verdict
from reconciler.model.plan import ActionKind
from reconciler.resources import lookup
from tests.runtime.agent_peer import cluster_of_one

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(
        os.geteuid() != 0 or not (lookup.ROOT / "pacemaker" / "Stateful").exists(),
        reason="needs root and pacemaker-resource-agents (scripts/packages)",
    ),
]


def stateful(tmp_path, **parameters) -> Service:
    limits = Operation(timeout_ms=Millis(10_000), every_ms=Millis(1_000))
    settings = {"state": str(tmp_path / "stateful"), **parameters}
    return Service(
        name=ServiceName("db"),
        kind=Kind.OCF,
        agent="pacemaker:Stateful",
        parameters=tuple(sorted(settings.items())),
        promotable=True,
        promoted=1,
        replicas=2,
        reloadable=("envfile",),
        monitor=limits,
    )


def said(report) -> list[tuple[Role, int | None]]:
    """The role of each copy, and its score."""
    scores = {score.service: score.score for score in report.promotion_scores}
    return [(copy.role, scores.get(copy.service)) for copy in report.copies]


def test_a_copy_is_promoted_reloaded_and_demoted_and_its_score_survives_the_agent(tmp_path):
    async def story():
        async with cluster_of_one(tmp_path) as (controller, agent):
            db = stateful(tmp_path)
            controller.define(db)
            await controller.report(lambda r: "db" in r.probed, "it is probed")
            await controller.do(ActionKind.START, db)
            assert said(controller.reports[-1]) == [(Role.UNPROMOTED, 5)]
            result = await controller.do(ActionKind.PROMOTE, db)
            assert result.outcome.verdict is Verdict.PROMOTED
            assert said(controller.reports[-1]) == [(Role.PROMOTED, 10)]
            agent.kill()
            seen = len(controller.reports)
            agent.start()
            report = await controller.report(lambda r: r.ready, "adopted", seen)
            assert said(report) == [(Role.PROMOTED, 10)]
            newer = stateful(tmp_path, envfile=str(tmp_path / "environment"))
            controller.define(newer)
            result = await controller.do(ActionKind.RELOAD, newer)
            assert result.outcome.verdict is Verdict.PROMOTED, result
            assert controller.reports[-1].copies[0].digest == definition_digest(newer)
            assert "reload-agent" in (tmp_path / "environment").read_text()
            result = await controller.do(ActionKind.DEMOTE, newer)
            assert (result.outcome.verdict, result.refused) == (Verdict.RUNNING, None)
            await controller.do(ActionKind.STOP, newer)
            assert said(controller.reports[-1]) == []
            assert controller.reports[-1].promotion_scores == ()

    asyncio.run(story())


def test_a_kind_without_roles_refuses_to_be_promoted(tmp_path):
    async def story():
        async with cluster_of_one(tmp_path) as (controller, _):
            plain = Service(
                name=ServiceName("web"),
                kind=Kind.SCRIPT,
                parameters=(
                    ("start", '["/bin/touch", "%s"]' % (tmp_path / "up")),
                    ("status", '["/bin/sh", "-c", "test -e %s || exit 3"]' % (tmp_path / "up")),
                    ("stop", '["/bin/rm", "-f", "%s"]' % (tmp_path / "up")),
                ),
            )
            controller.define(plain)
            await controller.report(lambda r: "web" in r.probed, "it is probed")
            await controller.do(ActionKind.START, plain)
            result = await controller.do(ActionKind.PROMOTE, plain)
            assert (result.outcome.verdict, result.outcome.definite) == (Verdict.FAILED, True)
            assert "cannot promote" in result.outcome.reason

    asyncio.run(story())
