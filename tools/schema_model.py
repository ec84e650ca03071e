"""Reads src/signal/native/schema/*.json and refuses what the generators would not understand."""
import json
import os

FAMILIES = ["session", "room", "media", "chat", "keys", "moderation", "call", "contacts", "messages"]
FORMATS = ["slug", "line", "text", "sdp"]
KEYS = {
    "string": {"min", "max", "format"},
    "integer": {"min", "max"},
    "boolean": set(),
    "json": {"max"},  # any value, passed as it was written
    "enum": {"enum"},
    "object": {"object"},
    "array": {"items", "min_items", "max_items"},
}
COMMON_KEYS = {"type", "required", "description", "default", "nullable"}


class SchemaError(Exception):
    pass


class Schema:
    def __init__(self, enums, types, errors, families, prose):
        self.enums = enums
        self.types = types
        self.errors = errors
        self.families = families
        self.prose = prose

    def requests(self):
        for family in self.families:
            for name, message in family["requests"].items():
                yield family["family"], name, message

    def events(self):
        for family in self.families:
            for name, message in family["events"].items():
                yield family["family"], name, message


def load_file(folder, name):
    with open(os.path.join(folder, name), encoding="utf-8") as file:
        return json.load(file)


def check_field(schema, where, field, incoming):
    kind = field.get("type")
    if kind not in KEYS:
        raise SchemaError(f"{where}: unknown type {kind!r}")
    extra = set(field) - KEYS[kind] - COMMON_KEYS
    if extra:
        raise SchemaError(f"{where}: unknown keys {sorted(extra)}")
    if kind == "enum" and field["enum"] not in schema.enums:
        raise SchemaError(f"{where}: unknown enum {field['enum']}")
    if kind == "object" and field["object"] not in schema.types:
        raise SchemaError(f"{where}: unknown object {field['object']}")
    if kind in ("string", "json") and incoming and "max" not in field:
        raise SchemaError(f"{where}: what clients send needs a maximum length")
    if kind == "integer" and incoming and ("max" not in field or field.get("min", -1) < 0):
        raise SchemaError(f"{where}: what clients send needs limits from 0 up")
    if field.get("format", "line") not in FORMATS:
        raise SchemaError(f"{where}: unknown format {field['format']}")
    if kind == "array":
        if incoming and "max_items" not in field:
            raise SchemaError(f"{where}: what clients send needs max_items")
        check_field(schema, where + "[]", field["items"], incoming)
    if kind == "object" and incoming:
        for name, inner in schema.types[field["object"]]["fields"].items():
            check_field(schema, f"{where}.{name}", inner, True)


def check_fields(schema, where, fields, incoming):
    for name, field in fields.items():
        if not field.get("description"):
            raise SchemaError(f"{where}.{name}: no description")
        check_field(schema, f"{where}.{name}", field, incoming)


def matches(schema, value, field):
    if value is None:
        return field.get("nullable", False)
    kind = field["type"]
    if kind == "string":
        return isinstance(value, str)
    if kind == "integer":
        return isinstance(value, int) and not isinstance(value, bool)
    if kind == "json":
        return True
    if kind == "boolean":
        return isinstance(value, bool)
    if kind == "enum":
        return value in schema.enums[field["enum"]]["values"]
    if kind == "array":
        return isinstance(value, list) and all(matches(schema, v, field["items"]) for v in value)
    return example_fits(schema, value, schema.types[field["object"]]["fields"], set())


def example_fits(schema, value, fields, envelope):
    if not isinstance(value, dict) or set(value) - set(fields) - envelope:
        return False
    for name, field in fields.items():
        if name not in value:
            if field.get("required"):
                return False
        elif not matches(schema, value[name], field):
            return False
    return True


def check_examples(schema):
    for _, name, message in schema.requests():
        example = message["example"]
        if not example_fits(schema, example["request"], message["fields"], {"type", "id"}):
            raise SchemaError(f"{name}: the example request does not fit the schema")
        if "result" in message and not example_fits(schema, example["reply"]["result"],
                                                    message["result"], set()):
            raise SchemaError(f"{name}: the example result does not fit the schema")
    for _, name, message in schema.events():
        if not example_fits(schema, message["example"], message["fields"], {"type", "seq"}):
            raise SchemaError(f"{name}: the example does not fit the schema")


def load(folder):
    types = load_file(folder, "types.json")
    families = [load_file(folder, f"{name}.json") for name in FAMILIES]
    known = {f"{name}.json" for name in FAMILIES} | {"types.json", "errors.json"}
    for name in os.listdir(folder):
        if name.endswith(".json") and name not in known:
            raise SchemaError(f"{name}: not listed in schema_model.FAMILIES")
    with open(os.path.join(folder, "protocol.md"), encoding="utf-8") as file:
        prose = file.read()
    schema = Schema(types["enums"], types["types"], load_file(folder, "errors.json")["errors"],
                    families, prose)
    for name, description in schema.types.items():
        check_fields(schema, name, description["fields"], False)
    for _, name, message in schema.requests():
        check_fields(schema, name, message["fields"], True)
        check_fields(schema, name, message.get("result", {}), False)
        for code in message["errors"]:
            if code not in schema.errors:
                raise SchemaError(f"{name}: unknown error {code}")
    for _, name, message in schema.events():
        check_fields(schema, name, message["fields"], False)
    check_examples(schema)
    return schema
