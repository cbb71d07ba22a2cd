"""Search-as-you-type: options for the shopper and product fields of every page, and "surprise me"."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _

from apps.catalog.selectors import product_search
from apps.core.errors import NotFound
from apps.events.selectors import shopper_search, shopper_surprise
from apps.portal.context_bar import PageContext
from apps.portal.lookups import reader_language
from apps.portal.pages.shell import page, show

MOST = 12


@page
def shoppers(request: HttpRequest) -> HttpResponse:
    """Shoppers whose id contains the text; the latest ones for no text."""
    found = shopper_search(request.GET.get("q", ""), MOST)
    return show(request, "portal/parts/shopper_options.html", shoppers=found)


@page
def products(request: HttpRequest) -> HttpResponse:
    """Products whose title or SKU contains the text; the newest ones for no text."""
    found = product_search(request.GET.get("q", ""), MOST, language=reader_language())
    return show(request, "portal/parts/product_options.html", products=found)


@page
def surprise(request: HttpRequest) -> HttpResponse:
    """Go on with a shopper picked at random among those with a history worth looking at."""
    shopper = shopper_surprise()
    if shopper is None:
        raise NotFound(_("No shopper has done anything yet."))
    onward = request.GET.get("next", "")
    if not url_has_allowed_host_and_scheme(onward, allowed_hosts=None):
        onward = reverse("portal:inspect")
    return redirect(onward + PageContext.of(request).query(shopper=shopper.external_id))
