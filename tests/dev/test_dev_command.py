"""What `reconcile dev` says when there is nothing to run, or nothing that runs."""

import subprocess
import sys
from pathlib import Path

import pytest

RECONCILE = str(Path(sys.executable).with_name("reconcile"))


def reconcile(place: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [RECONCILE, *words], cwd=place, capture_output=True, text=True, timeout=30, check=False
    )


def test_a_broken_file_starts_nothing(tmp_path: Path) -> None:
    (tmp_path / "cluster.yaml").write_text("version: 1\ncluster: c\nnodes: {alpha: 7}\n")
    done = reconcile(tmp_path, "dev", "cluster.yaml")
    assert done.returncode == 1
    assert "cluster.yaml:3:" in done.stderr
    assert not (tmp_path / ".reconcile").exists()


@pytest.mark.parametrize("verb", ["kill", "boot", "freeze", "thaw", "cut", "heal", "kill-agent"])
def test_an_experiment_needs_a_running_cluster(tmp_path: Path, verb) -> None:
    done = reconcile(tmp_path, "dev", f"--{verb}", "alpha")
    assert done.returncode == 1
    assert "no `reconcile dev`" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_host_name_as_an_address_is_refused_with_a_way_out(tmp_path: Path) -> None:
    text = "version: 1\ncluster: c\nnodes: {alpha: {address: alpha.example.org}}\n"
    (tmp_path / "cluster.yaml").write_text(text)
    done = reconcile(tmp_path, "dev", "cluster.yaml", "--state", "state")
    if "plain processes" in done.stdout:
        pytest.skip("needs root and namespaces")
    assert done.returncode == 1
    assert "--plain" in done.stderr
