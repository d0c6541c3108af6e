"""Small CIBs, written part by part, and what they become."""

from reconciler.config.load import load_files
from reconciler.importing.pacemaker.importing import Imported, import_pacemaker
from reconciler.model.intent import Intent, Kind, Service

NOW_MS = 1_700_000_000_000  # 2023-11-14 22:13:20 UTC
DEVICE = '<primitive id="power" class="stonith" type="fence_ipmilan"/>'


def pairs(tag: str, **values: object) -> str:
    """A block of name-value pairs; underscores in names are hyphens, but for agents' parameters."""
    space = "_" if tag == "instance_attributes" else "-"
    inner = "".join(
        f'<nvpair id="{tag}-{name}-{abs(hash(str(values)))}" name="{name.replace("_", space)}" '
        f'value="{value}"/>'
        for name, value in values.items()
    )
    return f'<{tag} id="{tag}-{abs(hash(inner))}">{inner}</{tag}>' if values else ""


def dummy(name: str, inside: str = "", **meta: object) -> str:
    """A primitive that does nothing."""
    return (
        f'<primitive id="{name}" class="ocf" provider="pacemaker" type="Dummy">'
        f"{pairs('meta_attributes', **meta)}{inside}</primitive>"
    )


def cib(
    resources: str = "",
    constraints: str = "",
    *,
    nodes: str = "n1 n2 n3",
    more: str = "",
    status: str = "",
    device: str = DEVICE,
    **options: object,
) -> bytes:
    """A whole CIB; `nodes` are names, or elements."""
    listed = nodes
    if not nodes.startswith("<"):
        listed = "".join(
            f'<node id="{number}" uname="{name}"/>' for number, name in enumerate(nodes.split(), 1)
        )
    return (
        f'<cib have-quorum="1" execution-date="{NOW_MS // 1000}">\n<configuration>\n<crm_config>'
        f"{pairs('cluster_property_set', **options)}</crm_config>\n<nodes>{listed}</nodes>\n"
        f"<resources>\n{device}\n{resources}\n</resources>\n<constraints>\n{constraints}\n</constraints>\n"
        f"{more}</configuration>\n<status>{status}</status></cib>"
    ).encode()


def imported(data: bytes, *, partial: bool = False) -> Imported:
    """What an import gives."""
    return import_pacemaker(data, "cib.xml", 0, partial=partial)


def text(data: bytes) -> str:
    """The cluster's file."""
    return dict(imported(data).files)["cluster.yaml"].decode()


def intent(data: bytes, *, partial: bool = False) -> Intent:
    """The intent that the written file says; the file has no errors."""
    result = imported(data, partial=partial)
    files = tuple((name, body) for name, body in result.files if name == "cluster.yaml")
    loaded = load_files(files)
    assert loaded.intent is not None, [str(found) for found in result.diagnostics]
    return loaded.intent


def service(data: bytes, name: str) -> Service:
    """One service of that intent."""
    return next(each for each in intent(data).services if each.name == name)


def services(found: Intent) -> list[Service]:
    """Its services, but for what watches a fence device."""
    return [each for each in found.services if each.kind is not Kind.FENCE_DEVICE]


def said(data: bytes, *, partial: bool = False) -> list[tuple[str, int, str]]:
    """Code, line and detail of everything that the import had to say of the CIB."""
    return [
        (found.code, found.origin.line if found.origin else 0, found.detail)
        for found in imported(data, partial=partial).diagnostics
        if found.code.startswith("R07")
    ]
