"""Data: what the shop knows, product feed imports, event kinds, snapshots, and how complete it all is."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _

from apps.catalog.imports import feed_upload
from apps.catalog.models import FeedImport
from apps.catalog.reports import report_find
from apps.core.errors import NotFound, RecoPortalError
from apps.datasets.models import Snapshot
from apps.datasets.quality import quality_report
from apps.events.models import EventKind, ImportReport
from apps.events.services import event_kind_save
from apps.jobs.queue import job_enqueue
from apps.portal.access import can_change, locked_reason, person
from apps.portal.data_lines import feed_line, import_lines, report_rows, shop_counts
from apps.portal.forms.data import EventKindForm, FeedForm
from apps.portal.pages.shell import action, done, page, show


def data_page(request: HttpRequest, template: str, tab: str, **context: Any) -> HttpResponse:
    """A page under the data tabs."""
    may = can_change(request.user, "data")
    locked = "" if may else locked_reason("data")
    return show(request, template, title=_("Data"), tab=tab, may=may, locked=locked, **context)


# --- catalogue and imports ------------------------------------------------------------------------------


@page
def data(request: HttpRequest) -> HttpResponse:
    """What the shop knows in figures, the feed upload, and the imports so far."""
    return _imports_page(request, FeedForm())


def _imports_page(request: HttpRequest, form: FeedForm) -> HttpResponse:
    facts = {"counts": shop_counts(), "imports": import_lines(limit=20)}
    return data_page(request, "portal/data/imports.html", "imports", form=form, **facts)


@action("data")
def feed_add(request: HttpRequest) -> HttpResponse:
    """Keep the uploaded feed, queue its import and go to it."""
    form = FeedForm(request.POST, request.FILES)
    if not form.is_valid():
        return _imports_page(request, form)
    file = form.cleaned_data["file"]
    try:
        job = feed_upload(
            file_name=file.name,
            content=file,
            format=form.cleaned_data["format"],
            requested_by=person(request),
        )
    except RecoPortalError as error:
        form.take(error)
        return _imports_page(request, form)
    job_enqueue(job)
    return redirect("portal:feed", FeedImport.objects.get(job_id=job.pk).pk)


def _feed(feed_id: int) -> FeedImport:
    feed = FeedImport.objects.filter(pk=feed_id).first()
    if feed is None:
        raise NotFound(_("There is no such import."))
    return feed


@page
def feed(request: HttpRequest, feed_id: int) -> HttpResponse:
    """One import: its bar while it runs, then what it brought and what was refused."""
    return data_page(request, "portal/data/feed.html", "imports", **_feed_facts(feed_id))


@page
def feed_state(request: HttpRequest, feed_id: int) -> HttpResponse:
    """The part of the page that asks for itself again until the import is over."""
    return show(request, "portal/data/feed_state.html", **_feed_facts(feed_id))


def _feed_facts(feed_id: int) -> dict[str, Any]:
    found = _feed(feed_id)
    return {"line": feed_line(found), "refused": report_rows(found.report_path, limit=20)}


@page
def feed_report(request: HttpRequest, feed_id: int) -> HttpResponse:
    """Every refused row of an import as CSV."""
    return _report_answer(_feed(feed_id).report_path)


@page
def import_report(request: HttpRequest, report_id: int) -> HttpResponse:
    """Every skipped row of a data-set import as CSV."""
    found = ImportReport.objects.filter(pk=report_id).first()
    return _report_answer(found.report_path if found else "")


def _report_answer(path: str) -> HttpResponse:
    place = report_find(path)
    answer = HttpResponse(place.read_bytes(), content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="{place.name}"'
    return answer


# --- event kinds ------------------------------------------------------------------------------------------


@page
def kinds(request: HttpRequest) -> HttpResponse:
    """Kinds of events with their meaning and training weight."""
    found = EventKind.objects.order_by("-active", "-weight", "code")
    return data_page(request, "portal/data/kinds.html", "kinds", kinds=found)


@page
def kind_ask(request: HttpRequest, kind_id: int = 0) -> HttpResponse:
    """The dialog to add a kind (0) or change one."""
    kind = EventKind.objects.filter(pk=kind_id).first()
    return show(request, "portal/data/kind_ask.html", kind=kind, form=EventKindForm(kind=kind))


@action("data")
def kind_save(request: HttpRequest, kind_id: int = 0) -> HttpResponse:
    """Add or change a kind; the next event is taken by it."""
    kind = EventKind.objects.filter(pk=kind_id).first()
    form = EventKindForm(request.POST, kind=kind)
    if form.is_valid():
        try:
            saved = event_kind_save(kind_id=kind_id or None, actor=person(request), **form.cleaned_data)
            return done(request, "portal:data_kinds", _("“%(name)s” is saved.") % {"name": saved.name})
        except RecoPortalError as error:
            form.take(error)
    return show(request, "portal/data/kind_ask.html", kind=kind, form=form)


# --- snapshots and quality ---------------------------------------------------------------------------------


@page
def snapshots(request: HttpRequest) -> HttpResponse:
    """Snapshots models have learned from, newest first."""
    return data_page(
        request, "portal/data/snapshots.html", "snapshots", snapshots=Snapshot.objects.all()[:30]
    )


@page
def snapshot(request: HttpRequest, snapshot_id: int) -> HttpResponse:
    """One snapshot's manifest, in the side panel."""
    found = Snapshot.objects.filter(pk=snapshot_id).first()
    if found is None:
        raise NotFound(_("There is no such snapshot."))
    return show(request, "portal/data/snapshot.html", snapshot=found)


@page
def quality(request: HttpRequest) -> HttpResponse:
    """How complete the data is."""
    return data_page(request, "portal/data/quality.html", "quality", report=quality_report())
