"""REST addresses of this app, under /api/v1/."""

from django.urls import path

from apps.catalog import openapi
from apps.catalog.api import items_write, prices_write, stock_write

app_name = "catalog"
urlpatterns = [
    path("items", items_write, name="items"),
    path("prices", prices_write, name="prices"),
    path("stock", stock_write, name="stock"),
]
openapi.document()
