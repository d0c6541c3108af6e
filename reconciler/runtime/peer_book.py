"""Whom a node speaks heartbeats to and whose it hears, as its controller said last; kept for the boot.

An agent that begins while there is no controller has nobody to ask, and would take itself for cut off. The
file lies in the run directory, for its owner only: keys are in it, and they vanish with the boot that they
were made for.
"""

import contextlib
import json
import os
from pathlib import Path
from typing import Any

from reconciler.codec.messages import Peers

_NAME = "peers"


class PeerBook:
    """The words for the process that speaks heartbeats, and the port that it hears on."""

    def __init__(self, run: Path | None) -> None:
        self._path = run / _NAME if run is not None else None
        self.words: dict[str, Any] = {}
        self.port = 0
        if self._path is not None:
            with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
                found = json.loads(self._path.read_text(encoding="ascii"))
                self.port, self.words = int(found["port"]), {"peers": dict(found["peers"])}

    def write(self, peers: Peers, port: int) -> None:
        """Replace what is known. A disk that refuses costs the next agent this, and nothing else."""
        self.port = port
        self.words = {
            "peers": {
                "every_ms": peers.every_ms,
                "session": peers.session,
                "key": peers.key.hex(),
                "links": [[host, at, None] for host, at in peers.to],
                "hear": [[session, key.hex()] for session, key in peers.hear],
                "enough": peers.enough,
            }
        }
        if self._path is None:
            return
        new = self._path.with_suffix(".new")
        with contextlib.suppress(OSError):
            new.unlink(missing_ok=True)
            opened = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(opened, "w", encoding="ascii") as file:
                json.dump({"port": port, **self.words}, file)
            new.rename(self._path)
