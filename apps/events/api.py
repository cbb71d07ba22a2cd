"""`POST /api/v1/events`: what shoppers did. A plain view, because every click of the shop passes here."""

from django.http import HttpRequest, HttpResponse

from apps.accounts.api_keys import ApiCaller, api_view_plain
from apps.core.api import json_body, json_response
from apps.core.errors import InvalidInput
from apps.events.services import event_record_rows

MAX_EVENTS = 1_000
MAX_BODY_BYTES = 2_000_000


@api_view_plain("POST", scope="events")
def events_post(request: HttpRequest, caller: ApiCaller) -> HttpResponse:
    """Store one event or a batch; the answer counts them and names each rejected one."""
    body = json_body(request, limit=MAX_BODY_BYTES)
    if not isinstance(body, dict):
        raise InvalidInput(field="body", value=body, remedy='Send one event object, or {"events": [...]}.')
    rows = body.get("events", [body])
    if not isinstance(rows, list):
        raise InvalidInput(field="events", value=rows, remedy="Send a list of event objects.")
    if len(rows) > MAX_EVENTS:
        raise InvalidInput(
            field="events", value=len(rows), remedy=f"Send at most {MAX_EVENTS} events at a time."
        )
    result = event_record_rows(rows=rows, source=f"api:{caller.name}")
    rejected = [
        {"index": error.line, "field": error.field, "value": error.value, "remedy": error.remedy}
        for error in result.rejected
    ]
    return json_response({"accepted": result.accepted, "duplicates": result.duplicates, "rejected": rejected})
