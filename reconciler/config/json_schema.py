"""The JSON Schema of a cluster's file, for editors: completion, descriptions, and checks while typing.

Generated from `document`, so that the two cannot disagree; a test keeps the committed file fresh.
Draft 7, which the YAML language server knows best. An editor sees one file at a time, so what only
whole clusters can have wrong is left to `reconcile validate`.
"""

import json
from typing import Any

from reconciler.config import document, shapes
from reconciler.model.intent import Kind

NAME = "cluster.schema.json"


def cluster_schema() -> bytes:
    """The schema as it is committed in `schemas/`."""
    schema = document.Document.model_json_schema(ref_template="#/definitions/{model}")
    definitions = _referred() | schema.pop("$defs")
    whole = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "A cluster of reconciler",
        **{key: value for key, value in schema.items() if key != "title"},
        "definitions": {name: definitions[name] for name in sorted(definitions)},
    }
    _refine(whole["definitions"])
    return (json.dumps(_tidy(whole), indent=2, ensure_ascii=False) + "\n").encode()


def _referred() -> dict[str, Any]:
    """Models that `document` refers to by name from schemas of its own."""
    found: dict[str, Any] = {}
    for model in (document.Script, document.Vip, document.Group, document.Fencing):
        schema = model.model_json_schema(ref_template="#/definitions/{model}")
        found |= schema.pop("$defs", {})
        found[model.__name__] = schema
    return found


def _refine(definitions: dict[str, Any]) -> None:
    """Say what the models leave to later checks.

    A service has at most one kind of its own, and a location says which nodes it means.
    """
    kinds = [kind.value for kind in Kind]
    definitions["Service"]["anyOf"] = [
        {"required": ["template"]},
        *({"required": [kind]} for kind in kinds),
    ]
    definitions["Location"]["anyOf"] = [
        *({"required": [key]} for key in ("nodes", "where", "during")),
        {"required": ["score"], "properties": {"score": {"type": "object"}}},
    ]
    for name in ("Service", "Template"):
        definitions[name]["allOf"] = [
            {"not": {"required": [one, other]}}
            for number, one in enumerate(kinds)
            for other in kinds[number + 1 :]
        ]


def _tidy(value: Any) -> Any:  # noqa: ANN401 - any JSON
    """Leave out what only machines say (titles, nulls), and let editors format the descriptions."""
    if isinstance(value, list):
        return [_tidy(item) for item in value]
    if not isinstance(value, dict):
        return value
    if shapes.MODEL in value:
        return {"$ref": f"#/definitions/{value[shapes.MODEL]}"}
    found = {key: _tidy(item) for key, item in _plain(value).items() if not _idle(key, item, value)}
    if "`" in str(found.get("description")):
        found["markdownDescription"] = found["description"]
    if "patternProperties" in found:  # a name that does not match is a mistake, not a free key
        found["additionalProperties"] = False
    return found


def _plain(value: dict[str, Any]) -> dict[str, Any]:
    """Without the choice of null, and with nothing beside a reference: draft 7 would not see it."""
    options = value.get("anyOf")
    if isinstance(options, list) and {"type": "null"} in options:
        rest = [option for option in options if option != {"type": "null"}]
        others = {key: item for key, item in value.items() if key != "anyOf"}
        value = rest[0] | others if len(rest) == 1 else others | {"anyOf": rest}
    if "$ref" in value and len(value) > 1:
        others = {key: item for key, item in value.items() if key != "$ref"}
        return {"allOf": [{"$ref": value["$ref"]}], **others}
    return value


def _idle(key: str, item: object, around: dict[str, Any]) -> bool:
    """Whether a key tells an editor nothing: names of our classes, and defaults that mean "not said"."""
    if key == "title":
        return isinstance(item, str) and "$schema" not in around
    return key == "default" and item in (None, {}, [])
