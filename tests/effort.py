"""How many random examples a test tries: all of them in `make test`, a part of them in `make check`.

The fast gate is run many times a day, so its examples add up; what one run misses the next may find.
"""

import os

QUICK = bool(os.environ.get("RECONCILE_QUICK"))
_PART = 5


def examples(whole: int) -> int:
    """So many examples, or in the fast gate a fifth of them."""
    return max(10, whole // _PART) if QUICK else whole
