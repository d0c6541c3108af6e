"""Canonical bytes, digests and fingerprints of model values, and the way back.

Equal values give equal bytes: fields in the order of their declaration, tuples as they stand, sets
sorted. A digest leaves out what does not change a decision: where a line was written, and when a fact
was seen.
"""

import hashlib
from typing import Any, TypeVar

import msgspec

from reconciler.model.errors import Corrupt
from reconciler.model.ids import Digest
from reconciler.model.intent import Intent
from reconciler.model.observed import Observed

T = TypeVar("T")

_TIMES = frozenset({"taken_at_ms", "heard_ms", "last_ms"})


def dump(value: object) -> bytes:
    """Encode a model value as canonical JSON."""
    return msgspec.json.encode(value, order="deterministic")


def load(data: bytes, kind: type[T]) -> T:
    """Read a model value back.

    Errors: `Corrupt` when the bytes are not JSON of that shape.
    """
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as trouble:
        raise Corrupt(f"not a {kind.__name__}: {trouble}") from trouble


def digest(value: object) -> Digest:
    """SHA-256 over the canonical JSON of any model value."""
    return Digest(hashlib.sha256(dump(value)).hexdigest())


def intent_digest(intent: Intent) -> Digest:
    """Digest of what an intent says, wherever its lines stand."""
    return digest(_without(msgspec.to_builtins(intent, order="deterministic"), {"origin"}))


def fingerprint(observed: Observed) -> Digest:
    """Digest of every fact, without the times at which they were seen."""
    return digest(_without(msgspec.to_builtins(observed, order="deterministic"), _TIMES))


def _without(value: Any, keys: set[str] | frozenset[str]) -> Any:  # noqa: ANN401 - plain JSON
    match value:
        case dict():
            return {key: _without(part, keys) for key, part in value.items() if key not in keys}
        case list() | tuple():
            return [_without(part, keys) for part in value]
        case _:
            return value
