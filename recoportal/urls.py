"""Root URLs. Each app brings its own; an app's `urls` module is included where the table says."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path, re_path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from recoportal.media import media

urlpatterns = [
    path("admin/", admin.site.urls),
    path("i18n/", include("django.conf.urls.i18n")),
    path("api/schema/", SpectacularAPIView.as_view(), name="schema"),
    path("api/docs/", SpectacularSwaggerSplitView.as_view(url_name="schema"), name="api-docs"),
    path("api/v1/", include("apps.serving.urls")),
    path("api/v1/", include("apps.events.urls")),
    path("api/v1/", include("apps.catalog.urls")),
    path("api/v1/", include("apps.experiments.urls")),
    path("api/v1/", include("apps.monitoring.urls")),
    re_path(r"^media/(?P<path>.*)$", media),
    path("", include("apps.portal.urls")),
]
