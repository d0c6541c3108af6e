"""What a controller keeps, as values on the one side and bytes in any store on the other.

Keys: `accepted`, `ledger`, `transition`, `fate/N` by the place of the action in the plan, `nodes`, and
`node/NAME`. A key that holds nothing holds JSON's null, so that everything is overwritten, never deleted.
"""

from collections.abc import Mapping
from typing import TypeVar

from reconciler.codec import canonical
from reconciler.core.control import (
    Accepted,
    FateRecord,
    Ledger,
    NodeRecord,
    Restored,
    TransitionRecord,
)
from reconciler.model.errors import Corrupt
from reconciler.model.ids import NodeName
from reconciler.ports import Store

T = TypeVar("T")


def encode(values: tuple[tuple[str, object], ...]) -> Mapping[str, bytes]:
    """The bytes to put."""
    return {key: canonical.dump(value) for key, value in values}


def restore(store: Store) -> Restored:
    """Read back everything that the controller before this one kept.

    Errors: `Corrupt` when something is not what a controller writes.
    """
    transition = _read(store, "transition", TransitionRecord)
    places = len(transition.saved.decision.plan.actions) if transition else 0
    fates = tuple(_read(store, f"fate/{place}", FateRecord) for place in range(places))
    found = (_read(store, f"node/{name}", NodeRecord) for name in _names(store))
    return Restored(
        accepted=_read(store, "accepted", Accepted),
        ledger=_read(store, "ledger", Ledger) or Ledger(),
        transition=transition,
        fates=fates,
        nodes=tuple(record for record in found if record is not None),
    )


def _names(store: Store) -> tuple[NodeName, ...]:
    return _read(store, "nodes", tuple[NodeName, ...]) or ()


def _read(store: Store, key: str, kind: type[T]) -> T | None:
    data = store.get(key)
    if data is None or data == b"null":
        return None
    try:
        return canonical.load(data, kind)
    except Corrupt as trouble:
        raise Corrupt(f"{key}: {trouble}") from trouble
