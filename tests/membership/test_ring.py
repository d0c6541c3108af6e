"""Who hears whom, and how many peers prove that no controller can have moved anything."""

import pytest

from reconciler.membership import ring
from reconciler.membership.votes import Votes
from reconciler.model.ids import NodeName


def names(count):
    return [NodeName(f"node-{number}") for number in range(count)]


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 9, 40])
def test_everybody_hears_exactly_those_that_speak_to_it(count):
    members = names(count)
    spoken = {(one, other) for one in members for other in ring.speaks_to(members, one)}
    heard = {(one, other) for other in members for one in ring.hears(members, other)}
    assert spoken == heard
    assert all(one != other for one, other in heard)
    assert len(heard) == count * min(ring.PEERS_MAX, count - 1)


def test_a_newcomer_changes_the_ring_next_to_it_only():
    members = names(40)
    before = {one: ring.hears(members, one) for one in members}
    after = {one: ring.hears([*members, NodeName("new")], one) for one in members}
    assert 0 < sum(before[one] != after[one] for one in members) <= ring.PEERS_MAX


@pytest.mark.parametrize("voters", range(1, 8))
def test_enough_peers_leave_the_controller_s_side_without_a_majority_and_one_less_does_not(voters):
    enough = ring.enough(voters)
    theirs = Votes(held=voters + 1 - (1 + enough), total=voters + 1)
    assert not theirs.quorate
    if enough:
        assert Votes(held=theirs.held + 1, total=voters + 1).quorate


def test_a_controller_that_acts_alone_has_to_be_without_any_node():
    assert [ring.enough(voters, majority=False) for voters in (1, 2, 3, 4)] == [0, 1, 2, 3]


def test_in_large_clusters_all_that_are_heard_have_to_agree():
    assert {ring.enough(voters) for voters in (8, 50, 200)} == {ring.PEERS_MAX}
