"""The JSON Schemas: what they say, and that what they point at is there."""

import json

import msgspec

from graphbuild.rules.api import Analysis, Rule
from graphbuild.spec.model import COMMON_ATTRIBUTES
from graphbuild.spec.schema import schema, settings_schema
from graphbuild.spec.workspace import Settings


class Fetch(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"from_": "from"}):
    """Get it."""

    url: str
    size: int = 0
    quiet: bool = False
    from_: str | tuple[str, ...] = ()


class Nothing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """No attribute."""


SELECT = {"$ref": "#/$defs/select"}


def made(name, kind, attributes, short="", doc=""):
    return Rule(name, kind, attributes, lambda _context, _attributes: Analysis(), short=short, doc=doc)


RULES = (
    made("scratch", "base", Nothing),
    made("fetch", "step", Fetch, short="url", doc="Get."),
    made("pull", "base", Fetch, short="from"),
    made("image", "output", Nothing),
)


def references(value):
    if isinstance(value, dict):
        yield from ([value["$ref"]] if "$ref" in value else [])
        for item in value.values():
            yield from references(item)
    elif isinstance(value, list):
        for item in value:
            yield from references(item)


def target(section, rules=RULES):
    return schema(rules)["properties"][section]["additionalProperties"]


def test_sections_and_dialect():
    made_schema = schema(RULES)
    assert made_schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert list(made_schema["properties"]) == ["extends", "visibility", "vars", "bases", "steps", "outputs", "tests"]
    assert made_schema["additionalProperties"] is False


def test_a_target_has_one_rule_of_its_section_and_the_common_attributes():
    steps = target("steps")
    assert set(steps["properties"]) == {*COMMON_ATTRIBUTES, "fetch"}
    assert steps["oneOf"] == [{"required": ["fetch"]}, {"not": {"anyOf": [{"required": ["fetch"]}]}}]  # or it changes an inherited one
    assert steps["additionalProperties"] is False


def test_a_base_may_be_the_name_of_a_rule():
    assert target("bases")["anyOf"][0] == {"enum": ["scratch"]}


def test_short_forms():
    assert target("steps")["properties"]["fetch"] == {
        "description": "Get.",
        "anyOf": [{"$ref": "#/$defs/Fetch"}, {"type": ["string", "integer"]}, SELECT],
    }
    pull = target("bases")["anyOf"][1]["properties"]["pull"]
    assert pull["anyOf"][1] == {"anyOf": [{"type": ["string", "integer"]}, {"type": "array", "items": {"type": ["string", "integer"]}}]}


def test_a_rule_without_required_attributes_may_have_no_value():
    assert {"type": "null"} in target("outputs")["properties"]["image"]["anyOf"]


def test_scalars_may_be_variables():
    fetch = schema(RULES)["$defs"]["Fetch"]["properties"]
    assert all(fetch[name]["anyOf"][1] == SELECT for name in ("size", "quiet", "url"))
    assert tuple(fetch[name]["anyOf"][0]["type"] for name in ("size", "quiet", "url")) == (
        ["integer", "string"],
        ["boolean", "string"],
        ["string", "integer"],
    )


def test_every_attribute_is_described():
    steps = target("steps")["properties"]
    assert all(steps[name].get("description") for name in COMMON_ATTRIBUTES)
    assert all(value.get("description") for value in settings_schema()["properties"].values())


def test_references_lead_somewhere():
    for found in (schema(RULES), settings_schema()):
        assert {reference.removeprefix("#/$defs/") for reference in references(found)} <= set(found["$defs"])


def test_mounts_are_of_five_kinds():
    *kinds, select = target("steps")["properties"]["mounts"]["anyOf"][0]["items"]["anyOf"]
    assert select == SELECT
    assert [kind["$ref"] for kind in kinds] == [f"#/$defs/{name}Text" for name in ("Bind", "Cache", "Tmpfs", "Secret", "Ssh")]


def test_rules_whose_structs_have_one_name():
    def other():
        class Fetch(msgspec.Struct, frozen=True):
            path: str = ""

        return Fetch

    found = schema((*RULES, made("other", "step", other())))
    assert {reference.removeprefix("#/$defs/") for reference in references(found)} <= set(found["$defs"])


def test_the_same_rules_in_any_order_give_the_same_bytes():
    assert json.dumps(schema(RULES)) == json.dumps(schema(tuple(reversed(RULES))))


def test_no_rules():
    assert set(target("steps", ())["properties"]) == set(COMMON_ATTRIBUTES)


def test_settings():
    found = settings_schema()
    assert set(found["properties"]) == set(Settings.__struct_fields__)
    assert found["additionalProperties"] is False
