"""`GET /api/v1/recommendations/{placement}`: what a page shows. A plain view, for every page asks it."""

from typing import Any

import orjson
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponse, QueryDict
from django.views.decorators.csrf import csrf_exempt

from apps.accounts.api_keys import ApiCaller, api_view_plain
from apps.core.api import JSON, MethodNotAllowed, errors_answered
from apps.core.errors import InvalidInput
from apps.serving.decide import ITEMS_MAX, PAGE_MAX
from apps.serving.pipeline import recommend
from apps.serving.remembering import exposure_remember
from apps.serving.slate import Slate, SlateRequest

TEXT_LIMITS = {"shopper": 80, "session": 64, "lang": 10}
SKU_MAX = 64
PARAMETERS = ("shopper", "items", "session", "n", "lang", "explain")
FLAGS = {"": False, "0": False, "false": False, "1": True, "true": True}
# Staff who may look at publications may look at slates, without a key and without leaving an exposure.
STAFF_PERMISSION = "merchandising.view_publication"


class SlateResponse(HttpResponse):
    """A slate as bytes. `served`: remembered as an exposure once the answer has left, for the shopper does
    not wait for our book-keeping.
    """

    served: Slate | None = None

    def close(self) -> None:
        """Called by the server when the answer is out."""
        served, self.served = self.served, None
        if served is not None:
            exposure_remember(served)
        super().close()


@csrf_exempt
@errors_answered
def recommendations_get(request: HttpRequest, placement: str) -> HttpResponse:
    """A slate for an API client; or, for staff signed in to the site, a look at one that counts nowhere."""
    if "HTTP_AUTHORIZATION" not in request.META and _is_staff(request):
        if request.method != "GET":
            raise MethodNotAllowed(request.method, ("GET",))
        return _answer(recommend(request_parse(placement, request.GET)))
    return _for_client(request, placement)


@api_view_plain("GET", scope="recommend")
def _for_client(request: HttpRequest, caller: ApiCaller, placement: str) -> HttpResponse:
    slate = recommend(request_parse(placement, request.GET))
    response = _answer(slate)
    response.served = slate
    return response


def _is_staff(request: HttpRequest) -> bool:
    user = getattr(request, "user", AnonymousUser())
    return bool(user.is_active and user.is_staff and user.has_perm(STAFF_PERMISSION))


def _answer(slate: Slate) -> SlateResponse:
    response = SlateResponse(orjson.dumps(slate_body(slate)), content_type=JSON)
    response["X-Request-Id"] = str(slate.request_id)
    response["Cache-Control"] = "private, no-store"
    return response


def slate_body(slate: Slate) -> dict[str, Any]:
    """The slate as the API answers it."""
    body: dict[str, Any] = {
        "request_id": str(slate.request_id),
        "placement": slate.placement,
        "publication": slate.publication_number,
        "rung": str(slate.rung),
        "items": [
            {
                "sku": item.sku,
                "title": item.title,
                "price": item.price,
                "currency": item.currency,
                "image": item.image,
                "category": item.category,
                "brand": item.brand,
                "position": item.position,
                "score": item.score,
                "source": item.source,
            }
            for item in slate.items
        ],
    }
    if slate.trace is not None:
        body["trace"] = slate.trace
    return body


def request_parse(placement: str, query: QueryDict) -> SlateRequest:
    """The checked request; InvalidInput names the parameter, its value and the remedy."""
    for name in query:
        if name not in PARAMETERS:
            remedy = f"Leave it out; this takes {', '.join(PARAMETERS)}."
            raise InvalidInput(field=name, value=query[name], remedy=remedy)
    explain = query.get("explain", "").lower()
    if explain not in FLAGS:
        raise InvalidInput(field="explain", value=explain, remedy="Send 1 for the trace, 0 for none.")
    return SlateRequest(
        placement=placement,
        shopper=_text(query, "shopper") or None,
        items=_skus(query.get("items", "")),
        session=_text(query, "session"),
        n=_page_size(query.get("n", "")),
        language=_text(query, "lang").lower(),
        explain=FLAGS[explain],
    )


def _text(query: QueryDict, name: str) -> str:
    value = query.get(name, "")
    limit = TEXT_LIMITS[name]
    if len(value) > limit or not value.isprintable():
        remedy = f"Send at most {limit} printable characters."
        raise InvalidInput(field=name, value=value, remedy=remedy)
    return value


def _skus(value: str) -> tuple[str, ...]:
    skus = [sku.strip() for sku in value.split(",") if sku.strip()]
    if len(skus) > ITEMS_MAX:
        remedy = f"Name at most {ITEMS_MAX} skus, separated by commas; for a cart, the last ones."
        raise InvalidInput(field="items", value=f"{len(skus)} skus", remedy=remedy)
    for sku in skus:
        if len(sku) > SKU_MAX or not sku.isprintable():
            remedy = f"Send skus of at most {SKU_MAX} printable characters, separated by commas."
            raise InvalidInput(field="items", value=sku, remedy=remedy)
    return tuple(skus)


def _page_size(value: str) -> int | None:
    if not value:
        return None
    number = int(value) if value.isascii() and value.isdigit() and len(value) <= 3 else 0
    if not 1 <= number <= PAGE_MAX:
        remedy = f"Send a whole number from 1 to {PAGE_MAX}, or leave it out for the placement's page size."
        raise InvalidInput(field="n", value=value, remedy=remedy)
    return number
