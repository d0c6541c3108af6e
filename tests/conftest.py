"""Options of the whole suite."""

import signal

import pytest
from hypothesis import settings

from tests.effort import examples

# Machines are shared and noisy: how long an example takes is a matter for benchmarks.
settings.register_profile("reconciler", deadline=None, max_examples=examples(100))
settings.load_profile("reconciler")


def pytest_configure(config: pytest.Config) -> None:
    # A suite that a shell started in the background ignores Ctrl-C, and its children would too.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update",
        action="store_true",
        help="write expected files anew from what the code does now; review the diff",
    )


@pytest.fixture
def update(request: pytest.FixtureRequest) -> bool:
    """Whether expected files are to be written anew."""
    return bool(request.config.getoption("--update"))
