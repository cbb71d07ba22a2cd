"""`PUT` and `PATCH` of shoppers under /api/v1/, in batches."""

from django.http import HttpRequest, HttpResponse

from apps.accounts.api_keys import ApiCaller, api_view_plain
from apps.core.api import json_body, json_response
from apps.core.batches import batch_rows
from apps.core.openapi import batch_document
from apps.events.shopper_batches import ATTRIBUTES, FLAGS, LIMITS, shopper_patch_many, shopper_put_many

MAX_BODY_BYTES = 2_000_000
FLAG_WORDS = {
    "consent": "Agreed to attributes being used; without it they are not kept.",
    "opted_out": "Wants nothing personal: neither slates nor e-mail lists are made from what they did. "
    "Stays as it is unless true or false is sent, by PUT too.",
}


@api_view_plain("PUT", "PATCH", scope="shoppers")
def shoppers_write(request: HttpRequest, caller: ApiCaller) -> HttpResponse:
    """Make or replace shoppers, or change their named fields."""
    rows = batch_rows(json_body(request, limit=MAX_BODY_BYTES), "shoppers")
    write = shopper_put_many if request.method == "PUT" else shopper_patch_many
    return json_response(write(rows=rows).answer())


def document() -> None:
    """Add the endpoint to the OpenAPI document."""
    text = {name: {"type": "string", "nullable": True, "maxLength": LIMITS[name]} for name in ATTRIBUTES}
    flags = {name: {"type": "boolean", "nullable": True, "description": FLAG_WORDS[name]} for name in FLAGS}
    moment = {"type": "string", "nullable": True, "description": "ISO 8601, not in the future."}
    batch_document(
        path="/api/v1/shoppers",
        rows="shoppers",
        schema="Shopper",
        properties=flags | text | {"first_seen": moment},
        key="shopper",
        key_schema={"type": "string", "minLength": 1, "maxLength": LIMITS["shopper"]},
        put="Make or replace shoppers: what is not named is emptied, consent included; opted_out stays.",
        patch="Make shoppers, or change the named fields of those there are.",
        example={"shopper": "c-4711", "consent": True, "region": "Kent"},
        tag="shoppers",
        scope="shoppers",
    )
