"""The errors our services raise. Each names the field, the value and the remedy. Imports no Django."""

from dataclasses import dataclass
from typing import Any


def shorten(value: Any, limit: int = 80) -> str:
    """`value` as text of at most `limit` characters, for messages."""
    text = str(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"


class RecoPortalError(Exception):
    """Base of all errors a person or a client may see."""

    code = "error"
    status = 500

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class InvalidInput(RecoPortalError):
    """A field holds a value we can't take; says what would be taken."""

    code = "invalid_input"
    status = 400

    def __init__(self, *, field: str, value: Any, remedy: str) -> None:
        self.field = field
        self.value = shorten(value)
        self.remedy = remedy
        super().__init__(f"{field}: {self.value!r} is not valid. {remedy}")


class NotFound(RecoPortalError):
    """What was asked for does not exist."""

    code = "not_found"
    status = 404


class Unauthorized(RecoPortalError):
    """The caller did not say who it is, or not in a way we know."""

    code = "unauthorized"
    status = 401


class Throttled(RecoPortalError):
    """The caller asks more often than it may; `retry_after` is in seconds."""

    code = "throttled"
    status = 429

    def __init__(self, message: str, *, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Forbidden(RecoPortalError):
    """The caller may not do this."""

    code = "forbidden"
    status = 403


class Conflict(RecoPortalError):
    """The change does not fit the present state; says what would."""

    code = "conflict"
    status = 409


class ServiceUnavailable(RecoPortalError):
    """Something this call stands on is away; trying later may work."""

    code = "unavailable"
    status = 503


class Cancelled(RecoPortalError):
    """Somebody asked the running work to stop."""

    code = "cancelled"
    status = 409


@dataclass(frozen=True, slots=True)
class RowError:
    """One bad row of an import or batch: where, what, and how to mend it."""

    line: int
    field: str
    value: str
    remedy: str
