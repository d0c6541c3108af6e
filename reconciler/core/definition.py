"""What a copy was started with, as one digest: when it changes, the copy is restarted.

Only what reaches the service itself counts. Priorities, placement rules, monitors and time limits may
change under a running copy.
"""

import hashlib
import json

from reconciler.model.ids import Digest
from reconciler.model.intent import Service


def definition_digest(service: Service) -> Digest:
    """Digest of kind, agent, parameters and names of secrets of a service."""
    words = [service.kind, service.agent, service.parameters, service.secrets]
    return Digest(hashlib.sha256(json.dumps(words, separators=(",", ":")).encode()).hexdigest())
