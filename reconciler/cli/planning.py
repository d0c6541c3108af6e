"""From files and facts to a plan that may be shown: decided, and judged by the independent checker."""

from reconciler.codec import saved_plan
from reconciler.core.reconcile import reconcile
from reconciler.core.verify import verify
from reconciler.model.errors import BrokenLaw
from reconciler.model.ids import Millis
from reconciler.model.intent import Intent
from reconciler.model.observed import Observed
from reconciler.model.plan import SavedPlan


def make(intent: Intent, observed: Observed, *, revision: str, now_ms: Millis) -> SavedPlan:
    """Plan, check the plan, and bind it to what it was made from.

    Errors: `BrokenLaw` when the checker refuses the plan.
    """
    decision = reconcile(intent, observed, now_ms)
    violations = verify(decision.plan, intent, observed, decision.placement, now_ms)
    if violations:
        raise BrokenLaw(violations[0].law, violations[0].detail)
    return saved_plan.bind(decision, intent=intent, revision=revision, observed=observed)
