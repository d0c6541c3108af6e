"""What a copy was started with, as one digest: when it changes, the copy is restarted.

Only what reaches the service itself counts. Priorities, placement rules, monitors and time limits may
change under a running copy.
"""

import hashlib
import json
from functools import lru_cache

from reconciler.model.ids import Digest
from reconciler.model.intent import Kind, Pairs, Service


def fixed_digest(service: Service) -> Digest | None:
    """Digest of all that no reload can change; None where nothing can be reloaded."""
    if not service.reloadable:
        return None
    fixed = tuple(pair for pair in service.parameters if pair[0] not in service.reloadable)
    return _digest(service.kind, service.agent, fixed, service.secrets)


def definition_digest(service: Service) -> Digest:
    """Digest of kind, agent, parameters and names of secrets of a service."""
    return _digest(service.kind, service.agent, service.parameters, service.secrets)


@lru_cache(maxsize=1 << 16)
def _digest(kind: Kind, agent: str, parameters: Pairs, secrets: Pairs) -> Digest:
    words = [kind, agent, parameters, secrets]
    return Digest(hashlib.sha256(json.dumps(words, separators=(",", ":")).encode()).hexdigest())
