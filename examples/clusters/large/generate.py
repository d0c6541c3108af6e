"""Writes this folder's cluster: 64 machines in 8 racks, ten teams, 1,000 services, a file for each team.

The same files every time (`python3 generate.py`); they are committed, so that people and tests can read
them. Nothing but the standard library.
"""

import random
from pathlib import Path

HERE = Path(__file__).parent
SCHEMA = "# yaml-language-server: $schema=../../../schemas/cluster.schema.json\n"
TEAMS = ("auth", "billing", "data", "lab", "mail", "media", "ops", "search", "shop", "web")
RACKS = "abcdefgh"
DATABASES, APPS, WORKERS, ADDRESSES = 12, 40, 16, 7


def main() -> None:
    chance = random.Random(64)
    files = {"00-cluster.yaml": cluster(), "10-nodes.yaml": nodes(), "20-fencing.yaml": fencing()}
    for number, team in enumerate(TEAMS):
        files[f"50-{team}.yaml"] = services(number, team, chance)
    for name, text in files.items():
        (HERE / name).write_text(SCHEMA + text)


def cluster() -> str:
    return """\
# Written by generate.py. What all teams share.
version: 1
cluster: large

defaults:
  monitor: {every: 15s, timeout: 20s}
  demand: {cpu: 1, memory: 1GiB}

templates:
  postgres:
    stickiness: 500                     # moving a database empties its caches
    start: {timeout: 5m}
    stop: {timeout: 2m}
    demand: {cpu: 4, memory: 16GiB}
  app:
    safety: best-effort
    failures: {max: 5, forget-after: 15m}
  worker:
    safety: best-effort
    stickiness: 0                       # workers go wherever there is room
    stop: {timeout: 5m}

# Hear each other twice a second; lost after 3.5 s. Two small machines elsewhere vote too.
heartbeat: {every: 500ms}
witnesses: [north, south]
"""


def nodes() -> str:
    lines = ["# Written by generate.py. Eight racks of eight machines.", "version: 1", "nodes:"]
    for rack_number, rack in enumerate(RACKS):
        for slot in range(1, 9):
            disk = "ssd" if slot <= 6 else "hdd"
            extra = ", standby: true" if (rack, slot) == ("c", 8) else ""
            lines.append(
                f"  {rack}{slot}: {{address: [10.90.{rack_number}.{slot}, 10.91.{rack_number}.{slot}], "
                f"labels: {{rack: {rack}, disk: {disk}}}, capacity: {{cpu: 64, memory: 256GiB}}{extra}}}"
            )
    return "\n".join(lines) + "\n"


def fencing() -> str:
    lines = ["# Written by generate.py. One switched power strip for each rack.", "version: 1"]
    lines += ["fencing:", "  devices:"]
    for number, rack in enumerate(RACKS):
        reached = ", ".join(f"{rack}{slot}" for slot in range(1, 9))
        lines.append(
            f"    pdu-{rack}: {{agent: fence_apc_snmp, nodes: [{reached}], "
            f"parameters: {{ip: 10.99.0.{number + 1}, community: {{secret: pdu}}}}}}"
        )
    return "\n".join(lines) + "\n"


def services(number: int, team: str, chance: random.Random) -> str:
    home = RACKS[number % len(RACKS)]
    body = ["services:"]
    groups = ["groups:"]
    rules = ["constraints:"]
    for n in range(1, DATABASES + 1):
        name = f"{team}-db{n}"
        priority = chance.choice((20, 20, 30))
        body.append(
            f'  {name}-data: {{ocf: "heartbeat:Filesystem", priority: {priority}, parameters: '
            f"{{device: /dev/san/{name}, directory: /srv/{name}, fstype: xfs}}}}"
        )
        body.append(
            f"  {name}: {{template: postgres, systemd: postgresql@{name}, priority: {priority}}}"
        )
        body.append(f"  {name}-ip: {{vip: 10.92.{number}.{n}/16, priority: {priority}}}")
        groups.append(f"  {name}-all: [{name}-data, {name}, {name}-ip]")
        rules.append(f"  - {{location: {name}-all, nodes: {{disk: ssd}}}}")
        rules.append(f"  - {{location: {name}-all, nodes: {{rack: {home}}}, score: 50}}")
    for n in range(1, APPS + 1):
        name, database = f"{team}-app{n}", f"{team}-db{chance.randint(1, DATABASES)}"
        body.append(
            f"  {name}: {{template: app, systemd: {team}@app{n}, replicas: {chance.choice((1, 2, 2, 3))}, "
            f"priority: 10, demand: {{cpu: {chance.choice((1, 1, 2))}, memory: {chance.choice((1, 2, 4))}GiB}}}}"
        )
        rules.append(f"  - {{ordering: [{database}, {name}], kind: optional}}")
        if n % 4 == 0:
            rules.append(f"  - {{colocation: [{name}, {database}], score: -20}}")
    for n in range(1, WORKERS + 1):
        body.append(
            f"  {team}-worker{n}: {{template: worker, systemd: {team}@worker{n}, "
            f"priority: {chance.choice((-10, 0, 0))}, demand: {{cpu: 1, memory: 2GiB}}}}"
        )
    for n in range(1, ADDRESSES + 1):
        body.append(f"  {team}-ip{n}: {{vip: 10.93.{number}.{n}/16, demand: {{cpu: 0, memory: 0}}}}")
    body.append(
        f"  {team}-log: {{template: app, systemd: {team}-log, replicas: all, demand: {{cpu: 0, memory: 1GiB}}}}"
    )
    lines = [f"# Written by generate.py. What team {team} runs; rack {home} is its home.", "version: 1"]
    return "\n".join([*lines, *body, *groups, *rules]) + "\n"


if __name__ == "__main__":
    main()
