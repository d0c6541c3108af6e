"""What is no CIB is refused in one sentence, whatever it is."""

import pytest

from reconciler.importing.pacemaker import document
from reconciler.importing.pacemaker.document import Cib, read_cib
from reconciler.model.diagnostic import Diagnostic
from tests.importing.cibs import NOW_MS, cib

BROKEN = {
    "empty": b"",
    "cut off": b"<cib><configuration>",
    "no text": b"\x00\x01\x02",
    "another document": b"<html/>",
    "no configuration": b"<cib/>",
    "a document type": b'<!DOCTYPE cib [<!ENTITY x "y">]><cib>&x;</cib>',
    "an unknown encoding": b'<?xml version="1.0" encoding="klingon"?><cib/>',
    "too deep": b"<cib>" + b"<a>" * 200 + b"</a>" * 200 + b"</cib>",
    "an entity that grows": b'<!DOCTYPE a [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><cib>&b;</cib>',
}


@pytest.mark.parametrize("data", BROKEN.values(), ids=BROKEN.keys())
def test_what_is_no_cib_gets_one_clear_error(data):
    found = read_cib(data, "cib.xml", 0)
    assert isinstance(found, Diagnostic)
    assert found.code == "R070"
    assert found.origin is not None
    assert found.origin.path == "cib.xml"


def test_a_cib_that_is_too_large_is_refused_unread(monkeypatch):
    monkeypatch.setattr(document, "BYTES_MAX", 10)
    found = read_cib(cib(), "cib.xml", 0)
    assert isinstance(found, Diagnostic)
    assert found.code == "R070"


def test_elements_know_their_lines_and_the_cib_its_moment():
    found = read_cib(cib("<primitive id='a'/>"), "cib.xml", 0)
    assert isinstance(found, Cib)
    assert found.now_ms == NOW_MS
    primitive = found.by_id["a"]
    assert (primitive.tag, primitive.line) == ("primitive", 7)


def test_without_a_moment_of_its_own_a_cib_is_judged_now():
    found = read_cib(cib().replace(b"execution-date", b"other"), "cib.xml", 5)
    assert isinstance(found, Cib)
    assert found.now_ms == 5
