"""Rules about the code itself: sizes, purity, words, and what must never be committed."""

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = sorted((ROOT / "reconciler").rglob("*.py"))
FUNCTION_LINES_MAX = 60
FILE_LINES_MAX = 500


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def tracked() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True
    ).stdout
    return [ROOT / line for line in listed.split("\0") if line and (ROOT / line).is_file()]


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_sizes(path):
    text = path.read_text()
    assert text.count("\n") <= FILE_LINES_MAX
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = node.end_lineno - node.lineno + 1
            assert lines <= FUNCTION_LINES_MAX, f"{node.name} has {lines} lines"


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_modules_say_what_they_are(path):
    tree = ast.parse(path.read_text())
    if tree.body:
        assert ast.get_docstring(tree), "a module opens with its idea"


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_no_shell_anywhere(path):
    text = path.read_text()
    assert "shell=True" not in text
    assert "os.system" not in text
    assert "os.popen" not in text
    assert "create_subprocess_shell" not in text


def test_model_values_are_frozen():
    for path in (ROOT / "reconciler/model").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.ClassDef):
                continue
            marks = [ast.unparse(mark) for mark in node.decorator_list]
            for mark in marks:
                if mark.startswith("dataclass"):
                    assert "frozen=True" in mark, f"{node.name} can change"
                    assert "slots=True" in mark, f"{node.name} takes any attribute"
                    assert "kw_only=True" in mark, f"{node.name} takes positions"


def test_no_registry_address_and_no_machine_path_is_committed():
    here = re.compile(
        rb"https?://[^\s/]*(?:pypi|pythonhosted|npmjs|debian)[^\s]*|/work/(?:main|shared)"
    )
    for path in tracked():
        if path.name == Path(__file__).name:
            continue
        found = here.search(path.read_bytes())
        assert found is None, f"{name(path)}: {found and found[0]!r}"


def test_the_lock_pins_every_package_by_hash():
    text = (ROOT / "requirements.lock").read_text()
    packages = re.findall(r"^([a-z0-9._-]+)==", text, re.MULTILINE)
    assert len(packages) > 20
    assert "://" not in text
    for block in re.split(r"^(?=[a-z0-9._-]+==)", text, flags=re.MULTILINE)[1:]:
        assert "--hash=sha256:" in block, block[:60]


def test_import_contracts():
    done = subprocess.run(
        [ROOT / ".venv/bin/lint-imports", "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        check=False,
        text=True,
    )
    assert done.returncode == 0, done.stdout
