"""Every mistake has its exact words and its exact place: bad/*.yaml beside bad/*.expected."""

from pathlib import Path

import pytest

from reconciler.config.load import Loaded, load_files
from reconciler.config.problems import SUMMARIES
from reconciler.model.diagnostic import Severity

BAD = Path(__file__).parent / "bad"
CASES = sorted(path for path in BAD.iterdir() if path.is_dir() or path.suffix == ".yaml")


def load(case: Path) -> Loaded:
    files = sorted(case.iterdir()) if case.is_dir() else [case]
    contents = tuple((str(path.relative_to(BAD)), path.read_bytes()) for path in files)
    return load_files(contents, base=Path("/srv/cluster"))


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.name)
def test_exact_diagnostics(case: Path, update: bool) -> None:
    loaded = load(case)
    said = "".join(f"{found}\n" for found in loaded.diagnostics)
    expected = case.with_suffix(".expected")
    if update:
        expected.write_text(said)
    assert said == expected.read_text()


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.name)
def test_an_intent_comes_only_without_errors(case: Path) -> None:
    loaded = load(case)
    errors = [found for found in loaded.diagnostics if found.severity is Severity.ERROR]
    assert loaded.diagnostics
    assert (loaded.intent is None) == bool(errors)


def test_every_code_has_a_case() -> None:
    said = "".join(path.read_text() for path in BAD.glob("*.expected"))
    elsewhere = {"R001"}  # needs a file system: test_files.py
    missing = {code for code in SUMMARIES if f"[{code}]" not in said} - elsewhere
    assert not missing


def test_no_case_is_left_behind() -> None:
    names = {path.stem for path in CASES}
    assert {path.stem for path in BAD.glob("*.expected")} == names
