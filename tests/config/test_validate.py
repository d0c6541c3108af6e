"""`reconcile validate`: status, streams, formats, and what a terminal is shown."""

import json
from pathlib import Path

import pytest

from reconciler.cli.validate import run_validate
from reconciler.model.diagnostic import Diagnostic, Severity
from reconciler.model.intent import Origin
from reconciler.render.diagnostics import SHOWN_MAX, diagnostic_lines, summary
from reconciler.render.ink import paint, plain

GOOD = (
    "version: 1\ncluster: c\nnodes: {a: {address: 10.0.0.1}}\nservices: {ip: {vip: 10.0.0.9/24}}\n"
)
BAD = GOOD.replace("{ip:", "{../ip:") + "typo: 1\n"


def test_a_good_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(GOOD)
    assert run_validate(path, "text") == 0
    said = capsys.readouterr()
    assert said.out == "valid: cluster c, 1 node, 1 service\n"
    assert said.err == ""


def test_a_warning_is_no_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(GOOD + "templates: {t: {}}\n")
    assert run_validate(path, "text") == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0] == f"{path}:5:13: warning[R050]: Template is not used"
    assert said[-1] == "valid: cluster c, 1 node, 1 service (1 warning)"


def test_a_bad_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(BAD)
    assert run_validate(path, "text") == 1
    said = capsys.readouterr()
    assert said.out == ""
    lines = said.err.splitlines()
    assert lines[0] == f"{path}:4:12: error[R014]: Invalid name"
    assert lines[2] == f"{path}:5:1: error[R010]: Unknown key"
    assert lines[-1] == "not valid: 2 errors"


def test_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(BAD)
    assert run_validate(path, "json") == 1
    said = json.loads(capsys.readouterr().out)
    assert (said["version"], said["valid"], said["cluster"]) == (1, False, None)
    first = said["diagnostics"][0]
    assert (first["code"], first["line"], first["column"]) == ("R014", 4, 12)
    path.write_text(GOOD)
    assert run_validate(path, "json") == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["valid"], said["cluster"], said["services"]) == (True, "c", 1)


def found(line: int = 2, column: int = 4, severity: Severity = Severity.ERROR) -> Diagnostic:
    place = Origin(path="c.yaml", line=line, column=column)
    return Diagnostic(
        code="R010", summary="Unknown key", detail="Why.", origin=place, severity=severity
    )


def test_the_line_itself_with_a_mark_below_the_column() -> None:
    text = plain(diagnostic_lines([found()], {"c.yaml": "first\nab\tdéf\n".encode()}))
    assert text == (
        "c.yaml:2:4: error[R010]: Unknown key\n     2 | ab déf\n       |    ^\n  Why.\n"
    )


def test_no_excerpt_of_a_line_that_is_not_there() -> None:
    assert "|" not in plain(diagnostic_lines([found(line=9)], {"c.yaml": b"one\n"}))


def test_a_long_line_is_shown_around_the_column() -> None:
    source = b"\n" + b"x" * 5000 + b"HERE" + b"y" * 5000
    lines = plain(diagnostic_lines([found(column=5001)], {"c.yaml": source})).splitlines()
    at = lines[2].index("^")
    assert lines[1][at : at + 4] == "HERE"
    assert len(lines[1]) < 200


def test_nothing_in_a_file_reaches_the_terminal_as_a_command() -> None:
    source = b"\n\x1b]0;owned\x07 \xc2\x9b31m\n"
    text = paint(diagnostic_lines([found()], {"c.yaml": source}), colour=False, width=80)
    assert "\x1b" not in text
    assert "\x9b" not in text


def test_a_flood_is_cut_short() -> None:
    every = [found(line=n) for n in range(1, SHOWN_MAX + 51)]
    text = plain(diagnostic_lines(every))
    assert text.count("error[R010]") == SHOWN_MAX
    assert "and 50 more" in text


def test_summary() -> None:
    assert summary([]) == ""
    assert summary([found()]) == "1 error"
    assert summary([found(), found(3), found(severity=Severity.WARNING)]) == "2 errors, 1 warning"
