"""Fence agents, the programs of the package `fence-agents`: one request on standard input, one exit status.

Everything that an agent has to know goes through its standard input, secrets included; its argument list,
which every user of the machine can read, says `-o metadata` at most. Whatever it does is an `Answer`.
Source: ClusterLabs, FenceAgentAPI.
"""

from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Never, Protocol
from xml.parsers import expat

from reconciler.model.errors import Corrupt, Refused
from reconciler.model.ids import Millis

PLACES = (Path("/usr/local/sbin"), Path("/usr/sbin"), Path("/sbin"))
METADATA_MS = Millis(15_000)
_ON, _OFF = 0, 2
"""What `status` exits with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """How a program ended."""

    exit_code: int | None
    """None: it did not exit by itself."""
    output: str = ""
    words: str = ""
    """Why there is no exit status, or the last line that it printed."""


class Run(Protocol):
    """Runs a program with this on its standard input, kills it at its deadline, and never raises for it."""

    def __call__(
        self, arguments: Sequence[str], given: bytes, *, timeout_ms: Millis
    ) -> Awaitable[Ran]:
        """Run it to its end."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came of one request."""

    succeeded: bool
    words: str = ""
    power: bool | None = None
    """What `status` said: on, off, or neither."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Abilities:
    """What an agent says it can do, and which parameters it takes."""

    actions: frozenset[str]
    parameters: frozenset[str]


class Agent:
    """One program."""

    def __init__(self, name: str, run: Run, places: Sequence[Path] = PLACES) -> None:
        """Find it.

        Errors: `Refused` when it is not installed, or is no name of a program.
        """
        found = (place / name for place in places if name == Path(name).name and name)
        program = next((path for path in found if path.is_file()), None)
        if program is None:
            raise Refused(f"fence agent {name[:80]} is not installed here")
        self._program = str(program)
        self._run = run

    async def abilities(self) -> Abilities:
        """Ask what it can do.

        Errors: `Refused` when it does not say.
        """
        arguments = [self._program, "-o", "metadata"]
        ran = await self._run(arguments, b"", timeout_ms=METADATA_MS)
        if ran.exit_code != 0:
            raise Refused(f"{self._program} does not say what it can do: {_words(ran)}")
        try:
            return read_metadata(ran.output)
        except Corrupt as trouble:
            raise Refused(f"{self._program}: {trouble}") from trouble

    async def ask(
        self, action: str, parameters: Mapping[str, str], *, timeout_ms: Millis
    ) -> Answer:
        """Make one request."""
        try:
            given = request(action, parameters)
        except Refused as trouble:
            return Answer(succeeded=False, words=str(trouble))
        ran = await self._run([self._program], given, timeout_ms=timeout_ms)
        if action == "status":
            power = {_ON: True, _OFF: False}.get(-1 if ran.exit_code is None else ran.exit_code)
            return Answer(succeeded=power is not None, words=_words(ran), power=power)
        return Answer(succeeded=ran.exit_code == 0, words=_words(ran))


def request(action: str, parameters: Mapping[str, str]) -> bytes:
    """What goes to an agent's standard input.

    Errors: `Refused` for a value that would be read as another line; it names the parameter only.
    """
    for name, value in parameters.items():
        if any(character in name + value for character in "\n\r\0") or "=" in name:
            raise Refused(f"parameter {name[:80]!r} holds a line break or a NUL")
    lines = [f"action={action}", *(f"{name}={value}" for name, value in parameters.items())]
    return "\n".join([*lines, ""]).encode()


def read_metadata(text: str) -> Abilities:
    """Read an agent's description of itself; no entities, nothing fetched.

    Errors: `Corrupt` when it is none.
    """
    actions, parameters = set[str](), set[str]()

    def begin(tag: str, attributes: dict[str, str]) -> None:
        if tag == "action":
            actions.add(attributes.get("name", ""))
        elif tag == "parameter":
            parameters.add(attributes.get("name", ""))

    def refuse(*_: object) -> Never:
        raise Corrupt("its metadata declares an entity")

    parser = expat.ParserCreate()
    parser.StartElementHandler = begin
    parser.EntityDeclHandler = refuse
    try:
        parser.Parse(text.strip().encode(), True)  # noqa: FBT003 - expat takes it so
    except expat.ExpatError as trouble:
        raise Corrupt(f"its metadata is not XML: {trouble}") from trouble
    if not actions:
        raise Corrupt("its metadata names no action")
    return Abilities(actions=frozenset(actions), parameters=frozenset(parameters))


def _words(ran: Ran) -> str:
    status = f"exit status {ran.exit_code}" if ran.exit_code is not None else ""
    return ", ".join(filter(None, (status, ran.words)))
