"""Inspect: one shopper, product or cart beside the slate it gets, and why."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _

from apps.catalog.selectors import product_get_by_skus
from apps.core.errors import InvalidInput, NotFound
from apps.events.selectors import shopper_find
from apps.events.services import shopper_opt_out_set
from apps.portal.access import can_change, person
from apps.portal.context_bar import PageContext
from apps.portal.drafts import draft_of, placement_of, rules_with, unpublished, weights_in
from apps.portal.forms.rule import rule_data
from apps.portal.lookups import reader_language
from apps.portal.pages.shell import action, page, show
from apps.portal.samples import with_sample
from apps.portal.slates import slate_explained, slate_live, slate_preview
from apps.portal.timeline import timeline
from apps.portal.versus import versus_of, versus_offered
from apps.portal.waterfall import waterfall
from apps.portal.why_not import why_not
from apps.serving.live import PublicationState


def looked_at(request: HttpRequest, bar: PageContext) -> PublicationState | None:
    """What the slate was made with: the form's or saved draft (`view=draft`), what it is compared with
    (`view=versus`), or None for live.
    """
    if request.GET.get("view") == "versus":
        beside = versus_of(placement_of(bar), bar.versus)
        return beside.state if beside else None
    if request.GET.get("view") != "draft":
        return None
    placement = placement_of(bar)
    rules = None
    if "kind" in request.GET:
        rules = rules_with(draft_of(placement).rules, rule_data(request.GET))
    return unpublished(placement, weights=weights_in(request.GET) or None, rules=rules)


@page
def inspect(request: HttpRequest) -> HttpResponse:
    """The page; the first visit picks a shopper so that there is something to see."""
    bar = PageContext.of(request)
    # Nobody in particular may visit the home page; a product page without a product is no page.
    fresh = with_sample(bar) if bar.seeds_missing or not request.GET.get("placement") else ""
    if fresh:
        return redirect(reverse("portal:inspect") + fresh)
    draft = looked_at(request, bar) if bar.placement else None
    view, beside = None, None
    if bar.placement:
        view = slate_preview(bar, draft) if draft else slate_live(bar)
        beside = versus_of(bar.placement, bar.versus)
    shopper = shopper_find(bar.shopper) if bar.shopper else None
    may_wish = can_change(request.user, "merchandising")
    language = reader_language(bar.lang)
    return show(
        request,
        "portal/inspect/page.html",
        title=_("Inspect"),
        bar=bar,
        view=view,
        draft=draft,
        shopper=shopper,
        may_wish=may_wish,
        sessions=timeline(shopper=shopper, language=language, until=bar.at) if shopper else [],
        seeds=product_get_by_skus(bar.seeds, language=language),
        query=request.GET.urlencode(),
        bar_extra="portal/inspect/versus_field.html",
        bar_alone=bar.query(versus=""),
        versus=beside,
        versus_view=slate_preview(bar, beside.state) if beside else None,
        versus_choices=versus_offered(bar.placement) if bar.placement else [],
    )


@page
def wish_ask(request: HttpRequest) -> HttpResponse:
    """The dialog before a shopper's slates stop, or start again, being personal."""
    bar = PageContext.of(request)
    shopper = shopper_find(bar.shopper)
    if shopper is None:
        raise NotFound(_("There is no such shopper."))
    return show(request, "portal/inspect/wish_ask.html", bar=bar, shopper=shopper)


@action("merchandising")
def wish_save(request: HttpRequest) -> HttpResponse:
    """Note what the shopper wants; their next slate follows it."""
    bar = PageContext.of(request)
    opted_out = request.POST.get("opted_out") == "1"
    shopper = shopper_opt_out_set(external_id=bar.shopper, opted_out=opted_out, actor=person(request))
    nothing, personal = _("%(shopper)s is shown nothing personal."), _("%(shopper)s gets personal slates.")
    messages.success(request, (nothing if opted_out else personal) % {"shopper": shopper.external_id})
    return redirect(reverse("portal:inspect") + bar.query())


@page
def why_here(request: HttpRequest) -> HttpResponse:
    """The waterfall of one product of the slate that the query describes."""
    bar = PageContext.of(request)
    sku = request.GET.get("sku", "")
    found = waterfall(slate_explained(bar, looked_at(request, bar)), sku)
    if found is None:
        raise InvalidInput(field="sku", value=sku, remedy=_("The slate has changed; look at it again."))
    return show(request, "portal/slate/waterfall.html", why=found)


@page
def why_absent(request: HttpRequest) -> HttpResponse:
    """Why a product is not on the slate that the query describes."""
    bar = PageContext.of(request)
    draft = looked_at(request, bar)
    answer = why_not(bar, draft, request.GET.get("sku", ""))
    return show(request, "portal/slate/why_not_answer.html", answer=answer)
