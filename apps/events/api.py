"""`POST /api/v1/events`: what shoppers did. A plain view, because every click of the shop passes here."""

from datetime import UTC, datetime
from typing import Any, NoReturn

from django.http import HttpRequest, HttpResponse

from apps.accounts.api_keys import ApiCaller, api_view_plain
from apps.core.api import json_body, json_response
from apps.core.errors import InvalidInput
from apps.events.services import event_accept_rows

MAX_EVENTS = 1_000
MAX_BODY_BYTES = 2_000_000


@api_view_plain("POST", scope="events")
def events_post(request: HttpRequest, caller: ApiCaller) -> HttpResponse:
    """Keep one event or a batch; the answer counts them and names each repeated and each rejected one."""
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
    result = event_accept_rows(
        rows=rows,
        source=f"api:{caller.name}",
        agent=request.META.get("HTTP_USER_AGENT", ""),
        sent_at=_sent_at(body),
    )
    answer: dict[str, Any] = {
        "accepted": result.accepted,
        "duplicates": result.duplicates,
        "rejected": [
            {"index": error.line, "field": error.field, "value": error.value, "remedy": error.remedy}
            for error in result.rejected
        ],
    }
    if result.repeated:
        answer["repeated"] = result.repeated
    return json_response(answer)


def _sent_at(body: dict[str, Any]) -> datetime | None:
    value = body.get("sent_at")
    if value is None or value == "":
        return None
    try:
        moment = datetime.fromisoformat(value)
        return moment.astimezone(UTC) if moment.tzinfo else _refuse(value)
    except (TypeError, ValueError, OverflowError):
        return _refuse(value)


def _refuse(value: Any) -> NoReturn:
    raise InvalidInput(
        field="sent_at",
        value=value,
        remedy="Send the sender's clock with its offset, like 2026-11-22T14:00:00Z.",
    )
