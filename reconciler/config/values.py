"""The small values of the file - durations, sizes, scores, names, addresses, commands - read and checked.

Each reader takes what YAML gave and returns what the model holds, or raises `Wrong` with words for the
operator: what is accepted, what stands there, and how to write it. Beside each reader stands its JSON
Schema, so that an editor refuses what `reconcile validate` refuses.
Knows single values only; what values mean together is checked elsewhere.
"""

import ipaddress
import json
import re
import shlex
from enum import StrEnum
from typing import Annotated, Any, Final, TypeVar

from pydantic import PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from reconciler.config.yaml_tree import quoted
from reconciler.model.ids import Millis
from reconciler.model.intent import Mandate, OrderingKind, Role, Safety, Strength, WhenEqual

NAME_PATTERN: Final = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"
SCORE_MAX: Final = 1_000_000
COUNT_MAX: Final = 10_000
AMOUNT_MAX: Final = 2**60

_NAME = re.compile(NAME_PATTERN)


def wrong(detail: str, code: str = "R013") -> PydanticCustomError:
    """An operator's mistake in one value; `code` is the diagnostic's."""
    return PydanticCustomError(code, "{detail}", {"detail": detail})


def shown(value: object) -> str:
    """What stands in the file, for a message."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "true" if value else "false"
        case str():
            return quoted(value)
        case int() | float():
            return _short(str(getattr(value, "text", value)))
        case list() | tuple():
            return "a list"
        case _:
            return "a mapping"


def _short(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:37]}..."  # noqa: PLR2004 - enough to find it


# Texts and names -------------------------------------------------------------------------------------


def read_text(value: object) -> str:
    """Any scalar as the text that it was written with."""
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case int() | float():
            return str(getattr(value, "text", value))
        case None:
            raise wrong(
                'A text is needed here, and there is none. Write "" for an empty one.', "R012"
            )
        case _:
            raise wrong(f"A text or a number is needed here, not {shown(value)}.", "R012")


def read_name(value: object) -> str:
    """A name of a node, a service, a group and so on."""
    text = read_text(value)
    if not _NAME.fullmatch(text):
        raise wrong(
            f"{quoted(text)} cannot be a name. A name has 1 to 128 of the characters A-Z a-z 0-9 _ . - "
            "and does not begin with . or -, because it becomes part of file names.",
            "R014",
        )
    return text


def read_flag(value: object) -> bool:
    """True or false."""
    if isinstance(value, bool):
        return value
    hint = " YAML 1.2 takes yes, no, on and off for texts." if isinstance(value, str) else ""
    raise wrong(f"Write true or false here, not {shown(value)}.{hint}", "R012")


# Numbers ---------------------------------------------------------------------------------------------


def _whole(value: object, least: int, most: int, what: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise wrong(f"{what} is needed here, not {shown(value)}.", "R012")
    if not least <= value <= most:
        raise wrong(f"{what} from {least} to {most} is needed here, not {shown(value)}.")
    return int(value)


def read_version(value: object) -> int:
    """The version of the file's format."""
    if isinstance(value, bool) or value != 1:
        raise wrong(
            f"This release reads version 1, and this is version {shown(value)}. Write `version: 1`, or "
            "use the release that the file was written for.",
            "R015",
        )
    return 1


def read_count(value: object) -> int:
    """A number of things, 0 or more."""
    return _whole(value, 0, COUNT_MAX, "A whole number")


def read_positive(value: object) -> int:
    """A number of things, 1 or more."""
    return _whole(value, 1, COUNT_MAX, "A whole number")


def read_replicas(value: object) -> int | None:
    """A number of copies, or None for one on every eligible node."""
    if value == "all":
        return None
    return _whole(value, 1, COUNT_MAX, "A whole number, or the word all,")


def read_points(value: object) -> int:
    """A priority or a rank."""
    return _whole(value, -SCORE_MAX, SCORE_MAX, "A whole number")


def read_stickiness(value: object) -> int:
    """Stickiness: points, never negative."""
    return _whole(value, 0, SCORE_MAX, "A whole number")


_MANDATES = tuple(word.value for word in Mandate)


def read_score(value: object) -> Strength:
    """A score, or one of the two words that nothing outvotes."""
    if isinstance(value, str):
        if value in _MANDATES:
            return Mandate(value)
        raise wrong(
            f"A score is a whole number, or required, or forbidden, not {shown(value)}. A score that "
            "nothing outvotes is written as one of the words."
        )
    return _whole(value, -SCORE_MAX, SCORE_MAX, "A whole number, required or forbidden")


# Durations and amounts -------------------------------------------------------------------------------

_DURATION = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,3})?)(ms|s|m|h|d)")
_UNITS_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_DURATION_MAX_MS = 366 * 86_400_000

_AMOUNT = re.compile(r"([0-9]{1,18}(?:\.[0-9]{1,3})?)(k|M|G|T|Ki|Mi|Gi|Ti)B?")
_AMOUNT_UNITS = {
    "k": 1000,
    "M": 1000**2,
    "G": 1000**3,
    "T": 1000**4,
    "Ki": 1024,
    "Mi": 1024**2,
    "Gi": 1024**3,
    "Ti": 1024**4,
}


def read_duration(value: object) -> Millis:
    """A time span with its unit, in milliseconds."""
    found = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if not found:
        raise wrong(
            "A duration has a number and a unit (ms, s, m, h or d), such as 500ms, 10s or 1.5h, "
            f"not {shown(value)}."
        )
    span_ms = _scaled(found[1], _UNITS_MS[found[2]])
    if span_ms is None or not 0 < span_ms <= _DURATION_MAX_MS:
        raise wrong(
            f"A duration is at least 1ms, at most 366d, and whole in ms; {shown(value)} is not."
        )
    return Millis(span_ms)


def read_amount(value: object) -> int:
    """How much of something: a whole number, or one with a unit of size."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= AMOUNT_MAX:
        return int(value)
    found = _AMOUNT.fullmatch(value) if isinstance(value, str) else None
    amount = _scaled(found[1], _AMOUNT_UNITS[found[2]]) if found else None
    if amount is None or amount > AMOUNT_MAX:
        raise wrong(
            "An amount is a whole number, 0 or more, alone (8) or with a unit of size (512MiB, 32GiB, "
            f"1.5TB), not {shown(value)}."
        )
    return amount


def _scaled(digits: str, unit: int) -> int | None:
    """`digits` times `unit`, exactly; None if that is no whole number."""
    whole, _, fraction = digits.partition(".")
    scaled = int(whole + fraction) * unit
    divisor = 10 ** len(fraction)
    return None if scaled % divisor else scaled // divisor


# Addresses -------------------------------------------------------------------------------------------

_HOST = re.compile(r"(?=.{1,253}$)[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,62})(?:\.[A-Za-z0-9_-]{1,63})*\.?")
_INTERFACE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:@-]{0,14}")


def read_host(value: object) -> str:
    """An address or a host name that a node is heard at."""
    text = read_text(value)
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        if _HOST.fullmatch(text) and not text.rstrip(".").replace(".", "").isdigit():
            return text
    raise wrong(
        f"{quoted(text)} is neither an IP address nor a host name. Write one address, without port or "
        "prefix."
    )


def read_prefixed(value: object) -> tuple[str, int]:
    """An address that is moved between nodes, with the length of its network's prefix."""
    text = read_text(value)
    if "/" not in text:
        raise wrong(
            f"The prefix length is missing from {quoted(text)}. Write it as 10.0.0.100/24: it says which "
            "addresses are on the same network."
        )
    try:
        found = ipaddress.ip_interface(text)
    except ValueError:
        raise wrong(
            f"{quoted(text)} is not an IP address with a prefix length, such as 10.0.0.100/24 or "
            "2001:db8::100/64."
        ) from None
    if found.ip.is_multicast or found.ip.is_unspecified:
        raise wrong(f"{quoted(text)} cannot be an address of one node.")
    roomy = found.network.prefixlen < found.max_prefixlen - 1
    if roomy and found.version == 4 and found.ip in (found.network[0], found.network[-1]):  # noqa: PLR2004 - IPv4
        raise wrong(f"{quoted(text)} is the network's own address or its broadcast address.")
    return str(found.ip), found.network.prefixlen


def read_interface(value: object) -> str:
    """The name of a network interface."""
    text = read_text(value)
    if not _INTERFACE.fullmatch(text):
        raise wrong(
            f"{quoted(text)} cannot be an interface name, such as eth0 (at most 15 characters)."
        )
    return text


# What is started -------------------------------------------------------------------------------------

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

_SCALAR = {"type": ["string", "number", "boolean"]}

Text = Annotated[str, PlainValidator(read_text), WithJsonSchema(_SCALAR)]
Name = Annotated[
    str,
    PlainValidator(read_name),
    WithJsonSchema({"type": ["string", "integer"], "pattern": f"^{NAME_PATTERN}$"}),
]
Flag = Annotated[bool, PlainValidator(read_flag), WithJsonSchema({"type": "boolean"})]
Version = Annotated[int, PlainValidator(read_version), WithJsonSchema({"const": 1})]


def _between(least: int, most: int) -> dict[str, Any]:
    return {"type": "integer", "minimum": least, "maximum": most}


Count = Annotated[int, PlainValidator(read_count), WithJsonSchema(_between(0, COUNT_MAX))]
Positive = Annotated[int, PlainValidator(read_positive), WithJsonSchema(_between(1, COUNT_MAX))]
Points = Annotated[
    int, PlainValidator(read_points), WithJsonSchema(_between(-SCORE_MAX, SCORE_MAX))
]
Stickiness = Annotated[int, PlainValidator(read_stickiness), WithJsonSchema(_between(0, SCORE_MAX))]
Replicas = Annotated[
    int | None,
    PlainValidator(read_replicas),
    WithJsonSchema({"anyOf": [_between(1, COUNT_MAX), {"const": "all"}]}),
]
Score = Annotated[
    int | Mandate,
    PlainValidator(read_score),
    WithJsonSchema({"anyOf": [_between(-SCORE_MAX, SCORE_MAX), {"enum": list(_MANDATES)}]}),
]
Duration = Annotated[
    Millis,
    PlainValidator(read_duration),
    WithJsonSchema({"type": "string", "pattern": f"^{_DURATION.pattern}$"}),
]
Amount = Annotated[
    int,
    PlainValidator(read_amount),
    WithJsonSchema(
        {"anyOf": [_between(0, AMOUNT_MAX), {"type": "string", "pattern": f"^{_AMOUNT.pattern}$"}]}
    ),
]
Host = Annotated[str, PlainValidator(read_host), WithJsonSchema({"type": "string", "minLength": 1})]
Prefixed = Annotated[
    tuple[str, int],
    PlainValidator(read_prefixed),
    WithJsonSchema({"type": "string", "pattern": "^[0-9A-Fa-f.:]+/[0-9]{1,3}$"}),
]
Interface = Annotated[
    str,
    PlainValidator(read_interface),
    WithJsonSchema({"type": "string", "pattern": f"^{_INTERFACE.pattern}$"}),
]
Ocf = Annotated[
    str,
    PlainValidator(read_ocf),
    WithJsonSchema({"type": "string", "pattern": f"^{_OCF.pattern}$"}),
]
Unit = Annotated[
    str,
    PlainValidator(read_unit),
    WithJsonSchema({"type": "string", "pattern": f"^{_UNIT.pattern}$"}),
]
PidFile = Annotated[
    str, PlainValidator(read_pidfile), WithJsonSchema({"type": "string", "minLength": 1})
]
Command = Annotated[
    tuple[str, ...],
    PlainValidator(read_command),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": r"^(/|\./)[^|&;<>()$`*?~\n]*$"},
                {"type": "array", "items": _SCALAR, "minItems": 1},
            ]
        }
    ),
]

_ROLES = (Role.STARTED, Role.PROMOTED, Role.UNPROMOTED)
_Word = TypeVar("_Word", bound=StrEnum)


def one_of(*words: _Word) -> tuple[PlainValidator, WithJsonSchema]:
    """A choice between words: how it is read, and what an editor offers."""
    meanings = {word.value: word for word in words}
    listed = ", ".join(meanings)

    def read(value: object) -> _Word:
        found = meanings.get(value) if isinstance(value, str) else None
        if found is None:
            raise wrong(f"One of {listed} is needed here, not {shown(value)}.")
        return found

    return PlainValidator(read), WithJsonSchema({"type": "string", "enum": list(meanings)})


RoleName = Annotated[Role, *one_of(*_ROLES)]
SafetyWord = Annotated[Safety, *one_of(*Safety)]
WhenEqualWord = Annotated[WhenEqual, *one_of(*WhenEqual)]
OrderingWord = Annotated[OrderingKind, *one_of(*OrderingKind)]


class ActionWord(StrEnum):
    """What an ordering can wait for."""

    START = "start"
    STOP = "stop"
    PROMOTE = "promote"
    DEMOTE = "demote"


ActionName = Annotated[ActionWord, *one_of(*ActionWord)]
