"""The journal on a real disk: torn, flipped, foreign, full, locked."""

import errno
import resource
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from reconciler.core.executor import Memory, remember
from reconciler.core.executor import memory as memories
from reconciler.core.executor.memory import (
    BlockKept,
    CopyKept,
    DefinitionsKept,
    FailureKept,
    OwnCopy,
    Phase,
    StepAcknowledged,
    StepBegun,
    StepEnded,
    TermRaised,
)
from reconciler.model.errors import Refused
from reconciler.model.ids import BootId, Epoch, Incarnation, Millis, NodeName, ServiceName
from reconciler.model.intent import Origin
from reconciler.model.observed import Failure
from reconciler.model.operation import Outcome, StepResult, Verdict
from reconciler.model.plan import ActionKind
from reconciler.runtime import journal as journals
from reconciler.runtime.journal import Journal
from tests.core.executor_node import order, service

ALPHA, BOOT = NodeName("alpha"), BootId("b1")
WEB = service("web", origin=Origin(path="web.yaml", line=3), secrets=(("password", "db"),))
BEGUN = order(ActionKind.STOP, WEB)
RECORDS = (
    TermRaised(incarnation=Incarnation(1), epoch=Epoch(7)),
    DefinitionsKept(services=(WEB,), assigned=frozenset({WEB.name}), maintenance=frozenset()),
    CopyKept(
        service=WEB.name, copy=OwnCopy(definition=WEB, digest=BEGUN.definition, phase=Phase.RUNNING)
    ),
    FailureKept(
        service=WEB.name,
        failure=Failure(
            service=WEB.name,
            node=ALPHA,
            count=2,
            operation="monitor",
            reason="r",
            last_ms=Millis(5),
        ),
    ),
    StepBegun(step=BEGUN),
    StepEnded(
        step=BEGUN,
        result=StepResult(
            key=BEGUN.key, outcome=Outcome(verdict=Verdict.FAILED, output="ü\0", exit_code=1)
        ),
    ),
    StepAcknowledged(key=BEGUN.key),
    BlockKept(service=WEB.name, reason="its stop failed"),
)


def fold(*records):
    memory = Memory()
    for record in records:
        memory = remember(memory, record)
    return memory


def opened(directory, node=ALPHA, boot=BOOT):
    journal, found = Journal.open(directory, node, boot)
    journal.close()
    return found


def filled(directory, records=RECORDS):
    journal, _ = Journal.open(directory, ALPHA, BOOT)
    journal.write(records, fold(*records), durable=True)
    journal.close()
    return fold(*records)


def test_a_journal_gives_back_what_it_was_given(tmp_path):
    memory = filled(tmp_path)
    for _ in range(2):
        found = opened(tmp_path)
        assert (found.memory, found.troubles) == (memory, ())


def test_a_new_journal_knows_nothing(tmp_path):
    found = opened(tmp_path / "new" / "state")
    assert (found.memory, found.troubles) == (Memory(), ())
    assert (tmp_path / "new" / "state").stat().st_mode & 0o777 == 0o700


def test_another_boot_keeps_the_term_and_the_orders_and_forgets_what_ran(tmp_path):
    memory = filled(tmp_path)
    found = opened(tmp_path, boot=BootId("b2"))
    assert found.memory == memory.of_another_boot()
    assert (found.memory.term, found.memory.copies) == ((1, 7), {})
    assert BEGUN.key in found.memory.steps
    assert opened(tmp_path, boot=BootId("b2")).troubles == ()


def test_a_journal_of_another_node_is_put_aside(tmp_path):
    filled(tmp_path)
    found = opened(tmp_path, node=NodeName("bravo"))
    assert found.memory == Memory()
    assert "of node alpha" in found.troubles[0]
    assert (tmp_path / "journal.other").exists()


def test_every_torn_end_is_noticed_and_costs_only_what_was_torn(tmp_path):
    filled(tmp_path)
    path = tmp_path / "journal"
    data = path.read_bytes()
    header = next(end for end, _ in journals._frames(data))
    ends = [end for end, _ in journals._frames(data)]
    for length in sorted({*range(header, len(data), 37), *ends, *(end - 1 for end in ends[1:])}):
        path.write_bytes(data[:length])
        found = opened(tmp_path)
        whole = sum(end <= length for end in ends) - 1
        start = opened_memory(data, whole)
        if length in ends:
            assert (found.memory, found.troubles) == (start, ())
        else:
            assert found.memory == start.with_a_gap()
            assert "damaged" in found.troubles[0]
            assert opened(tmp_path).troubles == (), "it is whole again"


def opened_memory(data, whole):
    memory = Memory()
    for _, body in list(journals._frames(data))[1 : whole + 1]:
        memory = remember(memory, journals._decode(body))
    return memory


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_a_flipped_bit_is_noticed_wherever_it_is(tmp_path_factory, data):
    directory = tmp_path_factory.mktemp("flip")
    memory = filled(directory)
    path = directory / "journal"
    content = bytearray(path.read_bytes())
    bit = data.draw(st.integers(0, len(content) * 8 - 1))
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)
    found = opened(directory)
    assert found.troubles
    assert found.memory.copies == {}
    assert found.memory.term in ((0, 0), memory.term)


@given(st.binary(max_size=200))
@settings(max_examples=60, deadline=None)
def test_garbage_is_never_believed(tmp_path_factory, content):
    directory = tmp_path_factory.mktemp("garbage")
    (directory / "journal").write_bytes(content)
    assert opened(directory).memory == Memory()


def test_records_of_unknown_kinds_end_what_is_believed(tmp_path):
    filled(tmp_path, RECORDS[:2])
    body = journals.msgspec.msgpack.encode(("future", {"x": 1}))
    with (tmp_path / "journal").open("ab") as file:
        file.write(journals._frame(body))
    found = opened(tmp_path)
    assert found.memory.term == (1, 7)
    assert "damaged" in found.troubles[0]


def test_one_agent_at_a_time(tmp_path):
    journal, _ = Journal.open(tmp_path, ALPHA, BOOT)
    with pytest.raises(Refused, match="another agent"):
        Journal.open(tmp_path, ALPHA, BOOT)
    journal.close()
    journal.close()
    opened(tmp_path)


def test_a_place_that_cannot_be_used_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(Refused, match="cannot keep state"):
        Journal.open(tmp_path / "file" / "state", ALPHA, BOOT)


def test_the_file_stays_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(journals, "GROWTH_BYTES", 20_000)
    monkeypatch.setattr(memories, "STEPS_MAX", 100)
    journal, _ = Journal.open(tmp_path, ALPHA, BOOT)
    memory, sizes = Memory(), []
    for number in range(400):
        step = order(ActionKind.STOP, WEB, attempt=number)
        result = StepResult(key=step.key, outcome=Outcome(verdict=Verdict.STOPPED))
        records = (
            StepBegun(step=step),
            StepEnded(step=step, result=result),
            StepAcknowledged(key=step.key),
        )
        for record in records:
            memory = remember(memory, record)
        journal.write(records, memory, durable=False)
        sizes.append((tmp_path / "journal").stat().st_size)
    journal.close()
    assert len(memory.steps) == 100
    assert max(sizes) < 3 * (100 * 600 + 20_000)
    assert opened(tmp_path).memory == memory


def test_a_full_disk_is_an_outcome_and_loses_nothing(tmp_path):
    """A process that may not write large files meets what a full disk is: a write cut short."""
    code = f"""
import errno, resource, signal, sys
sys.path.insert(0, {str(Path.cwd())!r})
from pathlib import Path
from tests.runtime.test_journal import *
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
place = Path({str(tmp_path)!r})
memory = filled(place)
journal, found = Journal.open(place, ALPHA, BOOT)
size = (place / "journal").stat().st_size
resource.setrlimit(resource.RLIMIT_FSIZE, (size + 100, resource.RLIM_INFINITY))
step = order(ActionKind.START, WEB, attempt=9)
after = remember(memory, StepBegun(step=step))
for _ in range(2):
    try:
        journal.write((StepBegun(step=step),), after, durable=True)
    except OSError as trouble:
        assert trouble.errno == errno.EFBIG
    else:
        raise AssertionError("it fitted")
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
begun = StepBegun(step=order(ActionKind.START, WEB, attempt=10))
journal.write((begun,), remember(memory, begun), durable=True)
journal.close()
found = opened(place)
assert found.memory == remember(memory, begun) and not found.troubles, found
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_a_failed_write_leaves_the_old_journal_readable(tmp_path, monkeypatch):
    memory = filled(tmp_path)
    journal, _ = Journal.open(tmp_path, ALPHA, BOOT)

    def refuse(_file):
        raise OSError(errno.EIO, "Input/output error")

    begun = StepBegun(step=order(ActionKind.START, WEB, attempt=9))
    with monkeypatch.context() as patched:
        patched.setattr(journals.os, "fsync", refuse)
        for _ in range(2):
            with pytest.raises(OSError, match="Input/output"):
                journal.write((begun,), remember(memory, begun), durable=True)
    journal.close()
    kept = opened(tmp_path).memory
    assert replace(kept, steps=memory.steps) == memory


def test_an_agent_begins_on_a_full_disk_too(tmp_path, monkeypatch):
    memory = filled(tmp_path)

    def refuse(_file):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(journals.os, "fsync", refuse)
        found = opened(tmp_path)
    assert found.memory == memory
    assert "No space left" in found.troubles[0]


def test_a_large_memory_is_read_quickly(tmp_path):
    many = tuple(service(f"service-{number:05}") for number in range(5_000))
    kept = DefinitionsKept(
        services=many, assigned=frozenset(s.name for s in many[:50]), maintenance=frozenset()
    )
    filled(tmp_path, (kept,))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_utime
    assert opened(tmp_path).memory.services == many
    assert resource.getrusage(resource.RUSAGE_SELF).ru_utime - before < 2
    assert (tmp_path / "journal").stat().st_size < 5_000_000
    assert ServiceName("service-00001") in kept.assigned
