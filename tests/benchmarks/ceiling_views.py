"""Two yardsticks with the same middleware, key check, throttle, bytes and exposure as a slate.

Importing adds their URLs. What they answer is the first slate of the placement, made once.
"""

from dataclasses import replace

from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.urls import path

from apps.accounts.api_keys import ApiCaller, api_view_plain
from apps.events.exposures import ExposureRow
from apps.serving.api import answer_response, slate_response
from apps.serving.pipeline import exposure_of, recommend
from apps.serving.slate import SlateRequest, request_id_make
from recoportal import urls

PLACEMENT = "home"
_known: list[tuple[ExposureRow, bytes]] = []


def slate_known() -> tuple[ExposureRow, bytes]:
    """What is remembered of one slate of 20, and its answer."""
    if not _known:
        slate = recommend(SlateRequest(placement=PLACEMENT, n=20))
        _known.append((exposure_of(slate), slate_response(slate).content))
    return _known[0]


def answer() -> HttpResponse:
    """The same bytes every time, remembered as a slate of its own."""
    exposure, content = slate_known()
    served = replace(exposure, request_id=request_id_make())
    response = answer_response(content, served.request_id)
    response.served = served
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
