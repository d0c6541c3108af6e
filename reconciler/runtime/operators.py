"""The controller's end of operators' connections: requests in, answers out, each to who asked.

Questions are answered from the state at once; orders go to the brain as events, and what it tells is
passed on until its last word. Whoever leaves is forgotten, and what they ordered goes on.
"""

import contextlib
import itertools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from reconciler.codec.messages import Request, Response
from reconciler.core import control
from reconciler.model.errors import ReconcilerError, Refused, Unreachable
from reconciler.runtime import api
from reconciler.runtime.stream import Stream

REQUESTS_MAX = 64
"""Requests of one connection that may be unanswered at once."""

Body = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """A request that is still to be answered."""

    stream: Stream
    id: int


class Operators:
    """Knows who waits for which answer."""

    def __init__(
        self,
        *,
        cluster: str,
        tell: Callable[[control.Event], None],
        questions: dict[str, Callable[[], Body]],
        history: Callable[[int], Awaitable[list[Body]]],
    ) -> None:
        """`questions` are the methods that the state alone answers."""
        self._cluster = cluster
        self._tell = tell
        self._questions = questions
        self._history = history
        self._asked: dict[int, _Asked] = {}
        self._numbers = itertools.count(1)

    async def serve(self, stream: Stream) -> None:
        """Answer an operator until they leave."""
        try:
            async for message in stream:
                if not isinstance(message, Request):
                    raise Refused(f"an operator does not send {type(message).__name__}")
                await self._take(stream, message)
        finally:
            for number in [n for n, asked in self._asked.items() if asked.stream is stream]:
                del self._asked[number]
                self._tell(control.WatcherGone(request=number))

    def answer(
        self, request: int, body: Body, *, error: str | None = None, last: bool = True
    ) -> None:
        """Answer a request, if whoever made it is still there."""
        asked = self._asked.get(request)
        if asked is None:
            return
        if last:
            del self._asked[request]
        with contextlib.suppress(Unreachable):
            asked.stream.send(Response(id=asked.id, body=body, error=error, last=last))

    async def _take(self, stream: Stream, message: Request) -> None:
        number = next(self._numbers)
        self._asked[number] = _Asked(stream=stream, id=message.id)
        if sum(asked.stream is stream for asked in self._asked.values()) > REQUESTS_MAX:
            self.answer(number, {}, error="too many requests at once")
            return
        try:
            await self._obey(number, message.method, message.body)
        except ReconcilerError as trouble:
            self.answer(number, {}, error=str(trouble))

    async def _obey(self, number: int, method: str, body: Body) -> None:
        match method:
            case "apply":
                self._tell(api.read_apply(number, body, self._cluster))
            case "clear":
                self._tell(api.read_clear(number, body))
            case "fence":
                self._tell(api.read_fence(number, body))
            case "history":
                self.answer(number, {"records": await self._history(api.read_last(body))})
            case _ if method in self._questions:
                self.answer(number, self._questions[method]())
            case _:
                raise Refused(f"there is no method {method!r}")
