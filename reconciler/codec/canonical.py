"""Canonical bytes, digests and fingerprints of model values, and the way back.

Equal values give equal bytes: fields in the order of their declaration, tuples as they stand, sets
sorted. A digest leaves out what does not change a decision: where a line was written, and when a fact
was seen.
"""

import hashlib
import re
from collections.abc import Iterable
from typing import TypeVar

import msgspec

from reconciler.model.errors import BrokenLaw, Corrupt
from reconciler.model.ids import Digest
from reconciler.model.intent import Intent
from reconciler.model.observed import Observed

T = TypeVar("T")

_REMEMBERED_MAX = 4
_remembered: dict[int, tuple[Intent, Digest]] = {}
"""Digests of intents, which are kept with them so that no other intent gets their identity."""

_PLACES = ("origin",)
_TIMES = ("taken_at_ms", "heard_ms", "last_ms", "clock_ahead_ms")
_VALUE = re.compile(rb'(?:null|-?[0-9]+|\{(?:[^"{}]|"[^"\\]*(?:\\.[^"\\]*)*")*\}),?')


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
    """Digest of what an intent says, wherever its lines stand.

    The last few are remembered by identity, which is safe because intents are frozen: every plan asks.
    """
    known = _remembered.get(id(intent))
    if known is not None and known[0] is intent:
        return known[1]
    found = _digest_without(intent, _PLACES)
    while len(_remembered) >= _REMEMBERED_MAX:
        del _remembered[next(iter(_remembered))]
    _remembered[id(intent)] = intent, found
    return found


def fingerprint(observed: Observed) -> Digest:
    """Digest of every fact, without the times at which they were seen."""
    return _digest_without(observed, _TIMES)


def _digest_without(value: object, keys: Iterable[str]) -> Digest:
    data = msgspec.json.encode(value, order="sorted")
    for key in keys:
        data = _cut(data, f'"{key}":'.encode())
    return Digest(hashlib.sha256(data).hexdigest())


def _cut(data: bytes, key: bytes) -> bytes:
    """JSON without a key, wherever it stands, and its values: plain numbers, null, or flat objects.

    Inside a string the quotes of such a key would follow backslashes, so what is found is a key. Taking
    the values apart into Python's own objects would take four times as long.
    """
    first, *others = data.split(key)
    kept = [first]
    for part in others:
        found = _VALUE.match(part)
        if found is None:
            raise BrokenLaw("what a digest leaves out is flat", f"{key.decode()} is not")
        if not found.group().endswith(b","):
            kept[-1] = kept[-1].removesuffix(b",")
        kept.append(part[found.end() :])
    return b"".join(kept)
