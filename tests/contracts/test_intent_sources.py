"""What every source of intents promises, on a real directory and on real git."""

import asyncio
import os
import shutil
import subprocess

import pytest

from reconciler.model.errors import Refused
from reconciler.runtime.sources.git import GitSource, Place
from reconciler.runtime.sources.worktree import WorktreeSource

PATIENCE_S = 10


class Directory:
    """A working tree that somebody edits."""

    def __init__(self, tmp_path):
        self.folder = tmp_path / "cluster"
        self.folder.mkdir()

    def write(self, name, text):
        (self.folder / name).write_text(text)

    def remove(self, name):
        (self.folder / name).unlink()

    def publish(self):
        pass

    def vanish(self):
        shutil.rmtree(self.folder)

    def restore(self):
        self.folder.mkdir()

    def source(self):
        return WorktreeSource(self.folder)


class Branch(Directory):
    """A branch that somebody pushes to."""

    def __init__(self, tmp_path):
        super().__init__(tmp_path)
        self.bare = tmp_path / "origin.git"
        self.state = tmp_path / "state"
        self.in_force = ""
        git("init", "--quiet", "--bare", "--initial-branch=main", str(self.bare))
        git("init", "--quiet", "--initial-branch=main", cwd=self.folder)
        git("remote", "add", "origin", str(self.bare), cwd=self.folder)

    def publish(self, *, force=False):
        git("add", "--all", cwd=self.folder)
        git("commit", "--quiet", "--allow-empty", "--message", "a change", cwd=self.folder)
        git("push", "--quiet", *(["--force"] if force else []), "origin", "main", cwd=self.folder)

    def tip(self):
        return git("rev-parse", "HEAD", cwd=self.folder).strip()

    def vanish(self):
        self.bare.rename(self.bare.with_suffix(".gone"))

    def restore(self):
        self.bare.with_suffix(".gone").rename(self.bare)

    def source(self, path="", branch="main"):
        place = Place(url=str(self.bare), branch=branch, path=path)
        return GitSource(place, self.state / "git", in_force=lambda: self.in_force, every_s=0.05)


def git(*arguments, cwd="/"):
    identity = {
        f"GIT_{who}_{what}": "x@y" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
    }
    done = subprocess.run(
        ["git", *arguments],
        cwd=cwd,
        env={"PATH": os.environ["PATH"], "GIT_CONFIG_GLOBAL": "/dev/null", **identity},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


class Watching:
    """What a source said, with a wait for the next thing that it says."""

    def __init__(self, source):
        self.commits, self.troubles = [], []
        self._changed = asyncio.Event()
        self.task = asyncio.create_task(source.watch(self._found, self._trouble))

    async def _found(self, commit):
        self.commits.append(commit)
        self._changed.set()

    async def _trouble(self, words):
        self.troubles.append(words)
        self._changed.set()

    async def until(self, condition):
        async with asyncio.timeout(PATIENCE_S):
            while not condition():
                assert not self.task.done(), self.task
                self._changed.clear()
                await self._changed.wait()

    async def commit(self, number):
        await self.until(lambda: len(self.commits) >= number)
        return self.commits[number - 1]

    async def trouble(self, part):
        await self.until(lambda: any(part in words for words in self.troubles))


def watching(source, body):
    """Run `body` while the source is watched."""

    async def run():
        watch = Watching(source)
        try:
            await body(watch)
        finally:
            watch.task.cancel()
            await asyncio.gather(watch.task, return_exceptions=True)

    asyncio.run(run())


@pytest.fixture(params=[Directory, Branch], ids=["worktree", "git"])
def place(request, tmp_path):
    return request.param(tmp_path)


def test_the_present_contents_are_found_at_once(place):
    place.write("b.yaml", "two")
    place.write("a.yml", "one")
    place.write("notes.txt", "not ours")
    place.write(".hidden.yaml", "nor this")
    place.publish()

    async def body(watch):
        commit = await watch.commit(1)
        assert commit.files == (("a.yml", b"one"), ("b.yaml", b"two"))
        assert commit.revision
        assert not commit.held

    watching(place.source(), body)


def test_every_later_change_is_found_and_has_a_name_of_its_own(place):
    place.write("a.yaml", "one")
    place.publish()

    async def body(watch):
        first = await watch.commit(1)
        place.write("a.yaml", "two")
        place.write("b.yaml", "more")
        place.publish()
        await watch.until(lambda: len(watch.commits[-1].files) == 2)
        last = watch.commits[-1]
        assert last.files == (("a.yaml", b"two"), ("b.yaml", b"more"))
        assert last.revision != first.revision

    watching(place.source(), body)


def test_a_source_that_vanishes_is_trouble_and_no_commit(place):
    place.write("a.yaml", "one")
    place.publish()

    async def body(watch):
        await watch.commit(1)
        place.vanish()
        await watch.until(lambda: any(watch.troubles))
        place.restore()
        place.write("a.yaml", "two")
        place.publish()
        second = await watch.commit(2)
        assert second.files == (("a.yaml", b"two"),)
        await watch.until(lambda: watch.troubles[-1] == "")

    watching(place.source(), body)


def test_a_source_without_any_file_is_trouble_and_no_commit(place):
    place.write("notes.txt", "nothing to see")
    place.publish()

    async def body(watch):
        await watch.trouble("no *.yaml")
        assert not watch.commits
        place.write("a.yaml", "one")
        place.publish()
        await watch.commit(1)

    watching(place.source(), body)


def test_emptied_is_trouble_and_no_commit(place):
    place.write("a.yaml", "one")
    place.publish()

    async def body(watch):
        await watch.commit(1)
        place.remove("a.yaml")
        place.publish()
        await watch.trouble("no *.yaml")
        assert len(watch.commits) == 1

    watching(place.source(), body)


def test_a_link_out_of_the_place_is_never_followed(place, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("password")
    (place.folder / "a.yaml").symlink_to(secret)
    place.publish()

    async def body(watch):
        await watch.until(lambda: any(watch.troubles))
        assert not watch.commits

    watching(place.source(), body)


# The working tree --------------------------------------------------------------------------------


def test_editors_leftovers_and_touched_files_are_no_change(tmp_path):
    tree = Directory(tmp_path)
    tree.write("a.yaml", "one")

    async def body(watch):
        await watch.commit(1)
        tree.write("a.yaml~", "old")
        tree.write(".a.yaml.swp", "swap")
        tree.write("4913", "")
        os.utime(tree.folder / "a.yaml")
        tree.write("b.yaml", "the next real change")
        await watch.commit(2)
        assert len(watch.commits) == 2

    watching(tree.source(), body)


def test_a_folder_that_is_replaced_by_another_is_followed(tmp_path):
    tree = Directory(tmp_path)
    tree.write("a.yaml", "one")
    other = tmp_path / "other"
    other.mkdir()
    (other / "a.yaml").write_text("two")

    async def body(watch):
        await watch.commit(1)
        tree.folder.rename(tmp_path / "old")
        other.rename(tree.folder)
        second = await watch.commit(2)
        assert second.files == (("a.yaml", b"two"),)

    watching(tree.source(), body)


def test_one_file_is_a_source_too_and_may_be_replaced(tmp_path):
    file = tmp_path / "cluster.yaml"
    file.write_text("one")

    async def body(watch):
        first = await watch.commit(1)
        assert first.files == (("cluster.yaml", b"one"),)
        fresh = tmp_path / "fresh"
        fresh.write_text("two")
        fresh.rename(file)
        second = await watch.commit(2)
        assert second.files == (("cluster.yaml", b"two"),)

    watching(WorktreeSource(file), body)


# Git ---------------------------------------------------------------------------------------------


def test_a_commit_is_named_by_git_with_its_subject_and_author(tmp_path):
    branch = Branch(tmp_path)
    branch.write("a.yaml", "one")
    branch.publish()

    async def body(watch):
        commit = await watch.commit(1)
        assert (commit.revision, commit.subject, commit.author) == (branch.tip(), "a change", "x@y")

    watching(branch.source(), body)


@pytest.mark.parametrize("restarted", [False, True])
def test_a_rewritten_branch_is_found_and_held_for_an_operator(tmp_path, restarted):
    branch = Branch(tmp_path)
    branch.write("a.yaml", "one")
    branch.publish()
    branch.write("a.yaml", "two")
    branch.publish()

    def rewrite():
        git("reset", "--quiet", "--hard", "HEAD~1", cwd=branch.folder)
        branch.write("a.yaml", "three")
        branch.publish(force=True)

    async def body(watch):
        commit = await watch.commit(1)
        branch.in_force = commit.revision
        if not restarted:
            rewrite()
            second = await watch.commit(2)
            assert "rewritten" in second.held

    watching(branch.source(), body)
    if restarted:
        rewrite()

        async def later(watch):
            commit = await watch.commit(1)
            assert "rewritten" in commit.held
            branch.in_force = commit.revision  # an operator accepted it
            branch.write("a.yaml", "four")
            branch.publish()
            assert not (await watch.commit(2)).held

        watching(branch.source(), later)


def test_a_deleted_branch_is_trouble(tmp_path):
    branch = Branch(tmp_path)
    branch.write("a.yaml", "one")
    branch.publish()

    async def body(watch):
        await watch.commit(1)
        git("update-ref", "-d", "refs/heads/main", cwd=branch.bare)
        await watch.trouble("refs/heads/main")
        assert len(watch.commits) == 1

    watching(branch.source(), body)


@pytest.mark.parametrize(
    ("path", "names"), [("prod", ("x.yaml",)), ("prod/x.yaml", ("x.yaml",)), ("", ("top.yaml",))]
)
def test_a_part_of_a_repository_is_a_source(tmp_path, path, names):
    branch = Branch(tmp_path)
    (branch.folder / "prod").mkdir()
    branch.write("top.yaml", "top")
    branch.write("prod/x.yaml", "x")
    branch.publish()

    async def body(watch):
        commit = await watch.commit(1)
        assert tuple(name for name, _ in commit.files) == names

    watching(branch.source(path), body)


def test_a_submodule_is_refused(tmp_path):
    branch = Branch(tmp_path)
    branch.write("a.yaml", "one")
    branch.publish()
    entry = f"160000,{branch.tip()},sub.yaml"
    git("update-index", "--add", "--cacheinfo", entry, cwd=branch.folder)
    git("commit", "--quiet", "--message", "a submodule", cwd=branch.folder)
    git("push", "--quiet", "origin", "main", cwd=branch.folder)

    async def body(watch):
        await watch.trouble("submodule")
        assert not watch.commits

    watching(branch.source(), body)


def test_a_huge_file_is_refused_without_being_read(tmp_path, monkeypatch):
    monkeypatch.setattr("reconciler.runtime.sources.git.FILE_BYTES_MAX", 1_000)
    branch = Branch(tmp_path)
    branch.write("a.yaml", "x" * 2_000)
    branch.publish()

    async def body(watch):
        await watch.trouble("larger than a file may be")

    watching(branch.source(), body)


def test_a_repository_that_never_answers_is_given_up_with_all_it_started(tmp_path, monkeypatch):
    monkeypatch.setattr("reconciler.runtime.sources.git.FETCH_TIMEOUT_S", 0.5)
    branch = Branch(tmp_path)
    fifo = branch.bare / "HEAD"
    fifo.unlink()
    os.mkfifo(fifo)

    async def body(watch):
        await watch.trouble("took over 0.5 s")

    watching(branch.source(), body)


@pytest.mark.parametrize(
    "field",
    [
        {"url": "--upload-pack=touch /tmp/x"},
        {"url": "ext::sh -c 'touch /tmp/x'"},
        {"branch": "--exec=x"},
        {"branch": "a..b"},
        {"branch": "x y"},
        {"path": "../../etc"},
        {"path": "/etc"},
        {"path": ":(top)"},
    ],
    ids=str,
)
def test_words_that_could_mean_something_else_to_git_are_refused(field):
    with pytest.raises(Refused):
        Place(**{"url": "https://git.example/x.git", "branch": "main", **field})


def test_passwords_in_addresses_are_not_told():
    place = Place(url="https://user:secret@git.example/x.git", branch="main")
    assert "secret" not in str(place)
