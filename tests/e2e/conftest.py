"""Clusters for the end-to-end tests: one shared by most of them, fresh ones for those that break it."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from driver import Dev

from reconciler.runtime.dev.cluster import can_isolate

NUMBER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:])


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dev]:
    """A quickstart cluster with everything applied; tests leave it converged."""
    if not can_isolate():
        pytest.skip("needs root and namespaces")
    dev = Dev(tmp_path_factory.mktemp("shared"), network=f"10.78.{NUMBER}")
    dev.prepare()
    try:
        dev.start()
        dev.apply()
        yield dev
    finally:
        dev.abandon()


@pytest.fixture
def fresh(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Dev]:
    """A quickstart cluster that has not been started; `@pytest.mark.parametrize` may give options."""
    options = getattr(request, "param", ())
    if "--plain" not in options and not can_isolate():
        pytest.skip("needs root and namespaces")
    dev = Dev(tmp_path, network=f"10.79.{NUMBER}", options=tuple(options))
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
