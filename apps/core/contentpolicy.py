"""What a page of ours may load and run, told to the browser with every answer (Content Security Policy)."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

HEADER = "Content-Security-Policy"
# No script stands in a page itself, so an injected one does not run. Alpine, which the shell is made with,
# builds functions from the text of attributes: 'unsafe-eval'. Shell, Plotly and htmx set styles in place.
# Feeds may name pictures elsewhere; Plotly saves a chart by way of a blob.
POLICY = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self' 'unsafe-eval'",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob: https:",
        "object-src 'none'",
        "base-uri 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
# An uploaded file that is opened by itself (an SVG may hold scripts) is alone, and runs nothing.
FILE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox"


class ContentPolicyMiddleware:
    """Adds the policy to every answer that does not bring its own."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer, and say what the answer may do."""
        response = self.get_response(request)
        response.headers.setdefault(HEADER, POLICY)
        return response
