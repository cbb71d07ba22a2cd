"""Root URLs. Each app brings its own; an app's `urls` module is included where the table says."""

from __future__ import annotations

from importlib.util import find_spec

from django.conf import settings
from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path, re_path
from django.views.static import serve
from drf_spectacular.views import SpectacularAPIView, SpectacularRedocView, SpectacularSwaggerView

from recoportal import health


def included(route: str, module: str) -> list[URLPattern | URLResolver]:
    """Return the URLs of an app, none while the app has no URLs."""
    return [path(route, include(module))] if find_spec(module) else []


urlpatterns = [
    path("health/", health.live, name="health-live"),
    path("health/ready/", health.ready, name="health-ready"),
    path("admin/", admin.site.urls),
    path("i18n/", include("django.conf.urls.i18n")),
    path("api/schema/", SpectacularAPIView.as_view(), name="schema"),
    path("api/docs/", SpectacularSwaggerView.as_view(url_name="schema"), name="api-docs"),
    path("api/redoc/", SpectacularRedocView.as_view(url_name="schema"), name="api-redoc"),
    *included("api/v1/", "apps.serving.urls"),
    *included("api/v1/", "apps.events.urls"),
    *included("api/v1/", "apps.monitoring.urls"),
    re_path(r"^media/(?P<path>.*)$", serve, {"document_root": settings.MEDIA_ROOT}),
    *included("", "apps.portal.urls"),
]
