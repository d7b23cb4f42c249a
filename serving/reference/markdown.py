"""The page of the API: every route with its parameters, bodies and answers, from the OpenAPI description.

Belongs here: OpenAPI -> Markdown. Does not belong here: the description itself (openapi).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from nexus.reference.markdown import page, table

_REF = "#/components/schemas/"
Schema = Mapping[str, Any]


def render(description: Schema) -> str:
    """The page."""
    schemas = description.get("components", {}).get("schemas", {})
    routes = [
        _route(path, verb, operation)
        for path, verbs in description["paths"].items()
        for verb, operation in verbs.items()
        if isinstance(operation, dict)
    ]
    shapes = [_shape(name, schema) for name, schema in sorted(schemas.items())]
    words = "Errors are `application/problem+json`: `title`, `detail`, and where it helps `field`, `value`, `remedy`."
    return page("API", "the OpenAPI description (`GET /openapi.json`; `GET /docs` shows it as a page)", words, *routes,
                "## Shapes", *shapes)  # fmt: skip


def _route(path: str, verb: str, operation: Schema) -> str:
    parameters = [
        (f"`{found['name']}`", found["in"], _kind(found.get("schema", {})), "yes" if found.get("required") else "",
         found.get("description", ""))
        for found in operation.get("parameters", [])
    ]  # fmt: skip
    answers = [(status, _body(found), found.get("description", "")) for status, found in operation["responses"].items()]
    example = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("example")
    parts = [
        f"## {verb.upper()} {path}",
        operation.get("description") or operation.get("summary", ""),
        table(("parameter", "in", "type", "required", "meaning"), parameters),
        f"Body: {_body(operation['requestBody'])}" if "requestBody" in operation else "",
        f"```json\n{json.dumps(example, indent=2)}\n```" if example is not None else "",
        table(("status", "body", "when"), answers),
    ]
    return "\n\n".join(filter(None, parts))


def _shape(name: str, schema: Schema) -> str:
    required = set(schema.get("required", []))
    rows = [
        (f"`{field}`", _kind(found), "yes" if field in required else "", found.get("description", ""))
        for field, found in schema.get("properties", {}).items()
    ]
    body = table(("field", "type", "required", "meaning"), rows) or f"{_kind(schema)}\n"
    return "\n\n".join(filter(None, [f"### {name}", schema.get("description", ""), body]))


def _body(found: Schema) -> str:
    kinds = [_kind(media.get("schema", {})) for media in found.get("content", {}).values()]
    return " or ".join(dict.fromkeys(kinds))


def _kind(schema: Schema) -> str:
    if "$ref" in schema:
        name = str(schema["$ref"]).removeprefix(_REF)
        return f"[{name}](#{name.lower()})"
    for union in ("anyOf", "oneOf", "allOf"):
        if union in schema:
            return " or ".join(dict.fromkeys(_kind(option) for option in schema[union]))
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    if schema.get("type") == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    return " ".join([str(schema.get("type", "anything")), *_limits(schema)])


def _limits(schema: Schema) -> Iterator[str]:
    words = {"format": "", "minimum": ">= ", "maximum": "<= ", "exclusiveMinimum": "> ", "maxLength": "length <= "}
    for name, word in words.items():
        if name in schema:
            yield f"({word}{schema[name]})"
