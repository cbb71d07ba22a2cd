"""Two yardsticks with the same middleware, key check, throttle, bytes and exposure as a slate.

Importing adds their URLs. What they answer is the first slate of the placement, made once.
"""

from dataclasses import replace
from uuid import uuid4

from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.urls import path

from apps.accounts.api_keys import ApiCaller, api_view_plain
from apps.core.api import JSON
from apps.serving.api import SlateResponse, slate_response
from apps.serving.pipeline import recommend
from apps.serving.slate import Slate, SlateRequest
from recoportal import urls

PLACEMENT = "home"
_known: list[tuple[Slate, bytes]] = []


def slate_known() -> tuple[Slate, bytes]:
    """One slate of 20 and its answer."""
    if not _known:
        slate = recommend(SlateRequest(placement=PLACEMENT, n=20))
        _known.append((slate, slate_response(slate).content))
    return _known[0]


def answer() -> HttpResponse:
    """The same bytes every time, remembered as a slate of its own."""
    slate, content = slate_known()
    response = SlateResponse(content, content_type=JSON)
    response.served = replace(slate, request_id=uuid4())
    response["X-Request-Id"] = str(response.served.request_id)
    response["Cache-Control"] = "private, no-store"
    return response


@api_view_plain("GET", scope="recommend")
def lookup(request: HttpRequest, caller: ApiCaller) -> HttpResponse:
    """One primary-key look-up through the pool with a raw cursor."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT id, sku FROM catalog_product WHERE id = %s", [int(request.GET.get("id", 1))])
        cursor.fetchone()
    return answer()


@api_view_plain("GET", scope="recommend")
def constant(request: HttpRequest, caller: ApiCaller) -> HttpResponse:
    """No look-up at all."""
    return answer()


# Before the rest: the site's last pattern may match anything.
urls.urlpatterns[:0] = [path("bench/lookup", lookup), path("bench/constant", constant)]
