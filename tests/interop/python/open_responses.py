"""Finds fault with objects and events by the OpenAPI document of Open Responses, which `openresponses-py` brings."""

import functools
import importlib.resources
import json

from jsonschema import Draft202012Validator, ValidationError

DOCUMENT = json.loads((importlib.resources.files("openresponses") / "openapi" / "2026-04-24.json").read_text())
SCHEMAS = DOCUMENT["components"]["schemas"]
EVENTS = {
    schema["properties"]["type"]["enum"][0]: name for name, schema in SCHEMAS.items() if name.endswith("StreamingEvent")
}


@functools.cache
def _validator(schema: str) -> Draft202012Validator:
    return Draft202012Validator({"$ref": f"#/components/schemas/{schema}", "components": DOCUMENT["components"]})


def faults(value: dict, schema: str, root: str = "") -> set[str]:
    """What the schema does not allow, as `PATH`, `PATH.KEY is missing` or `PATH: TYPE` where no such type is known."""
    return {_name(leaf, root) for error in _validator(schema).iter_errors(value) for leaf in _leaves(error)}


def event_faults(event: dict) -> set[str]:
    if event["type"] not in EVENTS:
        return {f"event: {event['type']}"}
    return {fault.removeprefix("response.") for fault in faults(event, EVENTS[event["type"]])}


def _leaves(error: ValidationError):
    """Of alternatives, the faults of the one that the value says it is by its `type`."""
    branches: dict[int, list[ValidationError]] = {}
    for child in error.context or ():
        branches.setdefault(child.schema_path[0], []).append(child)
    meant = [branch for branch in branches.values() if not any(map(_is_of_another_type, branch))]
    if not meant:
        yield error
    for branch in meant:
        for child in branch:
            yield from _leaves(child)


def _is_of_another_type(error: ValidationError) -> bool:
    path = list(error.relative_path)
    return (error.validator, path) == ("type", []) or (error.validator, path) == ("enum", ["type"])


def _name(error: ValidationError, root: str) -> str:
    path = [root] * bool(root) + [part for part in error.absolute_path if isinstance(part, str)]
    if error.validator == "required":
        # There is one error for each missing key, and only its message says which.
        missing = error.message.split("'")[1]
        return ".".join([*path, missing]) + " is missing"
    name = ".".join(path)
    if "discriminator" in error.schema:
        kind = error.instance.get("type") if isinstance(error.instance, dict) else error.instance
        return f"{name}: {kind}"
    return name
