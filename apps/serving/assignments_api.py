"""`GET /api/v1/assignments`: experiments for what the storefront builds itself."""

from typing import Any

import orjson
from django.http import HttpRequest, HttpResponse

from apps.accounts.api_keys import ApiCaller, api_view_plain
from apps.core.api import JSON
from apps.core.errors import InvalidInput
from apps.core.openapi import json_content, path_document
from apps.experiments.assignment import BUCKETS
from apps.serving.assignments import Assignment, assignments_read, exposure_of_feature
from apps.serving.openapi import ASKED, FLAG, parameter
from apps.serving.parameters import flag_parse, request_parse
from apps.serving.remembering import BUFFER

PATH = "/api/v1/assignments"
CODE_MAX = 40
# Of a slate's parameters those that say who asks.
WHO = ("shopper", "session", "anonymous", "personalised", "lang", "device", "region")
OWN = ("experiment", "expose")
ANSWER: dict[str, Any] = {
    "type": "object",
    "required": ["unit", "assignments"],
    "additionalProperties": False,
    "properties": {
        "unit": {
            "type": "string",
            "description": "What experiments divide: the id the shopper was first known by, or `session:` "
            "and the session; empty for who takes part in none.",
        },
        "assignments": {"type": "array", "items": {"$ref": "#/components/schemas/Assignment"}},
    },
}
ASSIGNMENT: dict[str, Any] = {
    "type": "object",
    "required": ["experiment", "kind", "variant", "in_audience"],
    "additionalProperties": False,
    "properties": {
        "experiment": {"type": "string"},
        "kind": {"type": "string", "enum": ["ab", "bandit", "interleaving", "switchback", "holdout"]},
        "variant": {
            "type": "string",
            "nullable": True,
            "description": "null: takes no part; show what you show without the experiment.",
        },
        "in_audience": {"type": "boolean", "description": "Whether the experiment is about them at all."},
    },
}
HASH = f"""u(salt, unit) is the first 53 bits of SHA-256(UTF-8(salt + ":" + unit)) as a whole number, divided
by 2^53. A unit takes part when floor(u(layer's salt, unit) * {BUCKETS}) lies in the experiment's slice and
u(salt + ":traffic", unit) is below its traffic; its variant is the first whose cumulative share exceeds
u(salt + ":variant", unit). A switchback's is that of u(salt + ":slot", number of the slot since 1970)."""


@api_view_plain("GET", scope="recommend")
def assignments_get(request: HttpRequest, caller: ApiCaller) -> HttpResponse:
    """The variants of whoever the address names."""
    asked = request.GET.dict()
    for name, value in asked.items():
        if name not in WHO and name not in OWN:
            remedy = f"Leave it out; this takes {', '.join((*WHO, *OWN))}."
            raise InvalidInput(field=name, value=value[:200], remedy=remedy)
    code, expose = asked.pop("experiment", ""), asked.pop("expose", "")
    if len(code) > CODE_MAX or not code.isprintable():
        raise InvalidInput(field="experiment", value=code[:200], remedy="Send the code of an experiment.")
    exposed = bool(expose) and flag_parse("expose", expose)
    if exposed and not code:
        remedy = "Name the experiment whose variant you show, for only that was seen."
        raise InvalidInput(field="experiment", value=code, remedy=remedy)
    who = request_parse("", asked)
    known = assignments_read(who)
    found = [one for one in known.found if code in ("", one.experiment.code)]
    if exposed:
        for one in found:
            exposure = exposure_of_feature(who, known, one)
            if exposure is not None:
                BUFFER.add(exposure)
    body = {"unit": known.unit, "assignments": [_body(one) for one in found]}
    response = HttpResponse(orjson.dumps(body), content_type=JSON)
    response["Cache-Control"] = "private, no-store"
    return response


def _body(one: Assignment) -> dict[str, Any]:
    return {
        "experiment": one.experiment.code,
        "kind": one.experiment.kind,
        "variant": one.variant,
        "in_audience": one.in_audience,
    }


def document() -> None:
    """Add the endpoint to the document."""
    described = {name: (words, schema) for name, words, schema in ASKED}
    operation = {
        "operationId": "assignments_get",
        "tags": ["experiments"],
        "summary": "Variants of a shopper",
        "description": "Every running experiment with the shopper's variant, the same that decides their "
        "slates: for features of the storefront's own. An experiment without placements decides no slate; "
        "ask with its code and `expose=1` when its variant is about to be shown: that records an exposure, "
        "which is what results are counted from. A code that does not run answers no assignment.\n\n" + HASH,
        "parameters": [
            *(parameter(name, *described[name]) for name in WHO),
            parameter("experiment", "Only this one, by its code.", {"type": "string", "maxLength": CODE_MAX}),
            parameter("expose", "1: the variant is shown now; needs `experiment`.", FLAG),
        ],
        "responses": {
            "200": {
                "description": "In the order in which they are asked: holdouts first, then the oldest.",
                "content": json_content(
                    {"$ref": "#/components/schemas/Assignments"},
                    {
                        "unit": "v-5f1c",
                        "assignments": [
                            {"experiment": "big-pictures", "kind": "ab", "variant": "b", "in_audience": True}
                        ],
                    },
                ),
            }
        },
    }
    path_document(
        path=PATH,
        publishable=True,
        method="get",
        operation=operation,
        components={"Assignments": ANSWER, "Assignment": ASSIGNMENT},
        errors=("400", "401", "403", "405", "429", "503"),
    )
