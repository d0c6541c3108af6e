"""What starts a service - agents, units, paths, commands - read and checked.

No shell ever sees a command: it is a list of arguments, or a text that is split into one, and a text that
only a shell would understand is refused. Paths are absolute or below the folder of their file.
"""

import json
import re
import shlex
from typing import Annotated

from pydantic import WithJsonSchema

from reconciler.config.reader import Reader
from reconciler.config.values import NAME_PATTERN, SCALAR, read_text, shown, wrong
from reconciler.config.yaml_tree import quoted

_OCF = re.compile(rf"({NAME_PATTERN}):({NAME_PATTERN})")
_UNIT = re.compile(r"[A-Za-z0-9:_\\][A-Za-z0-9:_.\\@-]{0,254}")
_UNIT_TYPES = (
    ".service",
    ".socket",
    ".target",
    ".timer",
    ".mount",
    ".path",
    ".slice",
    ".scope",
    ".swap",
    ".device",
    ".automount",
)
_SHELL = frozenset("|&;<>()$`*?~\n")


def read_ocf(value: object) -> str:
    """`provider:type` of an OCF resource agent."""
    text = read_text(value)
    if text.startswith("ocf:") and text.count(":") == 2:  # noqa: PLR2004 - class:provider:type
        raise wrong(f"The class is in the key already: write {quoted(text.removeprefix('ocf:'))}.")
    if not _OCF.fullmatch(text):
        raise wrong(
            f"An OCF agent is written as provider:type, such as heartbeat:IPaddr2, not {shown(value)}."
        )
    return text


def read_unit(value: object) -> str:
    """The full name of a systemd unit; `.service` is added where no type is given."""
    text = read_text(value)
    if not _UNIT.fullmatch(text):
        raise wrong(
            f"{quoted(text)} cannot be the name of a systemd unit, such as nginx or postgresql@15-main."
        )
    return text if text.endswith(_UNIT_TYPES) else text + ".service"


def read_path(value: object) -> str:
    """An absolute path, or one below the folder of the file that holds it (`./...`)."""
    text = read_text(value)
    if not text.startswith(("/", "./")) or ".." in text.split("/"):
        raise wrong(
            f"{quoted(text)} is neither an absolute path nor one that begins with ./ (taken from the "
            "folder of this file). It may not contain `..`.",
            "R019",
        )
    return text


def read_folder(value: object) -> str:
    """An absolute path of a folder that every node has."""
    text = read_text(value)
    if not text.startswith("/") or ".." in text.split("/") or "\0" in text:
        raise wrong(
            f"{quoted(text)} is not an absolute path of a folder. It begins with / and may not contain `..`.",
            "R019",
        )
    return text


def read_pidfile(value: object) -> str:
    """An absolute path, or a name below the directory that each node runs from and has for itself."""
    text = read_text(value)
    if not text or ".." in text.split("/"):
        raise wrong(
            f"{quoted(text)} is no path of a process id file. It may not contain `..`.", "R019"
        )
    return text


def read_command(value: object) -> tuple[str, ...]:
    """A program and its arguments. No shell ever sees them."""
    match value:
        case str():
            if found := sorted(_SHELL.intersection(value)):
                raise wrong(
                    f"No shell runs commands, and {shown(value)} has {quoted(found[0])}, which only a "
                    "shell understands. Put it into a script, or write the command as a list of its "
                    "arguments, which are taken as they stand.",
                    "R019",
                )
            try:
                words = shlex.split(value)
            except ValueError as trouble:
                raise wrong(
                    f"The quotes in {shown(value)} do not match ({trouble}).", "R019"
                ) from None
        case list():
            words = [read_text(word) for word in value]
        case _:
            raise wrong(f"A command is a text or a list of texts, not {shown(value)}.", "R012")
    if not words:
        raise wrong("The command is empty.", "R019")
    read_path(words[0])
    return tuple(words)


def as_json(words: tuple[str, ...]) -> str:
    """An argument list as the one text that the model's parameters hold."""
    return json.dumps(list(words), ensure_ascii=False, separators=(",", ":"))


# The types that documents are made of ----------------------------------------------------------------

Ocf = Annotated[
    str,
    Reader(read_ocf),
    WithJsonSchema({"type": "string", "pattern": f"^{_OCF.pattern}$"}),
]
Unit = Annotated[
    str,
    Reader(read_unit),
    WithJsonSchema({"type": "string", "pattern": f"^{_UNIT.pattern}$"}),
]
Folder = Annotated[str, Reader(read_folder), WithJsonSchema({"type": "string", "pattern": "^/"})]
PidFile = Annotated[str, Reader(read_pidfile), WithJsonSchema({"type": "string", "minLength": 1})]
Command = Annotated[
    tuple[str, ...],
    Reader(read_command),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": r"^(/|\./)[^|&;<>()$`*?~\n]*$"},
                {"type": "array", "items": SCALAR, "minItems": 1},
            ]
        }
    ),
]
