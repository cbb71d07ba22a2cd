"""Analyse a file: units from anywhere, judged as an experiment of the shop is. Nothing of it is kept."""

import base64
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _

from apps.core.errors import RecoPortalError
from apps.experiments.file_options import FileMetric
from apps.experiments.file_preview import ColumnFacts, columns_look, guess
from apps.experiments.results import Analysis
from apps.experiments.summary_files import analyse_summary
from apps.experiments.tables import CONTENT_TYPES, Table, daily_table, results_table, segments_table
from apps.experiments.unit_files import FileAnalysis, analyse_file
from apps.portal.charts.chart import Chart
from apps.portal.experiment_days import day_charts, metric_chosen, segments_shown
from apps.portal.experiment_health import checks_of, srm_shown
from apps.portal.experiment_results import Faces, effects_drawn, groups_of, told_notes, verdict_shown
from apps.portal.forms.experiment_file import (
    METRICS_MOST,
    FileForm,
    MappingForm,
    MetricForm,
    mapping_initial,
    metric_forms,
    metric_forms_posted,
)
from apps.portal.pages.shell import page, show
from apps.portal.words.experiments import Names, view_meaning, view_words

PAGE = "portal/experiments/files.html"
MAPPING = "portal/experiments/files_mapping.html"
RESULTS = "portal/experiments/files_results.html"


@page
def experiment_files(request: HttpRequest) -> HttpResponse:
    """The page with nothing chosen yet."""
    return show(request, PAGE, title=_("Analyse a file"), form=FileForm())


@contextmanager
def _on_disk(file: UploadedFile) -> Iterator[Path]:
    """The upload as a file with its own suffix, gone again afterwards."""
    suffix = "".join(Path(file.name or "").suffixes[-2:])[-16:]
    with tempfile.NamedTemporaryFile(prefix="units-", suffix=suffix) as kept:
        for chunk in file.chunks():
            kept.write(chunk)
        kept.flush()
        yield Path(kept.name)


def _mapping(
    request: HttpRequest,
    columns: list[ColumnFacts],
    form: MappingForm,
    metrics: list[MetricForm],
    **more: Any,
) -> HttpResponse:
    full = len(metrics) >= METRICS_MOST
    answer = show(request, MAPPING, mapping=form, metrics=metrics, columns=columns, full=full, **more)
    answer["HX-Retarget"] = "#file-mapping"
    return answer


@page
def experiment_files_columns(request: HttpRequest) -> HttpResponse:
    """What the file's columns are likely to be; what was chosen already stays."""
    if request.method != "POST":
        return redirect("portal:experiment_files")
    form = FileForm(request.POST, request.FILES)
    if not form.is_valid():
        return show(request, MAPPING, form=form)
    try:
        with _on_disk(form.cleaned_data["file"]) as path:
            columns = columns_look(path)
    except RecoPortalError as error:
        form.take(error)
        return show(request, MAPPING, form=form)
    found = guess(columns)
    if "control" not in request.POST:
        start = MappingForm(columns=columns, initial=mapping_initial(found))
        metrics = [] if start.summary else metric_forms(columns, found)
        return _mapping(request, columns, start, metrics)
    return _mapping(request, columns, *_kept(request, columns))


def _kept(request: HttpRequest, columns: list[ColumnFacts]) -> tuple[MappingForm, list[MetricForm]]:
    """The choices made so far as fresh forms, with one more row of a metric if asked."""
    said: dict[str, Any] = {name: request.POST.get(name, "") for name in MappingForm.base_fields}
    said["segments"] = request.POST.getlist("segments")
    metrics = [
        MetricForm(
            initial={name: one.data.get(one.add_prefix(name), "") for name in one.fields},
            prefix=one.prefix,
            columns=columns,
        )
        for one in metric_forms_posted(request.POST, columns)
    ]
    if request.POST.get("more") and len(metrics) < METRICS_MOST:
        metrics.append(MetricForm(prefix=f"m{len(metrics)}", columns=columns))
    return MappingForm(columns=columns, initial=said), metrics


@page
def experiment_files_analyse(request: HttpRequest) -> HttpResponse:
    """Analyse the file by the columns chosen."""
    if request.method != "POST":
        return redirect("portal:experiment_files")
    file = FileForm(request.POST, request.FILES)
    if not file.is_valid():
        return _retargeted(show(request, MAPPING, form=file))
    try:
        with _on_disk(file.cleaned_data["file"]) as path:
            return _analysed(request, path, file.cleaned_data["file"].name)
    except RecoPortalError as error:
        file.take(error)
        return _retargeted(show(request, MAPPING, form=file))


def _retargeted(answer: HttpResponse) -> HttpResponse:
    answer["HX-Retarget"] = "#file-mapping"
    return answer


def _analysed(request: HttpRequest, path: Path, name: str) -> HttpResponse:
    columns = columns_look(path)
    form = MappingForm(request.POST, columns=columns)
    metrics = metric_forms_posted(request.POST, columns)
    # Every form is looked at, so that all that is wrong is said at once.
    if not all([form.is_valid(), *(one.is_valid() for one in metrics)]):
        return _mapping(request, columns, form, metrics, wrong=True)
    wanted = [found for one in metrics if (found := one.metric()) is not None]
    try:
        done = _done(path, form, wanted)
    except RecoPortalError as error:
        form.take(error)
        return _mapping(request, columns, form, metrics, wrong=True)
    return show(request, RESULTS, **results_shown(done, name))


def _done(path: Path, form: MappingForm, wanted: list[FileMetric]) -> FileAnalysis:
    options = form.options(wanted)
    if not form.summary:
        return analyse_file(path, options)
    return next(iter(analyse_summary(path, options).values()))


@dataclass(frozen=True, slots=True)
class Download:
    """A file that stands in the page itself, since nothing is kept."""

    title: str
    name: str
    address: str


def _download(title: str, name: str, content: bytes, kind: str) -> Download:
    return Download(title, name, f"data:{kind};base64,{base64.b64encode(content).decode()}")


def _downloads(analysis: Analysis) -> list[Download]:
    tables: list[Table] = [results_table(analysis)]
    tables += [table for table in (daily_table(analysis), segments_table(analysis)) if table.rows]
    titles = {"results": _("Results"), "daily": _("By day"), "segments": _("Segments")}
    files = [
        _download(
            f"{titles[table.name]} ({label})", f"{table.name}.{kind}", table.write(kind), CONTENT_TYPES[kind]
        )
        for table in tables
        for kind, label in (("csv", "CSV"), ("parquet", "Parquet"))
    ]
    whole = orjson.dumps(analysis.as_json(), option=orjson.OPT_INDENT_2)
    return [*files, _download(_("Everything (JSON)"), "analysis.json", whole, "application/json")]


def results_shown(done: FileAnalysis, name: str) -> dict[str, Any]:
    """What the results of a file show: the same parts as an experiment's page."""
    analysis = done.analysis
    kinds = {one.code: "percent" if one.kind == "proportion" else "decimal" for one in analysis.metrics}
    faces = Faces(Names(), kinds)
    view = analysis.view
    metric = metric_chosen("", analysis)
    days: list[Chart] = []
    if metric is not None and analysis.days.get(metric.code):
        days = day_charts(analysis, metric, faces, view)
    segments = segments_shown(analysis, metric.code, faces, view) if metric and analysis.segments else None
    charts = [effects_drawn(analysis, faces, view), *days, *([segments.chart] if segments else [])]
    return {
        "file_name": name,
        "summary": done.summary,
        "analysis": analysis,
        "verdict": verdict_shown(analysis, faces),
        "remarks": told_notes(analysis.warnings, faces),
        "groups": groups_of(analysis.metrics, faces, view),
        "several": len(analysis.srm.expected) > 2,
        "view": view,
        "view_name": view_words(view),
        "meaning": view_meaning(view),
        "control_name": analysis.control,
        "srm": srm_shown(analysis, faces),
        "checks": checks_of(analysis, faces),
        "segments": segments,
        "drawn": [(chart, _chart_address(chart)) for chart in charts],
        "downloads": _downloads(analysis),
    }


def _chart_address(chart: Chart) -> str:
    text = base64.b64encode(("\ufeff" + chart.csv()).encode()).decode()
    return f"data:text/csv;charset=utf-8;base64,{text}"
