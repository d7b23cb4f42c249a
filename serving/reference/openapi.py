"""The API's description of itself, completed: problems, examples, the schema of events.

Belongs here: what FastAPI does not write on its own. Does not belong here: routes.
"""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

from serving.events.schemas import EventsIn
from serving.problems import Problem

_REF = "#/components/schemas/"
_VERBS = ("get", "post", "put", "patch", "delete")


def describe(app: FastAPI) -> None:
    """Make ``app.openapi()`` return the completed description."""
    plain = app.openapi

    def completed() -> dict[str, Any]:
        if app.openapi_schema is not None:
            return app.openapi_schema
        schema = plain()
        components = schema.setdefault("components", {}).setdefault("schemas", {})
        components["Problem"] = Problem.model_json_schema()
        components |= EventsIn.model_json_schema(ref_template=_REF + "{model}").get("$defs", {})
        for unused in ("HTTPValidationError", "ValidationError"):
            components.pop(unused, None)
        for path in schema["paths"].values():
            for verb in _VERBS:
                _add_examples(path.get(verb, {}), components)
        schema["servers"] = [{"url": "/"}]
        app.openapi_schema = schema
        return schema

    app.openapi = completed  # type: ignore[method-assign]


def _add_examples(operation: dict[str, Any], components: dict[str, Any]) -> None:
    """Show the example of each body's schema beside the body itself."""
    bodies = [operation.get("requestBody", {}), *operation.get("responses", {}).values()]
    for body in bodies:
        media = body.get("content", {}).get("application/json", {})
        name = media.get("schema", {}).get("$ref", "").removeprefix(_REF)
        examples = components.get(name, {}).get("examples")
        if examples:
            media.setdefault("example", examples[0])
