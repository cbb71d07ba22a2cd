"""Shoppers who push products: look for crowds, say why, leave them out of training, take them back."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from apps.catalog.selectors import product_get_many
from apps.core.errors import InvalidInput, NotFound
from apps.datasets.leftout import shoppers_leave_out, shoppers_take_back
from apps.datasets.models import LeftOutShopper
from apps.events.models import Shopper
from apps.jobs.queue import job_enqueue
from apps.jobs.selectors import job_eta_seconds, job_seconds, jobs_recent
from apps.portal.access import can_change, locked_reason, person
from apps.portal.charts.chart import Chart
from apps.portal.charts.reports import crowds_chart
from apps.portal.lookups import reader_language
from apps.portal.pages.shell import action, csv_answer, done, page, show
from apps.portal.words.reports import crowd_words
from apps.training.reports import SHILLING, Report, report_job_create, report_last, report_running

LISTED = 200


@dataclass(frozen=True, slots=True)
class CrowdLine:
    """A crowd as the page shows it. place: its number in the report. out: members left out by now."""

    place: int
    title: str
    sku: str
    first: datetime
    last: datetime
    reasons: list[str]
    evidence: dict[str, float]
    members: list[Shopper]
    out: int

    @property
    def total(self) -> float:
        """All signals together, in powers of ten."""
        return sum(self.evidence.values())


def crowd_lines(report: Report | None) -> list[CrowdLine]:
    """The crowds of a report with what is left out by now; shoppers that are gone are not named."""
    if report is None:
        return []
    crowds = report.facts["crowds"]
    products = product_get_many([one["target"] for one in crowds], language=reader_language())
    people = Shopper.objects.in_bulk({pk for one in crowds for pk in one["members"]})
    out = set(LeftOutShopper.objects.filter(shopper__in=people).values_list("shopper_id", flat=True))
    lines = []
    for place, one in enumerate(crowds):
        product = products.get(one["target"])
        members = [people[pk] for pk in one["members"] if pk in people]
        lines.append(
            CrowdLine(
                place=place,
                title=product.title if product else _("a product that is gone"),
                sku=product.sku if product else "",
                first=datetime.fromtimestamp(one["first"], UTC),
                last=datetime.fromtimestamp(one["last"], UTC),
                reasons=crowd_words(one["evidence"]),
                evidence=one["evidence"],
                members=members,
                out=sum(1 for member in members if member.pk in out),
            )
        )
    return lines


def chart_of(lines: list[CrowdLine]) -> Chart:
    """How strongly each crowd stands out."""
    return crowds_chart(crowds=[(line.title, len(line.members), line.evidence) for line in lines])


def _facts(request: HttpRequest) -> dict[str, Any]:
    report, running = report_last(kind=SHILLING), report_running(kind=SHILLING)
    last = next(iter(jobs_recent(kind=SHILLING, limit=1)), None)
    lines = crowd_lines(report)
    out = LeftOutShopper.objects.select_related("shopper", "left_out_by")
    may = can_change(request.user, "data")
    return {
        "report": report, "running": running, "lines": lines, "chart": chart_of(lines), "tab": "suspects",
        "failed": last if last is not None and last.status == "failed" else None,
        "percent": round(100 * running.progress) if running else 0,
        "seconds": job_seconds(running) if running else None,
        "left": job_eta_seconds(running) if running else None,
        "out": out[:LISTED], "out_count": out.count(), "may": may,
        "locked": "" if may else locked_reason("data"),
    }  # fmt: skip


@page
def suspects(request: HttpRequest) -> HttpResponse:
    """What was found last, who is left out, and the button to look again."""
    return show(request, "portal/data/suspects.html", title=_("Data"), **_facts(request))


@page
def suspects_state(request: HttpRequest) -> HttpResponse:
    """The part of the page that asks for itself again until the search is over."""
    facts = _facts(request)
    answer = show(request, "portal/data/suspects_state.html", **facts)
    if facts["running"] is None:
        answer["HX-Trigger"] = json.dumps({"jobs:changed": ""})
    return answer


@page
def suspects_csv(request: HttpRequest) -> HttpResponse:
    """The table behind the chart."""
    return csv_answer(chart_of(crowd_lines(report_last(kind=SHILLING))))


@action("data")
def suspects_look(request: HttpRequest) -> HttpResponse:
    """Queue a search."""
    job_enqueue(report_job_create(kind=SHILLING, requested_by=person(request)))
    return redirect("portal:suspects")


@action("data")
def suspects_leave(request: HttpRequest) -> HttpResponse:
    """Leave a crowd, or all of them, out of training."""
    lines = crowd_lines(report_last(kind=SHILLING))
    asked = request.POST.get("crowd", "")
    chosen = [line for line in lines if asked == "all" or str(line.place) == asked]
    if not chosen:
        raise NotFound(_("There is no such crowd."))
    count = 0
    for line in chosen:
        reason = _("Pushed %(product)s: %(why)s") % {"product": line.title, "why": " ".join(line.reasons)}
        members = [member.pk for member in line.members]
        if members:
            count += shoppers_leave_out(shoppers=members, by=person(request), reason=reason)
    text = ngettext(
        "%(n)s shopper is left out of training from the next snapshot on.",
        "%(n)s shoppers are left out of training from the next snapshot on.",
        count,
    )
    return done(request, "portal:suspects", text % {"n": count})


@action("data")
def suspects_back(request: HttpRequest) -> HttpResponse:
    """Learn from a shopper, from a crowd or from everybody again."""
    asked = request.POST.get("shopper", "")
    place = request.POST.get("crowd", "")
    if asked == "all":
        ids = list(LeftOutShopper.objects.values_list("shopper_id", flat=True))
    elif asked.isdecimal():
        ids = [int(asked)]
    elif place.isdecimal():
        lines = {str(line.place): line for line in crowd_lines(report_last(kind=SHILLING))}
        ids = [member.pk for member in lines[place].members] if place in lines else []
    else:
        raise InvalidInput(field="shopper", value=asked, remedy=_("Choose at least one shopper."))
    count = shoppers_take_back(shoppers=ids, by=person(request))
    text = ngettext(
        "%(n)s shopper teaches again from the next snapshot on.",
        "%(n)s shoppers teach again from the next snapshot on.",
        count,
    )
    return done(request, "portal:suspects", text % {"n": count})
