"""The OpenAPI 3.1 document, made from what the routes declare; a test holds docs/openapi.json to it."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from monitor import __version__
from monitor.web.api.declared import Declared
from monitor.web.api.problems import KINDS, MEDIA_TYPE
from monitor.web.paths import API

_REF = "#/components/schemas/{model}"
_ANYWHERE = ("malformed", "repeated_parameter", "invalid", "database_unavailable", "stopping")
_SIGNED_IN = (
    "no_credentials", "bad_credentials", "missing_scope", "wrong_network", "insecure_transport", "cross_site",
    "sign_in_first", "key_in_url", "too_many_requests", "too_many_failures",
)  # fmt: skip
PROBLEM = {
    "type": "object",
    "description": "What is wrong (RFC 9457). Programs compare `code`; members may be added.",
    "required": ["type", "code", "title", "status", "detail", "instance", "help"],
    "properties": {
        "type": {"type": "string", "examples": ["urn:token-health:problem:invalid"]},
        "code": {"type": "string", "examples": ["invalid"]},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "instance": {"type": "string"},
        "help": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["at", "said"],
                "properties": {
                    "at": {"type": "string", "description": "A JSON pointer, or ?name of a query."},
                    "said": {"type": "string"},
                },
            },
        },
        "remedies": {"type": "array", "items": {"type": "object"}},
    },
}


def summary(one: Declared) -> str:
    """Return the first sentence of what an endpoint says of itself."""
    return _said(one).partition("\n")[0].rstrip(".")


def description(one: Declared) -> str:
    """Return all that an endpoint says of itself, and which scope it takes."""
    scope = (
        f"Scope: `{one.needs.value}`." if one.needs else "Open." if one.open else "For whoever is signed in."
    )
    return f"{_said(one)}\n\n{scope}"


def _said(one: Declared) -> str:
    return inspect.getdoc(one.endpoint) or one.endpoint.__name__


def codes(one: Declared) -> list[str]:
    """Return every code that a route may answer."""
    found = [*_ANYWHERE, *one.problems]
    if not one.open:
        found += _SIGNED_IN
    if one.takes is not None or one.raw:
        found += ["not_json", "too_large"]
    if one.precondition:
        found += ["precondition_required", "changed_meanwhile"]
    if one.method == "POST" and one.kept and not one.raw:
        found += ["idempotency_in_progress", "idempotency_reused", "idempotency_answer_lost"]
    if "{" in one.path:
        found.append("not_found")
    return list(dict.fromkeys(found))


def answers(one: Declared) -> dict[int | str, dict[str, Any]]:
    """Return what a route answers beside its success: the codes of each status."""
    found: dict[int | str, dict[str, Any]] = {}
    for code in [*codes(one), "internal"]:
        status = KINDS[code].status
        entry = found.setdefault(status, {"description": "", "content": _PROBLEM_CONTENT})
        entry["description"] = f"{entry['description']}, `{code}`".lstrip(", ")
    return found | dict(one.more or {})


_PROBLEM_CONTENT = {MEDIA_TYPE: {"schema": {"$ref": _REF.format(model="Problem")}}}


def beyond(one: Declared) -> dict[str, Any]:
    """Return what FastAPI cannot know of a route."""
    found: dict[str, Any] = {"x-scope": one.needs.value if one.needs else None}
    if one.open:
        found["security"] = []
    parameters = []
    if one.precondition:
        parameters.append(_header("If-Match", "The ETag that it was read with, or `*`.", required=True))
    if one.method == "POST" and one.kept and not one.raw:
        parameters.append(_header("Idempotency-Key", "Done once within 24 hours, however often it is sent."))
    if parameters:
        found["parameters"] = parameters
    if one.takes is not None:
        required = any(field.is_required() for field in one.takes.model_fields.values())
        schema = {"$ref": _REF.format(model=one.takes.__name__)}
        found["requestBody"] = {"required": required, "content": {one.media: {"schema": schema}}}
    elif one.raw:
        found["requestBody"] = {
            "required": True,
            "content": {kind: {"schema": {"type": "string"}} for kind in one.raw},
        }
    return found


def _header(name: str, says: str, *, required: bool = False) -> dict[str, Any]:
    return {
        "name": name,
        "in": "header",
        "required": required,
        "description": says,
        "schema": {"type": "string"},
    }


def document(app: FastAPI, declared: Sequence[Declared]) -> dict[str, Any]:
    """Return the whole document."""
    found = get_openapi(
        title="Token Health",
        version=__version__,
        description=(
            "Monitoring, alerting and re-authorization of OAuth connections. Clients ignore members, causes, "
            "codes and event types that they do not know: inside v1 things are only added."
        ),
        routes=app.routes,
        servers=[{"url": API}],
    )
    # In the order of the declarations, whichever is looked for first.
    found["paths"] = {path: found["paths"][path] for path in dict.fromkeys(one.path for one in declared)}
    schemas = found.setdefault("components", {}).setdefault("schemas", {})
    schemas.update(_bodies({one.takes for one in declared if one.takes is not None}))
    schemas["Problem"] = PROBLEM
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    found["components"]["securitySchemes"] = {
        "key": {"type": "http", "scheme": "bearer", "description": "An API key: `thk_…`."},
        "session": {"type": "apiKey", "in": "cookie", "name": "__Host-th"},
    }
    found["security"] = [{"key": []}, {"session": []}]
    return found


def _bodies(models: set[type[BaseModel]]) -> dict[str, Any]:
    ordered = sorted(models, key=lambda model: model.__name__)
    _, found = models_json_schema([(model, "validation") for model in ordered], ref_template=_REF)
    return dict(found.get("$defs", {}))
