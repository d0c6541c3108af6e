"""Small CIBs for the tests of an import's status half: a cluster in a few words."""

from reconciler.importing.pacemaker.document import Cib, read_cib
from reconciler.importing.pacemaker.resources import read_resources
from reconciler.importing.pacemaker.settings import read_options
from reconciler.importing.pacemaker.status import read_status
from reconciler.model.diagnostic import Diagnostic
from reconciler.model.ids import Millis
from reconciler.model.observed import Copy, Failure, NodeState, Observed

NOW_S = 2_000_000_000
DUMMY = 'class="ocf" provider="pacemaker" type="Dummy"'
NO_PARAMETERS = "f2317cad3d54cec5d7d7aa7d0bf35cf8"
ONLINE = 'in_ccm="true" crmd="online" join="member" expected="member"'
LOST = 'in_ccm="false" crmd="offline" join="down" expected="member"'
DOWN = 'in_ccm="false" crmd="offline" join="down" expected="down"'
DEVICE = '<primitive id="fencer" class="stonith" type="fence_dummy"/>'


def op(  # noqa: PLR0913 - every one of them is an attribute of the element
    kind: str,
    call: int,
    code: int = 0,
    *,
    every_ms: int = 0,
    expected: int | None = None,
    status: int = 0,
    at_s: int = NOW_S,
    name: str = "",
    more: str = "",
) -> str:
    """One recorded operation: what was done, the number of its call, and its exit code."""
    wanted = (7 if kind == "monitor" and not every_ms else 0) if expected is None else expected
    key = f"1:{call if call > 0 else 99}:{wanted}:11111111-1111-1111-1111-111111111111"
    return (
        f'<lrm_rsc_op id="{name or f"r_{kind}_{every_ms}"}" operation_key="r_{kind}_{every_ms}"'
        f' operation="{kind}" interval="{every_ms}" call-id="{call}" rc-code="{code}"'
        f' op-status="{status}" transition-key="{key}" transition-magic="{status}:{code};{key}"'
        f' last-rc-change="{at_s}" {more}/>'
    )


def ran(resource: str, *ops: str, more: str = DUMMY) -> str:
    """What a node recorded of a resource."""
    return f'<lrm_resource id="{resource}" {more}>{"".join(ops)}</lrm_resource>'


def state(node: str, *histories: str, member: str = ONLINE, **attributes: str) -> str:
    """What is recorded of a node, and its transient attributes."""
    said = "".join(
        f'<nvpair id="{node}-{index}" name="{name}" value="{value}"/>'
        for index, (name, value) in enumerate(attributes.items())
    )
    return (
        f'<node_state id="{node}" uname="{node}" {member}><lrm id="{node}"><lrm_resources>'
        f"{''.join(histories)}</lrm_resources></lrm><transient_attributes id='{node}'>"
        f"<instance_attributes id='status-{node}'>{said}</instance_attributes>"
        "</transient_attributes></node_state>"
    )


def resource(name: str, operations: str = "", **meta: str) -> str:
    """A primitive with operations and meta attributes."""
    said = "".join(
        f'<nvpair id="{name}-{key}" name="{key.replace("_", "-")}" value="{value}"/>'
        for key, value in meta.items()
    )
    return (
        f'<primitive id="{name}" {DUMMY}><meta_attributes id="{name}-meta">{said}</meta_attributes>'
        f"<operations>{operations}</operations></primitive>"
    )


def cib(resources: str, *states: str, nodes: str = "a b c", head: str = "", **options: str) -> Cib:
    """A CIB whose cluster fences unless `stonith_enabled` says otherwise."""
    listed = "".join(f'<node id="{n}" uname="{n}"/>' for n in nodes.split())
    chosen = {"stonith_enabled": "true", **options}
    said = "".join(
        f'<nvpair id="o-{name}" name="{name.replace("_", "-")}" value="{value}"/>'
        for name, value in chosen.items()
    )
    text = (
        f'<cib have-quorum="1" execution-date="{NOW_S}" crm_feature_set="3.5.0" {head}>'
        f'<configuration><crm_config><cluster_property_set id="cib-bootstrap-options">{said}'
        f"</cluster_property_set></crm_config><nodes>{listed}</nodes>"
        f"<resources>{resources}</resources></configuration>"
        f"<status>{''.join(states)}</status></cib>"
    )
    found = read_cib(text.encode(), "cib.xml", Millis(0))
    assert isinstance(found, Cib), found
    return found


def observe(found: Cib) -> Observed:
    """What the status of a CIB says."""
    return observe_all(found)[0]


def observe_all(found: Cib) -> tuple[Observed, tuple[Diagnostic, ...]]:
    """What the status of a CIB says, and what there was to say about it."""
    return read_status(found, read_resources(found), read_options(found))


def node(observed: Observed, name: str) -> NodeState:
    """One node."""
    return next(each for each in observed.nodes if each.name == name)


def only_copy(observed: Observed) -> Copy:
    """The only copy that there is."""
    (copy,) = observed.copies
    return copy


def only_failure(observed: Observed) -> Failure:
    """The only failure that there is."""
    (failure,) = observed.failures
    return failure


def where(observed: Observed) -> str:
    """Every copy as `service@node`."""
    return " ".join(f"{copy.service}@{copy.node}" for copy in observed.copies)
