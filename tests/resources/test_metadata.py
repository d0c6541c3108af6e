"""Meta-data as agents write it, and as somebody hostile would."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.model.errors import Corrupt
from reconciler.resources.metadata import METADATA_BYTES_MAX, duration_ms, parse

GOOD = b"""\
<?xml version="1.0"?>
<!DOCTYPE resource-agent SYSTEM "ra-api-1.dtd">
<resource-agent name="thing" version="1.2">
  <version>1.1</version>
  <shortdesc lang="en">Runs a thing</shortdesc>
  <parameters>
    <parameter name="device" unique="1" required="1">
      <longdesc lang="en">Long</longdesc>
      <shortdesc lang="en">A device</shortdesc>
      <content type="string"/>
    </parameter>
    <parameter name="level" unique-group="g" reloadable="1">
      <content type="integer" default="3 &amp; more"/>
    </parameter>
  </parameters>
  <actions>
    <action name="start" timeout="20s"/>
    <action name="monitor" timeout="90" interval="1min" depth="10" role="Promoted"/>
    <action name="stop" timeout="whenever"/>
  </actions>
</resource-agent>
"""


def test_everything_that_is_defined_is_read():
    found = parse(GOOD)
    assert (found.name, found.version, found.summary) == ("thing", "1.2", "Runs a thing")
    device, level = found.parameters
    assert (device.required, device.unique, device.reloadable, device.default) == (
        True,
        True,
        False,
        None,
    )
    assert device.summary == "A device"
    assert (level.required, level.unique, level.reloadable) == (False, True, True)
    assert (level.type, level.default) == ("integer", "3 & more")
    start, monitor, stop = found.actions
    assert (start.timeout_ms, start.every_ms) == (20_000, None)
    assert (monitor.timeout_ms, monitor.every_ms) == (90_000, 60_000)
    assert (monitor.depth, monitor.role) == (10, "Promoted")
    assert stop.timeout_ms is None


BOMB = b"""<!DOCTYPE resource-agent [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;">]>
<resource-agent name="&b;"/>"""
EXTERNAL = b"""<!DOCTYPE resource-agent [<!ENTITY x SYSTEM "file:///etc/passwd">]>
<resource-agent name="x">&x;</resource-agent>"""


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"", "no XML"),
        (b"<resource-agent", "no XML"),
        (b"<other/>", "without a resource-agent"),
        (BOMB, "entity"),
        (EXTERNAL, "entity"),
        (b"<resource-agent>" + b" " * METADATA_BYTES_MAX, "more than"),
    ],
)
def test_what_is_no_meta_data_is_refused(text, words):
    with pytest.raises(Corrupt, match=words):
        parse(text)


@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode()))
def test_garbage_is_refused_and_never_more_than_that(garbage):
    for text in (garbage, GOOD[:150] + garbage + GOOD[150:]):
        with contextlib.suppress(Corrupt):
            parse(text)


@pytest.mark.parametrize(
    ("text", "expected_ms"),
    [
        ("20", 20_000),
        ("20s", 20_000),
        (" 1.5s ", 1_000),
        ("300ms", 300),
        ("5m", 300_000),
        ("1h", 3_600_000),
        ("", None),
        (None, None),
        ("soon", None),
        ("-1s", None),
    ],
)
def test_durations(text, expected_ms):
    assert duration_ms(text) == expected_ms
