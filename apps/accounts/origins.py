"""Web pages as callers: which origins a publishable key serves, and CORS, which tells browsers so.

A publishable key stands in the page's source, so it is no secret. Its origins keep other shops' pages from
using it by mistake or for convenience; a program that lies about its origin is held by the key's scopes and
its limit per minute.
"""

import re
import threading
import time
from collections.abc import Collection, Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

from django.db import InterfaceError, OperationalError, connection
from django.http import HttpResponse
from django.utils.cache import patch_vary_headers

from apps.accounts.models import ApiClient
from apps.core.errors import Forbidden, InvalidInput
from recoportal.patience import Patience

MOST_ORIGINS = 50
ORIGIN = re.compile(r"https?://(?:[a-z0-9-]+(?:\.[a-z0-9-]+)*|\[[0-9a-f:]+\])(?::\d{1,5})?")
# How long an answer to "does any live key serve this origin?" stands.
ORIGIN_SECONDS = 1.5
ASK_SECONDS = 1.0
# Browsers ask again after this; Chromium keeps it for no longer than two hours.
PREFLIGHT_SECONDS = 7_200
HEADERS_TAKEN = "Authorization, Content-Type"
HEADERS_SHOWN = "X-Request-Id, Retry-After"

_lock = threading.Lock()
_known: dict[str, tuple[float, frozenset[str]]] = {}


def origins_clean(origins: Iterable[str]) -> list[str]:
    """The origins as browsers write them, sorted, each once; InvalidInput for what is no origin."""
    wanted = sorted({one.strip().lower().rstrip("/") for one in origins if one.strip()})
    for one in wanted:
        if len(one) > 200 or ORIGIN.fullmatch(one) is None:
            remedy = "Write scheme and host, and the port if it has one, like https://shop.example."
            raise InvalidInput(field="origins", value=one, remedy=remedy)
    if len(wanted) > MOST_ORIGINS:
        raise InvalidInput(field="origins", value=len(wanted), remedy=f"Name at most {MOST_ORIGINS} origins.")
    return wanted


def origin_of(meta: Mapping[str, Any]) -> str:
    """The origin of the page that asks, "" when the browser says nothing.

    Browsers leave `Origin` out where a page asks its own site; there the referrer says the same.
    """
    origin: str = meta.get("HTTP_ORIGIN", "")
    if origin:
        return origin
    parts = urlsplit(meta.get("HTTP_REFERER", ""))
    return f"{parts.scheme}://{parts.netloc}" if parts.netloc else ""


def origin_check(name: str, origins: Collection[str], meta: Mapping[str, Any]) -> None:
    """Raise Forbidden unless the page that asks is of one of `origins`, or of this very site."""
    origin = origin_of(meta)
    if origin in origins or (origin and origin.partition("://")[2] == meta.get("HTTP_HOST")):
        return
    raise Forbidden(
        f"The publishable key {name!r} does not serve pages of {origin or 'an unknown origin'}. "
        "An admin can add the origin under Settings; a server uses a secret key."
    )


def origins_known() -> frozenset[str]:
    """Every origin a live key serves; ORIGIN_SECONDS old at most, older while the database is away."""
    database = connection.settings_dict["NAME"]
    moment = time.monotonic()
    kept = _known.get(database)
    if kept is not None and moment - kept[0] < ORIGIN_SECONDS:
        return kept[1]
    keys = ApiClient.objects.filter(revoked_at=None).exclude(public_key="")
    try:
        with Patience(ASK_SECONDS):
            found = frozenset(one for origins in keys.values_list("origins", flat=True) for one in origins)
    except (OperationalError, InterfaceError):
        found = kept[1] if kept else frozenset()
    with _lock:
        _known[database] = (time.monotonic(), found)
    return found


def origins_forget() -> None:
    """Drop what this process knows of origins."""
    with _lock:
        _known.clear()


def cors_allow(response: HttpResponse, origin: str) -> None:
    """Let a page of `origin` read the answer."""
    response["Access-Control-Allow-Origin"] = origin
    response["Access-Control-Expose-Headers"] = HEADERS_SHOWN
    patch_vary_headers(response, ("Origin",))


def preflight_response(origin: str, methods: Iterable[str]) -> HttpResponse:
    """The answer to a browser that asks first, whether it may ask."""
    response = HttpResponse(status=204)
    cors_allow(response, origin)
    response["Access-Control-Allow-Methods"] = ", ".join(methods)
    response["Access-Control-Allow-Headers"] = HEADERS_TAKEN
    response["Access-Control-Max-Age"] = str(PREFLIGHT_SECONDS)
    return response
