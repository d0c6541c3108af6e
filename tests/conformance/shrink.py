"""Make a cluster smaller while both schedulers still differ about it.

Elements are taken out one at a time, the largest first, until none can be spared.
"""

import copy
from collections.abc import Callable, Iterator
from typing import Final
from xml.etree import ElementTree as ET

_SPARED: Final = frozenset(
    {
        "node",
        "primitive",
        "group",
        "clone",
        "rsc_location",
        "rsc_colocation",
        "rsc_order",
        "rsc_ticket",
        "resource_ref",
        "meta_attributes",
        "operations",
        "op",
        "nvpair",
        "utilization",
        "rsc_defaults",
        "node_state",
        "lrm_resource",
        "lrm_rsc_op",
    }
)


def shrunk(root: ET.Element, differs: Callable[[ET.Element], bool]) -> ET.Element:
    """The smallest cluster found by leaving things out that still `differs`."""
    smallest = copy.deepcopy(root)
    going = True
    while going:
        going = False
        for place in [*_places(smallest)][::-1]:
            smaller = copy.deepcopy(smallest)
            _take_out(smaller, place)
            if differs(smaller):
                smallest, going = smaller, True
    return smallest


def _places(root: ET.Element) -> Iterator[int]:
    """What may be left out, by its number in the order of the document."""
    for number, element in enumerate(root.iter()):
        if element.tag in _SPARED and element.get("class") != "stonith":
            yield number


def _take_out(root: ET.Element, place: int) -> None:
    gone = next((each for number, each in enumerate(root.iter()) if number == place), None)
    for parent in root.iter():
        if gone is not None and gone in [*parent]:
            parent.remove(gone)
            break
    if gone is not None and gone.tag == "node":
        _forget_node(root, gone)
    elif gone is not None and gone.tag in {"primitive", "group", "clone"}:
        _forget_resources(root, {gone.get("id"), *(each.get("id") for each in gone.iter())})
        for tag in ("group", "clone"):  # Pacemaker stumbles over empty ones
            _drop(root, lambda each, tag=tag: each.tag == tag and each.find(".//primitive") is None)


def _forget_node(root: ET.Element, node: ET.Element) -> None:
    _drop(root, lambda each: each.tag == "node_state" and each.get("id") == node.get("id"))
    _drop(root, lambda each: each.get("node") == node.get("uname"))


def _forget_resources(root: ET.Element, names: set[str | None]) -> None:
    ends = ("rsc", "with-rsc", "first", "then")
    _drop(root, lambda each: any(each.get(end) in names for end in ends if each.get(end)))
    known = {"resource_ref", "lrm_resource"}
    _drop(root, lambda each: each.tag in known and each.get("id") in names)


def _drop(root: ET.Element, goes: Callable[[ET.Element], bool]) -> None:
    for parent in [*root.iter()]:
        for child in [*parent]:
            if goes(child):
                parent.remove(child)
