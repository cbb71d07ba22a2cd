"""Plain Django views in the OpenAPI document.

Hot endpoints are plain views (no REST framework in their path), which drf-spectacular can't see. Such a view
is described by hand, next to its code, and added to the document by `documented_paths_add`, a
drf-spectacular post-processing hook (settings: SPECTACULAR_SETTINGS["POSTPROCESSING_HOOKS"]).
"""

from typing import Any

from apps.core.api import ERROR_SCHEMA

SECURITY_SCHEME = "ApiKey"
PUBLISHABLE_SCHEME = "PublishableKey"
_documented: dict[str, dict[str, Any]] = {}
_components: dict[str, dict[str, Any]] = {"Error": ERROR_SCHEMA}
ERRORS = {
    "400": "A field holds a value we can't take.",
    "401": "No key, or one we don't know.",
    "403": "The key lacks the scope.",
    "404": "There is no such thing.",
    "405": "Another method is needed.",
    "413": "The body is too large.",
    "429": "The key asks more often than it may.",
    "503": "The database is away; try again.",
}

COUNT = {"type": "integer", "minimum": 0}
BATCH_RESULT: dict[str, Any] = {
    "type": "object",
    "required": ["inserted", "updated", "unchanged", "rejected"],
    "properties": {
        "inserted": COUNT,
        "updated": COUNT,
        "unchanged": COUNT,
        "rejected": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["index", "field", "value", "remedy"],
                "properties": {
                    "index": COUNT | {"description": "Place in the batch, from 0."},
                    "field": {"type": "string"},
                    "value": {"type": "string"},
                    "remedy": {"type": "string"},
                },
            },
        },
    },
}


def path_document(
    *,
    path: str,
    method: str,
    operation: dict[str, Any],
    components: dict[str, dict[str, Any]] | None = None,
    errors: tuple[str, ...] = ("400", "401", "403", "429", "503"),
    publishable: bool = False,
) -> None:
    """Describe one plain view: `path` as in OpenAPI (`/api/v1/x/{id}`), `method` lower case.

    `operation` is an OpenAPI operation object; the key's security and the named `errors` are added to it.
    `publishable`: web pages may call it with a key of theirs.
    `components` are schemas it refers to as `#/components/schemas/<name>`. Call it when the urls load.
    """
    for status in errors:
        operation["responses"].setdefault(status, error_answer(ERRORS[status]))
    schemes = (SECURITY_SCHEME, PUBLISHABLE_SCHEME) if publishable else (SECURITY_SCHEME,)
    operation.setdefault("security", [{scheme: []} for scheme in schemes])
    _documented.setdefault(path, {})[method] = operation
    _components.update(components or {})


def batch_document(
    *,
    path: str,
    rows: str,
    schema: str,
    properties: dict[str, Any],
    key: str,
    key_schema: dict[str, Any],
    put: str,
    patch: str,
    example: dict[str, Any],
    tag: str,
    scope: str,
) -> None:
    """Describe an endpoint that takes `{rows: [...]}` by PUT and PATCH; `schema` names one row's schema."""
    row = {
        "type": "object",
        "required": [key],
        "additionalProperties": False,
        "properties": {key: key_schema} | properties,
    }
    batch = {
        "type": "object",
        "required": [rows],
        "additionalProperties": False,
        "properties": {
            rows: {"type": "array", "maxItems": 1000, "items": {"$ref": f"#/components/schemas/{schema}"}}
        },
    }
    for method, summary in (("put", put), ("patch", patch)):
        path_document(
            path=path,
            method=method,
            operation={
                "operationId": f"{rows}_{method}",
                "tags": [tag],
                "summary": summary,
                "description": "Up to 1,000 rows. Every good row is written; a bad one is named in the "
                f"answer and does not touch the others. The body may be gzip. Needs the scope `{scope}`.",
                "requestBody": {
                    "required": True,
                    "content": json_content(
                        {"$ref": f"#/components/schemas/{schema}Batch"}, example={rows: [example]}
                    ),
                },
                "responses": {
                    "200": {
                        "description": "Counts, and each rejected row.",
                        "content": json_content({"$ref": "#/components/schemas/BatchResult"}),
                    }
                },
            },
            components={schema: row, f"{schema}Batch": batch, "BatchResult": BATCH_RESULT},
            errors=("400", "401", "403", "413", "429", "503"),
        )


def error_answer(description: str) -> dict[str, Any]:
    """An OpenAPI response object for the one error shape."""
    return {"description": description, "content": json_content({"$ref": "#/components/schemas/Error"})}


def json_content(schema: dict[str, Any], example: Any = None) -> dict[str, Any]:
    """An OpenAPI content object for JSON of `schema`."""
    content: dict[str, Any] = {"schema": schema}
    if example is not None:
        content["example"] = example
    return {"application/json": content}


def documented_paths_add(
    result: dict[str, Any], generator: Any, request: Any, public: bool
) -> dict[str, Any]:
    """Post-processing hook: add the described plain views to the generated document."""
    for path, operations in sorted(_documented.items()):
        result["paths"].setdefault(path, {}).update(operations)
    components = result.setdefault("components", {})
    components.setdefault("schemas", {}).update(_components)
    components.setdefault("securitySchemes", {})[SECURITY_SCHEME] = {
        "type": "apiKey",
        "in": "header",
        "name": "Authorization",
        "description": "`Api-Key <key>`; keys are made by an admin under Settings.",
    }
    components["securitySchemes"][PUBLISHABLE_SCHEME] = {
        "type": "apiKey",
        "in": "query",
        "name": "key",
        "description": "A key for web pages (`rp_pub_…`), good on pages of its web sites only; it may stand "
        "in the header as well. In the address, a browser need not ask first, and `sendBeacon` can carry it.",
    }
    return result
