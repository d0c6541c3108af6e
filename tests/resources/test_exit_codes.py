"""Law B25 over everything that can come back: 256 codes, every signal, the deadline, no program at all."""

import signal

import pytest

from reconciler.model.ids import Millis
from reconciler.model.operation import Verdict
from reconciler.resources import exit_codes
from reconciler.resources.runner import Exited, Killed, NotBegun, TimedOut

NO_EXIT = [
    *(Killed(signal=number) for number in range(1, signal.NSIG)),
    TimedOut(timeout_ms=Millis(1)),
    NotBegun(reason="gone"),
]


@pytest.mark.parametrize(
    ("table", "stopped", "runs"),
    [
        (exit_codes.OCF_LOOK, {5, 7}, {0, 8, 190, 191}),
        (exit_codes.SCRIPT_LOOK, {3}, {0}),
    ],
    ids=["ocf", "script"],
)
def test_only_the_defined_codes_mean_stopped_or_running(table, stopped, runs):
    for code in range(256):
        verdict = exit_codes.look(Exited(code=code), table)
        assert (verdict is Verdict.STOPPED) == (code in stopped), code
        assert (verdict in (Verdict.RUNNING, Verdict.PROMOTED)) == (code in runs), code
        if code not in table:
            assert verdict is Verdict.UNKNOWN
    for ending in NO_EXIT:
        assert exit_codes.look(ending, table) is Verdict.UNKNOWN


def test_ocf_codes_as_the_api_defines_them():
    seen = {
        code: exit_codes.look(Exited(code=code), exit_codes.OCF_LOOK)
        for code in exit_codes.OCF_LOOK
    }
    assert seen == {
        0: Verdict.RUNNING,
        1: Verdict.FAILED,
        2: Verdict.FAILED,
        3: Verdict.FAILED,
        4: Verdict.FAILED,
        5: Verdict.STOPPED,
        6: Verdict.FAILED,
        7: Verdict.STOPPED,
        8: Verdict.PROMOTED,
        9: Verdict.FAILED,
        190: Verdict.RUNNING,
        191: Verdict.PROMOTED,
    }


def test_not_installed_is_no_proof_of_a_stop():
    assert 5 in exit_codes.OCF_DEFINITE
    assert 7 not in exit_codes.OCF_DEFINITE


def test_an_action_worked_only_with_code_0():
    assert [code for code in range(256) if exit_codes.action(Exited(code=code)) is None] == [0]
    assert exit_codes.action(TimedOut(timeout_ms=Millis(1))) is Verdict.UNKNOWN
    assert exit_codes.action(Killed(signal=9)) is Verdict.FAILED
    assert exit_codes.action(NotBegun(reason="gone")) is Verdict.FAILED


def test_every_ending_has_words():
    for ending in [*NO_EXIT, *(Exited(code=code) for code in range(256))]:
        assert exit_codes.words(ending, exit_codes.OCF_NAMES)
    assert str(Killed(signal=9)) == "killed by SIGKILL"
    assert str(Killed(signal=50)) == "killed by signal 50"
