"""REST addresses of this app, under /api/v1/."""

from django.urls import path

from apps.events import openapi
from apps.events.api import events_post

app_name = "events"
urlpatterns = [path("events", events_post, name="events")]
openapi.document()
