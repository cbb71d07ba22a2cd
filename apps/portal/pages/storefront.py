"""The demo storefront: a small shop whose shelves come from the REST API through static/sdk.js alone.

The pages bring what is the shop's own: departments, a product's facts, what a search finds. They stand
outside the staff shell and allow neither inline nor evaluated scripts.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import translation
from django.utils.translation import gettext as _

from apps.accounts.selectors import shop_settings_get
from apps.core.contentpolicy import HEADER
from apps.core.errors import NotFound
from apps.portal import storefront as shop
from apps.portal.access import can_change, can_see, person
from apps.portal.pages.shell import action, page, show

POLICY = "; ".join(
    (
        "default-src 'self'",
        "img-src 'self' data: https:",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
LANGUAGE_COOKIE = "storefront_language"
QUERY_MOST = 200
View = Callable[..., HttpResponse]


def _front(view: View) -> View:
    """A page of the storefront in the visitor's language; closed to visitors while it has no key."""

    @wraps(view)
    def shown(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        key = shop.storefront_key()
        if not key:
            return _closed(request)
        known = dict(settings.LANGUAGES)
        chosen = request.GET.get("lang", "") or request.COOKIES.get(LANGUAGE_COOKIE, "")
        language = chosen if chosen in known else translation.get_language() or settings.LANGUAGE_CODE
        with translation.override(language):
            try:
                response = view(request, *args, **kwargs)
            except NotFound:
                response = _render(request, "missing", status=404)
        if request.GET.get("lang") == language:
            response.set_cookie(LANGUAGE_COOKIE, language, max_age=31_536_000, samesite="Lax")
        response[HEADER] = POLICY
        return response

    return shown


@page
def _closed(request: HttpRequest) -> HttpResponse:
    """For staff only: what this is, and the button that opens it."""
    may_open = can_change(request.user, "access")
    return show(request, "storefront/closed.html", title=_("Storefront"), may_open=may_open)


@action("access")
def storefront_open(request: HttpRequest) -> HttpResponse:
    """Open the storefront to everybody who has its address."""
    shop.storefront_open(actor=person(request))
    return redirect("portal:storefront")


def _render(request: HttpRequest, name: str, *, status: int = 200, **context: Any) -> HttpResponse:
    language = translation.get_language() or ""
    staff = can_see(request.user)
    shared = {
        "key": shop.storefront_key(),
        "shop": shop_settings_get(),
        "departments": shop.departments(language),
        "staff": staff,
        "people": shop.people() if staff else [],
        "languages": [
            (code, translation.get_language_info(code)["name_local"]) for code in dict(settings.LANGUAGES)
        ],
        "language": language,
        "texts": texts(),
        "kinds": shop.placements_by_kind(),
        "page": name,
    }
    return render(request, f"storefront/{name}.html", shared | context, status=status)


def texts() -> dict[str, str]:
    """What the page's script says, in the visitor's language."""
    return {
        "like": _("I like %s"),
        "add": _("Add to cart"),
        "added": _("Added to the cart"),
        "remove": _("Remove %s"),
        "quantity": _("Quantity of %s"),
        "again": _("Recommendations are resting. The shop goes on; try again in a moment."),
        "empty": _("Your cart is empty."),
        "thanks": _("Thank you! This was a demo order: nothing is charged, nothing is sent."),
        "changed": _("%s is up to date"),
        "viewed": _("Because you viewed %s"),
        "inspect": _("Inspect this shelf"),
    }


@_front
def storefront(request: HttpRequest) -> HttpResponse:
    """The home page."""
    menu = shop.departments(translation.get_language() or "")
    pictures = shop.department_pictures([path for path, _ in menu])
    tiles = [(path, name, pictures[path]) for path, name in menu if path in pictures]
    return _render(request, "home", tiles=tiles[:8])


@_front
def category(request: HttpRequest) -> HttpResponse:
    """A department."""
    found = shop.department(request.GET.get("path", ""), translation.get_language() or "")
    return _render(request, "category", department=found)


@_front
def product(request: HttpRequest, sku: str) -> HttpResponse:
    """A product page."""
    language = translation.get_language() or ""
    facts = shop.product_shown(sku, language)
    place = shop.department(facts.category, language) if facts.category else None
    return _render(request, "product", product=facts, department=place)


@_front
def cart(request: HttpRequest) -> HttpResponse:
    """The cart, which the visitor's browser keeps."""
    return _render(request, "cart")


@_front
def search(request: HttpRequest) -> HttpResponse:
    """What a search finds."""
    query = request.GET.get("q", "").strip()[:QUERY_MOST]
    return _render(
        request, "search", query=query, found=shop.skus_found(query, translation.get_language() or "")
    )
