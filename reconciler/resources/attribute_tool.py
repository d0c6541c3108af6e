#!/usr/bin/env -S reconcile-python -IS
"""What OCF agents call to say something of their node: crm_attribute, crm_master, attrd_updater, crm_node.

This file is all four, by the name that it is called by, and takes the options that agents use. What is said
goes into one small file for each attribute below the node's run directory; the agent of the node reads them
after every operation (`attributes`). It runs as a program of its own and imports nothing of ours.
Source: the manual pages of Pacemaker 2.1; `ocf_promotion_score` of resource-agents; capabilities A113, A114.

Law: it speaks of its own node only; a file is whole or not there.
"""

import getopt
import json
import os
import re
import sys
from pathlib import Path
from urllib.parse import quote

NAMES = ("crm_attribute", "crm_master", "attrd_updater", "crm_node")
SCORES, REBOOT, FOREVER = "scores", "reboot", "forever"
COUNT_MAX = 256
VALUE_BYTES_MAX = 4096
INFINITY = 1_000_000
OK, ERROR, USAGE, NO_SUCH = 0, 1, 64, 105

_NAME_MAX = 128
_SCORE_PREFIXES = ("master-", "promotion-")
_DELAY = re.compile(r"(\d{1,9})\s*(ms|s|m|min|h)?", re.ASCII)
_UNIT_MS = {"ms": 1, "": 1000, "s": 1000, "m": 60_000, "min": 60_000, "h": 3_600_000}
_SUM = re.compile(r"(?:\+\+|\+=(-?\d{1,9}))", re.ASCII)
_SHORT = {
    "crm_attribute": "n:v:DGl:t:N:U:pd:qQs:i:r:",
    "crm_master": "v:DGl:N:U:d:qQr:",
    "attrd_updater": "n:U:v:B:DQRAd:N:pS:s:l:qW:Y",
    "crm_node": "nqN:",
}
_LONG = [
    "name=",
    "update=",
    "delete",
    "query",
    "lifetime=",
    "type=",
    "node=",
    "promotion",
    "default=",
]
_LONG += ["quiet", "set-name=", "id=", "resource=", "delay=", "dampen=", "update-both=", "private"]
_LONG += ["wait="]


class Wrong(Exception):  # noqa: N818 - it names what the caller did
    """A call that cannot be carried out."""


class Call:
    """One call, read from its arguments."""

    def __init__(self, program: str, arguments: list[str]) -> None:
        """Read the options.

        Errors: `Wrong` for options that are none.
        """
        plain = [word.partition("=")[0] if _is_promotion(word) else word for word in arguments]
        try:
            found, _ = getopt.gnu_getopt(plain, _SHORT[program], _LONG)
        except getopt.GetoptError as trouble:
            raise Wrong(str(trouble)) from trouble
        self.program = program
        self.options = dict(found)
        self.is_score = program == "crm_master" or (
            program == "crm_attribute" and self._has("-p", "--promotion")
        )

    def _has(self, *names: str) -> bool:
        return any(name in self.options for name in names)

    def _get(self, *names: str) -> str | None:
        return next((self.options[name] for name in names if name in self.options), None)

    @property
    def quiet(self) -> bool:
        """Print bare values. A capital Q asks `attrd_updater` something else."""
        return self._has("-q", "--quiet") or (self._has("-Q") and self.program != "attrd_updater")

    @property
    def queries(self) -> bool:
        """Whether it asks for a value."""
        return self._has("-G", "--query") or (self._has("-Q") and self.program == "attrd_updater")

    @property
    def deletes(self) -> bool:
        """Whether it takes a value back."""
        return self._has("-D", "--delete")

    @property
    def value(self) -> str | None:
        """The new value."""
        updates = ("-v", "--update", "-B", "--update-both")
        return self._get(*updates, "-U") if self.program == "attrd_updater" else self._get(*updates)

    @property
    def default(self) -> str | None:
        """What to say where there is no value."""
        return None if self.program == "attrd_updater" else self._get("-d", "--default")

    @property
    def settle_ms(self) -> int:
        """How long the value has to stay the same before it counts."""
        if self.program != "attrd_updater":
            return 0
        delay = _DELAY.fullmatch((self._get("-d", "--delay", "--dampen") or "0").strip())
        return int(delay[1]) * _UNIT_MS[delay[2] or ""] if delay else 0

    @property
    def kind(self) -> str:
        """How long it holds, or that it is a score."""
        if self.is_score:
            return SCORES
        nodes = self._get("-t", "--type") in {None, "nodes"} and self.program == "crm_attribute"
        lifetime = self._get("-l", "--lifetime") or ("forever" if nodes else "reboot")
        return FOREVER if lifetime == "forever" else REBOOT

    def refuse_others(self, own: set[str]) -> None:
        """Speak of this node only.

        Errors: `Wrong` for another node, or for settings of a whole cluster.
        """
        names = ("-N", "--node") if self.program == "attrd_updater" else ("-N", "--node", "-U")
        node = self._get(*names)
        if node is not None and node not in own | {"local", "auto"}:
            raise Wrong(f"attributes of {node} are said on {node}")
        if self._get("-t", "--type") not in {None, "nodes", "status", "reboot", "forever"}:
            raise Wrong("only attributes of nodes are kept here")

    def name(self, instance: str) -> str:
        """The attribute's name, or the service's for a score.

        Errors: `Wrong` if there is none.
        """
        if self.is_score:
            name = self._get("-r", "--resource") or instance
            return re.sub(r":\d+$", "", name)
        found = self._get("-n", "--name")
        if not found or len(found) > _NAME_MAX or found.startswith("."):
            raise Wrong("an attribute needs a name")
        return found


def main(arguments: list[str]) -> int:
    """Carry out one call; the exit statuses are Pacemaker's."""
    program, environment = Path(arguments[0]).name, os.environ
    node, run = environment.get("RECONCILE_NODE"), environment.get("RECONCILE_RUN")
    if program not in NAMES or not node or not run:
        sys.stderr.write(f"{program}: only OCF agents that reconciler runs can call this\n")
        return ERROR
    if program == "crm_node":
        sys.stdout.write(f"{node}\n")
        return OK if "-n" in arguments or "--name" in arguments else USAGE
    try:
        call = Call(program, arguments[1:])
        call.refuse_others({node, os.uname().nodename})
        return _carry_out(call, Path(run), environment.get("OCF_RESOURCE_INSTANCE", ""))
    except (Wrong, OSError, ValueError) as trouble:
        sys.stderr.write(f"{program}: {trouble}\n")
        return USAGE if isinstance(trouble, Wrong) else ERROR


def _carry_out(call: Call, run: Path, instance: str) -> int:
    kind, name = call.kind, call.name(instance)
    prefix = next((p for p in _SCORE_PREFIXES if name.startswith(p)), None)
    if prefix is not None and not call.is_score:
        kind, name = SCORES, name.removeprefix(prefix)
    if not name:
        raise Wrong("no service and no attribute is named")
    kept = read(run, kind, name)
    if call.deletes:
        path_of(run, kind, name).unlink(missing_ok=True)
        return OK
    if call.value is not None and not call.queries:
        write(run, kind, name, _new_value(kept, call.value, kind, name), call.settle_ms)
        return OK
    found = kept if kept is not None else call.default
    if found is None:
        sys.stderr.write(f"{call.program}: there is no {name} here\n")
        return NO_SUCH
    if call.quiet:
        sys.stdout.write(f"{found}\n")
    elif call.program == "attrd_updater":
        sys.stdout.write(f'name="{name}" host="{os.environ["RECONCILE_NODE"]}" value="{found}"\n')
    else:
        sys.stdout.write(f"scope=status  name={name} value={found}\n")
    return OK


def _new_value(kept: str | None, value: str, kind: str, name: str) -> str:
    """`NAME++` and `NAME+=N` add to what is there; a score is a number, whatever happens.

    Errors: `ValueError` for a score that is none, and for a value that is too long.
    """
    if added := _SUM.fullmatch(value.removeprefix(name)):
        return str(number(kept or "0") + int(added[1] or 1))
    if len(value.encode()) > VALUE_BYTES_MAX:
        raise ValueError(f"a value of more than {VALUE_BYTES_MAX} bytes")
    return str(number(value)) if kind == SCORES else value


def number(value: str) -> int:
    """Read a score; INFINITY is a million, and no score is greater.

    Errors: `ValueError` for what is no number.
    """
    text = value.strip().removeprefix("+").upper()
    if text.removeprefix("-") == "INFINITY":
        return -INFINITY if text.startswith("-") else INFINITY
    return max(-INFINITY, min(INFINITY, int(text)))


def path_of(run: Path, kind: str, name: str) -> Path:
    """The file of one attribute or score."""
    return run / "attributes" / kind / quote(name, safe="")


def read(run: Path, kind: str, name: str) -> str | None:
    """The value that was said last."""
    try:
        said = json.loads(path_of(run, kind, name).read_bytes())
        return str(said["value"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write(run: Path, kind: str, name: str, value: str, settle_ms: int = 0) -> None:
    """Keep a value: the file is replaced whole.

    Errors: `OSError` when it cannot be kept; `ValueError` when there are too many.
    """
    path = path_of(run, kind, name)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not path.exists() and sum(1 for _ in path.parent.iterdir()) >= COUNT_MAX:
        raise ValueError(f"more than {COUNT_MAX} of them")
    new = path.with_name(f".{os.getpid()}.new")
    said = {"name": name, "value": value, "settle_ms": settle_ms}
    new.write_text(json.dumps(said), encoding="utf-8")
    new.replace(path)


def _is_promotion(word: str) -> bool:
    return word.startswith("--promotion=")


if __name__ == "__main__":
    sys.exit(main(sys.argv))
