"""How nodes stand, by what membership, process group, join state and attributes say together."""

import pytest

from reconciler.model.observed import Certainty, Liveness
from tests.importing.status_cibs import (
    DEVICE,
    DOWN,
    LOST,
    ONLINE,
    cib,
    node,
    observe,
    observe_all,
    op,
    ran,
    resource,
    state,
    where,
)

JOINING = 'in_ccm="true" crmd="online" join="pending" expected="member"'
SINCE = 'in_ccm="1999999000" crmd="1999999001" join="member" expected="member"'
ASLEEP = 'in_ccm="true" crmd="offline" join="member" expected="member"'
REFUSED = 'in_ccm="true" crmd="online" join="banned" expected="member"'
STARTING = 'in_ccm="true" crmd="online" join="down" expected="down"'
STRANGE = 'in_ccm="true" crmd="online" join="what" expected="member"'


@pytest.mark.parametrize(
    ("member", "fencing", "liveness", "condemned"),
    [
        (ONLINE, "true", Liveness.ALIVE, ""),
        (SINCE, "true", Liveness.ALIVE, ""),
        (ONLINE, "false", Liveness.ALIVE, ""),
        (DOWN, "true", Liveness.DOWN, ""),
        (DOWN, "false", Liveness.DOWN, ""),
        (LOST, "true", Liveness.LOST, ""),
        (LOST, "false", Liveness.LOST, ""),
        (JOINING, "true", Liveness.SUSPECT, ""),
        (JOINING, "false", Liveness.SUSPECT, ""),
        (STARTING, "true", Liveness.SUSPECT, ""),
        (ASLEEP, "true", Liveness.ALIVE, "its cluster manager is not heard any more"),
        (ASLEEP, "false", Liveness.LOST, ""),
        (REFUSED, "true", Liveness.ALIVE, "it was refused by the cluster"),
        (STRANGE, "true", Liveness.ALIVE, "it is in an unknown state"),
        ("", "true", Liveness.LOST, ""),
        ("", "false", Liveness.DOWN, ""),
    ],
)
def test_liveness(member: str, fencing: str, liveness: Liveness, condemned: str) -> None:
    found = node(observe(cib("", state("a", member=member), stonith_enabled=fencing)), "a")
    assert (found.liveness, found.condemned) == (liveness, condemned)


@pytest.mark.parametrize(
    ("options", "liveness"),
    [
        ({}, Liveness.UNKNOWN),
        ({"startup_fencing": "false"}, Liveness.DOWN),
        ({"stonith_enabled": "false"}, Liveness.DOWN),
    ],
)
def test_a_node_that_was_never_seen(options: dict[str, str], liveness: Liveness) -> None:
    assert node(observe(cib("", state("a"), **options)), "b").liveness is liveness


def test_terminate_condemns_and_is_spent_once_the_node_is_gone() -> None:
    asked = observe(cib("", state("a", terminate="true"), state("b", member=DOWN, terminate="1")))
    assert node(asked, "a").condemned == "fencing was asked for"
    assert node(asked, "b").liveness is Liveness.DOWN


def test_a_node_that_joins_for_too_long_is_lost() -> None:
    waiting = 'in_ccm="1999999000" crmd="0" join="down" expected="down"'
    patient = observe(cib("", state("a", member=waiting)))
    hurried = observe(cib("", state("a", member=waiting), node_pending_timeout="5min"))
    assert node(patient, "a").liveness is Liveness.SUSPECT
    assert node(hurried, "a").condemned == "it has been joining for too long"


def test_leaving_standby_and_attributes() -> None:
    said = {"#health-disk": "red", "rack": "x", "master-db": "5", "fail-count-db#start_0": "1"}
    found = node(observe(cib("", state("a", shutdown="1999999999", standby="on", **said))), "a")
    assert (found.leaving, found.standby) == (True, True)
    assert found.attributes == (("health-disk", "red"), ("rack", "x"))


def test_what_runs_on_a_node_that_is_gone_is_assumed_to_run_on_and_makes_it_lost() -> None:
    silent = state("a", ran("r", op("start", 1)), member=DOWN)
    observed = observe(cib(resource("r") + DEVICE, silent))
    assert node(observed, "a").liveness is Liveness.LOST
    assert [copy.certainty for copy in observed.copies] == [Certainty.ASSUMED]
    assert where(observe(cib(resource("r"), silent, stonith_enabled="false"))) == ""


def test_what_is_not_managed_is_no_reason_to_fence() -> None:
    silent = state("a", ran("r", op("start", 1)), member=DOWN)
    observed = observe(cib(resource("r", is_managed="false"), silent))
    assert node(observed, "a").liveness is Liveness.SUSPECT
    assert where(observed) == "r@a"


def test_a_connected_remote_node_cannot_be_carried_over() -> None:
    remote = '<node_state id="far" uname="far" remote_node="true"><lrm id="far"><lrm_resources>'
    remote += ran("r", op("start", 1)) + "</lrm_resources></lrm></node_state>"
    connection = ran("far", op("start", 1), more='class="ocf" provider="pacemaker" type="remote"')
    _, up = observe_all(cib(resource("r"), state("a", connection), remote))
    _, gone = observe_all(cib(resource("r"), state("a"), remote))
    assert [found.code for found in up] == ["R071"]
    assert [found.code for found in gone] == ["R072"]


def test_of_two_nodes_of_one_name_the_first_counts_and_a_nameless_one_is_left_out() -> None:
    observed = observe(cib("", state("a", rack="x"), nodes="a a n/a"))
    assert [each.name for each in observed.nodes] == ["a"]
