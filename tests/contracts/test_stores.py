"""What every store promises, on every store; and what only the one on disk can be asked."""

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from reconciler.model.errors import Corrupt, Refused
from reconciler.stores import sqlite as sqlite_store
from reconciler.stores.memory import MemoryStore
from reconciler.stores.sqlite import SqliteStore

LIFE = 7


@pytest.fixture(params=["memory", "sqlite"])
def store(request, tmp_path):
    made = (
        MemoryStore(incarnation=LIFE)
        if request.param == "memory"
        else SqliteStore(tmp_path / "state", incarnation=LIFE)
    )
    yield made
    made.close()


def test_no_two_terms_are_the_same(store):
    terms = [store.begin_term() for _ in range(3)]
    assert [(term.incarnation, term.epoch) for term in terms] == [(LIFE, 1), (LIFE, 2), (LIFE, 3)]


def test_the_last_value_put_is_the_one_that_is_there(store):
    assert store.get("accepted") is None
    store.put({"accepted": b"one", "ledger": b"\x00\xff"})
    store.put({"accepted": b"two"})
    assert store.get("accepted") == b"two"
    assert store.get("ledger") == b"\x00\xff"


def test_records_are_numbered_from_one_and_read_oldest_first(store):
    assert store.read("history", last=5) == ()
    assert [store.append("history", word) for word in (b"a", b"b", b"c")] == [1, 2, 3]
    assert store.append("other", b"x") == 1
    assert store.read("history", last=2) == ((2, b"b"), (3, b"c"))
    assert store.read("history", last=0) == ()


def test_a_stream_is_bounded_and_its_numbers_go_on(store, monkeypatch):
    monkeypatch.setattr(sqlite_store, "RECORDS_MAX", 5)
    monkeypatch.setattr("reconciler.stores.memory.RECORDS_MAX", 5)
    numbers = [store.append("history", str(n).encode()) for n in range(12)]
    assert numbers == list(range(1, 13))
    assert [number for number, _ in store.read("history", last=100)] == [8, 9, 10, 11, 12]


def test_closing_twice_is_safe(store):
    store.close()
    store.close()


# On disk -----------------------------------------------------------------------------------------


def test_it_survives_its_process(tmp_path):
    first = SqliteStore(tmp_path, incarnation=LIFE)
    first.begin_term()
    first.put({"a": b"1"})
    first.append("history", b"x")
    first.close()
    again = SqliteStore(tmp_path, incarnation=LIFE + 1)
    assert again.begin_term().epoch == 2
    assert again.begin_term().incarnation == LIFE, "an existing store keeps its incarnation"
    assert again.get("a") == b"1"
    assert again.read("history", last=9) == ((1, b"x"),)
    again.close()


def test_two_controllers_on_one_store_refuse(tmp_path):
    first = SqliteStore(tmp_path, incarnation=LIFE)
    with pytest.raises(Refused, match="another controller"):
        SqliteStore(tmp_path, incarnation=LIFE)
    first.close()
    SqliteStore(tmp_path, incarnation=LIFE).close()


def test_streams_are_bounded_in_bytes(tmp_path, monkeypatch):
    monkeypatch.setattr(sqlite_store, "STREAM_BYTES_MAX", 1_000)
    store = SqliteStore(tmp_path, incarnation=LIFE)
    for _ in range(32):
        store.append("history", bytes(300))
    assert [number for number, _ in store.read("history", last=100)] == [30, 31, 32]
    store.close()


def test_a_full_disk_is_a_refusal_and_changes_nothing(tmp_path):
    store = SqliteStore(tmp_path, incarnation=LIFE)
    store.put({"a": b"before", "b": b"before"})
    store._connection.execute("PRAGMA max_page_count = 8")
    with pytest.raises(Refused, match="full"):
        store.put({"a": b"after", "b": bytes(1_000_000)})
    assert store.get("a") == b"before"
    assert store.get("b") == b"before"
    store._connection.execute("PRAGMA max_page_count = 1000000")
    store.put({"a": b"after"})
    assert store.get("a") == b"after"
    store.close()


def test_a_read_only_place_is_a_refusal(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("not a directory")
    with pytest.raises(Refused):
        SqliteStore(blocked / "state", incarnation=LIFE)


@pytest.mark.parametrize("damage", ["garbage", "bit", "swapped"])
def test_damage_is_noticed_and_never_read_as_data(tmp_path, damage):
    store = SqliteStore(tmp_path, incarnation=LIFE)
    store.put({"a": b"the value of a", "b": b"the value of b"})
    store.close()
    file = tmp_path / "decisions.sqlite"
    if damage == "garbage":
        file.write_bytes(os.urandom(file.stat().st_size))
    elif damage == "bit":
        data = file.read_bytes()
        assert b"the value of a" in data
        file.write_bytes(data.replace(b"the value of a", b"the value of A"))
    else:
        with sqlite3.connect(file) as sql:
            sql.execute("UPDATE kept SET value = X'00' WHERE key = 'a'")
        sql.close()
    with pytest.raises(Corrupt):
        _open_and_get(tmp_path)


def _open_and_get(directory: Path) -> None:
    store = SqliteStore(directory, incarnation=LIFE)
    try:
        store.get("a")
    finally:
        store.close()


def test_a_later_version_is_refused(tmp_path):
    SqliteStore(tmp_path, incarnation=LIFE).close()
    with sqlite3.connect(tmp_path / "decisions.sqlite") as sql:
        sql.execute("PRAGMA user_version = 99")
    sql.close()
    with pytest.raises(Refused, match="version 99"):
        SqliteStore(tmp_path, incarnation=LIFE)


_WRITER = """
import sys
from pathlib import Path
from reconciler.stores.sqlite import SqliteStore
store = SqliteStore(Path(sys.argv[1]), incarnation=1)
store.begin_term()
number = int(store.get("left") or b"0")
while True:
    number += 1
    store.put({"left": str(number).encode(), "right": str(number).encode()})
    store.append("history", str(number).encode())
    print(number, flush=True)
"""


def test_kill_at_any_moment_loses_nothing_that_was_put(tmp_path):
    """Whatever `put` returned from is there, both halves of it, and the next process can go on."""
    said = 0
    for round_number in range(1, 6):
        writer = subprocess.Popen(
            [sys.executable, "-c", _WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True
        )
        for _ in range(3 * round_number):
            said = int(writer.stdout.readline())
        writer.kill()
        said = max([said, *(int(line) for line in writer.stdout.read().split("\n")[:-1])])
        writer.wait()
        writer.stdout.close()
        store = SqliteStore(tmp_path, incarnation=1)
        left, right = store.get("left"), store.get("right")
        assert left == right, "half of a put"
        assert said <= int(left) <= said + 1, "what put returned from is durable"
        assert store.begin_term().epoch == 2 * round_number
        store.close()
