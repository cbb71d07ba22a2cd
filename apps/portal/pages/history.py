"""History: every publication of every placement, what each changed, and one click to return."""

from dataclasses import dataclass

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import OuterRef, Subquery
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _

from apps.accounts.models import User
from apps.experiments.models import Experiment, VariantPublication
from apps.merchandising.models import Publication
from apps.merchandising.selectors import placement_get, publication_diff, publication_get
from apps.merchandising.services import publication_return
from apps.portal.access import can_change, locked_reason
from apps.portal.context_bar import PageContext
from apps.portal.drafts import speaker
from apps.portal.pages.shell import action, page, show
from apps.portal.words.changes import Change

PAGE_SIZE = 30


@dataclass(frozen=True, slots=True)
class Entry:
    """One publication with what it changed; `first` has nothing before it. experiment: a trial's."""

    publication: Publication
    changes: list[Change]
    first: bool
    live: bool
    experiment: Experiment | None = None


def _before(publications: list[Publication]) -> dict[int, Publication]:
    """What was live before each, by id, in two queries; trials of experiments never were."""
    earlier = Publication.objects.filter(
        placement_id=OuterRef("placement_id"), number__lt=OuterRef("number"), trial=False
    ).order_by("-number")
    wanted = dict(
        Publication.objects.filter(pk__in=[one.pk for one in publications]).values_list(
            "pk", Subquery(earlier.values("pk")[:1])
        )
    )
    found = Publication.objects.in_bulk([pk for pk in wanted.values() if pk])
    return {pk: found[before] for pk, before in wanted.items() if before in found}


def _experiments(publications: list[Publication]) -> dict[int, Experiment]:
    """The experiment that each trial was made for, by the trial's id; none for a deleted draft's."""
    trials = [one.pk for one in publications if one.trial]
    rows = VariantPublication.objects.filter(publication__in=trials).select_related("variant__experiment")
    return {row.publication_id: row.variant.experiment for row in rows.order_by("-pk")}


def entries(publications: list[Publication]) -> list[Entry]:
    """What each publication changed against the one before it."""
    before = _before(publications)
    experiments = _experiments(publications)
    say = speaker(*[one.rules for one in (*publications, *before.values())])
    return [
        Entry(
            one,
            say.changes(publication_diff(before=before[one.pk], after=one)) if one.pk in before else [],
            one.pk not in before,
            one.placement.live_publication_id == one.pk,
            experiments.get(one.pk),
        )
        for one in publications
    ]


@page
def history(request: HttpRequest) -> HttpResponse:
    """The newest first; `only=1` shows the context's placement alone."""
    bar = PageContext.of(request)
    rows = Publication.objects.select_related("placement", "published_by", "returned_to")
    only = request.GET.get("only") == "1" and bar.placement is not None
    rows = rows.filter(placement=bar.placement) if only else rows
    part = Paginator(rows.order_by("-published_at", "-pk"), PAGE_SIZE).get_page(request.GET.get("page"))
    return show(
        request,
        "portal/history/page.html",
        title=_("History"),
        bar=bar,
        part=part,
        only=only,
        entries=entries(list(part.object_list)),
        may_change=can_change(request.user, "merchandising"),
        locked=locked_reason("merchandising"),
    )


@action("merchandising")
def go_back(request: HttpRequest, code: str, number: int) -> HttpResponse:
    """Make an earlier publication live again, as a new one."""
    assert isinstance(request.user, User)
    placement = placement_get(code=code)
    earlier = publication_get(placement=placement, number=number)
    note = _("Return to publication %(number)s") % {"number": earlier.number}
    publication = publication_return(placement=placement, number=number, note=note, actor=request.user)
    text = _("Publication %(number)s of %(placement)s is live: a return to publication %(old)s.")
    messages.success(
        request, text % {"number": publication.number, "placement": placement.name, "old": earlier.number}
    )
    return redirect(reverse("portal:history") + PageContext.of(request).query())
