"""JSON Schemas (2020-12) of build.yaml and graphbuild.yaml, made from the Structs that convert them.

Editors read plain numbers as numbers and our reader as text, `${…}` may stand for any scalar, and `select` for any value: the schemas
allow it all. A target that changes an inherited one may say no rule. They are a help for editors; what is valid is decided by converting.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from graphbuild.rules.api import Rule
from graphbuild.spec.model import MOUNTS, READ_FIRST, SECTIONS, CommonText
from graphbuild.spec.workspace import SettingsText

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_TEMPLATE = "#/$defs/{name}"
_SELECT = "select"
_CASES = {
    "type": "object",
    "properties": {
        "select": {"type": "object", "description": "A value for each case: NAME=VALUE, several with commas between; `default`."}
    },
    "required": ["select"],
    "additionalProperties": False,
}
_EXTENDS = {
    "type": ["string", "array"],
    "items": {"type": "string"},
    "description": "Templates whose vars and targets this package has too, changed by what it says itself.",
}
_NAMES = {"pattern": "^[A-Za-z0-9_][A-Za-z0-9_.+-]*$", "not": {"const": "all"}}


def schema(rules: Sequence[Rule]) -> dict[str, Any]:
    """The schema of a build.yaml that may use these rules, short forms included."""
    ordered = sorted(rules, key=lambda rule: (rule.kind, rule.name))
    types = [CommonText, *MOUNTS.values(), *(rule.attributes for rule in ordered)]
    references, definitions = msgspec.json.schema_components(types, ref_template=_TEMPLATE)
    common = definitions.pop(references[0]["$ref"].rpartition("/")[2])["properties"]
    visibility = common["visibility"]
    common["mounts"]["items"] = {"anyOf": list(references[1 : 1 + len(MOUNTS)])}
    located = dict(zip((id(rule) for rule in ordered), references[1 + len(MOUNTS) :], strict=True))
    sections = {}
    for section, kind in SECTIONS.items():
        here = [rule for rule in ordered if rule.kind == kind]
        values = {rule.name: _value(rule, located[id(rule)], definitions) for rule in here}
        sections[section] = _section(section, values, [rule.name for rule in here if not _required(rule)], common)
    return {
        "$schema": _DIALECT,
        "title": "build.yaml",
        "type": "object",
        "properties": {"extends": _EXTENDS, "visibility": visibility, "vars": _vars(), **_loose(sections)},
        "additionalProperties": False,
        "$defs": {**_loose({name: _selectable(value) for name, value in definitions.items()}), _SELECT: _CASES},
    }


def settings_schema() -> dict[str, Any]:
    """The schema of graphbuild.yaml."""
    (reference,), definitions = msgspec.json.schema_components([SettingsText], ref_template=_TEMPLATE)
    top = definitions.pop(reference["$ref"].rpartition("/")[2])
    return {"$schema": _DIALECT, **_loose(top), "title": "graphbuild.yaml", "$defs": _loose(definitions)}


def _section(section: str, values: dict[str, Any], bare: list[str], common: dict[str, Any]) -> dict[str, Any]:
    """A map of targets: each has exactly one rule, and any of the common attributes; a base may be a bare rule name."""
    said: list[dict[str, Any]] = [{"required": [name]} for name in values]
    before = {name: value for name, value in common.items() if name in READ_FIRST}
    target: dict[str, Any] = {
        **_selectable({"type": "object", "properties": {**common, **values}}),
        "additionalProperties": False,
        "oneOf": [*said, {"not": {"anyOf": said}}],
    }
    target["properties"].update(before)
    if not values:
        target.pop("oneOf")
    either = {"anyOf": [{"enum": bare}, target]} if section == "bases" and bare else target
    return {"type": ["object", "null"], "propertyNames": _NAMES, "additionalProperties": either}


def _selectable(value: dict[str, Any]) -> dict[str, Any]:
    """A schema of a map, in which the value of each key, and each item of a list, may be a `select`."""
    properties: dict[str, Any] = value.get("properties", {})
    return {**value, "properties": {key: _or_select(item) for key, item in properties.items()}} if properties else value


def _or_select(value: dict[str, Any]) -> dict[str, Any]:
    outer = {key: item for key, item in value.items() if key in ("description", "default")}
    inner = {key: item for key, item in value.items() if key not in outer}
    if isinstance(inner.get("items"), dict):
        inner["items"] = _or_select(inner["items"])
    forms = inner["anyOf"] if list(inner) == ["anyOf"] else [inner]
    return {**outer, "anyOf": [*forms, {"$ref": _TEMPLATE.format(name=_SELECT)}]}


def _value(rule: Rule, reference: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """What may stand after a rule's key: its map, its short form, or nothing where nothing is required."""
    forms = [reference]
    if rule.short:
        name = reference["$ref"].rpartition("/")[2]
        short = next(
            field.encode_name for field in msgspec.structs.fields(rule.attributes) if rule.short in (field.name, field.encode_name)
        )
        forms.append({key: value for key, value in definitions[name]["properties"][short].items() if key != "default"})
    if not _required(rule):
        forms.append({"type": "null"})
    described = {"description": rule.doc} if rule.doc else {}
    return {**described, "anyOf": forms} if len(forms) > 1 else {**described, **reference}


def _required(rule: Rule) -> bool:
    return any(field.required for field in msgspec.structs.fields(rule.attributes))


def _vars() -> dict[str, Any]:
    return {
        "type": ["object", "null"],
        "propertyNames": {"pattern": _NAMES["pattern"]},
        "additionalProperties": {"type": ["string", "integer", "boolean"]},
    }


def _loose(value: Any) -> Any:
    """The schema with every scalar type widened by how it may be written."""
    if isinstance(value, list):
        return [_loose(item) for item in value]
    if not isinstance(value, dict):
        return value
    wide = {key: _loose(item) for key, item in value.items()}
    match wide.get("type"):
        case "string":
            wide["type"] = ["string", "integer"]
        case "integer" | "number" | "boolean" as scalar:
            wide["type"] = [scalar, "string"]
        case _:
            pass
    return wide
