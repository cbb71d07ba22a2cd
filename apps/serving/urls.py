"""REST addresses of this app, under /api/v1/."""

from django.urls import path

from apps.serving import openapi
from apps.serving.api import recommendations_get

app_name = "serving"
urlpatterns = [path("recommendations/<slug:placement>", recommendations_get, name="recommendations")]
openapi.document()
