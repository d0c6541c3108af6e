"""Clusters for the end-to-end tests: one shared by most of them, fresh ones for those that break it."""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from driver import AS_NOBODY, RECONCILE, Dev

from reconciler.runtime.dev.cluster import can_isolate

A, B = divmod(os.getpid() % (60 * 250), 250)
"""Halves of addresses that no other test run on this machine has at the same time."""


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dev]:
    """A quickstart cluster with everything applied; tests leave it converged."""
    if not can_isolate():
        pytest.skip("needs root and namespaces")
    dev = Dev(tmp_path_factory.mktemp("shared"), network=f"10.{64 + A}.{B}")
    dev.prepare()
    try:
        dev.start()
        dev.apply()
        yield dev
    finally:
        dev.abandon()


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Dev]:
    """A quickstart cluster that has not been started."""
    if not can_isolate():
        pytest.skip("needs root and namespaces")
    yield from prepared(Dev(tmp_path, network=f"10.{128 + A}.{B}"))


@pytest.fixture
def plain() -> Iterator[Dev]:
    """A quickstart cluster of plain processes, owned by nobody in particular if that is possible."""
    with tempfile.TemporaryDirectory() as folder:
        reached = (
            os.geteuid() == 0
            and not subprocess.run(
                [*AS_NOBODY, "/usr/bin/env", RECONCILE, "--version"],
                check=False,
                capture_output=True,
            ).returncode
        )
        options = () if reached else ("--plain",)
        yield from prepared(
            Dev(Path(folder), network=f"10.{188 + A}.{B}", options=options, nobody=reached)
        )


def prepared(dev: Dev) -> Iterator[Dev]:
    dev.prepare()
    try:
        yield dev
    finally:
        dev.abandon()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: "pytest.CallInfo[None]"):
    """Show what the cluster said when a test fails."""
    report = yield
    if report.when == "call" and report.failed:
        for value in getattr(item, "funcargs", {}).values():
            if isinstance(value, Dev):
                report.sections.append(("the cluster", value.log()))
    return report
