"""Two yardsticks with the same middleware, key check and throttle as a slate; importing adds their URLs."""

from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.urls import path

from apps.accounts.api_keys import ApiCaller, api_view_plain
from apps.core.api import json_response
from recoportal import urls

BODY = {"items": [{"sku": f"S{number}", "score": number / 7, "position": number} for number in range(20)]}


@api_view_plain("GET", scope="recommend")
def lookup(request: HttpRequest, caller: ApiCaller) -> HttpResponse:
    """One primary-key look-up through the pool with a raw cursor."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT id, sku FROM catalog_product WHERE id = %s", [int(request.GET.get("id", 1))])
        row = cursor.fetchone()
    return json_response(BODY | {"row": row})


@api_view_plain("GET", scope="recommend")
def constant(request: HttpRequest, caller: ApiCaller) -> HttpResponse:
    """The same bytes every time."""
    return json_response(BODY)


# Before the rest: the site's last pattern may match anything.
urls.urlpatterns[:0] = [path("bench/lookup", lookup), path("bench/constant", constant)]
