"""`GET /api/v1/recommendations/{placement}/groups` and `/playlist`: brands, categories, ordered lists."""

from dataclasses import replace
from typing import Any

import orjson
from django.http import HttpRequest, HttpResponse

from apps.accounts.api_keys import ApiCaller, api_view_plain
from apps.core.errors import InvalidInput
from apps.core.openapi import json_content, path_document
from apps.serving.answers import slate_body
from apps.serving.api import answer_response, slate_response
from apps.serving.groups import ARTIST, BRAND, Group, groups_recommend, playlist_recommend
from apps.serving.openapi import SLATE
from apps.serving.parameters import request_parse
from apps.serving.pipeline import exposure_of
from apps.serving.slate import Slate

NAME_MAX = 60
SHOWN = 3
PATH = "/api/v1/recommendations/{placement}"
WHAT = {
    "of": "brand (unless sent), category or an attribute's name, such as artist.",
    "by": "What neighbours must not share: an attribute's name (artist unless sent), brand or category.",
}
GROUP: dict[str, Any] = {
    "type": "object",
    "required": ["position", "value", "score", "items"],
    "properties": {
        "position": {"type": "integer", "minimum": 1},
        "value": {"type": "string", "example": "Acme"},
        "score": {"type": "number", "description": "Sum over its products of 1 / log2(1 + position)."},
        "items": {
            "type": "array",
            "maxItems": SHOWN,
            "items": {"type": "object", "additionalProperties": True},
            "description": "Its best products, as a slate shows them.",
        },
    },
}


@api_view_plain("GET", scope="recommend")
def groups_get(request: HttpRequest, caller: ApiCaller, placement: str) -> HttpResponse:
    """The brands, categories or attribute values for a shopper."""
    asked = request.GET.dict()
    of = _name("of", asked.pop("of", "") or BRAND)
    slate, groups = groups_recommend(request_parse(placement, asked), of)
    body = slate_body(slate)
    body.pop("items")
    body |= {"of": of, "groups": [_group_body(slate, group) for group in groups]}
    response = answer_response(orjson.dumps(body), slate.request_id)
    response.served = exposure_of(slate)
    return response


@api_view_plain("GET", scope="recommend")
def playlist_get(request: HttpRequest, caller: ApiCaller, placement: str) -> HttpResponse:
    """A slate in an order in which neighbours differ."""
    asked = request.GET.dict()
    by = _name("by", asked.pop("by", "") or ARTIST)
    slate = playlist_recommend(request_parse(placement, asked), by)
    response = slate_response(slate)
    response.served = exposure_of(slate)
    return response


def _group_body(slate: Slate, group: Group) -> dict[str, Any]:
    shown = slate_body(replace(slate, items=group.items[:SHOWN], trace=None))["items"]
    return {"position": group.position, "value": group.value, "score": group.score, "items": shown}


def _name(field: str, value: str) -> str:
    if len(value) > NAME_MAX or not value.isprintable():
        remedy = f"Send brand, category or an attribute's name of at most {NAME_MAX} characters."
        raise InvalidInput(field=field, value=value, remedy=remedy)
    return value


def document() -> None:
    """Add the endpoints to the OpenAPI document."""
    placement = {"name": "placement", "in": "path", "required": True, "schema": {"type": "string"}}
    text = {"type": "string", "maxLength": NAME_MAX}
    further = "Takes the parameters of the slate too."
    group_slate = {
        "type": "object",
        "required": ["request_id", "placement", "publication", "experiment", "rung", "of", "groups"],
        "properties": {
            "request_id": {"type": "string", "format": "uuid"},
            "placement": {"type": "string"},
            "publication": {"type": "integer", "nullable": True},
            "experiment": SLATE["properties"]["experiment"],
            "rung": {"type": "string"},
            "of": {"type": "string"},
            "groups": {"type": "array", "items": {"$ref": "#/components/schemas/SlateGroup"}},
        },
    }
    for name, operation_id, summary, choice, schema in (
        ("groups", "groups_read", "Brands, categories or an attribute's values", "of", "GroupSlate"),
        ("playlist", "playlist_read", "A slate whose neighbours differ", "by", "Slate"),
    ):
        chosen = {"name": choice, "in": "query", "schema": text, "description": WHAT[choice]}
        path_document(
            path=f"{PATH}/{name}",
            method="get",
            operation={
                "operationId": operation_id,
                "tags": ["recommendations"],
                "summary": summary,
                "description": f"Lists, blend and rules are those of the placement. {further}",
                "parameters": [placement, chosen],
                "responses": {
                    "200": {
                        "description": summary,
                        "content": json_content({"$ref": f"#/components/schemas/{schema}"}),
                    }
                },
            },
            components={"SlateGroup": GROUP, "GroupSlate": group_slate},
            errors=("400", "401", "403", "404", "429", "503"),
        )
