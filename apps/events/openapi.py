"""The events endpoint in the OpenAPI document, by hand: a plain view has no serializers to read it from."""

from typing import Any

from apps.core.openapi import json_content, path_document
from apps.events.validation import LIMITS, MAX_CONTEXT_BYTES, MAX_NUMBER

TEXT = {"type": "string", "nullable": True}
NUMBER = {"type": "number", "nullable": True, "minimum": -MAX_NUMBER, "maximum": MAX_NUMBER}
EXAMPLE = {
    "kind": "purchase",
    "client_event_id": "order-1017-line-1",
    "occurred_at": "2026-11-22T14:00:00Z",
    "shopper": "c-4711",
    "sku": "MUG-RED",
    "quantity": 2,
    "price": 9.9,
    "session": "v-81f3",
    "channel": "web",
    "request_id": "0b6f7c0e-6f0f-4f6e-9d7d-0c7f8a1b2c3d",
}
EVENT: dict[str, Any] = {
    "type": "object",
    "required": ["kind", "client_event_id"],
    "properties": {
        "kind": {
            "type": "string",
            "description": "Code of an active event kind: view, click, search, seen, add_to_cart, purchase, "
            "return, rating, like, favourite, share, play, dislike, not_interested, survey_score, or one "
            "that staff added.",
        },
        "client_event_id": {
            "type": "string",
            "minLength": 1,
            "maxLength": LIMITS["client_event_id"],
            "description": "Your id of the event; sent again, it is counted as a duplicate and not stored.",
        },
        "occurred_at": {
            "type": "string",
            "format": "date-time",
            "nullable": True,
            "description": "With an offset. Left out: now. At most five minutes ahead of the server's "
            "clock (see sent_at for clocks that are wrong), and not older than the days for which event ids "
            "are kept (100 unless set otherwise). Events may come late and in any order.",
        },
        "shopper": TEXT
        | {"maxLength": LIMITS["shopper"], "description": "Your pseudonymous id; empty: anonymous."},
        "sku": TEXT
        | {
            "maxLength": LIMITS["sku"],
            "description": "Needed by kinds that concern a product. An unknown sku is kept as a placeholder.",
        },
        "quantity": NUMBER | {"minimum": 0, "exclusiveMinimum": True, "default": 1},
        "price": NUMBER | {"minimum": 0, "description": "Price of one piece, in the shop's currency."},
        "value": NUMBER | {"description": "Rating, dwell seconds or survey score. Needed by rating."},
        "session": TEXT | {"maxLength": LIMITS["session"]},
        "channel": TEXT | {"maxLength": LIMITS["channel"], "example": "web"},
        "anonymous": TEXT
        | {
            "maxLength": LIMITS["anonymous"],
            "description": "The id under which this shopper was known before logging in. What was done "
            "under it is theirs from now on. The first link of an anonymous id holds.",
        },
        "user_agent": TEXT
        | {
            "description": "Of the shopper's browser, where your server reports; crawlers' events are marked."
        },
        "request_id": TEXT
        | {
            "format": "uuid",
            "description": "Of the slate that led here. Needed by seen; CTR is read from it.",
        },
        "query": TEXT | {"description": "What was searched for; cut at 300 characters."},
        "context": {
            "type": "object",
            "nullable": True,
            "additionalProperties": True,
            "description": f"Anything else, at most {MAX_CONTEXT_BYTES} bytes as JSON.",
        },
        "bot": {
            "type": "boolean",
            "nullable": True,
            "description": "True keeps the event out of training and metrics. Set by itself for crawlers, "
            "and for a shopper or session with more than 300 events a minute.",
        },
    },
}
SENT_AT: dict[str, Any] = {
    "type": "string",
    "format": "date-time",
    "nullable": True,
    "description": "What the sender's clock says now. Where it is more than five seconds off, occurred_at is "
    "corrected by the difference.",
}
EVENT["properties"]["sent_at"] = SENT_AT
BATCH: dict[str, Any] = {
    "type": "object",
    "required": ["events"],
    "properties": {
        "events": {"type": "array", "maxItems": 1000, "items": {"$ref": "#/components/schemas/Event"}},
        "sent_at": SENT_AT,
    },
}
RESULT: dict[str, Any] = {
    "type": "object",
    "required": ["accepted", "duplicates", "rejected"],
    "properties": {
        "accepted": {"type": "integer", "minimum": 0},
        "duplicates": {
            "type": "integer",
            "minimum": 0,
            "description": "Known at once: repeats within the batch or of the last ten minutes. An older "
            "repeat counts as accepted, and is still stored once.",
        },
        "repeated": {
            "type": "array",
            "description": "Places of the duplicates; absent without any. What is neither here nor rejected "
            "is accepted.",
            "items": {"type": "integer", "minimum": 0},
        },
        "rejected": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["index", "field", "value", "remedy"],
                "properties": {
                    "index": {"type": "integer", "minimum": 0, "description": "Place in the batch, from 0."},
                    "field": {"type": "string"},
                    "value": {"type": "string"},
                    "remedy": {"type": "string"},
                },
            },
        },
    },
}


def document() -> None:
    """Add the endpoint to the document."""
    path_document(
        path="/api/v1/events",
        publishable=True,
        method="post",
        operation={
            "operationId": "events_create",
            "tags": ["events"],
            "summary": "Report what shoppers did",
            "description": "One event or up to 1,000. Every good event is stored exactly once; a bad one is "
            "named in the answer and does not touch the others. The answer comes when the events would "
            "survive the death of any process, with the database away, too; they count in slates within a "
            "second. An unknown sku or shopper is kept and flagged as a placeholder. 503 with Retry-After: "
            "nothing of the request was accepted. Needs the scope `events`.",
            "requestBody": {
                "required": True,
                "content": json_content(
                    {
                        "anyOf": [
                            {"$ref": "#/components/schemas/Event"},
                            {"$ref": "#/components/schemas/EventBatch"},
                        ]
                    },
                    example=EXAMPLE,
                ),
            },
            "responses": {
                "200": {
                    "description": "Counts, and each rejected event.",
                    "content": json_content({"$ref": "#/components/schemas/EventResult"}),
                }
            },
        },
        components={"Event": EVENT, "EventBatch": BATCH, "EventResult": RESULT},
        errors=("400", "401", "403", "413", "429", "503"),
    )
