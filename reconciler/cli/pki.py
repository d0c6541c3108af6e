"""`reconcile pki`: make, renew and show the certificates that members of a cluster prove themselves with.

Certificates live in one directory beside the authority's key. A node gets three files of it, `ca.crt` and its
own pair; the authority's key goes nowhere. The commands refuse whatever would replace a key.
"""

import sys
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Literal

import msgspec

from reconciler.cli.exit_codes import ExitCode
from reconciler.cli.terminal import say_text
from reconciler.runtime import clock, pki

Verb = Literal["init", "issue", "renew", "show"]


def run_pki(
    verb: Verb,
    directory: Path,
    *,
    cluster: str = "",
    role: str = "agent",
    name: str = "",
    days: int | None = None,
    form: Literal["text", "json"] = "text",
) -> int:
    """Carry out one of the four verbs and return the exit status.

    Errors: `Refused` with what to do, before anything was written.
    """
    match verb:
        case "init":
            path = pki.create_authority(
                directory, cluster=cluster, days=days or pki.AUTHORITY_LIFE_DAYS
            )
            say_text(f"{path}: the authority of cluster {cluster}\n{_ADVICE}\n")
        case "issue":
            path = pki.issue(directory, pki.Role(role), name, days=days or pki.LIFE_DAYS)
            say_text(f"{path}: {role} {name}, for {days or pki.LIFE_DAYS} days\n")
        case "renew":
            path = pki.renew(directory, pki.Role(role), name, days=days or pki.LIFE_DAYS)
            say_text(f"{path}: {role} {name}, for {days or pki.LIFE_DAYS} more days\n")
        case "show":
            return _show(pki.show(directory), form)
    return ExitCode.DONE


_ADVICE = """\
  Keep ca.key here: whoever holds it can pretend to be any member. Each member gets ca.crt and its own
  pair: `reconcile pki issue DIR --role agent --name NODE`, then --role controller, then --role operator."""


def _show(issued: tuple[pki.Issued, ...], form: str) -> int:
    states = [_state(one) for one in issued]
    if form == "json":
        body = {
            "version": 1,
            "certificates": [
                {**asdict(one), "path": str(one.path), "state": state}
                for one, state in zip(issued, states, strict=True)
            ],
        }
        say_text(msgspec.json.format(msgspec.json.encode(body), indent=2).decode() + "\n")
    else:
        breadth = max(len(one.subject) for one in issued)
        for one, state in zip(issued, states, strict=True):
            ends = f"{one.not_after:%Y-%m-%d %H:%M}Z"
            say_text(f"{one.subject:{breadth}}  until {ends}  {state:10}  {one.path.name}\n")
    if "expired" in states:
        sys.stderr.write("reconcile: a certificate has expired; `reconcile pki renew` renews it\n")
        return ExitCode.ERROR
    return ExitCode.DONE


def _state(one: pki.Issued) -> str:
    left = one.not_after - clock.utc()
    if left <= timedelta():
        return "expired"
    if left < (one.not_after - one.not_before) / 4:
        return "renew soon"
    return "valid"
