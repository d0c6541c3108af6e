"""Constraints keep their meaning: sets become pairs, clones the names of what they copy."""

import pytest

from reconciler.model.intent import Mandate, OnLoss, OrderingKind, Role
from tests.importing.cibs import cib, dummy, imported, intent, pairs, said, text

ABCDE = "".join(dummy(name) for name in "abcde")
STATEFUL = f'<clone id="c">{pairs("meta_attributes", promotable="true")}{dummy("p")}</clone>'


def written(constraints: str, resources: str = ABCDE, **options: object):
    """The intent of a few resources with constraints."""
    return intent(cib(resources, constraints, **options))


def the_set(names: str, **attributes: str) -> str:
    """A resource set."""
    inner = "".join(f'<resource_ref id="{name}"/>' for name in names.split())
    rest = "".join(f' {key.replace("_", "-")}="{text}"' for key, text in attributes.items())
    return f'<resource_set id="s-{names.replace(" ", "")}"{rest}>{inner}</resource_set>'


def located(found) -> list[tuple[str, tuple[str, ...], object, Role | None]]:
    """Locations in short."""
    return [(each.service, each.nodes, each.strength, each.role) for each in found.locations]


def test_scores_of_locations():
    found = written(
        '<rsc_location id="1" rsc="a" node="n1" score="INFINITY"/>'
        '<rsc_location id="2" rsc="a" node="n2" score="-INFINITY"/>'
        '<rsc_location id="3" rsc="a" node="n3" score="-5"/>'
        '<rsc_location id="4" rsc="b" node="n3" score="0"/>'
    )
    assert located(found) == [
        ("a", ("n1",), 1_000_000, None),  # never `required`: +INFINITY says nothing of other nodes
        ("a", ("n2",), Mandate.FORBIDDEN, None),
        ("a", ("n3",), -5, None),
    ]


NODES = "".join(
    f'<node id="{number}" uname="n{number}">{pairs("instance_attributes", rack=rack, weight=number)}</node>'
    for number, rack in enumerate("aab", 1)
)


def ruled(inside: str, **attributes: str) -> str:
    """A location of `a` with a rule."""
    rest = "".join(f' {key.replace("_", "-")}="{text}"' for key, text in attributes.items())
    return f'<rsc_location id="l" rsc="a"><rule id="r"{rest}>{inside}</rule></rsc_location>'


def test_rules_are_judged_for_every_node():
    rack = '<expression id="e" attribute="rack" operation="eq" value="a"/>'
    heavy = '<expression id="f" attribute="weight" operation="gte" value="2"/>'
    by_label = written(ruled(rack, score="7"), nodes=NODES)
    assert located(by_label) == [("a", ("n1", "n2"), 7, None)]
    both = written(ruled(rack + heavy, score="7"), nodes=NODES)
    assert located(both) == [("a", ("n2",), 7, None)]
    either = written(ruled(rack + heavy, score="-INFINITY", boolean_op="or"), nodes=NODES)
    assert located(either) == [("a", ("n1", "n2", "n3"), Mandate.FORBIDDEN, None)]


def test_a_rule_for_one_attribute_is_written_as_a_label():
    rule = '<expression id="e" attribute="rack" operation="eq" value="a"/>'
    assert "nodes: {rack: a}" in text(cib(ABCDE, ruled(rule, score="7"), nodes=NODES))


def test_a_score_may_come_from_an_attribute():
    rule = '<expression id="e" attribute="#uname" operation="ne" value="n3"/>'
    found = written(ruled(rule, score_attribute="weight"), nodes=NODES)
    assert located(found) == [("a", ("n2",), 2, None), ("a", ("n1",), 1, None)]
    missing = written(ruled(rule, score_attribute="size"), nodes=NODES)
    assert located(missing) == [("a", ("n1", "n2"), Mandate.FORBIDDEN, None)]


def test_rules_on_time_are_judged_once_and_said():
    rule = '<date_expression id="d" operation="lt" end="2030-01-01"/>'
    data = cib(ABCDE, ruled(rule, score="7"))
    assert located(intent(data)) == [("a", ("n1", "n2", "n3"), 7, None)]
    assert [code for code, _, _ in said(data)] == ["R073"]


def test_patterns_tags_and_sets_name_several_resources():
    tags = '<tags><tag id="t"><obj_ref id="b"/><obj_ref id="c"/></tag></tags>'
    pattern = '<rsc_location id="1" rsc-pattern="^[de]$" node="n1" score="1"/>'
    tagged = '<rsc_location id="2" rsc="t" node="n2" score="2"/>'
    several = f'<rsc_location id="3" node="n3" score="3">{the_set("a t")}</rsc_location>'
    found = written(pattern + tagged + several, more=tags)
    assert [name for name, *_ in located(found)] == ["d", "e", "b", "c", "a", "b", "c"]


def test_a_cluster_that_is_not_symmetric_opts_in():
    group = f'<group id="g">{dummy("x")}{dummy("y")}</group>'
    found = written(
        '<rsc_location id="1" rsc="a" node="n1" score="5"/><rsc_location id="2" rsc="g" node="n2" score="0"/>'
        '<rsc_location id="3" rsc="b" node="n3" score="-INFINITY"/>',
        dummy("a") + dummy("b") + group,
        symmetric_cluster="false",
    )
    assert [each for each in located(found) if each[0] != "power"][:3] == [
        ("g", ("n2",), Mandate.REQUIRED, None),
        ("a", ("n1",), Mandate.REQUIRED, None),
        ("b", ("n1", "n2", "n3"), Mandate.FORBIDDEN, None),
    ]


def test_exclusive_discovery_forbids_the_rest():
    found = written(
        '<rsc_location id="1" rsc="a" node="n1" score="5" resource-discovery="exclusive"/>'
    )
    assert ("a", ("n2", "n3"), Mandate.FORBIDDEN, None) in located(found)


def colocated(found) -> list[tuple[str, str, object]]:
    """Colocations in short."""
    return [(each.dependent, each.primary, each.strength) for each in found.colocations]


def test_colocation_sets_become_pairs():
    def of(inside: str, score: str = "INFINITY") -> list[tuple[str, str, object]]:
        return colocated(
            written(f'<rsc_colocation id="x" score="{score}">{inside}</rsc_colocation>')
        )

    required = Mandate.REQUIRED
    assert of(the_set("a b c")) == [("b", "a", required), ("c", "b", required)]
    assert of(the_set("a b", ordering="listed")) == [("a", "b", required)]
    assert of(the_set("a b c", sequential="false")) == []
    assert of(the_set("a b c"), "-9") == [("b", "a", -9), ("c", "a", -9), ("c", "b", -9)]
    assert of(the_set("a b") + the_set("c d")) == [
        ("b", "a", required),
        ("d", "c", required),
        ("a", "d", required),  # between sets, the last is placed first
    ]
    heap = the_set("c d", sequential="false")
    assert of(the_set("a", role="Started") + heap) == [("a", "c", required), ("a", "d", required)]


def test_colocations_keep_roles_attribute_and_influence():
    one = written(
        '<rsc_colocation id="x" rsc="a" with-rsc="c" with-rsc-role="Master" score="5" '
        'node-attribute="rack" influence="false"/>',
        dummy("a") + STATEFUL,
        nodes=NODES,
    ).colocations[0]
    assert (one.dependent, one.primary, one.primary_role) == ("a", "p", Role.PROMOTED)
    assert (one.strength, one.attribute, one.influence) == (5, "rack", False)


def test_what_is_not_critical_has_no_influence_unless_said():
    resources = dummy("a", critical="false") + dummy("b")
    plain = '<rsc_colocation id="x" rsc="a" with-rsc="b" score="5"/>'
    assert not written(plain, resources).colocations[0].influence
    told = plain.replace("/>", ' influence="true"/>')
    assert written(told, resources).colocations[0].influence


@pytest.mark.parametrize(
    "constraint",
    [
        '<rsc_colocation id="x" rsc="a" with-rsc="b"/>',
        '<rsc_colocation id="x" rsc="a" with-rsc="ghost" score="5"/>',
        '<rsc_colocation id="x" rsc="a" rsc-role="Promoted" with-rsc="b" score="5"/>',
        '<rsc_order id="x" first="ghost" then="a"/>',
        '<rsc_order id="x" first="a" then="b" first-action="promote"/>',
        '<rsc_location id="x" rsc="a" node="ghost" score="5"/>',
        '<rsc_location id="x" rsc="a" node="n1" score="5" role="Promoted"/>',
        '<rsc_location id="x" rsc-pattern="(" node="n1" score="5"/>',
        '<rsc_ticket id="x" rsc="a" rsc-role="Promoted" ticket="t" loss-policy="demote"/>',
    ],
)
def test_what_pacemaker_ignores_is_ignored_and_said(constraint):
    data = cib(ABCDE, constraint)
    found = intent(data)
    assert (found.colocations, found.orderings, found.locations, found.tickets) == ((), (), (), ())
    assert [(code, line) for code, line, _ in said(data)] == [("R074", 10)]


def ordered(found) -> list[tuple[str, str]]:
    """Orderings in short."""
    return [(each.first, each.then) for each in found.orderings]


@pytest.mark.parametrize(
    ("attributes", "kind", "symmetrical"),
    [
        ("", OrderingKind.REQUIRED, True),
        ('score="0"', OrderingKind.OPTIONAL, True),
        ('score="INFINITY"', OrderingKind.REQUIRED, True),
        ('kind="Optional" symmetrical="false"', OrderingKind.OPTIONAL, False),
        ('kind="Serialize"', OrderingKind.SERIALIZE, False),
        ('kind="nonsense"', OrderingKind.REQUIRED, True),
    ],
)
def test_kinds_of_orderings(attributes, kind, symmetrical):
    found = written(f'<rsc_order id="x" first="a" then="b" {attributes}/>').orderings[0]
    assert (found.kind, found.symmetrical) == (kind, symmetrical)


def test_actions_of_orderings():
    found = written(
        '<rsc_order id="x" first="c" first-action="promote" then="a" then-action="start"/>'
        '<rsc_order id="y" first="a" then="b" first-action="stop"/>',
        dummy("a") + dummy("b") + STATEFUL,
    ).orderings
    assert [(each.first, each.first_action, each.then, each.then_action) for each in found] == [
        ("p", "promote", "a", "start"),
        ("a", "stop", "b", "stop"),  # what then happens is what happens first
    ]


def test_order_sets_become_pairs():
    def of(inside: str, rest: str = "") -> list[tuple[str, str]]:
        return ordered(written(f'<rsc_order id="x" {rest}>{inside}</rsc_order>'))

    heap = the_set("c d", sequential="false")
    assert of(the_set("a b c")) == [("a", "b"), ("b", "c")]
    assert of(heap) == []
    assert of(the_set("a b") + heap + the_set("e")) == [
        ("a", "b"), ("b", "c"), ("b", "d"), ("c", "e"), ("d", "e"),
    ]  # fmt: skip
    assert of(the_set("a b c"), 'kind="Serialize"') == [("a", "b"), ("a", "c"), ("b", "c")]


def test_a_set_that_need_not_be_there_in_full():
    either = the_set("a b", sequential="false", require_all="false")
    found = written(f'<rsc_order id="x">{either}{the_set("c")}</rsc_order>').orderings
    assert [(each.first, each.then, each.any_of) for each in found] == [("a", "c", ("b",))]


def test_how_many_copies_are_enough():
    few = f'<clone id="k">{pairs("meta_attributes", clone_min=2)}{dummy("x")}</clone>'
    order = '<rsc_order id="x" first="k" then="a"/>'
    assert written(order, dummy("a") + few).orderings[0].minimum == 2
    one = order.replace("/>", ' require-all="false"/>')
    assert (
        written(one, dummy("a") + few.replace('value="2"', 'value="0"')).orderings[0].minimum
        is None
    )
    plain = f'<clone id="k">{dummy("x")}</clone>'
    assert written(one, dummy("a") + plain).orderings[0].minimum == 1


def test_what_is_inside_a_clone_stands_for_it_once_recorded():
    order = '<rsc_order id="x" first="a" then="p"/>'
    resources = dummy("a") + STATEFUL
    assert ordered(written(order, resources)) == []
    recorded = '<lrm><lrm_resources><lrm_resource id="p"/></lrm_resources></lrm>'
    lrm = f'<node_state id="1" uname="n1">{recorded}</node_state>'
    assert ordered(written(order, resources, status=lrm)) == [("a", "p")]


@pytest.mark.parametrize(
    ("rest", "name", "role", "on_loss"),
    [
        ('rsc="a"', "a", None, OnLoss.STOP),
        ('rsc="a" loss-policy="fence"', "a", None, OnLoss.FENCE),
        ('rsc="a" loss-policy="demote"', "a", None, OnLoss.STOP),
        ('rsc="c" rsc-role="Master"', "p", Role.PROMOTED, OnLoss.DEMOTE),
        ('rsc="c" rsc-role="Master" loss-policy="stop"', "p", None, OnLoss.STOP),
        ('rsc="c" rsc-role="Promoted" loss-policy="freeze"', "p", Role.PROMOTED, OnLoss.FREEZE),
    ],
)
def test_tickets(rest, name, role, on_loss):
    found = written(f'<rsc_ticket id="x" ticket="t" {rest}/>', dummy("a") + STATEFUL).tickets[0]
    assert (found.ticket, found.service, found.role, found.on_loss) == ("t", name, role, on_loss)


def test_the_same_cib_gives_the_same_bytes():
    data = cib(ABCDE + STATEFUL, f'<rsc_order id="x">{the_set("a b c")}</rsc_order>', nodes=NODES)
    assert imported(data) == imported(data)


def test_locations_that_differ_in_their_nodes_only_are_joined():
    bans = "".join(
        f'<rsc_location id="{node}" rsc="a" node="{node}" score="-INFINITY"/>'
        for node in ("n1", "n3")
    )
    assert located(written(bans)) == [("a", ("n1", "n3"), Mandate.FORBIDDEN, None)]
    one = '<rsc_location id="x" rsc="a" node="n1" score="3"/>'
    assert [nodes for _, nodes, _, _ in located(written(one + one))] == [
        ("n1",),
        ("n1",),
    ]  # they add up
