"""Agents as real processes, with services that are real processes, over TLS."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys

import pytest

from reconciler.codec.messages import Do, Forget
from reconciler.core.definition import definition_digest
from reconciler.model.errors import Unreachable
from reconciler.model.ids import Millis
from reconciler.model.intent import Heartbeat, Operation
from reconciler.model.observed import Certainty
from reconciler.model.operation import Verdict
from reconciler.model.plan import ActionKind
from tests.runtime.agent_peer import AgentProcess, Controller, cluster_of_one, lives, sleeper, until

START, STOP = ActionKind.START, ActionKind.STOP


def copy_in(report, name="web"):
    return next((copy for copy in report.copies if copy.service == name), None)


async def start_web(controller, agent, **operations):
    web = sleeper("web", agent.run, **operations)
    controller.define(web)
    await controller.report(lambda r: "web" in r.probed, "web is probed")
    result = await controller.do(START, web)
    assert result.outcome.verdict is Verdict.RUNNING, result
    return web


def test_a_service_is_started_watched_and_its_death_reported_at_once(tmp_path):
    async def story():
        async with cluster_of_one(tmp_path) as (controller, agent):
            await start_web(controller, agent)
            delays = []
            for _ in range(3):
                seen = len(controller.reports)
                pid = agent.pid_of("web")
                killed_at = asyncio.get_running_loop().time()
                os.kill(pid, signal.SIGKILL)
                await controller.report(lambda r: copy_in(r).failed, "the death", after=seen)
                delays.append(controller.times[seen] - killed_at)
                web = sleeper("web", agent.run)
                assert (await controller.do(STOP, web)).outcome.verdict is Verdict.STOPPED
                assert (await controller.do(START, web)).outcome.verdict is Verdict.RUNNING
            assert controller.reports[-1].failures[0].count == 3
            # A loaded machine may be slow once; the way itself has to be short.
            assert min(delays) < 0.05, delays

    asyncio.run(story())


def test_killing_the_agent_leaves_services_running_and_the_next_one_adopts_them(tmp_path):
    async def story():
        async with cluster_of_one(tmp_path) as (controller, agent):
            web = await start_web(controller, agent)
            pid = agent.pid_of("web")
            for way in ("kill", "end"):
                seen = len(controller.reports)
                if way == "kill":
                    agent.kill()
                else:
                    assert await agent.end() == [0]
                assert lives(pid)
                agent.start()
                report = await controller.report(lambda r: r.ready, "it is ready", after=seen)
                copy = copy_in(report)
                assert (copy.certainty, copy.failed) == (Certainty.OBSERVED, False)
                assert copy.digest == definition_digest(web)
                assert report.boot == controller.reports[0].boot
                assert agent.pid_of("web") == pid
            assert lives(pid)

    asyncio.run(story())


@pytest.mark.slow
def test_an_agent_killed_during_a_start_settles_it_by_a_look(tmp_path):
    async def story():
        async with cluster_of_one(tmp_path) as (controller, agent):
            slow = sleeper("web", agent.run)
            words = dict(slow.parameters) | {"start": '["/bin/sleep", "30"]'}
            slow = type(slow)(
                name=slow.name, kind=slow.kind, parameters=tuple(sorted(words.items()))
            )
            controller.define(slow)
            await controller.report(lambda r: "web" in r.probed, "web is probed")
            step = controller.step(START, slow)
            controller.stream.send(Do(step=step))
            await until(lambda: list((agent.run / "programs").glob("*")), "the start runs")
            program = int(next((agent.run / "programs").glob("*")).name)
            agent.kill()
            agent.start()
            result = await controller.result(step)
            assert result.outcome.verdict is Verdict.FAILED
            assert "restarted" in result.outcome.reason
            assert not lives(program), "the orphaned start was ended before the look"
            controller.stream.send(Do(step=step))
            again = await until(
                lambda: [d for d in controller.done if d.result.key == step.key][1:], "it again"
            )
            assert again[0].result.outcome == result.outcome

    asyncio.run(story())


@pytest.mark.slow
def test_results_wait_for_a_controller_that_is_away(tmp_path):
    async def story():
        async with cluster_of_one(tmp_path) as (controller, agent):
            web = await start_web(controller, agent)
            step = controller.step(STOP, web)
            controller.stream.send(Do(step=step))
            await controller.stream.flush()
            await controller.close()
            await until(lambda: not (lives(agent.pid_of("web"))), "web is stopped")
            await controller.listen()
            assert (await controller.result(step)).outcome.verdict is Verdict.STOPPED

    asyncio.run(story())


@pytest.mark.slow
def test_without_a_controller_a_service_is_restarted_in_place(tmp_path):
    async def story():
        async with cluster_of_one(tmp_path) as (controller, agent):
            await start_web(controller, agent)
            controller.heartbeat = Heartbeat(lost_ms=Millis(300))
            await controller.close()
            await controller.listen()
            await until(lambda: controller.stream, "it is back, with the short grace")
            pid = agent.pid_of("web")
            await controller.close()
            os.kill(pid, signal.SIGKILL)
            await until(
                lambda: agent.pid_of("web") != pid and lives(agent.pid_of("web")), "restart"
            )
            seen = len(controller.reports)
            await controller.listen()
            report = await controller.report(copy_in, "a report", after=seen)
            assert not copy_in(report).failed
            assert report.failures[0].count == 1

    asyncio.run(story())


@pytest.mark.slow
def test_a_second_agent_on_the_same_state_is_refused(tmp_path):
    async def story():
        async with cluster_of_one(tmp_path) as (_, agent):
            second = await asyncio.to_thread(
                subprocess.run, agent.command(), capture_output=True, text=True, timeout=20
            )
            assert second.returncode == 1
            assert "another agent runs on this state directory" in second.stderr
            assert agent.process.poll() is None

    asyncio.run(story())


@pytest.mark.slow
def test_orders_expire_when_the_controller_does_not_answer(tmp_path):
    async def story():
        async with cluster_of_one(tmp_path) as (controller, agent):
            web = await start_web(controller, agent)
            controller.answers_pings = False
            step = controller.step(STOP, web, valid_ms=Millis(1))
            controller.stream.send(Do(step=step))
            assert "expired" in (await controller.result(step)).refused
            assert lives(agent.pid_of("web"))

    asyncio.run(story())


@pytest.mark.slow
def test_a_stop_that_hangs_blocks_and_forget_clears(tmp_path):
    async def story():
        async with cluster_of_one(tmp_path) as (controller, agent):
            short = Operation(timeout_ms=Millis(500))
            web = sleeper("web", agent.run, stop=short)
            words = dict(web.parameters) | {"stop": '["/bin/sleep", "60"]'}
            web = type(web)(
                name=web.name, kind=web.kind, parameters=tuple(sorted(words.items())), stop=short
            )
            controller.define(web)
            await controller.report(lambda r: "web" in r.probed, "web is probed")
            await controller.do(START, web)
            result = await controller.do(STOP, web)
            assert result.outcome.verdict is not Verdict.STOPPED
            report = await controller.report(
                lambda r: (
                    copy_in(r) and copy_in(r).certainty is Certainty.OBSERVED and copy_in(r).blocked
                ),
                "blocked and seen running",
            )
            assert "did not succeed" in copy_in(report).blocked
            seen = len(controller.reports)
            controller.stream.send(Forget(service=web.name))
            await controller.report(lambda r: not copy_in(r).blocked, "clear", after=seen)

    asyncio.run(story())


@pytest.mark.slow
def test_a_boot_makes_a_new_name_and_an_agent_does_not(tmp_path):
    async def story():
        async with cluster_of_one(tmp_path) as (controller, agent):
            agent.kill()
            (agent.run / "boot").unlink()
            agent.start()
            await until(lambda: len(controller.hellos) == 2, "the second agent")
            first, second = (hello.boot for hello in controller.hellos)
            assert first != second

    asyncio.run(story())


def test_the_agent_imports_only_what_it_needs():
    code = "import sys, reconciler.runtime.agent; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    heavy = {"pydantic", "typer", "click", "rich", "networkx", "ruamel", "watchfiles", "pyroute2"}
    assert heavy & set(loaded) == set()


@pytest.mark.slow
def test_bad_options_are_refused(tmp_path):
    for words, message in (
        (["--node", "../x"], "no name of a node"),
        (["--controller", "nonsense:port"], "not HOST:PORT"),
        (["--pki", str(tmp_path / "nothing")], "there is no such file"),
    ):
        given = AgentProcess(tmp_path, 1).command() + words
        ended = subprocess.run(given, capture_output=True, text=True, timeout=20, check=False)
        assert (ended.returncode, message in ended.stderr) == (1, True), ended.stderr


@pytest.mark.slow
def test_a_controller_of_an_older_term_is_not_obeyed(tmp_path):
    async def story():
        async with cluster_of_one(tmp_path) as (controller, agent):
            web = await start_web(controller, agent)
            await controller.close()
            async with Controller(epoch=2, port=controller.port) as newer:
                await until(lambda: newer.reports, "the newer one hears it")
            controller.reports.clear()
            await controller.listen()
            await until(lambda: len(controller.hellos) >= 3, "it tries the older one")
            assert controller.hellos[-1].epoch == 2
            with contextlib.suppress(Unreachable):
                controller.stream.send(Do(step=controller.step(STOP, web)))
            await until(lambda: len(controller.hellos) >= 4, "and hangs up")
            assert controller.reports == []
            assert lives(agent.pid_of("web"))

    asyncio.run(story())
