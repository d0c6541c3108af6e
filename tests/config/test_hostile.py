"""Hostile files get a clear error within a second of work and 256 MiB, and nothing else happens."""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

MIB = 1024 * 1024
HEAD = b"version: 1\ncluster: c\nnodes: {a: {address: 10.0.0.1}}\n"


def laughs() -> bytes:
    lines = [b'a: &a ["lol"]']
    for before, now in zip("abcdefgh", "bcdefghi", strict=False):
        lines.append(f"{now}: &{now} [{','.join([f'*{before}'] * 9)}]".encode())
    return b"\n".join(lines)


CASES: dict[str, tuple[bytes, str]] = {
    "anchor bomb": (laughs(), "R004"),
    "many anchors": (b"[" + b"&a " * 100_000, "R003"),
    "deep flow lists": (b"[" * 10_000, "R002"),
    "deep flow mappings": (b"{a: " * 10_000, "R002"),
    "deep block lists": (b"- " * 10_000 + b"a", "R002"),
    "deep complex keys": (b"? " * 10_000 + b"a", "R004"),
    "a tag that runs code": (b'a: !!python/object/apply:os.system ["touch pwned"]', "R004"),
    "many tags": (b"- !!str a\n" * 500_000, "R004"),
    "one key again and again": (HEAD + b"services:\n" + b"  a: {systemd: a}\n" * 200_000, "R005"),
    "a NUL": (HEAD + b"services: {a\0b: {systemd: a}}\n", "R003"),
    "only NULs": (b"\0" * 1_000_000, "R003"),
    "latin-1": (HEAD + "labels: \xe9".encode("latin-1"), "R003"),
    "UTF-16": (HEAD.decode().encode("utf-16"), "R003"),
    "a lone continuation byte at the end": (HEAD + b"# \x80", "R003"),
    "three million items": (b"-\n" * 3_000_000, "R002"),
    "three million items in a line": (b"[" + b"a," * 3_000_000, "R002"),
    "a wide mapping": (b"".join(b"k%d: 1\n" % n for n in range(300_000)), "R002"),
    "a quote that never ends": (b'a: "' + b"x" * 15 * MIB, "R003"),
    "one word of 15 MiB": (b"x" * 15 * MIB, "R012"),
    "one block of 15 MiB": (b"a: |\n" + b"  x\n" * (4 * MIB - 100), "R010"),
    "comments only": (b"# comment\n" * 1_500_000, "R012"),
    "a million documents": (b"---\n" * 1_000_000, "R004"),
    "directives": (b"%YAML 1.1\n" * 10_000, "R003"),
    "an endless number": (HEAD + b"services: {a: {systemd: a, rank: " + b"9" * MIB + b"}}", "R012"),
    "white space": (b" " * 15 * MIB, "R012"),
    "colons": (b": " * 1_000_000, "R003"),
    "one byte too many": (b"#" * (16 * MIB + 1), "R002"),
}


def files(folder: Path) -> dict[Path, str]:
    expected = {}
    for number, (data, code) in enumerate(CASES.values()):
        path = folder / f"{number}.yaml"
        path.write_bytes(data)
        expected[path] = code
    huge = folder / "huge.yaml"
    with huge.open("wb") as file:
        file.truncate(1_000_000_000)
    expected[huge] = "R002"
    os.mkfifo(folder / "pipe.yaml")
    expected[folder / "pipe.yaml"] = "R001"
    expected[Path("/dev/zero")] = "R001"
    expected[folder / "missing.yaml"] = "R001"
    return expected


def limits() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (1024 * MIB, 1024 * MIB))
    resource.setrlimit(resource.RLIMIT_CPU, (60, 60))


@pytest.mark.slow
def test_a_clear_error_within_a_second_and_256_mib(tmp_path: Path) -> None:
    expected = files(tmp_path)
    done = subprocess.run(
        [sys.executable, str(Path(__file__).parent / "hostile.py"), *map(str, expected)],
        capture_output=True,
        check=True,
        cwd=tmp_path,
        preexec_fn=limits,
        text=True,
        timeout=120,
    )
    *results, memory = [json.loads(text) for text in done.stdout.splitlines()]
    names = [*CASES, "1 GB", "a pipe", "a device", "a missing file"]
    for name, code, result in zip(names, expected.values(), results, strict=True):
        assert not result["valid"], name
        assert code in result["codes"], (name, result)
        assert result["spent_s"] < 1.0, (name, result)
    assert memory["most_kib"] < 256 * 1024
    assert done.stderr == ""
    assert not (tmp_path / "pwned").exists()
