"""Blocks of name-value pairs, and the options of the whole cluster.

Of several blocks the one with the highest score wins, and of equal ones the last written; a block whose
rule does not hold is not there. Cluster options are read under every name that Pacemaker gave them.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from reconciler.importing.pacemaker.document import Cib, Element
from reconciler.importing.pacemaker.rules import Context, all_hold
from reconciler.importing.pacemaker.words import score, truth

_FIRST: Final = "cib-bootstrap-options"
_NAMES: Final = {
    "stonith-enabled": "fencing-enabled",
    "stonith-action": "fencing-action",
    "stonith-timeout": "fencing-timeout",
    "stonith-max-attempts": "fencing-max-attempts",
    "stonith-watchdog-timeout": "fencing-watchdog-timeout",
    "stop-removed-resources": "stop-orphan-resources",
}
"""What an option used to be called, by its present name here."""


def pairs(
    owners: Element | tuple[Element, ...], tag: str, context: Context, cib: Cib, *, first: str = ""
) -> dict[str, str]:
    """The values that the blocks of one kind give, the blocks of all owners taken together."""
    elements = owners if isinstance(owners, tuple) else (owners,)
    blocks = [cib.resolved(block) for owner in elements for block in owner.all(tag)]
    blocks.reverse()
    blocks.sort(key=lambda block: (block.id != first, -score(block.get("score"))))
    found: dict[str, str] = {}
    for block in blocks:
        if all_hold(block, context, cib):
            for name, value in _written(block, cib):
                found.setdefault(name, value)
    return found


def _written(block: Element, cib: Cib) -> Iterator[tuple[str, str]]:
    inner = block.first("attributes")  # as written before 2008
    for pair in (inner or block).all("nvpair"):
        meant = cib.resolved(pair)
        name = pair.get("name") or meant.get("name")
        value = meant.attributes.get("value")
        if name and value is not None:
            yield name, value


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The options of the cluster by their present names."""

    values: Mapping[str, str]

    def text(self, name: str, default: str = "") -> str:
        """An option as it is written."""
        return self.values.get(name, default)

    def truth(self, name: str, *, default: bool) -> bool:
        """An option that is true or false."""
        return truth(self.values.get(name, ""), default=default)

    def score(self, name: str, default: int = 0) -> int:
        """An option that is a score."""
        return score(self.values.get(name, ""), default)


def read_options(cib: Cib) -> Options:
    """Read the cluster's options."""
    written = pairs(cib.section("crm_config"), "cluster_property_set", Context(), cib, first=_FIRST)
    values: dict[str, str] = {}
    for name, value in written.items():
        values.setdefault(present_name(name), value)
    return Options(values=values)


def present_name(name: str) -> str:
    """What an option is called now."""
    hyphened = name.replace("_", "-")
    return _NAMES.get(hyphened, hyphened)
