import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.membership.votes import count
from reconciler.model.observed import Liveness

NAMES = ["alpha", "bravo", "carol", "delta", "witness"]


def by_hand(members, heard):
    """Draw up the roll, tick off who answered well, and compare the two heaps one by one."""
    present, absent = ["controller"], []
    for member in sorted(set(members)):
        (present if heard.get(member) == Liveness.ALIVE else absent).append(member)
    return present, absent, len(present) > len(absent)


@given(
    st.lists(st.sampled_from(NAMES), max_size=6),
    st.dictionaries(st.sampled_from([*NAMES, "stranger"]), st.sampled_from(Liveness)),
)
def test_agrees_with_counting_by_hand(members, heard):
    votes = count(members, heard)
    present, absent, quorate = by_hand(members, heard)
    assert (votes.held, votes.total) == (len(present), len(present) + len(absent))
    assert votes.quorate is quorate
    assert votes.needed * 2 > votes.total >= (votes.needed - 1) * 2


@given(st.lists(st.sampled_from(NAMES), max_size=6))
def test_what_a_majority_leaves_is_no_majority(members):
    """Whoever might count the votes that are missing here does not reach the same number."""
    for alive in range(len(set(members)) + 1):
        votes = count(members, dict.fromkeys(sorted(set(members))[:alive], Liveness.ALIVE))
        assert not votes.quorate or votes.total - votes.held < votes.needed


@pytest.mark.parametrize(
    ("alive", "suspect", "lost", "expected"),
    [
        (3, 0, 0, True),
        (2, 0, 1, True),
        (1, 0, 2, False),
        (0, 3, 0, False),
        (1, 2, 0, False),
        (2, 1, 0, True),
    ],
)
def test_three_nodes(alive, suspect, lost, expected):
    said = [Liveness.ALIVE] * alive + [Liveness.SUSPECT] * suspect + [Liveness.LOST] * lost
    assert count(NAMES[:3], dict(zip(NAMES, said, strict=False))).quorate is expected


def test_one_of_two_nodes_and_the_controller_are_a_majority_but_the_controller_alone_is_not():
    assert count(NAMES[:2], {"alpha": Liveness.ALIVE, "bravo": Liveness.LOST}).quorate
    assert not count(NAMES[:2], {}).quorate


def test_a_witness_votes_and_an_unheard_member_does_not():
    members = ["alpha", "bravo", "witness"]
    assert count(members, {"alpha": Liveness.ALIVE, "witness": Liveness.ALIVE}).held == 3
    assert count(members, {"alpha": Liveness.UNKNOWN}).held == 1
