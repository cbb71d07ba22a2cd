"""Reports on a model as its page shows them: what can be tested, what was found, in words and charts."""

from dataclasses import dataclass

from django.utils.translation import gettext as _

from apps.jobs.models import Job
from apps.portal.charts.chart import Chart
from apps.portal.charts.reports import (
    DAMAGES,
    WAYS,
    cost_chart,
    days_chart,
    forgetting_chart,
    in_order,
    robustness_chart,
)
from apps.portal.words.reports import report_title, robustness_words, updates_words
from apps.training.models import Recipe
from apps.training.reports import DAYS_DEFAULT, ROBUSTNESS, UPDATES, Report, report_last, report_running

KINDS = {"robustness": ROBUSTNESS, "updates": UPDATES}
TOLD = 4
DAYS = (7, DAYS_DEFAULT, 30)


@dataclass(frozen=True, slots=True)
class ReportCard:
    """A kind of report on a recipe's page: the one that is being made, the last one, and what it said."""

    slug: str
    title: str
    text: str
    running: Job | None
    last: Report | None
    sentences: list[str]
    days: tuple[int, ...] = ()


def report_cards(recipe: Recipe) -> list[ReportCard]:
    """What can be tested about a recipe, and what was found last."""
    texts = {
        "robustness": _(
            "Trains it again on data of which up to two fifths is wrong, missing or fake, and judges it on "
            "the untouched test days: thirteen fits."
        ),
        "updates": _(
            "Lives through past days: trained anew every day, going on from yesterday's model, refreshing "
            "histories only, or left as it was. Compares quality, seconds and what is forgotten."
        ),
    }
    cards = []
    for slug, kind in KINDS.items():
        last = report_last(kind=kind, recipe=recipe)
        cards.append(
            ReportCard(
                slug=slug,
                title=report_title(kind),
                text=texts[slug],
                running=report_running(kind=kind, recipe=recipe),
                last=last,
                sentences=sentences_of(last)[:TOLD] if last else [],
                days=DAYS if kind == UPDATES else (),
            )
        )
    return cards


def sentences_of(report: Report) -> list[str]:
    """What a report found, in words."""
    tell = robustness_words if report.job.kind == ROBUSTNESS else updates_words
    return tell(report.facts)


def charts_of(report: Report) -> list[Chart]:
    """The charts of a report."""
    facts = report.facts
    if report.job.kind == ROBUSTNESS:
        return [robustness_chart(curves=in_order(facts["curves"], DAMAGES), variant=facts["variant"])]
    ways = in_order(facts["ways"], WAYS)
    return [days_chart(days=facts["days"], ways=ways), cost_chart(ways=ways), forgetting_chart(ways=ways)]
