"""Messages on the wire: versioned, tagged, and refused whole when anything in them is unknown.

Streams carry frames: four bytes of length, big endian, then one message as msgpack, at most
`FRAME_BYTES_MAX`. Certificates say who speaks; nothing in a message is believed about its sender.
Datagrams are described in `membership.heartbeat` and sealed in `codec.datagram`.
"""

from typing import Any

import msgspec

from reconciler.model.errors import Corrupt
from reconciler.model.ids import BootId, Epoch, Incarnation, ServiceName
from reconciler.model.intent import FenceDevice, Heartbeat, Service
from reconciler.model.observed import Copy, Failure, PromotionScore
from reconciler.model.operation import Step, StepKey, StepResult

PROTOCOL = 1
FRAME_BYTES_MAX = 16 * 1024 * 1024


class Message(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="type", forbid_unknown_fields=True
):
    """Base of every message; the class name is the tag."""


# Agent to controller -----------------------------------------------------------------------------


class Hello(Message, frozen=True, kw_only=True, tag="hello"):
    """First message of an agent. The node's name is the one in its certificate."""

    protocol: int
    boot: BootId
    incarnation: Incarnation
    epoch: Epoch
    """The highest term it has durably stored."""
    peer_port: int = 0
    """Where it hears the heartbeats of other nodes; 0: nowhere."""


class Report(Message, frozen=True, kw_only=True, tag="report"):
    """The whole state of a node, sent after every change. `sequence` grows within a connection."""

    sequence: int
    boot: BootId
    ready: bool
    """False until everything has been probed since this agent started."""
    probed: tuple[ServiceName, ...]
    copies: tuple[Copy, ...]
    failures: tuple[Failure, ...]
    """`last_ms` is an age: milliseconds before this report was sent."""
    attributes: tuple[tuple[str, str], ...] = ()
    promotion_scores: tuple[PromotionScore, ...] = ()


class Done(Message, frozen=True, kw_only=True, tag="done"):
    """A step has ended, or was refused. Sent again after a reconnect until it is acknowledged."""

    result: StepResult


class Ping(Message, frozen=True, kw_only=True, tag="ping"):
    """Asks for a `Pong` with the same number.

    The answer proves that the controller spoke after `sent`. The mere arrival of a message does not: it may
    have waited in a buffer while this node slept.
    """

    sent: int


# Controller to agent -----------------------------------------------------------------------------


class Welcome(Message, frozen=True, kw_only=True, tag="welcome"):
    """First answer to an agent: the term, and the key that seals its heartbeats in this session."""

    protocol: int
    incarnation: Incarnation
    epoch: Epoch
    session: int
    key: bytes
    heartbeat_port: int
    heartbeat: Heartbeat


class Peers(Message, frozen=True, kw_only=True, tag="peers"):
    """Whom a node speaks heartbeats to besides the controller, and whose it hears. Replaces earlier ones."""

    every_ms: int
    session: int
    key: bytes
    """What seals those that it speaks, for as long as this boot of it lasts."""
    to: tuple[tuple[str, int], ...]
    """Numeric addresses and ports."""
    hear: tuple[tuple[int, bytes], ...]
    """Sessions and keys."""
    enough: int
    """So many of them without a controller, and nothing of this node's can have been moved."""


class Definitions(Message, frozen=True, kw_only=True, tag="definitions"):
    """Every service that this node may have to run, probe or stop. Replaces the earlier ones.

    `assigned` names those that should run here by the accepted placement: what an agent that lost its
    controller keeps running.
    """

    incarnation: Incarnation
    epoch: Epoch
    services: tuple[Service, ...]
    assigned: tuple[ServiceName, ...]
    maintenance: tuple[ServiceName, ...]
    """Services of which monitors are paused here too."""
    devices: tuple[FenceDevice, ...] = ()
    """Fence devices that services here watch; their secrets are references."""


class Do(Message, frozen=True, kw_only=True, tag="do"):
    """An order."""

    step: Step


class Acknowledge(Message, frozen=True, kw_only=True, tag="acknowledge"):
    """The controller has durably noted the result of the step with this key."""

    key: StepKey


class Forget(Message, frozen=True, kw_only=True, tag="forget"):
    """Forget the failures of a service here (all of them when None)."""

    service: ServiceName | None


class Pong(Message, frozen=True, kw_only=True, tag="pong"):
    """The answer to a `Ping`, at once: orders are valid for so long after the last one's `sent`."""

    sent: int


# Command line to controller ----------------------------------------------------------------------


class Request(Message, frozen=True, kw_only=True, tag="request"):
    """A question or an order of an operator. `method` is from the closed list in docs/protocol.md."""

    id: int
    method: str
    body: dict[str, Any]


class Response(Message, frozen=True, kw_only=True, tag="response"):
    """An answer. A streaming method sends several with the same id, the last one with `last`."""

    id: int
    body: dict[str, Any]
    error: str | None = None
    last: bool = True


AnyMessage = (
    Hello
    | Report
    | Done
    | Ping
    | Welcome
    | Peers
    | Definitions
    | Do
    | Acknowledge
    | Forget
    | Pong
    | Request
    | Response
)

_ENCODER = msgspec.msgpack.Encoder()
_DECODER: msgspec.msgpack.Decoder[AnyMessage] = msgspec.msgpack.Decoder(AnyMessage)


def encode(message: AnyMessage) -> bytes:
    """One message as bytes, without its frame."""
    return _ENCODER.encode(message)


def decode(data: bytes) -> AnyMessage:
    """Read one message back.

    Errors: `Corrupt` for anything that is not exactly one known message.
    """
    try:
        return _DECODER.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as trouble:
        raise Corrupt(f"not a message: {trouble}") from trouble


__all__ = [
    "FRAME_BYTES_MAX",
    "PROTOCOL",
    "Acknowledge",
    "AnyMessage",
    "Definitions",
    "Do",
    "Done",
    "Forget",
    "Hello",
    "Message",
    "Peers",
    "Ping",
    "Pong",
    "Report",
    "Request",
    "Response",
    "Welcome",
    "decode",
    "encode",
]
