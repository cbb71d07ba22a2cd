"""`PUT` and `PATCH` of items, stock and prices under /api/v1/, in batches. Plain views: shops send many."""

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse

from apps.accounts.api_keys import ApiCaller, api_view_plain
from apps.catalog import items
from apps.catalog.results import UpsertResult
from apps.core.api import json_body, json_response
from apps.core.batches import batch_rows

MAX_BODY_BYTES = 5_000_000
Writer = Callable[..., UpsertResult]


def _batch(request: HttpRequest, caller: ApiCaller, name: str, put: Writer, patch: Writer) -> HttpResponse:
    rows: list[Any] = batch_rows(json_body(request, limit=MAX_BODY_BYTES), name)
    write = put if request.method == "PUT" else patch
    return json_response(write(rows=rows, source=f"api:{caller.name}").answer())


@api_view_plain("PUT", "PATCH", scope="catalog")
def items_write(request: HttpRequest, caller: ApiCaller) -> HttpResponse:
    """Make or replace items, or change the named fields of items there are."""
    return _batch(request, caller, "items", items.item_put_many, items.item_patch_many)


@api_view_plain("PUT", "PATCH", scope="catalog")
def prices_write(request: HttpRequest, caller: ApiCaller) -> HttpResponse:
    """Prices of items there are."""
    return _batch(request, caller, "prices", items.price_put_many, items.price_patch_many)


@api_view_plain("PUT", "PATCH", scope="catalog")
def stock_write(request: HttpRequest, caller: ApiCaller) -> HttpResponse:
    """Stock and availability of items there are."""
    return _batch(request, caller, "stock", items.stock_put_many, items.stock_patch_many)
