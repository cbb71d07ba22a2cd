"""The language a member of staff chose in the profile, and the words of the shop's domain."""

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils import translation

from apps.portal.vocabulary import vocabulary_apply


class ReaderLanguageMiddleware:
    """After the login. A choice made in this browser (the cookie) wins over the profile's.

    Requests without a session are left alone, so that the API pays nothing for it.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Speak the profile's language where the browser has said nothing."""
        cookies = request.COOKIES
        if settings.SESSION_COOKIE_NAME in cookies:
            vocabulary_apply()
            translation.activate(translation.get_language() or settings.LANGUAGE_CODE)
        if settings.SESSION_COOKIE_NAME in cookies and settings.LANGUAGE_COOKIE_NAME not in cookies:
            language = getattr(request.user, "language", "")
            if language in dict(settings.LANGUAGES):
                translation.activate(language)
                request.LANGUAGE_CODE = language
        return self.get_response(request)
