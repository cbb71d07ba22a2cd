"""Addresses of the health views, below api/v1/."""

from django.urls import path

from apps.monitoring import api

urlpatterns = [
    path("health", api.health, name="health"),
    path("health/ready", api.ready, name="health-ready"),
]
api.paths_document()
