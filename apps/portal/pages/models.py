"""Models: the recipes behind the sources, what is live of each, and retraining."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _

from apps.core.errors import NotFound, RecoPortalError
from apps.jobs.queue import job_enqueue
from apps.portal.access import can_change, locked_reason, person
from apps.portal.charts.chart import Chart
from apps.portal.charts.learning_curve import learning_curve
from apps.portal.charts.versions import VersionPoint, versions_chart
from apps.portal.forms.recipe import RecipeForm
from apps.portal.model_lines import (
    MEASURES,
    PROTOCOLS,
    Cell,
    RecipeLine,
    VersionColumn,
    recipe_line,
    recipe_lines,
    run_lines,
    version_columns,
)
from apps.portal.model_page import (
    cost_rows,
    examples,
    figure_rows,
    importance_rows,
    leading,
    segment_rows,
    settings_told,
)
from apps.portal.pages.shell import action, csv_answer, done, page, show
from apps.portal.report_cards import report_cards
from apps.portal.words.sources import family_name, sources_named
from apps.training.config_fields import config_fields
from apps.training.gate import rule_of
from apps.training.models import ModelVersion, Recipe, VersionStatus
from apps.training.recipes import config_check, recipe_update
from apps.training.runs import run_create, runs_create
from apps.training.selectors import recipes_list, runs_recent, versions_of
from apps.training.study_figures import studies_of


def protocol_of(request: HttpRequest, usual: str = "new") -> str:
    """Which protocol the figures are on: "new" (products the shopper had not bought) or "all"."""
    asked = request.GET.get("protocol", "")
    return asked if asked in PROTOCOLS else usual


@page
def models(request: HttpRequest) -> HttpResponse:
    """Every recipe with what is live, a chart of the live versions, and the latest runs."""
    lines, protocol = recipe_lines(), protocol_of(request)
    may = can_change(request.user, "models")
    used, more, archived = grouped(lines)
    return show(
        request, "portal/models/page.html", title=_("Models"), lines=used, more=more, archived=archived,
        protocol=protocol, may=may,
        locked="" if may else locked_reason("models"), chart=live_chart(lines, protocol),
        runs=run_lines(runs_recent(limit=10)), busy=any(line.running for line in used),
    )  # fmt: skip


def grouped(lines: list[RecipeLine]) -> tuple[list[RecipeLine], list[RecipeLine], list[RecipeLine]]:
    """Recipes in use (or in training), those that wait to be switched on, and the archived ones."""
    used = [line for line in lines if line.in_use or line.running]
    rest = [line for line in lines if not (line.in_use or line.running)]
    more = [line for line in rest if line.recipe.archived_at is None]
    return used, more, [line for line in rest if line.recipe.archived_at is not None]


@page
def models_lines(request: HttpRequest) -> HttpResponse:
    """The recipes' table alone; it asks for itself again while something trains."""
    lines = grouped(recipe_lines())[0]
    return show(
        request, "portal/models/recipes.html", lines=lines, protocol=protocol_of(request),
        may=can_change(request.user, "models"), busy=any(line.running for line in lines),
    )  # fmt: skip


@page
def models_csv(request: HttpRequest) -> HttpResponse:
    """The table behind the chart of live versions."""
    return csv_answer(live_chart(recipe_lines(), protocol_of(request)))


def live_chart(lines: list[RecipeLine], protocol: str) -> Chart:
    """NDCG@10 of what is live, with intervals, in the sources' colours."""
    points = [
        VersionPoint(
            f"{line.source.name} v{line.live.number}",
            line.source.color,
            True,
            found.value,
            found.low,
            found.high,
            line.source.texture,
        )
        for line in lines
        if line.live and (found := line.figures[protocol])
    ]
    sentence = (
        _("How well each live source alone ranks products that shoppers went on to buy for the first time.")
        if protocol == "new"
        else _("How well each live source alone ranks whatever shoppers went on to buy, repeats included.")
    )
    return versions_chart(
        key=f"live-sources-{protocol}",
        title=_("Live sources compared"),
        measure="NDCG@10",
        points=points,
        sentence=sentence + " " + _("Whiskers are 95% intervals; overlapping ones may not differ at all."),
    )


def recipe_get(code: str) -> Recipe:
    """The recipe with its live version; NotFound when there is none of this code."""
    recipe = recipes_list().filter(code=code).first()
    if recipe is None:
        raise NotFound(_("There is no recipe “%(code)s”.") % {"code": code})
    return recipe


@page
def recipe(request: HttpRequest, code: str) -> HttpResponse:
    """One recipe: its versions side by side and its runs."""
    found = recipe_get(code)
    # a family for repeat purchases has nothing to say of first ones
    protocol = protocol_of(request, "new" if "new" in rule_of(found.family).protocols else "all")
    runs = list(runs_recent(recipe=found, limit=10))
    line = recipe_line(found, runs[0] if runs else None)
    versions = list(versions_of(recipe=found, limit=8))
    columns = version_columns(versions, protocol)
    may = can_change(request.user, "models")
    return show(
        request, "portal/models/recipe.html", title=line.source.name, line=line,
        columns=columns, rows=measure_rows(columns), protocol=protocol, may=may,
        runs=run_lines(runs), locked="" if may else locked_reason("models"),
        studies=studies_of(recipe=found), family=family_name(found.family),
        reports=report_cards(found), costs=cost_rows(versions, protocol),
        settings=settings_told(config_of(found), found.family),
        **live_told(versions, protocol),
    )  # fmt: skip


def config_of(found: Recipe) -> dict[str, Any]:
    """Every setting the recipe's next run would use."""
    return config_check(family=found.family, preset=found.preset, config=found.config)


def live_told(versions: list[ModelVersion], protocol: str) -> dict[str, Any]:
    """Figures, segments, curve and examples of the live version, or of the newest where none is live."""
    shown = next((one for one in versions if one.status == VersionStatus.LIVE), None)
    shown = shown or (versions[0] if versions else None)
    if shown is None:
        return {}
    history = shown.run.history if shown.run else []
    return {
        "shown": shown, "figures": figure_rows(shown), "segments": segment_rows(shown, protocol),
        "examples": examples(shown), "importance": importance_rows(shown), "leading": leading(shown),
        "curve": learning_curve(history=history),
    }  # fmt: skip


def measure_rows(columns: list[VersionColumn]) -> list[tuple[str, list[Cell]]]:
    """The comparison turned round: a measure a row, a version a column."""
    return [
        (title, [column.cells[place] for column in columns]) for place, (_code, title) in enumerate(MEASURES)
    ]


@page
def recipe_edit(request: HttpRequest, code: str) -> HttpResponse:
    """The recipe's settings; read-only for those who may not change models."""
    found = recipe_get(code)
    return _edit_page(request, found, RecipeForm(recipe=found, settings=config_fields(found.family)))


def _edit_page(request: HttpRequest, found: Recipe, form: RecipeForm) -> HttpResponse:
    locked = "" if can_change(request.user, "models") else locked_reason("models")
    if locked:
        form.lock()
    source = sources_named()[found.code]
    title = _("Settings of %(name)s") % {"name": source.name}
    return show(
        request, "portal/models/edit.html", title=title, form=form, recipe=found, source=source, locked=locked
    )


@action("models")
def recipe_save(request: HttpRequest, code: str) -> HttpResponse:
    """Store the recipe's settings; the next run uses them."""
    found = recipe_get(code)
    form = RecipeForm(request.POST, recipe=found, settings=config_fields(found.family))
    if not form.is_valid():
        return _edit_page(request, found, form)
    try:
        recipe_update(recipe=found, changes=form.changes(), by=person(request))
    except RecoPortalError as error:
        form.take(error)
        return _edit_page(request, found, form)
    text = _("Saved. The next run of %(name)s uses it.") % {"name": sources_named()[code].name}
    return done(request, "portal:recipe", text, code)


@action("models")
def retrain(request: HttpRequest, code: str) -> HttpResponse:
    """Queue a run of one recipe and go to it."""
    promote = request.POST.get("promote", "1") == "1"
    run = run_create(recipe=recipe_get(code), requested_by=person(request), auto_promote=promote)
    job_enqueue(run.job)
    return redirect("portal:run", run.pk)


@action("models")
def retrain_all(request: HttpRequest) -> HttpResponse:
    """Queue a run of every recipe in use, all on one snapshot."""
    runs = runs_create(recipes=recipes_list(active_only=True), requested_by=person(request))
    for run in runs:
        job_enqueue(run.job)
    text = _("%(n)s runs are queued.") % {"n": len(runs)} if runs else _("Everything is in training already.")
    return done(request, "portal:models", text)
