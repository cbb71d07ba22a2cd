"""Who calls the API: keys recognised without a query, scopes, throttles.

For plain views; `api.py` has REST framework's.

A key is looked up at most once every KEY_SECONDS per process, beside the requests, so that a revoked one
stops within two seconds. While the database is away a key that was good goes on, and no request waits to hear
that.

Web pages use publishable keys, which may stand in the query: then a browser need not ask first (no CORS
preflight), and `sendBeacon`, which sends no headers, can report too. See `origins`.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import wraps
from typing import Any, Concatenate, ParamSpec

from django.core.cache import cache
from django.db import InterfaceError, OperationalError, connection
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt

from apps.accounts.models import ApiClient
from apps.accounts.origins import cors_allow, origin_check, origins_forget, origins_known, preflight_response
from apps.accounts.selectors import token_hash
from apps.core import clock
from apps.core.api import MethodNotAllowed, errors_answered
from apps.core.errors import Forbidden, ServiceUnavailable, Throttled, Unauthorized
from recoportal.patience import Patience

KEY_SECONDS = 1.5
# Nobody goes on with an answer that is older: a key that rested is looked up before it is used.
STALE_SECONDS = 2.0
ASK_SECONDS = 2.0
# While the database is away a key that was good a moment ago stays good this long.
OUTAGE_SECONDS = 900.0
CACHE_LIMIT = 5_000
USED_EVERY = timedelta(minutes=1)
# The shared counter is asked once per block of requests, so that throttling costs next to nothing.
BLOCKS_PER_MINUTE = 60
SCHEME = "api-key "
QUERY_KEY = "key"
HOW_TO = "Send the header `Authorization: Api-Key <key>`; an admin makes keys under Settings."


@dataclass(frozen=True, slots=True)
class ApiCaller:
    """The client behind a request. origins: of a publishable key; None: the key is secret."""

    id: int
    name: str
    scopes: frozenset[str]
    requests_per_minute: int
    origins: frozenset[str] | None = None

    @property
    def is_authenticated(self) -> bool:
        """For REST framework, which takes this object for the request's user."""
        return True


@dataclass(frozen=True, slots=True)
class _Good:
    """A key that was good at `good_at` and was last asked for at `tried_at` (monotonic seconds)."""

    caller: ApiCaller
    good_at: float
    tried_at: float


@dataclass(slots=True)
class _Window:
    minute: int
    left: int
    closed: bool


_lock = threading.Lock()
KeyName = tuple[str, str]
"""Database and hash of the key."""
_good: dict[KeyName, _Good] = {}
# Keys that were not good, with the moment of asking, the oldest first.
_unknown: OrderedDict[KeyName, float] = OrderedDict()
# Keys being looked up beside the requests, and when each database was last found away.
_asked_for: set[KeyName] = set()
_away: dict[str, float] = {}
_windows: dict[tuple[str, int], _Window] = {}


def api_keys_forget() -> None:
    """Drop what this process knows of keys and throttles."""
    with _lock:
        _good.clear()
        _unknown.clear()
        _away.clear()
        _windows.clear()
    origins_forget()


def _caller_load(key_hash: str) -> ApiCaller | None:
    client = ApiClient.objects.filter(key_hash=key_hash, revoked_at=None).first()
    if client is None:
        return None
    now = clock.now()
    if client.last_used_at is None or now - client.last_used_at > USED_EVERY:
        ApiClient.objects.filter(pk=client.pk).update(last_used_at=now)
    origins = frozenset(client.origins) if client.public_key else None
    return ApiCaller(client.pk, client.name, frozenset(client.scopes), client.requests_per_minute, origins)


def caller_of_key(key: str) -> ApiCaller | None:
    """The caller whose key this is; None when it is unknown or revoked.

    Raises ServiceUnavailable or OperationalError for a key this process does not know while the database is
    away.
    """
    name = (str(connection.settings_dict["NAME"]), token_hash(key))
    moment = time.monotonic()
    good = _good.get(name)
    if good is not None:
        age = moment - good.tried_at
        if age < KEY_SECONDS:
            return good.caller
        known_away = name[0] in _away and moment - good.good_at < OUTAGE_SECONDS
        if (age < STALE_SECONDS or name in _asked_for or known_away) and not connection.in_atomic_block:
            _ask_beside(name)
            return good.caller
    if moment - _unknown.get(name, -KEY_SECONDS) < KEY_SECONDS:
        return None
    if good is None and moment - _away.get(name[0], -KEY_SECONDS) < KEY_SECONDS:
        raise ServiceUnavailable("The database is away, and this process does not know the API key yet.")
    return _ask(name)


def _ask(name: KeyName) -> ApiCaller | None:
    """Look the key up; what was good goes on while the database is away, for OUTAGE_SECONDS."""
    moment = time.monotonic()
    try:
        with Patience(ASK_SECONDS):
            caller = _caller_load(name[1])
    except (OperationalError, InterfaceError):
        if not connection.in_atomic_block:
            connection.close()
        now = time.monotonic()
        with _lock:
            _away[name[0]] = now
            good = _good.get(name)
            if good is not None and now - good.good_at < OUTAGE_SECONDS:
                _good[name] = replace(good, tried_at=now)
                return good.caller
        raise
    with _lock:
        _away.pop(name[0], None)
        if caller is not None:
            _unknown.pop(name, None)
            _good[name] = _Good(caller, moment, moment)
        else:
            _good.pop(name, None)
            _unknown[name] = moment
            _unknown.move_to_end(name)
            while len(_unknown) > CACHE_LIMIT:  # somebody is trying keys
                _unknown.popitem(last=False)
    return caller


def _ask_beside(name: KeyName) -> None:
    with _lock:
        if name in _asked_for:
            return
        _asked_for.add(name)

    def ask() -> None:
        try:
            _ask(name)
        except (OperationalError, InterfaceError):
            with _lock:
                _good.pop(name, None)  # good for too long without anybody having said so
        finally:
            _asked_for.discard(name)
            connection.close()

    threading.Thread(target=ask, name="api-keys", daemon=True).start()


def api_caller_authenticate(meta: Mapping[str, Any], query: Mapping[str, str]) -> ApiCaller:
    """The caller named by the Authorization header in `meta`, or by a publishable key in `query`.

    Raises Unauthorized, and Forbidden for a publishable key used by a page of an origin it does not serve.
    """
    header = meta.get("HTTP_AUTHORIZATION")
    if header is None and QUERY_KEY in query:
        caller = caller_of_key(query[QUERY_KEY])
        if caller is not None and caller.origins is None:
            raise Unauthorized(f"A secret key must not stand in an address. {HOW_TO}")
    else:
        if not header or header[: len(SCHEME)].lower() != SCHEME:
            raise Unauthorized(f"No API key was sent. {HOW_TO}")
        caller = caller_of_key(header[len(SCHEME) :].strip())
    if caller is None:
        raise Unauthorized(f"The API key is not known or was revoked. {HOW_TO}")
    if caller.origins is not None:
        origin_check(caller.name, caller.origins, meta)
    return caller


def scope_require(caller: ApiCaller, scope: str) -> None:
    """Raise Forbidden unless the caller's key has `scope`."""
    if scope not in caller.scopes:
        raise Forbidden(
            f"The API key {caller.name!r} lacks the scope {scope!r}. An admin can make one that has it."
        )


def throttle_check(caller: ApiCaller) -> None:
    """Count one request of the caller against its limit per minute, over all processes; raises Throttled.

    Each process takes requests in blocks from a counter in the cache, so the limit may be overrun by one
    block per process at a minute's end. With the cache away each process counts alone.
    """
    now = time.time()
    minute = int(now // 60)
    name = (connection.settings_dict["NAME"], caller.id)
    with _lock:
        window = _windows.get(name)
        if window is None or window.minute != minute:
            window = _windows[name] = _Window(minute=minute, left=0, closed=False)
        if window.left <= 0 and not window.closed:
            window.left = _block_take(caller, minute)
            window.closed = window.left <= 0
        if window.closed:
            wait = max(1, 60 - int(now % 60))
            raise Throttled(
                f"The API key {caller.name!r} may ask {caller.requests_per_minute} times a minute.",
                retry_after=wait,
            )
        window.left -= 1


def _block_take(caller: ApiCaller, minute: int) -> int:
    block = max(1, caller.requests_per_minute // BLOCKS_PER_MINUTE)
    name = f"throttle:{caller.id}:{minute}"
    try:
        cache.add(name, 0, timeout=120)
        taken = cache.incr(name, block)
    except Exception:  # whatever the cache client raises: an outage of the cache must not stop the API
        return caller.requests_per_minute
    return max(0, min(block, caller.requests_per_minute - (taken - block)))


P = ParamSpec("P")
PlainView = Callable[Concatenate[HttpRequest, P], HttpResponse]


def api_view_plain(
    *methods: str, scope: str
) -> Callable[
    [Callable[Concatenate[HttpRequest, ApiCaller, P], HttpResponse]],
    Callable[Concatenate[HttpRequest, P], HttpResponse],
]:
    """Make `view(request, caller, …)` an endpoint: method, key, scope, throttle, errors in the one shape.

    Pages of origins that some publishable key serves may read the answer, errors too (CORS).
    """

    def decorate(
        view: Callable[Concatenate[HttpRequest, ApiCaller, P], HttpResponse],
    ) -> Callable[Concatenate[HttpRequest, P], HttpResponse]:
        @errors_answered
        def answering(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
            if request.method not in methods:
                raise MethodNotAllowed(request.method, methods)
            caller = api_caller_authenticate(request.META, request.GET)
            scope_require(caller, scope)
            throttle_check(caller)
            if QUERY_KEY in request.GET:  # said who asks, and is nothing the view has to know
                given = request.GET.copy()
                del given[QUERY_KEY]
                vars(request)["GET"] = given
            return view(request, caller, *args, **kwargs)

        @csrf_exempt
        @wraps(view)
        def endpoint(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
            origin = request.META.get("HTTP_ORIGIN")
            if origin is None or origin not in origins_known():
                return answering(request, *args, **kwargs)
            if request.method == "OPTIONS":
                return preflight_response(origin, methods)
            response = answering(request, *args, **kwargs)
            cors_allow(response, origin)
            return response

        return endpoint

    return decorate
