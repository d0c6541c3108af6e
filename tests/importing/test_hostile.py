"""Odd and hostile CIBs: an import says what is wrong, or writes a pair that can be planned."""

import random
from xml.etree import ElementTree as ET

import pytest

from reconciler.codec import observed_file
from reconciler.config.load import load_files
from reconciler.core.reconcile import reconcile
from reconciler.importing.pacemaker.importing import UNUSABLE, import_pacemaker
from reconciler.model.diagnostic import Severity
from tests.conformance.clusters import draw
from tests.effort import examples
from tests.importing.cibs import cib, dummy

ODD = (
    "",
    "-1",
    "0",
    "99999999999999999999",
    "-INFINITY",
    "INFINITY",
    "no such thing",
    "n1",
    "../x",
    "a\nb: {c}",
    "PT",
    "P1M",
    "promoted",
    "Stopped",
    "true",
    "[",
    "%1",
)


def plans(data: bytes) -> str:
    """What became of a CIB: `refused` with a reason, or `planned`."""
    for partial in (False, True):
        imported = import_pacemaker(data, "cib.xml", 0, partial=partial)
        files = dict(imported.files)
        if not files:
            errors = [each for each in imported.diagnostics if each.severity is Severity.ERROR]
            assert errors
            unforeseen = [each for each in errors if UNUSABLE in each.detail]
            nodeless = any("no node to run" in each.detail for each in errors)
            assert nodeless or not unforeseen, [str(each) for each in unforeseen]
            continue
        loaded = load_files((("cluster.yaml", files["cluster.yaml"]),))
        assert loaded.intent is not None, [str(found) for found in loaded.diagnostics]
        observed = observed_file.read(files["observed.json"])
        reconcile(loaded.intent, observed, observed.taken_at_ms)
        return "planned"
    return "refused"


def mutated(seed: int) -> bytes:
    """A drawn cluster with a few things wrong with it."""
    rng = random.Random(seed)
    root = draw(seed).root
    for _ in range(rng.randint(1, 6)):
        elements = [*root.iter()][1:]
        if not elements:
            break
        one, other = rng.choice(elements), rng.choice(elements)
        names = [*one.attrib]
        match rng.randrange(6):
            case 0 if names:
                one.set(rng.choice(names), rng.choice(ODD))
            case 1 if names:
                del one.attrib[rng.choice(names)]
            case 2 if names and other.attrib:
                one.set(rng.choice(names), rng.choice([*other.attrib.values()]))
            case 3:
                parent = next(each for each in root.iter() if one in [*each])
                parent.remove(one)
            case 4 if other not in [*one.iter()] and len(elements) < 2000:
                other.append(one)
            case _:
                one.tag = rng.choice(elements).tag
    return ET.tostring(root)


@pytest.mark.parametrize("first", range(0, examples(500), 50))
def test_mutated_clusters_are_refused_or_planned(first: int) -> None:
    for seed in range(first, first + 50):
        plans(mutated(seed))


@pytest.mark.parametrize(
    ("resources", "constraints"),
    [
        (
            dummy("a") + dummy("b"),
            '<rsc_order id="1" first="a" then="b"/><rsc_order id="2" first="b" then="a"/>',
        ),
        (
            f'<group id="g">{dummy("a")}{dummy("b")}</group>',
            '<rsc_order id="1" first="b" then="a"/><rsc_colocation id="2" rsc="a" with-rsc="b"/>',
        ),
        (
            dummy("a") + dummy("b"),
            """<rsc_colocation id="1" rsc="a" with-rsc="b" score="INFINITY"/>
            <rsc_colocation id="2" rsc="a" with-rsc="b" score="-INFINITY"/>
            <rsc_colocation id="3" rsc="b" with-rsc="a" score="INFINITY"/>""",
        ),
        (f'<group id="g">{dummy("a")}{dummy("a")}</group>{dummy("a")}', ""),
        (
            f'<group id="g">{dummy("a")}</group>',
            '<rsc_order id="1" first="g" then="a"/><rsc_colocation id="2" rsc="a" with-rsc="g"/>',
        ),
        ('<group id="g"/><clone id="c"/><clone id="d"><group id="e"/></clone>', ""),
        (f'<clone id="a">{dummy("a")}</clone><group id="a">{dummy("b")}</group>', ""),
        (
            '<primitive class="ocf" type="Dummy"/><primitive id="x"/>',
            '<rsc_location id="1" rsc="x"/>',
        ),
        (
            dummy("a"),
            """<rsc_location id="1" rsc="a" node="n1" score="99999999999999"/>
            <rsc_ticket id="2" rsc="a" ticket="T"/><rsc_ticket id="3" rsc="a" ticket="T"/>""",
        ),
        (
            '<primitive id="p" class="stonith" type="fence_x"><instance_attributes id="i">'
            '<nvpair id="n" name="pcmk_host_list" value="n1"/></instance_attributes></primitive>'
            + dummy("a"),
            "",
        ),
        (
            f'<clone id="c">{dummy("a", clone_max=0)}</clone>',
            '<rsc_order id="1" first="c" then="c"/>',
        ),
    ],
)
def test_odd_clusters_are_refused_or_planned(resources: str, constraints: str) -> None:
    for device in ("", '<primitive id="power" class="stonith" type="fence_x"/>'):
        plans(cib(resources, constraints, device=device))
