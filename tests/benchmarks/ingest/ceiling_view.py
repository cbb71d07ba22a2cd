"""The yardstick of single events, same middleware, key check and JSON, then one XADD; adds its URL."""

import orjson
from django.http import HttpRequest, HttpResponse
from django.urls import path

from apps.accounts.api_keys import ApiCaller, api_view_plain
from apps.core.api import json_body, json_response
from apps.events.stream import stream
from recoportal import urls


@api_view_plain("POST", scope="events")
def bare_xadd(request: HttpRequest, caller: ApiCaller) -> HttpResponse:
    """Add the body to a stream that nobody reads."""
    body = json_body(request, limit=2_000_000)
    stream().client.xadd("bench:bare", {"event": orjson.dumps(body)}, maxlen=10_000)
    return json_response({"accepted": 1, "duplicates": 0, "rejected": []})


# Before the rest: the site's last pattern may match anything.
urls.urlpatterns[:0] = [path("bench/xadd", bare_xadd)]
