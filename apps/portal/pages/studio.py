"""What Weights and Rules share: the draft's publish dialog, publish, discard."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _

from apps.accounts.models import User
from apps.experiments.selectors import experiments_touching
from apps.merchandising.services import draft_reset, publication_publish
from apps.portal.access import can_change
from apps.portal.context_bar import PageContext
from apps.portal.drafts import changes_of, draft_of, placement_of, revision_posted, unpublished
from apps.portal.pages.shell import action, page, show, toast
from apps.portal.samples import slates_changed


def _reload(text: str, *, link: str = "", link_text: str = "") -> HttpResponse:
    """Close the dialog, tell, and let the page fetch its parts anew."""
    answer = toast(HttpResponse(status=200), text, link=link, link_text=link_text)
    answer["HX-Trigger-After-Settle"] = "portal:close, studio:published"
    answer["HX-Reswap"] = "none"
    return answer


@page
def publish_dialog(request: HttpRequest) -> HttpResponse:
    """What publishing would change, in words and in slates, before anybody presses the button."""
    bar = PageContext.of(request)
    placement = placement_of(bar)
    draft = draft_of(placement)
    changed, tried = slates_changed(bar, unpublished(placement))
    return show(
        request,
        "portal/studio/publish.html",
        bar=bar,
        placement=placement,
        draft=draft,
        changed=changed,
        tried=tried,
        changes=changes_of(placement, draft),
        may_change=can_change(request.user, "merchandising"),
        touching=experiments_touching(placement),
    )


@action("merchandising")
def publish(request: HttpRequest) -> HttpResponse:
    """Make the draft live; refused when somebody saved since the dialog was opened."""
    assert isinstance(request.user, User)
    bar = PageContext.of(request)
    publication = publication_publish(
        placement=placement_of(bar),
        revision=revision_posted(request.POST),
        note=request.POST.get("note", ""),
        actor=request.user,
    )
    text = _("Publication %(number)s of %(placement)s is live.") % {
        "number": publication.number,
        "placement": publication.placement.name,
    }
    return _reload(text, link=reverse("portal:history") + bar.query(), link_text=_("See history"))


@action("merchandising")
def discard(request: HttpRequest) -> HttpResponse:
    """Make the draft what is live again and load the page anew."""
    assert isinstance(request.user, User)
    placement = placement_of(PageContext.of(request))
    draft_reset(placement=placement, revision=revision_posted(request.POST), actor=request.user)
    messages.info(
        request, _("The draft of %(placement)s is what is live again.") % {"placement": placement.name}
    )
    answer = HttpResponse(status=204)
    answer["HX-Refresh"] = "true"
    return answer
