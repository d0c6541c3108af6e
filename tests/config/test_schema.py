"""The committed schema is fresh, is a schema, and refuses what can be seen in one file alone."""

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator

from reconciler.cli.schema import run_schema
from reconciler.config.json_schema import NAME, cluster_schema
from reconciler.config.yaml_tree import build

SCHEMAS = Path(__file__).parents[2] / "schemas"
SCHEMA: dict[str, Any] = json.loads(cluster_schema())
BAD = Path(__file__).parent / "bad"


def errors(text: str) -> list[str]:
    data = build(f"version: 1\n{text}".encode()).data
    return [error.message for error in Draft7Validator(SCHEMA).iter_errors(data)]


def test_the_committed_one_is_fresh() -> None:
    assert (SCHEMAS / NAME).read_bytes() == cluster_schema(), "`reconcile schema` writes it anew"


def test_it_is_a_schema() -> None:
    Draft7Validator.check_schema(SCHEMA)


def test_every_key_is_described() -> None:
    def undescribed(value: Any, path: str = "") -> list[str]:
        if not isinstance(value, dict):
            return []
        found = []
        for key, part in value.get("properties", {}).items():
            if "description" not in part and not path.endswith("/secret"):
                found.append(f"{path}/{key}")
        for key, part in value.items():
            found += undescribed(part, f"{path}/{key}")
        return found

    assert undescribed(SCHEMA) == []


@pytest.mark.parametrize(
    "text",
    [
        "serivces: {}",
        "services: {web: {systemd: nginx, vip: 10.0.0.1/24}}",
        "services: {web: {priority: 1}}",
        "services: {web: {systemd: nginx, monitor: {every: 30}}}",
        "services: {web: {systemd: nginx, safety: careless}}",
        "services: {web: {systemd: nginx, replicas: none}}",
        "services: {web: {systemd: nginx, stickiness: -1}}",
        "services: {../x: {systemd: nginx}}",
        "services: {web: {script: relative}}",
        "services: {web: {script: {start: '/bin/x | y', stop: /bin/x, status: /bin/x}}}",
        "nodes: {a: {}}",
        "nodes: {a: {address: 10.0.0.1, capacity: {memory: 3GBs}}}",
        "constraints: [{colocation: [a]}]",
        "constraints: [{colocation: [a, b], ordering: [a, b]}]",
        "constraints: [{location: a, nodes: []}]",
        "constraints: [{location: a, nodes: b, score: never}]",
        "fencing: nothing",
        "fencing: {devices: {a: {agent: fence_x}}}",
        "groups: {g: []}",
    ],
)
def test_refuses(text: str) -> None:
    assert errors(text)


@pytest.mark.parametrize(
    "text",
    [
        "services: {web: {template: t}}",
        "services: {web: {script: ./bin/web}}",
        "services: {web: {vip: {address: '2001:db8::1/64', interface: eth0}}}",
        "services: {web: {ocf: 'a:b', parameters: {x: 1.5, y: true, z: {secret: s}}}}",
        "constraints: [{location: a, nodes: {rack: 1}, score: forbidden}]",
        "constraints: [{ordering: [a, b, c], kind: optional}]",
        "fencing: none\naccept-split-brain: true",
        "groups: {g: {members: [a, b], replicas: all}}",
        "heartbeat: {every: 20ms, lost-after: 1.5s}",
    ],
)
def test_accepts(text: str) -> None:
    assert errors(text) == []


def test_writes_and_checks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_schema(tmp_path, check=True) == 1
    assert run_schema(tmp_path, check=False) == 0
    assert run_schema(tmp_path, check=True) == 0
    (tmp_path / NAME).write_text("{}")
    assert run_schema(tmp_path, check=True) == 1
    assert "out of date" in capsys.readouterr().err
