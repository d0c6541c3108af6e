"""Fence a node by its levels of devices: `ports.Fences` for clusters that have some.

All devices of a level have to confirm; when one does not, the next level is tried. Without levels every
device that names the node is a level of its own, in the order of their names. A reboot is an `off` that every
device of the level confirmed, and then an `on`: only what was seen to be off is proof. The `on` is a
courtesy; a node that stays off is fenced all the same.

Law: STOPPED only when every device of one level confirmed for this node.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from reconciler.fencing.agent import PLACES, Abilities, Agent, Answer, Run
from reconciler.fencing.device import Device
from reconciler.model.errors import Refused
from reconciler.model.ids import NodeName
from reconciler.model.intent import FenceDevice, Fencing
from reconciler.model.operation import Outcome, Verdict

REASON_MAX = 500
Secrets = Callable[[str], str]
"""The value of a secret on this machine. Errors: `Refused`, with a reason that never shows it."""


class DeviceFences:
    """Drives the fence agents of this machine."""

    def __init__(self, run: Run, secrets: Secrets, places: Sequence[Path] = PLACES) -> None:
        self._run = run
        self._secrets = secrets
        self._places = tuple(places)
        self._abilities: dict[str, Abilities] = {}

    async def fence(self, node: NodeName, fencing: Fencing) -> Outcome:
        """Fence this node and no other."""
        levels = levels_of(node, fencing)
        if not levels:
            reason = f"{node} cannot be fenced: no fence device is named for it"
            return Outcome(verdict=Verdict.FAILED, reason=reason, definite=True)
        troubles: list[str] = []
        for level in levels:
            try:
                devices = [await self.device(device) for device in level]
            except Refused as trouble:
                troubles.append(str(trouble))
                continue
            done, words = await _fence(node, devices, reboot=fencing.action == "reboot")
            if done:
                return Outcome(verdict=Verdict.STOPPED, reason=words[:REASON_MAX])
            troubles.append(words)
        return Outcome(verdict=Verdict.FAILED, reason="; ".join(troubles)[:REASON_MAX])

    async def device(self, device: FenceDevice) -> Device:
        """Make a device ready to be asked.

        Errors: `Refused` when its agent is missing, or a secret, or a parameter makes no sense.
        """
        try:
            agent = Agent(device.agent, self._run, self._places)
            if device.agent not in self._abilities:
                self._abilities[device.agent] = await agent.abilities()
            secrets = tuple((name, self._secrets(secret)) for name, secret in device.secrets)
            return Device(device, agent, self._abilities[device.agent], secrets)
        except Refused as trouble:
            raise Refused(f"{device.name}: {trouble}") from trouble


def levels_of(node: NodeName, fencing: Fencing) -> list[tuple[FenceDevice, ...]]:
    """The devices of each level, the one that is tried first in front."""
    known = {device.name: device for device in fencing.devices}
    levels = sorted((one for one in fencing.levels if node in one.nodes), key=lambda one: one.level)
    if levels:
        return [tuple(known[name] for name in one.devices) for one in levels]
    return [(device,) for device in fencing.devices if node in device.nodes]


async def _fence(node: NodeName, devices: list[Device], *, reboot: bool) -> tuple[bool, str]:
    """Use the devices of one level."""
    switched = [device for device in devices if not reboot or device.switches]
    for device in devices:
        off = device in switched
        answer = await (device.off(node) if off else device.reboot(node))
        if not answer.succeeded:
            return False, _told(device, answer)
    names = ", ".join(device.name for device in devices)
    if not reboot:
        return True, f"{names} switched it off"
    stays = []
    for device in reversed(switched):
        answer = await device.on(node)
        if not answer.succeeded:
            stays.append(_told(device, answer))
    if stays:
        return True, f"{names} switched it off, and could not switch it on: {'; '.join(stays)}"
    return True, f"{names} rebooted it"


def _told(device: Device, answer: Answer) -> str:
    return f"{device.name}: {answer.words or 'failed without a word'}"
