"""What every page shares: access by role, the frame around it, errors in words, toasts.

@page(area="merchandising")            # who may open it; without `area` every role
def weights(request): return show(request, "portal/weights/page.html", title=_("Weights"), …)

@action("merchandising")               # POST only; who may do it, everybody else changes nothing
def save(request): …; return toast(HttpResponse(status=204), _("Saved."))
"""

import json
import uuid
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib import admin, messages
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.timezone import override
from django.utils.translation import gettext as _

from apps.accounts.selectors import shop_settings_get
from apps.core.errors import RecoPortalError
from apps.portal.access import can_change, can_see, locked_reason, roles
from apps.portal.charts.chart import Chart
from apps.portal.context_bar import PageContext

View = Callable[..., HttpResponseBase]


def is_fragment(request: HttpRequest) -> bool:
    """Whether htmx asked, so that a part of a page is wanted, not a page."""
    return request.headers.get("HX-Request") == "true"


def show(
    request: HttpRequest, template: str, *, title: str = "", status: int = 200, **context: Any
) -> HttpResponse:
    """Render a page in the shell, or a fragment (no title) without it."""
    shared: dict[str, Any] = {
        "shop": shop_settings_get(),
        "bar": context.pop("bar", None) or PageContext.of(request),
    }
    if title:
        request.current_app = admin.site.name
        shared |= admin.site.each_context(request) | {"title": title, "content_title": title}
    return render(request, template, shared | context, status=status)


def toast(
    response: HttpResponse, text: str, *, kind: str = "good", link: str = "", link_text: str = ""
) -> HttpResponse:
    """Add a message that slides in; `kind` is good, bad or info. Works on answers to htmx requests."""
    body = {"text": text, "kind": kind, "link": link, "linkText": link_text}
    response["HX-Trigger"] = json.dumps(json.loads(response.get("HX-Trigger", "{}")) | {"portal:toast": body})
    return response


def done(request: HttpRequest, to: str, text: str, *args: Any) -> HttpResponse:
    """Go to a page and say there what was done; works for plain forms and for htmx in a dialog."""
    messages.success(request, text)
    answer = redirect(to, *args)
    if not is_fragment(request):
        return answer
    return HttpResponse(status=204, headers={"HX-Redirect": answer["Location"]})


def csv_answer(chart: Chart) -> HttpResponse:
    """A chart's table as a file; the mark at its start makes spreadsheets read it as UTF-8."""
    response = HttpResponse("\ufeff" + chart.csv(), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{chart.key}.csv"'
    return response


def problem(request: HttpRequest, *, title: str, text: str, remedy: str = "", status: int) -> HttpResponse:
    """What happened, what to do and an id to quote, as a page or as a fragment."""
    reference = uuid.uuid4().hex[:8]
    template = "portal/parts/problem.html" if is_fragment(request) else "portal/problem.html"
    heading = "" if is_fragment(request) else title
    return show(
        request,
        template,
        title=heading,
        status=status,
        problem_title=title,
        problem_text=text,
        problem_remedy=remedy,
        problem_status=status,
        reference=reference,
    )


def _denied(request: HttpRequest, area: str) -> HttpResponse:
    if roles(request.user):
        return problem(request, title=_("Not for your role"), text=locked_reason(area), status=403)
    return problem(
        request,
        status=403,
        title=_("No access yet"),
        text=_("You are logged in as %(name)s, but no role has been given to you.")
        % {"name": request.user.get_username()},
        remedy=_("Ask an admin of this shop to give you a role in Settings."),
    )


def _answer(view: View, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
    """Run the view in the shop's time zone and turn our own errors into words."""
    with override(shop_settings_get().zone):
        try:
            return view(request, *args, **kwargs)
        except RecoPortalError as error:
            return problem(request, title=_("That did not work"), text=error.message, status=error.status)


def page(view: View | None = None, *, area: str = "") -> Any:
    """Decorate a page or fragment that reads: needs a login and a role that sees `area`."""

    def decorate(inner: View) -> View:
        @wraps(inner)
        def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            if not request.user.is_authenticated:
                return redirect_to_login(request.get_full_path(), reverse("admin:login"))
            if not can_see(request.user, area):
                return _denied(request, area)
            return _answer(inner, request, *args, **kwargs)

        return wrapped

    return decorate(view) if view else decorate


def action(area: str) -> Callable[[View], View]:
    """Decorate a POST that changes something: needs a role that may change `area`."""

    def decorate(inner: View) -> View:
        @wraps(inner)
        def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            if not request.user.is_authenticated:
                return redirect_to_login(request.get_full_path(), reverse("admin:login"))
            if not can_change(request.user, area):
                return _denied(request, area)
            if request.method != "POST":
                return HttpResponseNotAllowed(["POST"])
            return _answer(inner, request, *args, **kwargs)

        return wrapped

    return decorate
