"""Two plain answers for load balancers: the process lives; it can serve."""

from __future__ import annotations

import hashlib

from django.conf import settings
from django.core.cache import cache
from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from redis.exceptions import RedisError


def site_mark() -> str:
    """Return a mark of this installation and shop, to tell it from another site on the same port."""
    text = f"{settings.DATA_DIR}\n{settings.SHOP_NAME}\n{settings.SECRET_KEY}"
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def live(request: HttpRequest) -> HttpResponse:
    """Answer 200 and the site's mark whenever the process answers at all."""
    return HttpResponse(f"ok {site_mark()}\n", content_type="text/plain")


def ready(request: HttpRequest) -> JsonResponse:
    """Answer 200 if database and cache answer, else 503; says which does not."""
    parts = {"database": database_answers(), "cache": cache_answers()}
    return JsonResponse(parts, status=200 if all(parts.values()) else 503)


def database_answers() -> bool:
    """Tell whether the database answers a query."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return False
    return True


def cache_answers() -> bool:
    """Tell whether the cache answers."""
    try:
        cache.get("health")
    except (RedisError, OSError):
        return False
    return True
