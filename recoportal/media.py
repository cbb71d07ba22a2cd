"""Files that came from outside, such as pictures of products."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.views.static import serve

from apps.core.contentpolicy import FILE_POLICY, HEADER


def media(request: HttpRequest, path: str) -> HttpResponseBase:
    """Serve a file; the browser neither runs what is in it nor guesses what it might be."""
    response = serve(request, path, document_root=str(settings.MEDIA_ROOT))
    response.headers[HEADER] = FILE_POLICY
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response
