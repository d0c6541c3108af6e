"""The command writes both files or none, and says what is different."""

from tests.cli.conftest import spawn
from tests.importing.cibs import cib, dummy

REMOTE = '<primitive id="far" class="ocf" provider="pacemaker" type="remote"/>'


def run(tmp_path, data: bytes, *more: str):
    """Run the import of a CIB into `out`."""
    (tmp_path / "cib.xml").write_bytes(data)
    return spawn("import", "pacemaker", "cib.xml", "--into", "out", *more, cwd=tmp_path)


def test_both_files_are_written_and_can_be_planned(tmp_path):
    done = run(tmp_path, cib(dummy("a"), batch_limit="5"))
    assert done.returncode == 0
    assert "cib.xml:3:1: warning[R072]: Not carried over" in done.stderr
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "cluster.yaml",
        "observed.json",
    ]
    valid = spawn("validate", "out/cluster.yaml", cwd=tmp_path)
    assert (valid.returncode, valid.stderr) == (0, "")
    planned = spawn("plan", "out/cluster.yaml", "--observed", "out/observed.json", cwd=tmp_path)
    assert planned.returncode in {0, 3, 4}


def test_nothing_is_written_where_something_is_unsupported(tmp_path):
    done = run(tmp_path, cib(dummy("a") + REMOTE))
    assert done.returncode == 1
    assert "unsupported" in done.stderr
    assert "cib.xml:7:1: error[R071]" in done.stderr
    assert not (tmp_path / "out").exists()


def test_the_rest_is_written_if_asked_for(tmp_path):
    done = run(tmp_path, cib(dummy("a") + REMOTE), "--partial")
    assert done.returncode == 0
    assert "unsupported" in done.stderr
    assert "far" not in (tmp_path / "out" / "cluster.yaml").read_text()


def test_what_is_no_cib_gets_one_clear_error(tmp_path):
    done = run(tmp_path, b"<html>")
    assert done.returncode == 1
    assert done.stderr.count("R070") == 1
    assert "Traceback" not in done.stderr


def test_a_file_that_no_import_wrote_is_left_alone(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "cluster.yaml").write_text("version: 1\n")
    done = run(tmp_path, cib(dummy("a")))
    assert done.returncode == 1
    assert (tmp_path / "out" / "cluster.yaml").read_text() == "version: 1\n"
    (tmp_path / "out" / "cluster.yaml").unlink()
    assert run(tmp_path, cib(dummy("a"))).returncode == 0
    assert run(tmp_path, cib(dummy("b"))).returncode == 0
    assert "b: {ocf" in (tmp_path / "out" / "cluster.yaml").read_text()
