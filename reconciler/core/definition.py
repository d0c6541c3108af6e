"""What a copy was started with, as one digest: when it changes, the copy is restarted.

Only what reaches the service itself counts. Priorities, placement rules, monitors and time limits may
change under a running copy.
"""

import hashlib
import json

from reconciler.model.ids import Digest
from reconciler.model.intent import Service


def fixed_digest(service: Service) -> Digest | None:
    """Digest of all that no reload can change; None where nothing can be reloaded."""
    if not service.reloadable:
        return None
    fixed = [pair for pair in service.parameters if pair[0] not in service.reloadable]
    words = [service.kind, service.agent, fixed, service.secrets]
    return Digest(hashlib.sha256(json.dumps(words, separators=(",", ":")).encode()).hexdigest())


def definition_digest(service: Service) -> Digest:
    """Digest of kind, agent, parameters and names of secrets of a service."""
    words = [service.kind, service.agent, service.parameters, service.secrets]
    return Digest(hashlib.sha256(json.dumps(words, separators=(",", ":")).encode()).hexdigest())
