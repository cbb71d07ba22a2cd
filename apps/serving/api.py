"""`/api/v1/recommendations/{placement}`: what a page shows. A plain view, for every page asks it."""

from dataclasses import replace
from uuid import UUID

import orjson
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt

from apps.accounts.api_keys import ApiCaller, api_view_plain
from apps.core.api import JSON, MethodNotAllowed, errors_answered, json_body
from apps.core.errors import InvalidInput
from apps.events.exposures import ExposureRow
from apps.serving.answers import answer_of, slate_body
from apps.serving.decide import decide
from apps.serving.parameters import request_parse
from apps.serving.pipeline import exposure_of, recommend
from apps.serving.preview import PARAMETERS as PREVIEW_PARAMETERS
from apps.serving.preview import preview_parse
from apps.serving.remembering import BUFFER
from apps.serving.slate import Slate, SlateRequest
from apps.serving.traces import is_sampled, trace_keep

# Enough for every parameter at its longest.
BODY_MAX = 256 * 1024
# Staff who may look at publications may look at slates, without a key and without leaving an exposure.
STAFF_PERMISSION = "merchandising.view_publication"


class SlateResponse(HttpResponse):
    """A slate as bytes. `served`: remembered as an exposure once the answer has left, for the shopper does
    not wait for our book-keeping. `traced`: its trace is kept then.
    """

    served: ExposureRow | None = None
    traced: Slate | None = None
    for_staff = False

    def close(self) -> None:
        """Called by the server when the answer is out."""
        served, self.served = self.served, None
        if served is not None and served.product_ids:
            BUFFER.add(served)
        traced, self.traced = self.traced, None
        if traced is not None:
            trace_keep(traced, for_staff=self.for_staff)
        super().close()


@csrf_exempt
@errors_answered
def recommendations_get(request: HttpRequest, placement: str) -> HttpResponse:
    """A slate for an API client; or, for staff signed in to the site, a look at one that counts nowhere."""
    if "HTTP_AUTHORIZATION" not in request.META and _is_staff(request):
        if request.method != "GET":
            raise MethodNotAllowed(request.method, ("GET",))
        asked = request.GET.dict()
        preview = preview_parse(placement, asked)
        for name in PREVIEW_PARAMETERS:
            asked.pop(name, None)
        slate = recommend(request_parse(placement, asked), preview)
        response = slate_response(slate)
        response.traced, response.for_staff = slate if slate.trace is not None else None, True
        return response
    return _for_client(request, placement)


@api_view_plain("GET", "POST", scope="recommend")
def _for_client(request: HttpRequest, caller: ApiCaller, placement: str) -> HttpResponse:
    asked = _asked(request, placement)
    sampled = is_sampled(placement)
    if not (asked.explain or sampled):
        answer = answer_of(decide(asked))
        response = answer_response(answer.content, answer.exposure.request_id)
        response.served = answer.exposure
        return response
    slate = recommend(replace(asked, explain=True) if sampled else asked)
    response = slate_response(slate if asked.explain else replace(slate, trace=None))
    response.served, response.traced = exposure_of(slate), slate if sampled else None
    return response


def _asked(request: HttpRequest, placement: str) -> SlateRequest:
    """What the address says, or for POST the JSON object: carts and search results outgrow an address."""
    if request.method == "GET":
        return request_parse(placement, request.GET.dict())
    if request.GET:
        name = next(iter(request.GET))
        remedy = "Send it in the body, as all of a POST."
        raise InvalidInput(field=name, value=request.GET[name], remedy=remedy)
    body = json_body(request, limit=BODY_MAX)
    if not isinstance(body, dict):
        remedy = "Send a JSON object of the parameters that GET takes."
        raise InvalidInput(field="body", value=type(body).__name__, remedy=remedy)
    return request_parse(placement, body)


def _is_staff(request: HttpRequest) -> bool:
    user = getattr(request, "user", AnonymousUser())
    return bool(user.is_active and user.is_staff and user.has_perm(STAFF_PERMISSION))


def slate_response(slate: Slate) -> SlateResponse:
    """The answer that says this slate; it leaves no exposure unless `served` is set."""
    return answer_response(orjson.dumps(slate_body(slate)), slate.request_id)


def answer_response(content: bytes, request_id: UUID) -> SlateResponse:
    """These bytes as the answer of the slate of this id."""
    response = SlateResponse(content, content_type=JSON)
    response["X-Request-Id"] = str(request_id)
    response["Cache-Control"] = "private, no-store"
    return response
