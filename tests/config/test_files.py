"""Files and folders: what is read, what is refused, and that nothing outside is ever shown."""

import os
from pathlib import Path

import pytest

from reconciler.config import files
from reconciler.config.load import Loaded, load_files, load_path

GOOD = "version: 1\ncluster: c\nnodes: {a: {address: 10.0.0.1}}\n"


def codes(loaded: Loaded) -> list[str]:
    return [found.code for found in loaded.diagnostics]


def test_a_folder_is_its_own_yaml_files_joined(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(GOOD)
    (tmp_path / "b.yml").write_text("version: 1\nservices: {ip: {vip: 10.0.0.9/24}}\n")
    (tmp_path / "README.md").write_text("not: [yaml")
    (tmp_path / ".hidden.yaml").write_text("not: [yaml")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "c.yaml").write_text("not: [yaml")
    loaded = load_path(tmp_path)
    assert codes(loaded) == []
    assert loaded.intent is not None
    assert [service.name for service in loaded.intent.services] == ["ip"]
    assert loaded.intent.services[0].origin.path == str(tmp_path / "b.yml")


def test_an_empty_folder_is_an_error(tmp_path: Path) -> None:
    assert codes(load_path(tmp_path)) == ["R001"]


def test_no_files_at_all_is_an_error() -> None:
    assert codes(load_files(())) == ["R001"]


def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    secret = tmp_path / "secret.yaml"
    secret.write_text("password: hunter2\n")
    folder = tmp_path / "cluster"
    folder.mkdir()
    (folder / "a.yaml").write_text(GOOD)
    (folder / "b.yaml").symlink_to(secret)
    loaded = load_path(folder)
    assert loaded.intent is None
    assert codes(loaded) == ["R001"]
    assert "password" not in str(loaded.diagnostics)


def test_a_link_inside_the_folder_is_followed(tmp_path: Path) -> None:
    data = tmp_path / "..data"
    data.mkdir()
    (data / "a.yaml").write_text(GOOD)
    (tmp_path / "a.yaml").symlink_to("..data/a.yaml")
    assert load_path(tmp_path).intent is not None


def test_a_link_to_itself_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").symlink_to("a.yaml")
    assert codes(load_path(tmp_path)) == ["R001"]


def test_the_path_itself_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "real.yaml").write_text(GOOD)
    (tmp_path / "link.yaml").symlink_to("real.yaml")
    assert load_path(tmp_path / "link.yaml").intent is not None


def test_a_folder_named_like_a_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").mkdir()
    assert codes(load_path(tmp_path)) == ["R001"]


def test_a_pipe_among_the_files_is_an_error_and_never_waited_for(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(GOOD)
    os.mkfifo(tmp_path / "b.yaml")
    assert codes(load_path(tmp_path)) == ["R001"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root can read everything")
def test_a_file_without_permission_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(GOOD)
    (tmp_path / "a.yaml").chmod(0)
    assert codes(load_path(tmp_path)) == ["R001"]


def test_one_unreadable_file_keeps_the_rest_from_being_half_a_cluster(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(GOOD)
    (tmp_path / "b.yaml").write_text("version: 1\nservices: {")
    loaded = load_path(tmp_path)
    assert loaded.intent is None
    assert codes(loaded) == ["R003"]


def test_limits_hold_for_files_from_anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "FILE_BYTES_MAX", 100)
    monkeypatch.setattr(files, "TOTAL_BYTES_MAX", 150)
    monkeypatch.setattr(files, "FILES_MAX", 3)
    small, large = b"#" * 60, b"#" * 101
    assert codes(load_files((("a.yaml", large),))) == ["R002"]
    assert codes(load_files(tuple((f"{n}.yaml", small) for n in range(3)))) == ["R002"]
    assert codes(load_files(tuple((f"{n}.yaml", b"#") for n in range(4)))) == ["R002"]


def test_a_folder_with_too_many_files_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "FILES_MAX", 2)
    for name in "abc":
        (tmp_path / f"{name}.yaml").write_text("version: 1\n")
    assert "R002" in codes(load_path(tmp_path))


@pytest.mark.parametrize("name", ["a\0b.yaml", "x" * 5000, "\udcff.yaml"])
def test_an_impossible_path_is_an_error(name: str) -> None:
    assert codes(load_path(Path(name))) == ["R001"]
