"""Whatever stands in a file, loading it ends with an intent or with diagnostics, never with an exception."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.config.document import CONSTRAINT_KEYS
from reconciler.config.json_schema import cluster_schema
from reconciler.config.load import load_files
from reconciler.model.diagnostic import Severity
from tests.effort import examples

SCHEMA: dict[str, Any] = json.loads(cluster_schema())
KEYS = sorted({key for part in SCHEMA["definitions"].values() for key in part["properties"]})
NAMES = st.sampled_from(["a", "b", "c", "g", "../x", "", "0"])
WORDS = st.sampled_from(
    [
        *("all", "none", "required", "forbidden", "promoted", "10s", "1GiB", "10.0.0.9/24", "./x"),
        *("a:b", "exclusive", "best-effort", "optional", "nginx", "/bin/x y", "x | y", "secret"),
        "\x7f\u202e",
    ]
)
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(-2, 9), st.floats(), NAMES, WORDS)
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(KEYS) | NAMES, inner, max_size=4)
    ),
    max_leaves=8,
)
SERVICE = st.one_of(
    st.just({"systemd": "x"}),
    st.fixed_dictionaries(
        {"ocf": st.just("a:b")}, optional={"promoted": SCALARS, "replicas": SCALARS}
    ),
    st.dictionaries(st.sampled_from(KEYS), ANYTHING, max_size=4),
    ANYTHING,
)
CONSTRAINT = st.one_of(
    st.fixed_dictionaries({"colocation": st.lists(NAMES, max_size=3)}, optional={"score": SCALARS}),
    st.fixed_dictionaries({"ordering": st.lists(NAMES, max_size=4)}, optional={"kind": SCALARS}),
    st.fixed_dictionaries({"location": NAMES, "nodes": ANYTHING}, optional={"score": SCALARS}),
    st.dictionaries(st.sampled_from([*KEYS, *CONSTRAINT_KEYS]), ANYTHING, max_size=3),
)

NODE = st.one_of(st.just({"address": "10.0.0.1"}), st.just({"address": "n2"}), ANYTHING)
DOCUMENT = st.fixed_dictionaries(
    {"version": st.just(1)},
    optional={
        "cluster": NAMES,
        "nodes": st.dictionaries(NAMES, NODE, max_size=3) | ANYTHING,
        "services": st.dictionaries(NAMES, SERVICE, max_size=4) | ANYTHING,
        "groups": st.dictionaries(NAMES, st.lists(NAMES, max_size=3) | ANYTHING, max_size=2),
        "templates": st.dictionaries(NAMES, SERVICE, max_size=2),
        "constraints": st.lists(CONSTRAINT, max_size=4) | ANYTHING,
        "defaults": ANYTHING,
        "fencing": ANYTHING,
        "heartbeat": ANYTHING,
        "witnesses": ANYTHING,
        "accept-split-brain": SCALARS,
        "typo": SCALARS,
    },
)


@given(st.lists(DOCUMENT, min_size=1, max_size=2))
@settings(max_examples=examples(120), deadline=None)
def test_an_intent_or_diagnostics_never_an_exception(documents: list[Any]) -> None:
    files = tuple(
        (f"{number}.yaml", json.dumps(document).encode())
        for number, document in enumerate(documents)
    )
    loaded = load_files(files)
    errors = [found for found in loaded.diagnostics if found.severity is Severity.ERROR]
    assert (loaded.intent is None) == bool(errors)
    assert all(found.detail.isprintable() for found in loaded.diagnostics)
    assert all(found.origin is None or found.origin.line >= 1 for found in loaded.diagnostics)
    assert load_files(files) == loaded
