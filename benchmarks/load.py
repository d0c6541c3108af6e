"""How long a cluster takes to load: from the bytes of its YAML to an intent with every check done.

    .venv/bin/python benchmarks/load.py [SERVICES]

Prints a table; times are medians of five. The file is made here: a service in twelve lines, as people
write them, about 2.8 MB for 10,000.
"""

import statistics
import sys
import time
from collections.abc import Callable

from reconciler.config.assemble import assemble
from reconciler.config.document import Document
from reconciler.config.draft import join
from reconciler.config.load import _collector_paused, load_files
from reconciler.config.parts import File, read_part
from reconciler.config.problems import Problems
from reconciler.config.yaml_tree import build

RUNS = 5


def cluster(services: int) -> bytes:
    lines = [
        "version: 1",
        "cluster: benchmark",
        "fencing: none",
        "accept-split-brain: true",
        "nodes:",
    ]
    lines += [
        f"  node-{n:03}: {{address: 10.0.{n // 250}.{n % 250 + 1}, labels: {{rack: r{n % 8}}}, "
        "capacity: {cpu: 64, memory: 256GiB}}"
        for n in range(200)
    ]
    lines.append("services:")
    for n in range(services):
        lines.append(f"""\
  service-{n:05}:
    # What it is for, in a few words, as people do.
    ocf: heartbeat:Dummy
    parameters:
      state: /run/resource-agents/service-{n:05}.state
    replicas: {n % 3 + 1}
    priority: {n % 10}
    safety: best-effort
    demand: {{cpu: 1, memory: 512MiB}}
    monitor:
      every: 10s
      timeout: 20s""")
    lines.append("constraints:")
    lines += [
        f"  - {{ordering: [service-{n:05}, service-{n + 1:05}], kind: optional}}"
        for n in range(0, services - 1, 10)
    ]
    return ("\n".join(lines) + "\n").encode()


def median_ms(work: Callable[[], object]) -> float:
    spent = []
    for _ in range(RUNS):
        began = time.perf_counter()
        with _collector_paused():
            work()
        spent.append((time.perf_counter() - began) * 1000)
    return statistics.median(spent)


def main() -> None:
    services = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    data = cluster(services)
    file = File(path="cluster.yaml", data=data, folder="/")
    tree = build(data)
    part = read_part(file, Problems())
    assert part is not None
    draft = join([part], Problems())
    assert load_files((("cluster.yaml", data),)).intent is not None
    rows = [
        ("YAML to plain data", median_ms(lambda: build(data))),
        ("pydantic", median_ms(lambda: Document.model_validate(tree.data))),
        ("names, defaults, values", median_ms(lambda: assemble(draft, Problems()))),
        ("all of it, every check", median_ms(lambda: load_files((("cluster.yaml", data),)))),
    ]
    print(f"{services:,} services, {len(data) / 1e6:.2f} MB, {data.count(10):,} lines")
    for name, spent_ms in rows:
        print(f"  {name:<26}{spent_ms:>8.0f} ms")


if __name__ == "__main__":
    main()
