"""One shape for every error of the API, for plain Django views and for REST framework alike.

`{"error": {"code", "message", "field", "value", "remedy"}}`; the last three are null where they mean nothing.
"""

import logging
import zlib
from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any, Concatenate, ParamSpec

import orjson
from django.core.exceptions import PermissionDenied
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from rest_framework import exceptions
from rest_framework.response import Response

from apps.core.errors import (
    Forbidden,
    InvalidInput,
    NotFound,
    RecoPortalError,
    ServiceUnavailable,
    Throttled,
    Unauthorized,
)

logger = logging.getLogger(__name__)
JSON = "application/json"
RETRY_AFTER_OUTAGE = 2
ERROR_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message", "field", "value", "remedy"],
            "properties": {
                "code": {"type": "string", "example": "invalid_input"},
                "message": {"type": "string"},
                "field": {"type": "string", "nullable": True},
                "value": {"type": "string", "nullable": True},
                "remedy": {"type": "string", "nullable": True},
            },
        }
    },
}


class MethodNotAllowed(RecoPortalError):
    """The address exists but does not answer to this method."""

    code = "method_not_allowed"
    status = 405

    def __init__(self, method: str | None, allowed: Iterable[str]) -> None:
        self.allowed = ", ".join(allowed)
        super().__init__(f"{method} is not answered here. Use {self.allowed}.")


class PayloadTooLarge(RecoPortalError):
    """The body is bigger than this endpoint reads."""

    code = "payload_too_large"
    status = 413


def error_body(error: RecoPortalError) -> dict[str, dict[str, str | None]]:
    """The documented error object of `error`."""
    body: dict[str, str | None] = {
        "code": error.code,
        "message": error.message,
        "field": None,
        "value": None,
        "remedy": None,
    }
    if isinstance(error, InvalidInput):
        body |= {"field": error.field, "value": str(error.value), "remedy": str(error.remedy)}
    return {"error": body}


def error_headers(error: RecoPortalError) -> dict[str, str]:
    """Headers that go with `error`: when to come back, how to say who you are, what is allowed."""
    if isinstance(error, Throttled):
        return {"Retry-After": str(error.retry_after)}
    if isinstance(error, ServiceUnavailable):
        return {"Retry-After": str(RETRY_AFTER_OUTAGE)}
    if isinstance(error, Unauthorized):
        return {"WWW-Authenticate": "Api-Key"}
    if isinstance(error, MethodNotAllowed):
        return {"Allow": error.allowed}
    return {}


def json_response(body: Any, status: int = 200) -> HttpResponse:
    """Answer `body` (anything orjson takes) without going through REST framework."""
    return HttpResponse(orjson.dumps(body), status=status, content_type=JSON)


def error_response(error: RecoPortalError) -> HttpResponse:
    """`error` as a plain Django response in the documented shape."""
    return HttpResponse(
        orjson.dumps(error_body(error)),
        status=error.status,
        content_type=JSON,
        headers=error_headers(error),
    )


def problem_of(exc: Exception) -> RecoPortalError | None:
    """Our error for any exception a view may raise; None for one nobody foresaw."""
    match exc:
        case RecoPortalError():
            return exc
        case Http404() | exceptions.NotFound():
            return NotFound(str(exc) or "There is nothing at this address.")
        case exceptions.NotAuthenticated() | exceptions.AuthenticationFailed():
            return Unauthorized(str(exc.detail))
        case PermissionDenied() | exceptions.PermissionDenied():
            return Forbidden(str(exc) or "You may not do this.")
        case exceptions.Throttled():
            return Throttled(str(exc.detail), retry_after=int(getattr(exc, "wait", None) or 1) + 1)
        case exceptions.MethodNotAllowed():
            return MethodNotAllowed("This method", ())
        case exceptions.ValidationError():
            field, message = first_complaint(exc.detail)
            return InvalidInput(field=field, value="", remedy=message)
        case exceptions.ParseError():
            return InvalidInput(field="body", value="", remedy=str(exc.detail))
        case OperationalError() | InterfaceError():
            return ServiceUnavailable("The database is away. Try again in a moment.")
    return None


def first_complaint(detail: Any, field: str = "body") -> tuple[str, str]:
    """The first (field path, message) in REST framework's nested error detail."""
    while isinstance(detail, (dict, list)) and detail:
        if isinstance(detail, dict):
            name, detail = next(iter(detail.items()))
            field = str(name) if field == "body" else f"{field}.{name}"
        else:
            detail = detail[0]
    return field, str(detail)


def exception_handler(exc: Exception, context: dict[str, Any]) -> Response | None:
    """REST framework's exception handler, in the documented shape."""
    error = problem_of(exc)
    if error is None and isinstance(exc, exceptions.APIException):
        body = {
            "code": exc.default_code,
            "message": str(exc.detail),
            "field": None,
            "value": None,
            "remedy": None,
        }
        return Response({"error": body}, status=exc.status_code)
    if error is None:
        return None
    headers = error_headers(error)
    if isinstance(exc, exceptions.MethodNotAllowed):
        headers = dict(context["view"].headers)
    return Response(error_body(error), status=error.status, headers=headers)


P = ParamSpec("P")


def errors_answered(
    view: Callable[Concatenate[HttpRequest, P], HttpResponse],
) -> Callable[Concatenate[HttpRequest, P], HttpResponse]:
    """Make a plain view answer every error in the documented shape, also one nobody foresaw."""

    @wraps(view)
    def answering(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        try:
            return view(request, *args, **kwargs)
        except Exception as exc:
            error = problem_of(exc)
            if error is None or isinstance(error, ServiceUnavailable):
                logger.exception("%s %s failed", request.method, request.path)
            return error_response(error or RecoPortalError("Something went wrong on our side; it is logged."))

    return answering


def json_body(request: HttpRequest, *, limit: int) -> Any:
    """The request's JSON, if it is at most `limit` bytes, unpacked too when it comes as gzip.

    Raises InvalidInput or PayloadTooLarge. A packed body is unpacked no further than one byte past `limit`.
    """
    length = request.headers.get("Content-Length", "")
    if length.isdigit() and int(length) > limit:
        raise PayloadTooLarge(f"The body has {length} bytes; send at most {limit}.")
    body = request.read(limit + 1)
    packing = request.META.get("HTTP_CONTENT_ENCODING", "").strip().lower()
    if packing == "gzip" and len(body) <= limit:
        body = _unpacked(body, limit)
    elif packing not in ("", "gzip", "identity"):
        raise InvalidInput(field="Content-Encoding", value=packing, remedy="Send gzip, or leave it out.")
    if len(body) > limit:
        raise PayloadTooLarge(f"The body has more than {limit} bytes; split it.")
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as exc:
        raise InvalidInput(
            field="body", value=body[:60].decode("utf-8", "replace"), remedy=f"Send valid JSON: {exc.msg}."
        ) from exc


def _unpacked(body: bytes, limit: int) -> bytes:
    """At most `limit` + 1 bytes of a gzip body: what would be more is never made."""
    unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    remedy = "Send one whole gzip member, or plain JSON without Content-Encoding."
    try:
        plain = unpacker.decompress(body, limit + 1)
    except zlib.error as exc:
        raise InvalidInput(field="body", value=f"{len(body)} bytes", remedy=remedy) from exc
    if len(plain) <= limit and (not unpacker.eof or unpacker.unused_data):
        raise InvalidInput(field="body", value=f"{len(body)} bytes", remedy=remedy)
    return plain
