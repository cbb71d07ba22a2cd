"""REST framework's view of API keys: authentication, scope permission, throttle."""

from typing import Any

from rest_framework.authentication import BaseAuthentication
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle
from rest_framework.views import APIView

from apps.accounts.api_keys import SCHEME, ApiCaller, api_caller_authenticate, throttle_check
from apps.core.errors import Throttled


class ApiKeyAuthentication(BaseAuthentication):
    """`Authorization: Api-Key <key>`; `request.user` and `request.auth` are the ApiCaller."""

    def authenticate(self, request: Request) -> tuple[Any, Any] | None:
        """None lets the next authentication class try; a wrong key is an error at once."""
        header = request.META.get("HTTP_AUTHORIZATION", "")
        if header[: len(SCHEME)].lower() != SCHEME:
            return None
        caller = api_caller_authenticate(request.META, {})
        return caller, caller

    def authenticate_header(self, request: Request) -> str:
        """Makes REST framework answer 401, not 403."""
        return "Api-Key"


class HasScope(BasePermission):
    """Lets in API callers whose key has the view's `required_scope`."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Staff sessions do not pass: this guards what programs call."""
        caller = request.auth
        return isinstance(caller, ApiCaller) and getattr(view, "required_scope", "") in caller.scopes


class ApiKeyThrottle(BaseThrottle):
    """The key's own limit per minute."""

    _wait: int | None = None

    def allow_request(self, request: Request, view: APIView) -> bool:
        """Whether the caller has requests left in this minute."""
        if not isinstance(request.auth, ApiCaller):
            return True
        try:
            throttle_check(request.auth)
        except Throttled as error:
            self._wait = error.retry_after
            return False
        return True

    def wait(self) -> float | None:
        """Seconds until the next minute."""
        return self._wait
