"""`reconcile status`: how the cluster stands, once or until told to stop."""

import os
import select
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from reconciler.cli import context, link
from reconciler.cli.exit_codes import ExitCode
from reconciler.cli.screen import watched
from reconciler.cli.terminal import is_terminal, say, say_text
from reconciler.codec import observed_file
from reconciler.model.errors import Unreachable
from reconciler.render import status_text
from reconciler.render.ink import BLANK, Line, Tone, line
from reconciler.render.plan_json import indented
from reconciler.render.status import Status

Form = Literal["text", "json", "observed"]

_EVERY_S = 1.0
_STUCK = frozenset({"blocked", "unplaced", "failed", "unknown"})
_MOVING = frozenset({"starting", "stopping", "degraded", "pending"})


def run_status(*, watch: bool, form: Form, controller: str | None, pki: Path | None) -> ExitCode:
    """Show how the cluster stands; the status says whether anything waits or is blocked."""
    where = context.need(controller, pki)
    if watch:
        return _watch(where, form)
    with link.linked(where) as asked:
        if form == "observed":
            say_text(observed_file.write(asked.observe().observed).decode())
            return ExitCode.DONE
        body = asked.ask("status")
    status = link.read(body, Status)
    if form == "json":
        say_text(indented(body))
    else:
        say(status_text.render(status))
    return amounts_to(status)


def amounts_to(status: Status) -> ExitCode:
    """What a status leaves to be done."""
    if any(one.state in _STUCK or one.reasons for one in status.services):
        return ExitCode.BLOCKED
    accepted, candidate = status.intent.accepted, status.intent.candidate
    waits = candidate is not None and (accepted is None or accepted.digest != candidate.digest)
    moving = any(one.state in _MOVING for one in status.services)
    return ExitCode.CHANGES_PENDING if waits or moving or status.transition else ExitCode.DONE


def _watch(where: context.Context, form: Form) -> ExitCode:
    """Follow the cluster until `q` or Ctrl-C; a controller that goes away is waited for."""
    code = ExitCode.DONE
    try:
        with watched(sys.stdout, whole=True) as screen, _keys() as keys:
            before: object = None
            for body, lines in _looks(where):
                if body is not None:
                    code = amounts_to(link.read(body, Status))
                facts = _without_ages(body) if body is not None else None
                if is_terminal(sys.stdout):
                    screen.show([*lines, BLANK, line(body="q ends this", tone=Tone.FAINT)])
                elif facts != before and body is not None and form == "json":
                    screen.show([], otherwise=indented(body).rstrip())
                elif facts != before:
                    screen.show([*lines, BLANK])
                before = facts
                if _pressed(keys):
                    break
    except KeyboardInterrupt:
        pass
    return code


def _looks(where: context.Context) -> Iterator[tuple[dict[str, Any] | None, list[Line]]]:
    """The status again and again, without an end."""
    while True:
        try:
            with link.linked(where) as asked:
                while True:
                    body = asked.ask("status")
                    yield body, status_text.render(link.read(body, Status))
        except Unreachable as trouble:
            yield None, [line(body=f"{trouble}; trying again", tone=Tone.BAD)]


def _without_ages(body: object) -> object:
    """A status without what changes from look to look by itself."""
    match body:
        case dict():
            ages = {"heard_ago_ms", "since", "now_ms", "for_ms"}
            return {key: _without_ages(part) for key, part in body.items() if key not in ages}
        case list():
            return [_without_ages(part) for part in body]
        case _:
            return body


def _pressed(keys: bool) -> bool:
    """Wait for the time of the next look; True when `q` came first."""
    if not keys:
        time.sleep(_EVERY_S)
        return False
    ready, _, _ = select.select([sys.stdin], [], [], _EVERY_S)
    return bool(ready) and os.read(sys.stdin.fileno(), 1) in {b"q", b"Q", b""}


@contextmanager
def _keys() -> Iterator[bool]:
    """Hear single keys without an Enter, while both ends are a terminal."""
    if not (is_terminal(sys.stdin) and is_terminal(sys.stdout)):
        yield False
        return
    import termios
    import tty

    before = termios.tcgetattr(sys.stdin)
    try:
        tty.setcbreak(sys.stdin, termios.TCSADRAIN)  # a key pressed before this counts too
        yield True
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)
