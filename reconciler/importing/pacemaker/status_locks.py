"""Shutdown locks: what ran on a node that is shut down waits there for its return.

With the option `shutdown-lock` a node that is shut down in an orderly way keeps what only it ran. Here that
is a ban from every other node, which ends like any other: when it is cleared, as in Pacemaker.
"""

from collections.abc import Iterable

from reconciler.importing.pacemaker.history import History
from reconciler.importing.pacemaker.nodes import Standing
from reconciler.importing.pacemaker.resources import Resources
from reconciler.importing.pacemaker.settings import Options
from reconciler.importing.pacemaker.words import duration_ms, integer
from reconciler.model.observed import Copy


def locks(
    resources: Resources,
    options: Options,
    standings: Iterable[Standing],
    histories: Iterable[History],
    copies: Iterable[Copy],
    *,
    now_s: int,
) -> dict[str, str]:
    """The node that each locked primitive waits for."""
    if not options.truth("shutdown-lock", default=False):
        return {}
    limit_s = duration_ms(options.text("shutdown-lock-limit")) // 1000
    running: dict[str, list[str]] = {}
    for copy in copies:
        running.setdefault(copy.service, []).append(copy.node)
    recorded = {
        history.resource: history.node
        for history in histories
        if _holds(integer(history.element.get("shutdown-lock")), limit_s, now_s)
    }
    leaving = {each.name for each in standings if each.leaving and not each.unclean}
    found = {}
    for primitive in resources.primitives:
        if primitive.clone is not None or primitive.fences or primitive.remote:
            continue
        match running.get(primitive.id, []):
            case [] if primitive.id in recorded:
                found[primitive.id] = recorded[primitive.id]
            case [node] if node in leaving and primitive.id not in recorded:
                found[primitive.id] = node
    return found


def _holds(locked_s: int, limit_s: int, now_s: int) -> bool:
    return locked_s > 0 and (not limit_s or now_s <= locked_s + limit_s)
