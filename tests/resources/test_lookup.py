"""Only root's own programs below the configured directory are ever run as agents."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.resources.lookup import NotInstalled, NotTrusted, find

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="agents belong to root")


@pytest.fixture
def root(tmp_path):
    """A directory of agents with one good one, test:good."""
    path = tmp_path / "resource.d"
    (path / "test").mkdir(parents=True)
    agent = path / "test" / "good"
    agent.write_text("#!/bin/sh\n")
    agent.chmod(0o755)
    for part in (path, path / "test"):
        part.chmod(0o755)
    return path


def test_an_agent_is_found(root):
    found = find("test:good", root)
    assert (found.provider, found.type, found.path) == ("test", "good", root / "test" / "good")
    assert find("ocf:test:good", root) == found


@pytest.mark.parametrize(
    "name",
    [
        "../x:good",
        "test:../good",
        "test:../../../../bin/sh",
        "test:/bin/sh",
        "/:good",
        "test:-good",
        "-test:good",
        "test:.good",
        "test:",
        ":good",
        "test",
        "",
        "test:good\0",
        "test:good\n",
        "test:go od",
        "test:good:more",
        "test:" + "x" * 129,
        "tëst:good",
    ],
)
def test_a_name_that_is_none_is_refused(root, name):
    with pytest.raises(NotTrusted, match="no name"):
        find(name, root)


@given(st.text(max_size=30))
def test_no_name_leads_outside(name):
    with pytest.raises((NotTrusted, NotInstalled)):
        find(name)


def test_what_is_not_there_is_not_installed(root):
    for name in ("test:other", "other:good", "test:good.d"):
        with pytest.raises(NotInstalled):
            find(name, root)


def test_a_link_out_of_the_directory_is_refused(root, tmp_path):
    outside = tmp_path / "outside"
    outside.write_text("#!/bin/sh\n")
    outside.chmod(0o755)
    (root / "test" / "link").symlink_to(outside)
    (root / "away").symlink_to(tmp_path)
    for name in ("test:link", "away:outside"):
        with pytest.raises(NotTrusted, match="outside"):
            find(name, root)
    (root / "test" / "loop").symlink_to("loop")
    with pytest.raises(NotTrusted):
        find("test:loop", root)


def test_a_link_within_the_directory_is_fine(root):
    (root / "test" / "alias").symlink_to("good")
    assert find("test:alias", root).type == "alias"


@pytest.mark.parametrize("mode", [0o775, 0o757, 0o777])
def test_what_others_may_write_is_refused_anywhere_on_the_path(root, mode):
    agent = root / "test" / "good"
    for part in (agent, agent.parent, root):
        part.chmod(mode)
        with pytest.raises(NotTrusted, match="written by others"):
            find("test:good", root)
        part.chmod(0o755)
    find("test:good", root)


def test_what_belongs_to_somebody_else_is_refused(root):
    agent = root / "test" / "good"
    for part in (agent, agent.parent):
        os.chown(part, 65534, 0)
        with pytest.raises(NotTrusted, match="belong to root"):
            find("test:good", root)
        os.chown(part, 0, 0)


def test_what_is_no_program_is_refused(root):
    plain = root / "test" / "plain"
    plain.write_text("")
    plain.chmod(0o644)
    (root / "test" / "directory").mkdir()
    os.mkfifo(root / "test" / "pipe")
    for name in ("plain", "directory", "pipe"):
        with pytest.raises(NotTrusted, match="no program"):
            find(f"test:{name}", root)
