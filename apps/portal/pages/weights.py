"""Weights: a slider per source, the slate changing as they move, offline figures beside."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _

from apps.accounts.models import User
from apps.merchandising.services import draft_save
from apps.portal.access import can_change, locked_reason
from apps.portal.context_bar import PageContext
from apps.portal.drafts import (
    changes_of,
    draft_of,
    placement_of,
    revision_posted,
    unpublished,
    weights_in,
)
from apps.portal.offline import offline_figures
from apps.portal.pages.shell import action, page, show
from apps.portal.samples import with_sample
from apps.portal.slates import slate_preview
from apps.portal.sliders import sliders


@page
def weights(request: HttpRequest) -> HttpResponse:
    """The page; where nobody is looked at yet, a sample is taken."""
    bar = PageContext.of(request)
    fresh = with_sample(bar)
    if fresh:
        return redirect(reverse("portal:weights") + fresh)
    placement = placement_of(bar)
    draft = draft_of(placement)
    return show(
        request,
        "portal/weights/page.html",
        title=_("Weights"),
        bar=bar,
        placement=placement,
        draft=draft,
        sliders=sliders(placement, draft.weights),
        view=slate_preview(bar, unpublished(placement)),
        changes=changes_of(placement, draft),
        may_change=can_change(request.user, "merchandising"),
        locked=locked_reason("merchandising"),
        query=bar.query().removeprefix("?") + "&view=draft",
    )


@page
def slate(request: HttpRequest) -> HttpResponse:
    """The slate with the weights as the sliders stand."""
    bar = PageContext.of(request)
    view = slate_preview(bar, unpublished(placement_of(bar), weights=weights_in(request.GET)))
    return show(request, "portal/weights/slate.html", bar=bar, view=view, query=request.GET.urlencode())


@page
def figures(request: HttpRequest) -> HttpResponse:
    """Offline NDCG and coverage at the sliders' weights beside live's."""
    bar = PageContext.of(request)
    found = offline_figures(placement_of(bar), weights_in(request.GET))
    return show(request, "portal/weights/figures.html", figures=found)


@action("merchandising")
def save(request: HttpRequest) -> HttpResponse:
    """Keep the sliders in the draft; says what publishing would now change."""
    assert isinstance(request.user, User)
    placement = placement_of(PageContext.of(request))
    revision = revision_posted(request.POST)
    draft = draft_save(
        placement=placement, revision=revision, weights=weights_in(request.POST), actor=request.user
    )
    return show(
        request, "portal/studio/state.html", placement=placement, draft=draft,
        changes=changes_of(placement, draft), may_change=True,
    )  # fmt: skip
