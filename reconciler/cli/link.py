"""A command's talk with the controller: questions and orders over one authenticated connection.

Everything asynchronous about it ends here. A controller that cannot be reached, or refuses, is an
exception of `model.errors`, with words for the operator.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

from reconciler.cli.context import Context
from reconciler.model.errors import Corrupt
from reconciler.model.ids import Millis
from reconciler.model.intent import Intent
from reconciler.model.observed import Observed
from reconciler.runtime.client import Client

Body = dict[str, Any]
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptedIntent:
    """The intent in force at the controller."""

    intent: Intent
    revision: str
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What the controller observes, and when it is there."""

    observed: Observed
    now_ms: Millis
    accepted: AcceptedIntent | None = None


class Link:
    """One connection, used from ordinary code."""

    def __init__(self, client: Client, loop: asyncio.Runner) -> None:
        self._client = client
        self._loop = loop

    def ask(self, method: str, body: Body | None = None) -> Body:
        """Ask one question.

        Errors: `Unreachable`, `Refused`, `Stale`, `Corrupt`.
        """
        return self._loop.run(self._client.ask(method, body or {}))

    def follow(self, method: str, body: Body) -> Iterator[Body]:
        """Give an order and hear what becomes of it, until the last word.

        Errors: as `ask`.
        """
        events = self._client.follow(method, body)

        async def following() -> Body | None:
            return await anext(events, None)

        while (event := self._loop.run(following())) is not None:
            yield event

    def observe(self) -> Seen:
        """What the controller knows now."""
        return read(self.ask("observe"), Seen)


@contextmanager
def linked(where: Context) -> Iterator[Link]:
    """Connect to the controller for the length of a `with`.

    Errors: `Unreachable`, `Refused`.
    """
    with asyncio.Runner() as loop:
        client = loop.run(Client.connect(where.host, where.port, where.pki))
        try:
            yield Link(client, loop)
        finally:
            loop.run(client.close())


def observe(where: Context) -> Seen:
    """What the controller at this place knows now."""
    with linked(where) as link:
        return link.observe()


def read(body: Body, kind: type[T]) -> T:
    """Take an answer for what it should be.

    Errors: `Corrupt` when the controller speaks of something else.
    """
    try:
        return msgspec.convert(body, kind)
    except msgspec.ValidationError as trouble:
        raise Corrupt(
            f"this controller's answer is not understood ({trouble}); is it of another release?"
        ) from None
