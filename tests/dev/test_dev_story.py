"""What `reconcile dev` tells of two looks at a cluster's status."""

import pytest

from reconciler.runtime.dev.story import told


def node(liveness="alive", boot="b1", heard_ago_ms=10):
    return {"name": "alpha", "liveness": liveness, "boot": boot, "heard_ago_ms": heard_ago_ms}


def service(state="running", copies=(), reasons=()):
    return {"name": "db", "state": state, "copies": list(copies), "reasons": list(reasons)}


def copy(node="alpha", state="running", role="started"):
    return {"node": node, "state": state, "role": role}


@pytest.mark.parametrize(
    ("before", "now", "lines"),
    [
        ({}, {}, ()),
        ({}, {"nodes": [node()]}, ("alpha is alive",)),
        ({"nodes": [node()]}, {"nodes": [node()]}, ()),
        (
            {"nodes": [node()]},
            {"nodes": [node("lost", heard_ago_ms=3512)]},
            ("alpha is lost, not heard for 3.5 s",),
        ),
        (
            {"nodes": []},
            {"nodes": [node("unknown", boot=None, heard_ago_ms=None)]},
            ("alpha is new; it gets a machine when dev is started anew",),
        ),
        ({}, {"nodes": [node("unknown", boot=None, heard_ago_ms=None)]}, ()),
        ({"nodes": [node()]}, {"nodes": [node(boot="b2")]}, ("alpha has booted anew",)),
        ({}, {"services": [service(copies=[copy()])]}, ("db runs on alpha",)),
        (
            {"services": [service(copies=[copy()])]},
            {"services": [service(copies=[copy("bravo")])]},
            ("db runs on bravo", "db is gone from alpha"),
        ),
        (
            {"services": [service(copies=[copy()])]},
            {"services": [service(copies=[copy(state="failed")])]},
            ("db is failed on alpha",),
        ),
        (
            {"services": [service()]},
            {"services": [service(copies=[copy(role="promoted")])]},
            ("db runs promoted on alpha",),
        ),
        (
            {"services": [service()]},
            {"services": [service("blocked", reasons=[{"text": "no proof"}])]},
            ("db is blocked: no proof",),
        ),
        (
            {"services": [service("blocked", reasons=[{"text": "no proof"}])]},
            {"services": [service("blocked", reasons=[{"text": "no proof"}])]},
            (),
        ),
        (
            {"intent": None},
            {"intent": {"accepted": {"revision": "0123456789abcdef", "digest": "d"}}},
            ("0123456789ab is accepted, and in force",),
        ),
        (
            {"intent": {"accepted": {"revision": "a", "digest": "d"}}},
            {
                "intent": {
                    "accepted": {"revision": "a", "digest": "d"},
                    "candidate": {"revision": "worktree:b", "digest": "e", "subject": "More"},
                }
            },
            ("worktree:b (More) waits to be applied: see `reconcile plan`",),
        ),
        (
            {"intent": {"accepted": {"revision": "a", "digest": "d"}}},
            {
                "intent": {
                    "accepted": {"revision": "a", "digest": "d"},
                    "candidate": {"revision": "b", "digest": "d"},
                }
            },
            (),
        ),
        (
            {"intent": {"trouble": None}},
            {"intent": {"trouble": "R001 cluster.yaml:3"}},
            ("the files cannot be used: R001 cluster.yaml:3",),
        ),
    ],
)
def test_a_change_is_told_once(before, now, lines) -> None:
    assert told(before, now) == lines
