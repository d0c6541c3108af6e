"""The shape of what a location asks of a node's attributes: tests, and a score that an attribute says.

A test is a short text, `> 5` or `defined`, because that is how people say it. It is read into the model's
own value at once: any name may be the name of an attribute, so there is nothing to look up.
"""

import re
from dataclasses import dataclass
from typing import Annotated, Final

from pydantic import WithJsonSchema

from reconciler.config.reader import Reader
from reconciler.config.values import (
    NAME_PATTERN,
    SCALAR,
    SCORE_MAX,
    read_name,
    read_score,
    read_text,
    shown,
    wrong,
)
from reconciler.core.conditions import is_readable
from reconciler.model.conditions import AttributeTest, Comparison, Reading
from reconciler.model.intent import Mandate

TESTS_MAX: Final = 64

_TEST = re.compile(r"(!=|<=|>=|=|<|>)\s*(?:(text|number|version)\s+)?(.*)", re.DOTALL)
_BARE = {word.value: word for word in (Comparison.DEFINED, Comparison.UNDEFINED)}
_MISSPELT = re.compile(r"!\s*defined|not[ _-]defined|[=<>!~].*", re.DOTALL)
_VALUE_MAX = 1024


def _test(name: str, value: object) -> AttributeTest:
    text = read_text(value)
    if len(text) > _VALUE_MAX:
        raise wrong(f"What an attribute is compared with has at most {_VALUE_MAX} characters.")
    if text in _BARE:
        return AttributeTest(name=name, comparison=_BARE[text])
    found = _TEST.fullmatch(text)
    if found is None:
        if _MISSPELT.fullmatch(text):
            raise _misspelt(text)
        return AttributeTest(name=name, value=text)
    comparison, wanted = Comparison(found[1]), found[3].strip()
    if not wanted or _MISSPELT.fullmatch(wanted):
        raise _misspelt(text)
    equal = comparison in {Comparison.EQUAL, Comparison.UNEQUAL}
    reading = Reading(found[2] or (Reading.TEXT if equal else Reading.NUMBER))
    if not is_readable(wanted, reading):
        raise wrong(
            f"{shown(wanted)} is not a {reading}. Numbers are compared where nothing else is said; write "
            f'"{comparison} version 6.1.0" to compare versions, "{comparison} text north" to compare texts.'
        )
    return AttributeTest(name=name, comparison=comparison, value=wanted, reading=reading)


def _misspelt(text: str) -> Exception:
    return wrong(
        'A test of an attribute is defined, undefined, a value, or one of = != < <= > >= and a value ("> 5", '
        f'">= version 6.1"), not {shown(text)}.'
    )


def _tests(value: object) -> tuple[AttributeTest, ...]:
    if value == {}:
        raise wrong("The mapping is empty; an attribute and what is asked of it are needed.")
    if not isinstance(value, dict):
        raise wrong(
            f"A mapping of attributes and what is asked of each is needed here, not {shown(value)}. "
            'Write {ping: "> 0"}.',
            "R012",
        )
    found = set()
    for key, asked in value.items():
        name = read_name(key)
        questions = asked if isinstance(asked, list) else [asked]
        if not questions:
            raise wrong(f"The list of {name} is empty; a test is needed.")
        found |= {_test(name, question) for question in questions}
    if len(found) > TESTS_MAX:
        raise wrong(f"A location asks at most {TESTS_MAX} questions; these are {len(found)}.")
    return tuple(sorted(found, key=lambda t: (t.name, t.comparison, t.reading, t.value)))


Where = Annotated[
    tuple[AttributeTest, ...],
    Reader(_tests),
    WithJsonSchema(
        {
            "type": "object",
            "minProperties": 1,
            "additionalProperties": {
                "anyOf": [SCALAR, {"type": "array", "items": SCALAR, "minItems": 1}]
            },
        }
    ),
]


@dataclass(frozen=True, slots=True)
class ScoreOf:
    """A score that each node's own attribute says."""

    attribute: str


def _location_score(value: object) -> int | Mandate | ScoreOf:
    if not isinstance(value, dict):
        return read_score(value)
    if set(value) != {"attribute"}:
        raise wrong("A score is a whole number, required, forbidden, or {attribute: NAME}.", "R012")
    return ScoreOf(read_name(value["attribute"]))


LocationScore = Annotated[
    int | Mandate | ScoreOf,
    Reader(_location_score),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": -SCORE_MAX, "maximum": SCORE_MAX},
                {"enum": [word.value for word in Mandate]},
                {
                    "type": "object",
                    "properties": {
                        "attribute": {
                            "type": ["string", "integer"],
                            "pattern": f"^{NAME_PATTERN}$",
                            "description": "The attribute of each node that says its score.",
                        }
                    },
                    "required": ["attribute"],
                    "additionalProperties": False,
                },
            ]
        }
    ),
]
