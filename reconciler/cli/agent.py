"""`reconcile agent`: become the agent of this node.

The agent runs for ever, on every node, and wants none of what a command line needs. So this process checks
what was typed and then turns into `python -m reconciler.runtime.agent`: the same process, without the rest.
`app.py` has the options:

    --node NAME  --controller HOST:PORT (several)  --pki DIR  --state DIR  --run DIR
    [--interface NAME]  [--secrets DIR]  [--fence-agents DIR]  [--pretend-addresses]  [--verbose]
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

_MODULE = "reconciler.runtime.agent"


def run_agent(  # noqa: PLR0913 - one for each option
    *,
    node: str,
    controllers: Sequence[str],
    pki: Path,
    state: Path,
    run: Path,
    interface: str | None = None,
    secrets: Path | None = None,
    pretend_addresses: bool = False,
    fence_agents: Sequence[Path] = (),
    verbose: bool = False,
) -> int:
    """Replace this process by an agent; returns only when the options are no use, with status 2."""
    from reconciler.model.errors import Refused
    from reconciler.runtime.agent import parse

    words = ["--node", node, "--pki", str(pki), "--state", str(state), "--run", str(run)]
    for controller in controllers:
        words += ["--controller", controller]
    words += ["--interface", interface] if interface is not None else []
    words += ["--secrets", str(secrets)] if secrets is not None else []
    for place in fence_agents:
        words += ["--fence-agents", str(place)]
    words += ["--pretend-addresses"] if pretend_addresses else []
    words += ["--verbose"] if verbose else []
    try:
        parse(words)
    except Refused as trouble:
        sys.stderr.write(f"error: {trouble}\n")
        return 2
    command = [sys.executable, "-I", "-m", _MODULE, *words]
    return os.execv(command[0], command)  # noqa: S606 - there is no shell
