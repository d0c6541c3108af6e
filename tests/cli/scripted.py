"""A controller that says what a test tells it to, over the real wire with real certificates."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from reconciler.codec.messages import Request, Response
from reconciler.runtime.pki import Role
from reconciler.runtime.stream import Stream, serve
from tests.runtime.members import authority, member

Body = dict[str, Any]
Answer = Callable[[Body], list[Body] | str | tuple[str, ...]]
"""From a request: bodies to answer with (none hangs up), a refusal, or what makes it stale."""


class Controller:
    """Answers by method; `heard` keeps every request."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}
        self.heard: list[tuple[str, Body]] = []
        self.options: tuple[str, ...] = ()

    async def talk(self, stream: Stream) -> None:
        async for message in stream:
            assert isinstance(message, Request)
            self.heard.append((message.method, message.body))
            answer = self.answers[message.method](message.body)
            match answer:
                case []:
                    stream.abort("hung up")
                    return
                case str():
                    stream.send(Response(id=message.id, body={}, error=answer))
                case tuple():
                    stream.send(
                        Response(id=message.id, body={"changes": list(answer)}, error="stale")
                    )
                case _:
                    for number, body in enumerate(answer, 1):
                        last = number == len(answer) and not body.get("more")
                        stream.send(Response(id=message.id, body=body, last=last))

    def asked(self, method: str) -> list[Body]:
        """Bodies of the requests of one method."""
        return [body for name, body in self.heard if name == method]


@contextmanager
def running() -> Iterator[Controller]:
    """A controller in a thread of its own, for the length of a `with`."""
    controller = Controller()
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    def run(work):
        return asyncio.run_coroutine_threadsafe(work, loop).result(10)

    server = run(serve(("127.0.0.1", 0), member(Role.CONTROLLER), controller.talk))
    host, port = server.address[:2]
    controller.options = ("--controller", f"{host}:{port}", "--pki", str(authority()))
    try:
        yield controller
    finally:
        run(server.close())
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
