"""REST addresses of this app, under /api/v1/."""

from django.urls import path

from apps.events import openapi, shopper_api
from apps.events.api import events_post

app_name = "events"
urlpatterns = [
    path("events", events_post, name="events"),
    path("shoppers", shopper_api.shoppers_write, name="shoppers"),
]
openapi.document()
shopper_api.document()
