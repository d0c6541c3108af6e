"""An operator's end of the connection to a controller: questions with one answer, orders with many.

    client = await Client.connect("10.0.0.9", 7410, Path("pki"))
    status = await client.ask("status", {})
    async for event in client.follow("apply", {...}):
        ...
    await client.close()

Leaving in the middle of an order leaves it going on: it belongs to the cluster.
"""

import itertools
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Self

from reconciler.codec.messages import Request, Response
from reconciler.model.errors import Corrupt, Refused, Stale
from reconciler.runtime.pki import Credentials, Role
from reconciler.runtime.stream import Stream, connect

Body = dict[str, Any]


class Client:
    """One connection, for one question at a time."""

    def __init__(self, stream: Stream) -> None:
        """`connect` is the door."""
        self._stream = stream
        self._numbers = itertools.count(1)

    @classmethod
    async def connect(cls, host: str, port: int, pki: Path) -> Self:
        """Connect with the only operator's certificate of a directory.

        Errors: `Unreachable` when nobody answers there; `Refused` when we may not, or it is no controller.
        """
        credentials = Credentials.sole(pki, Role.OPERATOR)
        return cls(await connect([(host, port)], credentials, Role.CONTROLLER))

    @property
    def controller(self) -> str:
        """The name in the controller's certificate."""
        return self._stream.peer.name

    async def ask(self, method: str, body: Body) -> Body:
        """Ask, and wait for the answer.

        Errors: `Unreachable`, `Refused`, `Stale`, `Corrupt`.
        """
        last: Body = {}
        async for answer in self.follow(method, body):
            last = answer
        return last

    async def follow(self, method: str, body: Body) -> AsyncIterator[Body]:
        """Give an order and yield what is said about it, the last word included.

        Errors: as `ask`.
        """
        number = next(self._numbers)
        self._stream.send(Request(id=number, method=method, body=body))
        while True:
            message = await self._stream.receive()
            if not isinstance(message, Response):
                raise Corrupt(f"a controller does not answer with {type(message).__name__}")
            if message.id != number:
                continue  # of an earlier order that nobody follows any more
            if message.error == "stale":
                raise Stale(tuple(str(change) for change in message.body.get("changes", ())))
            if message.error is not None:
                raise Refused(message.error)
            yield message.body
            if message.last:
                return

    async def close(self) -> None:
        """End the connection. Safe to call twice."""
        await self._stream.close()
