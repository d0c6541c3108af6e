"""A store that forgets with its process: for tests, and for nothing that has to last."""

from collections import defaultdict
from collections.abc import Mapping

from reconciler.model.ids import Epoch, Incarnation
from reconciler.ports import Term

RECORDS_MAX = 1_000


class MemoryStore:
    """Keeps everything in dictionaries. Outlives a controller in a test, so that the next one finds it."""

    def __init__(self, *, incarnation: int = 1) -> None:
        self._term = Term(incarnation=Incarnation(incarnation), epoch=Epoch(0))
        self._values: dict[str, bytes] = {}
        self._streams: dict[str, list[tuple[int, bytes]]] = defaultdict(list)

    def begin_term(self) -> Term:
        """Take the next epoch."""
        self._term = Term(incarnation=self._term.incarnation, epoch=Epoch(self._term.epoch + 1))
        return self._term

    def get(self, key: str) -> bytes | None:
        """The value last put under this key."""
        return self._values.get(key)

    def put(self, values: Mapping[str, bytes]) -> None:
        """Put all of these."""
        self._values.update(values)

    def append(self, stream: str, record: bytes) -> int:
        """Add a record and return its number."""
        records = self._streams[stream]
        number = records[-1][0] + 1 if records else 1
        records.append((number, record))
        del records[:-RECORDS_MAX]
        return number

    def read(self, stream: str, *, last: int) -> tuple[tuple[int, bytes], ...]:
        """The last so many records, oldest first."""
        return tuple(self._streams[stream][-last:]) if last > 0 else ()

    def close(self) -> None:
        """Nothing to let go of."""
