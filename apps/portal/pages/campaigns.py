"""Campaigns: what sponsors pay for, what it got, and the forms to change it."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _

from apps.accounts.selectors import shop_settings_get
from apps.core import clock
from apps.core.errors import NotFound, RecoPortalError
from apps.merchandising.campaigns import campaign_lines, campaign_save
from apps.merchandising.models import Campaign
from apps.portal.access import can_change, locked_reason, person
from apps.portal.forms.campaign import CampaignForm
from apps.portal.pages.shell import action, done, page, show


@page
def campaigns(request: HttpRequest) -> HttpResponse:
    """Every campaign with what it was shown, clicked and paid."""
    may = can_change(request.user, "merchandising")
    now = clock.now().astimezone(shop_settings_get().zone)
    return show(
        request,
        "portal/campaigns/page.html",
        title=_("Campaigns"),
        may=may,
        locked="" if may else locked_reason("merchandising"),
        lines=campaign_lines(day=now.date()),
        now=now,
    )


@page
def campaign_ask(request: HttpRequest, campaign_id: int = 0) -> HttpResponse:
    """The dialog to make a campaign, or to change one."""
    campaign = _campaign(campaign_id)
    if campaign is None:
        return _dialog(request, None, CampaignForm(initial={"starts_at": clock.now()}))
    initial = {name: getattr(campaign, name) for name in CampaignForm.base_fields}
    return _dialog(request, campaign, CampaignForm(initial=initial | {"skus": ", ".join(campaign.skus)}))


def _dialog(request: HttpRequest, campaign: Campaign | None, form: CampaignForm) -> HttpResponse:
    return show(request, "portal/campaigns/ask.html", campaign=campaign, form=form)


@action("merchandising")
def campaign_store(request: HttpRequest, campaign_id: int = 0) -> HttpResponse:
    """Make or change a campaign."""
    campaign = _campaign(campaign_id)
    form = CampaignForm(request.POST)
    if not form.is_valid():
        return _dialog(request, campaign, form)
    facts: dict[str, Any] = form.cleaned_data
    try:
        saved = campaign_save(campaign=campaign, actor=person(request), **facts)
    except RecoPortalError as error:
        form.take(error)
        return _dialog(request, campaign, form)
    return done(request, "portal:campaigns", _("“%(name)s” is saved.") % {"name": saved.name})


def _campaign(campaign_id: int) -> Campaign | None:
    if not campaign_id:
        return None
    campaign = Campaign.objects.filter(pk=campaign_id).first()
    if campaign is None:
        raise NotFound(_("There is no such campaign."))
    return campaign
