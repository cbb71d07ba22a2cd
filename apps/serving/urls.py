"""REST addresses of this app, under /api/v1/."""

from django.urls import path

from apps.serving import assignments_api, groups_api, openapi
from apps.serving.api import recommendations_get

app_name = "serving"
urlpatterns = [
    path("assignments", assignments_api.assignments_get, name="assignments"),
    path("recommendations/<slug:placement>", recommendations_get, name="recommendations"),
    path("recommendations/<slug:placement>/groups", groups_api.groups_get, name="groups"),
    path("recommendations/<slug:placement>/playlist", groups_api.playlist_get, name="playlist"),
]
openapi.document()
groups_api.document()
assignments_api.document()
