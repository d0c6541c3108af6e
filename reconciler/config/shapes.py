"""What the models of the file have in common: strictness, lists that may be one, parameters, secrets.

Knows no key of the file; those are in `document` and `document_services`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, WithJsonSchema
from pydantic_core import CoreSchema

from reconciler.config.reader import Reader
from reconciler.config.values import (
    NAME_PATTERN,
    Name,
    read_name,
    read_text,
    shown,
    wrong,
)

T = TypeVar("T")


class _Present:
    """Takes None back out of what pydantic accepts: absent is fine, there and empty is not.

    A file cut short must not read as "nothing wanted".
    """

    @staticmethod
    def __get_pydantic_core_schema__(
        source: Any,  # noqa: ANN401 - any annotation
        handler: GetCoreSchemaHandler,
    ) -> CoreSchema:
        schema = handler(source)
        return schema["schema"] if schema["type"] == "nullable" else schema


Maybe = Annotated[T | None, _Present]
"""Absent, or there with a value; never there and empty."""


MODEL = "x-model"
"""In a schema written by hand here: stands for the schema of the model of that name."""


def _kebab(name: str) -> str:
    return name.replace("_", "-")


class Strict(BaseModel):
    """Base of every mapping in the file: its keys are known, and written with hyphens."""

    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=_kebab, defer_build=True)


# Lists that may be written as one --------------------------------------------------------------------


def several(read: Callable[[object], str], what: str) -> Reader:
    """How a list is read that may be written as its only item."""

    def read_several(value: object) -> tuple[str, ...]:
        items = value if isinstance(value, list) else [value]
        if not items:
            raise wrong(f"The list is empty; {what} is needed.")
        found = tuple(read(item) for item in items)
        if len(set(found)) < len(found):
            raise wrong(f"{shown(_twice(found))} stands twice in this list.")
        return found

    return Reader(read_several)


def one_or_more(item: dict[str, Any]) -> WithJsonSchema:
    """What an editor is told of such a list."""
    return WithJsonSchema({"anyOf": [item, {"type": "array", "items": item, "minItems": 1}]})


NAME_SCHEMA = {"type": ["string", "integer"], "pattern": f"^{NAME_PATTERN}$"}


def names(least: int, most: int | None, what: str) -> tuple[Reader, WithJsonSchema]:
    """A list of different names: how it is read, and what an editor is told."""
    schema: dict[str, Any] = {"type": "array", "items": NAME_SCHEMA, "minItems": least}
    if most is not None:
        schema["maxItems"] = most

    def read(value: object) -> tuple[str, ...]:
        if not isinstance(value, list) or not least <= len(value) <= (most or len(value)):
            raise wrong(f"{what}, not {_sized(value)}.", "R012")
        found = tuple(read_name(item) for item in value)
        if len(set(found)) < len(found):
            raise wrong(f"{shown(_twice(found))} stands twice in this list.", "R027")
        return found

    return Reader(read), WithJsonSchema(schema)


def _twice(found: tuple[str, ...]) -> str:
    seen: set[str] = set()
    return next(item for item in found if item in seen or seen.add(item))  # type: ignore[func-returns-value]


def _sized(value: object) -> str:
    return f"a list of {len(value)}" if isinstance(value, list) else shown(value)


# Parameters and secrets ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Secret:
    """A value that stays on the nodes; the file has its name only."""

    name: str


def _parameter(value: object) -> str | Secret:
    if not isinstance(value, dict):
        text = read_text(value)
        if len(text) > 65_536:  # noqa: PLR2004 - what an environment can carry, with room
            raise wrong("The value is longer than 65,536 characters. Put it into a file.")
        return text
    if set(value) != {"secret"}:
        raise wrong("A parameter is a text, a number, or {secret: NAME}.", "R012")
    return Secret(read_name(value["secret"]))


Parameter = Annotated[
    str | Secret,
    Reader(_parameter),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": ["string", "number", "boolean"]},
                {
                    "type": "object",
                    "properties": {
                        "secret": NAME_SCHEMA
                        | {"description": "Name of a secret that the node holds."}
                    },
                    "required": ["secret"],
                    "additionalProperties": False,
                },
            ]
        }
    ),
]
Parameters = dict[Name, Parameter]
