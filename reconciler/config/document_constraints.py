"""The shape of constraints in the file: what runs with, after, where and under which ticket.

`spread` and `needs` are short for several of the others; `assemble` writes them out.
"""

from typing import Annotated, Final

from pydantic import Discriminator, Field, Tag, WithJsonSchema

from reconciler.config.document_conditions import LocationScore, Where
from reconciler.config.document_times import During
from reconciler.config.reader import Reader
from reconciler.config.shapes import (
    NAME_SCHEMA,
    Maybe,
    Strict,
    names,
    one_or_more,
    several,
)
from reconciler.config.values import (
    BelowZero,
    Flag,
    Name,
    Positive,
    Score,
    read_name,
    read_text,
    wrong,
)
from reconciler.config.words import ActionName, OrderingWord, RoleName, TicketLossWord
from reconciler.model.intent import OrderingKind

SPREAD_MAX: Final = 256
"""Names in one spread: it stands for every pair of them."""


class Colocation(Strict):
    """Where one service runs relative to another."""

    colocation: Annotated[
        tuple[str, ...], *names(2, 2, "A colocation is a list of two: [dependent, primary]")
    ] = Field(
        description="[dependent, primary]: the dependent is placed with, or away from, the primary."
    )
    with_role: Maybe[RoleName] = Field(
        default=None, description="Only copies of the primary in this role."
    )
    role: Maybe[RoleName] = Field(
        default=None, description="Only copies of the dependent in this role."
    )
    score: Maybe[Score] = Field(
        default=None, description="Points, or required (the default), or forbidden."
    )
    influence: Flag = Field(
        default=True,
        description="false: a primary that runs does not move for the dependent's sake.",
    )
    attribute: Maybe[Name] = Field(
        default=None,
        description="Label that the two nodes share, such as `rack`. Default: the node itself.",
    )


class Ordering(Strict):
    """What starts before what; stopping goes the other way round."""

    ordering: Annotated[
        tuple[str, ...],
        *names(2, None, "An ordering is a list of two or more, the first to start first"),
    ] = Field(description="Services or groups, the first to start first.")
    kind: OrderingWord = Field(
        default=OrderingKind.REQUIRED,
        description="`required`: the later runs only if the earlier does. `optional`: only when both start "
        "in one plan. `serialize`: never both at once, in whichever order.",
    )
    first_action: Maybe[ActionName] = Field(
        default=None, description="What must be done to the earlier one. Default start."
    )
    then_action: Maybe[ActionName] = Field(
        default=None, description="What waits for it. Default start."
    )
    symmetrical: Maybe[Flag] = Field(
        default=None,
        description="false: stops are in no order, and what runs goes on when the earlier one stops. Default "
        "true.",
    )
    minimum: Maybe[Positive] = Field(
        default=None,
        description="How many copies of the earlier one are enough. Default: one, and all that start are "
        "waited for.",
    )
    any_of: Annotated[
        tuple[str, ...],
        several(read_name, "a service"),
        one_or_more(NAME_SCHEMA),
    ] = Field(
        default=(), description="More services than the earlier one, any one of which will do."
    )


def _nodes(value: object) -> tuple[str, ...] | dict[str, str]:
    if not isinstance(value, dict):
        items = value if isinstance(value, list) else [value]
        if not items:
            raise wrong("The list is empty; a node is needed.")
        return tuple(dict.fromkeys(read_name(item) for item in items))
    if not value:
        raise wrong("The mapping is empty; a label and its value are needed.")
    return {read_name(key): read_text(text) for key, text in value.items()}


class Location(Strict):
    """Where a service or a group runs."""

    location: Name = Field(description="A service or a group.")
    nodes: Maybe[
        Annotated[
            tuple[str, ...] | dict[str, str],
            Reader(_nodes),
            WithJsonSchema(
                {
                    "anyOf": [
                        NAME_SCHEMA,
                        {"type": "array", "items": NAME_SCHEMA, "minItems": 1},
                        {
                            "type": "object",
                            "minProperties": 1,
                            "additionalProperties": {"type": ["string", "number", "boolean"]},
                        },
                    ]
                }
            ),
        ]
    ] = Field(
        default=None,
        description="A node, a list of nodes, or labels that a node has ({rack: a}). May be left out, for "
        "all nodes, where `where`, `during` or the attribute of a score is given.",
    )
    where: Maybe[Where] = Field(
        default=None,
        description='Only those of the nodes whose attributes pass: {ping: "> 0", site: north}.',
    )
    during: Maybe[During] = Field(
        default=None, description="The location counts at this time only; else it says nothing."
    )
    score: Maybe[LocationScore] = Field(
        default=None,
        description="Points (negative: rather not there), or required (only there, the default), or "
        "forbidden (never there), or the attribute of each node that says its points.",
    )
    role: Maybe[RoleName] = Field(default=None, description="Only copies in this role.")


class Ticket(Strict):
    """What may run only while this site holds a ticket."""

    ticket: Name = Field(description="Name of the ticket.")
    service: Name = Field(description="The service or group that needs it.")
    role: Maybe[RoleName] = Field(default=None, description="Only copies in this role need it.")
    on_loss: Maybe[TicketLossWord] = Field(
        default=None, description="What happens when the ticket is lost. Default `stop`."
    )


class Spread(Strict):
    """Services that keep away from each other, every two of them."""

    spread: Annotated[
        tuple[str, ...],
        *names(2, SPREAD_MAX, f"A spread is a list of 2 to {SPREAD_MAX} names"),
    ] = Field(description="Services or groups; no two of them share a node.")
    score: Maybe[BelowZero] = Field(
        default=None, description="Points below 0, or forbidden (the default)."
    )
    attribute: Maybe[Name] = Field(
        default=None,
        description="Label that their nodes do not share, such as `rack`. Default: the node itself.",
    )


class Needs(Strict):
    """A service that runs with another, and after it."""

    needs: Annotated[
        tuple[str, ...],
        *names(2, 2, "This is a list of two: [what needs, what it needs]"),
    ] = Field(
        description="[what needs, what it needs]: on the same node, started after it and stopped before it."
    )


CONSTRAINT_KEYS = ("colocation", "ordering", "location", "ticket", "spread", "needs")
TAG_MARK = "#"
"""Begins every tag, so that no part of a place in the file is mistaken for one."""


def _which(value: object) -> str | None:
    if not isinstance(value, dict):
        return None
    found = [key for key in CONSTRAINT_KEYS if key in value]
    return TAG_MARK + found[0] if len(found) == 1 else None


Constraint = Annotated[
    Annotated[Colocation, Tag("#colocation")]
    | Annotated[Ordering, Tag("#ordering")]
    | Annotated[Location, Tag("#location")]
    | Annotated[Ticket, Tag("#ticket")]
    | Annotated[Spread, Tag("#spread")]
    | Annotated[Needs, Tag("#needs")],
    Discriminator(
        _which,
        custom_error_type="R017",
        custom_error_message="A constraint is a mapping with exactly one of the keys colocation, ordering, "
        "location, ticket, spread and needs.",
    ),
]

CONSTRAINTS: dict[str, type[Strict]] = {
    "#colocation": Colocation,
    "#ordering": Ordering,
    "#location": Location,
    "#ticket": Ticket,
    "#spread": Spread,
    "#needs": Needs,
}
"""The model of each constraint, by its tag."""
