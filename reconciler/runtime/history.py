"""The history: what was decided, from what, and what came of it. Written behind the decisions.

Every plan is kept with everything that it was made from, so that it can be made again years later. The
store bounds how many records there are.
"""

import asyncio
import contextlib
import zlib
from collections import deque
from concurrent.futures import Executor
from typing import Any

import msgspec

from reconciler.core import control
from reconciler.model.errors import Refused
from reconciler.ports import Store
from reconciler.runtime import clock
from reconciler.runtime.log import Events

STREAM = "history"
WAITING_MAX = 10_000
"""Records that a slow disk may be behind; then the oldest of them are lost."""


class History:
    """Writes and reads records; shares the thread in which everything else of the store happens."""

    def __init__(self, store: Store, disk: Executor, log: Events) -> None:
        """Begin with nothing to write."""
        self._store = store
        self._disk = disk
        self._log = log
        self._waiting: deque[tuple[str, control.Record]] = deque(maxlen=WAITING_MAX)
        self._stirred = asyncio.Event()

    def add(self, record: control.Record) -> None:
        """Write it as soon as nothing more urgent is to be written."""
        self._waiting.append((clock.stamp(), record))
        self._stirred.set()

    async def write(self) -> None:
        """Write whatever is added, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await self._stirred.wait()
            self._stirred.clear()
            while self._waiting:
                at, record = self._waiting.popleft()
                try:
                    await loop.run_in_executor(self._disk, self._append, at, record)
                except Refused as trouble:
                    self._log.error("the history is not written", reason=trouble)

    def flush(self) -> None:
        """Write what waits, now and in this thread."""
        with contextlib.suppress(Refused):
            while self._waiting:
                self._append(*self._waiting.popleft())

    async def read(self, last: int) -> list[dict[str, Any]]:
        """The last so many records, oldest first."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._disk, self._read, last)

    def _append(self, at: str, record: control.Record) -> None:
        body = {
            "at": at,
            "kind": record.kind,
            "fields": dict(record.fields),
            "saved": record.saved,
        }
        self._store.append(STREAM, zlib.compress(msgspec.json.encode(body), 1))

    def _read(self, last: int) -> list[dict[str, Any]]:
        return [
            {"number": number, **msgspec.json.decode(zlib.decompress(data))}
            for number, data in self._store.read(STREAM, last=last)
        ]
