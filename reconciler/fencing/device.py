"""One fence device of the intent: its own settings, and the requests that it takes to be sure of something.

Parameters of a device go to its agent as they are, but for four that are ours: `time-limit` of one request,
`attempts` at one, `host-map` (`alpha:1;bravo:2`) for devices that know nodes by other names, and
`verify: no` for agents whose `status` says nothing of the node.

Law: a node counts as off only when the agent said that it did it and, where it can tell, that it is so.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from reconciler.fencing.agent import Abilities, Agent, Answer
from reconciler.model.errors import Refused
from reconciler.model.ids import Millis, NodeName
from reconciler.model.intent import FenceDevice, Pairs

TIME_LIMIT_MS = Millis(60_000)
ATTEMPTS = 2
ATTEMPTS_MAX = 10
_OURS = frozenset({"time-limit", "attempts", "host-map", "verify"})
_PLUGS = ("plug", "port")
_NO = frozenset({"no", "false", "0", "off"})
_SPAN = re.compile(r"([0-9]{1,6})(ms|s|m)", re.ASCII)
_UNITS_MS = {"ms": 1, "s": 1_000, "m": 60_000}
_PAIR = re.compile(r"([^:;=\s]+)[:=]([^;]+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What is ours of a device's parameters."""

    time_limit_ms: Millis = TIME_LIMIT_MS
    attempts: int = ATTEMPTS
    host_map: Mapping[str, str] = field(default_factory=dict)
    verify: bool = True


def read_settings(device: FenceDevice) -> Settings:
    """Read them.

    Errors: `Refused` for a value that makes no sense.
    """
    given = {name: value for name, value in device.parameters if name in _OURS}
    span = _SPAN.fullmatch(given.get("time-limit", f"{TIME_LIMIT_MS}ms").strip())
    if span is None or not int(span[1]):
        raise Refused("a time-limit is written 500ms, 30s or 2m")
    attempts = given.get("attempts", str(ATTEMPTS)).strip()
    if not (attempts.isascii() and attempts.isdigit() and 1 <= int(attempts) <= ATTEMPTS_MAX):
        raise Refused(f"attempts are 1 to {ATTEMPTS_MAX}")
    entries = [entry for entry in given.get("host-map", "").split(";") if entry.strip()]
    pairs = [_PAIR.fullmatch(entry.strip()) for entry in entries]
    if not all(pairs):
        raise Refused("a host-map is written NODE:PLUG;NODE:PLUG")
    return Settings(
        time_limit_ms=Millis(int(span[1]) * _UNITS_MS[span[2]]),
        attempts=int(attempts),
        host_map={pair[1]: pair[2].strip() for pair in pairs if pair},
        verify=given.get("verify", "yes").strip().lower() not in _NO,
    )


class Device:
    """A device that can be asked: its agent, what that can do, and what it has to be told."""

    def __init__(
        self, device: FenceDevice, agent: Agent, abilities: Abilities, secrets: Pairs
    ) -> None:
        """Errors: `Refused` when a parameter of ours makes no sense."""
        self.name = device.name
        self._agent = agent
        self._can = abilities.actions
        self._settings = read_settings(device)
        self._given = {n: v for n, v in device.parameters if n not in _OURS} | dict(secrets)
        plugs = (name for name in _PLUGS if name in abilities.parameters)
        named = any(name in self._given for name in _PLUGS)
        self._plug = None if named else next(plugs, None)

    @property
    def switches(self) -> bool:
        """Whether it can be switched off and on, so that a reboot can be verified in between."""
        return {"off", "on"} <= self._can

    async def off(self, node: NodeName) -> Answer:
        """Switch a node off, and see that it is."""
        return await self._until_off("off", node)

    async def reboot(self, node: NodeName) -> Answer:
        """Let the device do it in one go; it is on again afterwards, so its word is all there is."""
        return await self._ask("reboot", node)

    async def on(self, node: NodeName) -> Answer:
        """Switch a node on."""
        return await self._ask("on", node)

    async def monitor(self) -> Answer:
        """Ask the device whether it would work; no node is named, and none is touched."""
        action = "monitor" if "monitor" in self._can else "status"
        return await self._agent.ask(action, self._given, timeout_ms=self._settings.time_limit_ms)

    async def _until_off(self, action: str, node: NodeName) -> Answer:
        done = await self._ask(action, node)
        if not done.succeeded or not self._settings.verify or "status" not in self._can:
            return done
        seen = await self._ask("status", node)
        if seen.power is False:
            return done
        what = "it is still on" if seen.power else f"its status cannot be read ({seen.words})"
        return Answer(succeeded=False, words=f"said that it is off, but {what}")

    async def _ask(self, action: str, node: NodeName) -> Answer:
        if action not in self._can:
            return Answer(succeeded=False, words=f"cannot {action}")
        plug = self._settings.host_map.get(node, str(node))
        given = self._given | ({self._plug: plug} if self._plug is not None else {})
        answer = Answer(succeeded=False)
        for _ in range(self._settings.attempts):
            answer = await self._agent.ask(action, given, timeout_ms=self._settings.time_limit_ms)
            if answer.succeeded:
                break
        return answer
