"""The shape of what holds for the whole cluster: fencing, quorum, health, heartbeat."""

from collections.abc import Callable
from typing import Annotated

from pydantic import Field

from reconciler.config.shapes import (
    NAME_SCHEMA,
    Maybe,
    Parameters,
    Strict,
    one_or_more,
    several,
)
from reconciler.config.values import Duration, Flag, HealthScore, LevelNumber, Name, read_name
from reconciler.config.words import FenceActionWord, HealthWord, QuorumLossWord

NodeNames = Annotated[tuple[str, ...], several(read_name, "a node"), one_or_more(NAME_SCHEMA)]
DeviceNames = Annotated[tuple[str, ...], several(read_name, "a device"), one_or_more(NAME_SCHEMA)]


class Device(Strict):
    """A device that can make nodes provably unable to act."""

    agent: Name = Field(description="The fence agent, such as fence_ipmilan.")
    nodes: NodeNames = Field(description="Nodes that it can fence.")
    parameters: Parameters = Field(
        default={}, description="Parameters of the agent. A secret is written {secret: NAME}."
    )


class Level(Strict):
    """Devices that together fence some nodes; the next level is tried when this one fails."""

    nodes: NodeNames = Field(description="The nodes that this level is for.")
    level: LevelNumber = Field(description="From 1 to 9; the lowest is tried first.")
    devices: DeviceNames = Field(description="All of these must succeed, in this order.")


class Fencing(Strict):
    """How silent nodes are made safe."""

    devices: dict[Name, Device] = Field(description="Fence devices by name.")
    levels: list[Level] = Field(
        default=[],
        description="Which devices together fence a node, and in which order they are tried. Default: any "
        "device that can.",
    )
    action: Maybe[FenceActionWord] = Field(
        default=None, description="What is done to a node: `reboot` (the default) or `off`."
    )
    unseen: Flag = Field(
        default=False,
        description="true: nodes that were never heard are fenced too, since anything may run there; else "
        "they are waited for.",
    )
    priority_delay: Maybe[Duration] = Field(
        default=None,
        description="Head start, without a majority, of the side that runs what matters most. Default none.",
    )


NO_FENCING = "none"


def fencing_or_none(value: object, handler: Callable[[object], Fencing]) -> Fencing | None:
    """A mapping, or the word none, which is read as None."""
    return None if value == NO_FENCING else handler(value)


class Quorum(Strict):
    """What happens without a majority."""

    on_loss: Maybe[QuorumLossWord] = Field(
        default=None,
        description="`freeze` (the default): what runs goes on, nothing else starts. `stop`, `demote` or "
        "`fence` what runs here; `ignore`: carry on as if nothing were lost.",
    )


class Health(Strict):
    """How the health that nodes report (`health-...`: red, yellow, green or a number) counts."""

    strategy: HealthWord = Field(
        description="`none`, `migrate-on-red` (nothing runs on a red node), `only-green`, `progressive` (the "
        "scores below add up) or `custom` (the same without `base`)."
    )
    base: Maybe[HealthScore] = Field(
        default=None, description="Points that every node begins with. Default 0."
    )
    green: Maybe[HealthScore] = Field(default=None, description="Points for green. Default 0.")
    yellow: Maybe[HealthScore] = Field(default=None, description="Points for yellow. Default 0.")
    red: Maybe[HealthScore] = Field(
        default=None, description="Points for red. Default `forbidden`."
    )


class Heartbeat(Strict):
    """When a silent node is suspect, and when it is lost."""

    every: Maybe[Duration] = Field(
        default=None, description="Time between two heartbeats, 20ms or more. Default 500ms."
    )
    suspect_after: Maybe[Duration] = Field(
        default=None, description="Silence after which a node is suspect. Default three heartbeats."
    )
    lost_after: Maybe[Duration] = Field(
        default=None,
        description="Silence after which a node is lost. Default 3.5s; four heartbeats where those are "
        "under 250ms or over 875ms.",
    )
