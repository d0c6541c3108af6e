"""The small values of the file - names, numbers, scores, durations, sizes, addresses - read and checked.

Each reader takes what YAML gave and returns what the model holds, or raises `Wrong` with words for the
operator: what is accepted, what stands there, and how to write it. Beside each reader stands its JSON
Schema, so that an editor refuses what `reconcile validate` refuses.
Knows single values only; what values mean together is checked elsewhere. What starts a service is read in
`started`, and choices between words in `words`.
"""

import ipaddress
import re
from typing import Annotated, Any, Final

from pydantic import WithJsonSchema
from pydantic_core import PydanticCustomError

from reconciler.config.reader import Reader
from reconciler.config.yaml_tree import quoted
from reconciler.model.ids import Millis
from reconciler.model.intent import Mandate, Strength

NAME_PATTERN: Final = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"
SCORE_MAX: Final = 1_000_000
COUNT_MAX: Final = 10_000
AMOUNT_MAX: Final = 2**60
LEVEL_MAX: Final = 9
NEVER: Final = "never"

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


def read_limit(value: object) -> int | None:
    """A number of failures, or None for never."""
    if value == NEVER:
        return None
    return _whole(value, 1, SCORE_MAX, "A whole number, or the word never,")


def read_level(value: object) -> int:
    """The number of a fencing level."""
    return _whole(value, 1, LEVEL_MAX, "A whole number")


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


def read_below_zero(value: object) -> Strength:
    """A score that keeps apart: points below zero, or the word forbidden."""
    score = read_score(value)
    if score is Mandate.REQUIRED or (not isinstance(score, Mandate) and score >= 0):
        raise wrong(
            f"What is spread is kept apart: a score below 0, or forbidden, is needed here, not "
            f"{shown(value)}. To keep services together, write a colocation or a group."
        )
    return score


def read_health(value: object) -> int:
    """Points for the health of a node; forbidden is the score that nothing makes up for."""
    if value == Mandate.FORBIDDEN.value:
        return -SCORE_MAX
    return _whole(value, -SCORE_MAX, SCORE_MAX, "A whole number, or the word forbidden,")


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


def read_patience(value: object) -> Millis | None:
    """A time span, or None for never."""
    return None if value == NEVER else read_duration(value)


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


# The types that documents are made of ----------------------------------------------------------------

SCALAR: Final = {"type": ["string", "number", "boolean"]}

Text = Annotated[str, Reader(read_text), WithJsonSchema(SCALAR)]
Name = Annotated[
    str,
    Reader(read_name),
    WithJsonSchema({"type": ["string", "integer"], "pattern": f"^{NAME_PATTERN}$"}),
]
Flag = Annotated[bool, Reader(read_flag), WithJsonSchema({"type": "boolean"})]
Version = Annotated[int, Reader(read_version), WithJsonSchema({"const": 1})]


def _between(least: int, most: int) -> dict[str, Any]:
    return {"type": "integer", "minimum": least, "maximum": most}


Count = Annotated[int, Reader(read_count), WithJsonSchema(_between(0, COUNT_MAX))]
Positive = Annotated[int, Reader(read_positive), WithJsonSchema(_between(1, COUNT_MAX))]
Points = Annotated[int, Reader(read_points), WithJsonSchema(_between(-SCORE_MAX, SCORE_MAX))]
Stickiness = Annotated[int, Reader(read_stickiness), WithJsonSchema(_between(0, SCORE_MAX))]
Replicas = Annotated[
    int | None,
    Reader(read_replicas),
    WithJsonSchema({"anyOf": [_between(1, COUNT_MAX), {"const": "all"}]}),
]
Score = Annotated[
    int | Mandate,
    Reader(read_score),
    WithJsonSchema({"anyOf": [_between(-SCORE_MAX, SCORE_MAX), {"enum": list(_MANDATES)}]}),
]
BelowZero = Annotated[
    int | Mandate,
    Reader(read_below_zero),
    WithJsonSchema({"anyOf": [_between(-SCORE_MAX, -1), {"const": Mandate.FORBIDDEN.value}]}),
]
HealthScore = Annotated[
    int,
    Reader(read_health),
    WithJsonSchema(
        {"anyOf": [_between(-SCORE_MAX, SCORE_MAX), {"const": Mandate.FORBIDDEN.value}]}
    ),
]
Limit = Annotated[
    int | None,
    Reader(read_limit),
    WithJsonSchema({"anyOf": [_between(1, SCORE_MAX), {"const": NEVER}]}),
]
LevelNumber = Annotated[int, Reader(read_level), WithJsonSchema(_between(1, LEVEL_MAX))]
_SPAN = {"type": "string", "pattern": f"^{_DURATION.pattern}$"}
Duration = Annotated[Millis, Reader(read_duration), WithJsonSchema(_SPAN)]
Patience = Annotated[
    Millis | None,
    Reader(read_patience),
    WithJsonSchema({"anyOf": [_SPAN, {"const": NEVER}]}),
]
Amount = Annotated[
    int,
    Reader(read_amount),
    WithJsonSchema(
        {"anyOf": [_between(0, AMOUNT_MAX), {"type": "string", "pattern": f"^{_AMOUNT.pattern}$"}]}
    ),
]
Host = Annotated[str, Reader(read_host), WithJsonSchema({"type": "string", "minLength": 1})]
Prefixed = Annotated[
    tuple[str, int],
    Reader(read_prefixed),
    WithJsonSchema({"type": "string", "pattern": "^[0-9A-Fa-f.:]+/[0-9]{1,3}$"}),
]
Interface = Annotated[
    str,
    Reader(read_interface),
    WithJsonSchema({"type": "string", "pattern": f"^{_INTERFACE.pattern}$"}),
]
