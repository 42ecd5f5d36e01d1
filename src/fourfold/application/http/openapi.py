"""The OpenAPI document: management as Litestar describes it, and the front's routes from the types of the tasks."""

from __future__ import annotations

import inspect
from typing import Any

import msgspec

from fourfold.compute.tasks import TASKS, Task

REF = "#/components/schemas/{name}"


def document(management: dict[str, Any]) -> dict[str, Any]:
    """The whole interface of the port."""
    types = [t for task in TASKS.values() for t in (task.input, task.options, task.result)]
    _, components = msgspec.json.schema_components(types, ref_template=REF)
    schemas = {**management.get("components", {}).get("schemas", {}), **components}
    paths = {
        **management["paths"],
        **{f"/v1/deployments/{{name}}:{t.name}": {"post": _predict(t)} for t in TASKS.values()},
        **_others(),
    }
    return {**management, "paths": paths, "components": {**management.get("components", {}), "schemas": schemas}}


def _schema(of: type[Any]) -> dict[str, Any]:
    return {"$ref": REF.format(name=of.__name__)}


def _predict(task: Task) -> dict[str, Any]:
    body = {
        "type": "object",
        "required": ["inputs"],
        "properties": {
            "inputs": {"type": "array", "minItems": 1, "items": _schema(task.input)},
            **_option_properties(task),
        },
    }
    reply = {
        "type": "object",
        "properties": {
            "id": {"type": "string", "description": "The answer's id: GET /api/v1/answers/{id}/why traces it."},
            "deployment": {"type": "string"},
            "version": {"type": "string"},
            "results": {"type": "array", "items": _schema(task.result)},
            "route": {"type": "object", "properties": {"step": {"type": "string"}, "reason": {"type": "string"}}},
            "usage": {"type": "object", "properties": {"input_tokens": {"type": "integer"}}},
            "timings_ms": {"type": "object", "properties": {"queue": {"type": "number"}, "model": {"type": "number"}}},
        },
    }
    return {
        "operationId": f"predict_{task.name}",
        "tags": ["predict"],
        "summary": f"Ask a deployment: {task.name}",
        "description": inspect.getdoc(task.result),
        "security": [{"key": []}],
        "parameters": [{"name": "name", "in": "path", "required": True, "schema": {"type": "string"}}],
        "requestBody": {"required": True, "content": {"application/json": {"schema": body}}},
        "responses": {
            "200": {"description": "The answer", "content": {"application/json": {"schema": reply}}},
            **{code: {"description": text} for code, text in REFUSALS.items()},
        },
    }


REFUSALS = {
    "400": "The body is no JSON of UTF-8",
    "401": "No key, or one that is not valid",
    "404": "No such deployment",
    "413": "More than a limit of the deployment",
    "422": "A field is unknown, missing or of the wrong type",
    "429": "Too many requests wait; see Retry-After",
    "503": "The model is not loaded; see Retry-After",
    "504": "The model did not answer in time",
}


def _option_properties(task: Task) -> dict[str, Any]:
    schema = msgspec.json.schema(task.options)
    return next(iter(schema["$defs"].values())).get("properties", {})


def _others() -> dict[str, Any]:
    plain = {
        "/v1/models": ("models_list", "Deployments that answer, in OpenAI's form"),
        "/livez": ("livez", "Whether the front runs"),
        "/readyz": ("readyz", "Whether everything that should answer can; says which check fails"),
        "/healthz": ("healthz", "The same as /readyz"),
        "/metrics": ("metrics", "Counters and histograms for Prometheus"),
    }
    return {
        path: {"get": {"operationId": name, "tags": ["health"], "summary": text, "responses": {"200": {"description": text}}}}
        for path, (name, text) in plain.items()
    }
