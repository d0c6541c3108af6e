"""Words of the file that are a choice between few: roles, actions, strategies, what a failure leads to.

Each is read with the words that are accepted in the message, and offered by an editor. Which word fits
which operation (`stop` cannot lead to a stop) is part of the choice, so that an editor knows it too.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated, TypeVar

from pydantic import WithJsonSchema

from reconciler.config.reader import Reader
from reconciler.config.values import shown, wrong
from reconciler.model.intent import (
    HealthStrategy,
    MultipleActive,
    NegativeScores,
    OnFail,
    OnLoss,
    OrderingKind,
    Orphans,
    Packing,
    Requires,
    Role,
    Safety,
    WhenEqual,
)

_Word = TypeVar("_Word", bound=StrEnum)


def one_of(*words: _Word) -> tuple[Reader, WithJsonSchema]:
    """A choice between words: how it is read, and what an editor offers."""
    meanings = {word.value: word for word in words}
    listed = ", ".join(meanings)

    def read(value: object) -> _Word:
        found = meanings.get(value) if isinstance(value, str) else None
        if found is None:
            raise wrong(f"One of {listed} is needed here, not {shown(value)}.")
        return found

    return Reader(read), WithJsonSchema({"type": "string", "enum": list(meanings)})


RoleName = Annotated[Role, *one_of(Role.STARTED, Role.PROMOTED, Role.UNPROMOTED)]
SafetyWord = Annotated[Safety, *one_of(*Safety)]
WhenEqualWord = Annotated[WhenEqual, *one_of(*WhenEqual)]
OrderingWord = Annotated[OrderingKind, *one_of(*OrderingKind)]
MultipleActiveWord = Annotated[MultipleActive, *one_of(*MultipleActive)]
RequiresWord = Annotated[Requires, *one_of(*Requires)]
OrphansWord = Annotated[Orphans, *one_of(*Orphans)]
NegativeScoresWord = Annotated[NegativeScores, *one_of(*NegativeScores)]
PackingWord = Annotated[Packing, *one_of(*Packing)]
HealthWord = Annotated[HealthStrategy, *one_of(*HealthStrategy)]
QuorumLossWord = Annotated[OnLoss, *one_of(*OnLoss)]
TicketLossWord = Annotated[OnLoss, *one_of(OnLoss.STOP, OnLoss.FREEZE, OnLoss.DEMOTE, OnLoss.FENCE)]


class ActionWord(StrEnum):
    """What an ordering can wait for."""

    START = "start"
    STOP = "stop"
    PROMOTE = "promote"
    DEMOTE = "demote"


ActionName = Annotated[ActionWord, *one_of(*ActionWord)]


class FenceAction(StrEnum):
    """What a fence does to a node."""

    REBOOT = "reboot"
    OFF = "off"


FenceActionWord = Annotated[FenceAction, *one_of(*FenceAction)]


# What a failed operation leads to --------------------------------------------------------------------

_WITHOUT_ROLES = tuple(word for word in OnFail if word is not OnFail.DEMOTE)
_AFTER_STOP = (OnFail.RESTART, OnFail.IGNORE, OnFail.BLOCK, OnFail.FENCE)
_WHY_NOT = {
    OnFail.DEMOTE: "only a promoted copy can be demoted, so `demote` can stand in `promote` and "
    "`monitor-promoted` only",
    OnFail.STOP: "what did not stop cannot be made safe by another stop",
    OnFail.STANDBY: "what did not stop cannot leave its node",
}


def _on_fail(operation: str, words: Iterable[OnFail]) -> tuple[Reader, WithJsonSchema]:
    """The words that make sense for one operation; the others are refused with the reason."""
    accepted = {word.value: word for word in words}
    every = {word.value: word for word in OnFail}

    def read(value: object) -> OnFail:
        found = every.get(value) if isinstance(value, str) else None
        if found is None:
            raise wrong(f"One of {', '.join(accepted)} is needed here, not {shown(value)}.")
        if found.value not in accepted:
            raise wrong(
                f"A failed {operation} cannot lead to `{found}`: {_WHY_NOT[found]}. One of "
                f"{', '.join(accepted)} can stand here.",
                "R038",
            )
        return found

    return Reader(read), WithJsonSchema({"type": "string", "enum": list(accepted)})


OnFailStart = Annotated[OnFail, *_on_fail("start", _WITHOUT_ROLES)]
OnFailStop = Annotated[OnFail, *_on_fail("stop", _AFTER_STOP)]
OnFailPromote = Annotated[OnFail, *_on_fail("promote", OnFail)]
OnFailDemote = Annotated[OnFail, *_on_fail("demote", _WITHOUT_ROLES)]
OnFailMonitor = Annotated[OnFail, *_on_fail("monitor", _WITHOUT_ROLES)]
OnFailPromoted = Annotated[OnFail, *_on_fail("monitor of a promoted copy", OnFail)]
