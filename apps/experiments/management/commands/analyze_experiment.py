"""`manage.py analyze_experiment`: analyse any experiment's units, or cumulative summaries, from a file."""

from __future__ import annotations

import json
from argparse import RawDescriptionHelpFormatter
from dataclasses import replace
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.core.errors import InvalidInput
from apps.experiments.file_options import (
    KINDS,
    FileMetric,
    FileOptions,
    metric_parse,
    number_parse,
    pairs_parse,
    shares_parse,
)
from apps.experiments.file_reports import report_text, reports_json
from apps.experiments.summary_files import analyse_summary
from apps.experiments.unit_files import FileAnalysis, analyse_file

DESCRIPTION = f"""\
Analyses an experiment from a file: sample ratio, Welch, always-valid and Bayesian intervals, CUPED,
corrections, segments, novelty, and a verdict with its reasons. Needs no database.

Units (CSV, gzipped CSV or Parquet): one row for each unit, or several (they are added up).

  manage.py analyze_experiment --csv units.csv --unit user --variant group --control A \\
      --metric bought:proportion --metric spent:revenue --metric ctr:ratio=clicks/views --json

KIND is one of {KINDS}.
NAME is the column, but for a ratio. Revenue is winsorised at the 99th percentile of the positive values
(--winsorise). The first metric decides; the others are secondary, or guardrails (--guardrail).

Summaries (--summary): cumulative counts, means and variances. Long: one row for each variant and metric,
columns --variant, metric, count, mean (or sum), variance (or sd, sum_squares), for a ratio also
mean_denominator, variance_denominator, covariance; optionally a time (time_since_start, day, date, time, or
--date) and experiment. Side by side, as in the ASOS data set: experiment_id, variant_id, metric_id,
time_since_start, count_c, count_t, mean_c, mean_t, variance_c, variance_t. The last time is the result, all
of them the path.

  manage.py analyze_experiment --csv experiments.csv.gz --summary --experiment 036afc --json

With --json the last line is one JSON object. Exit code 1: the file or an option can't be used, said why.
"""
JSON_HELP = "print one JSON object: srm, metrics, verdict, warnings and more"


class Command(BaseCommand):
    """Analyse a file; nothing is stored."""

    help = "Analyses an experiment's units, or summaries, from a file."
    requires_system_checks: list[str] = []
    requires_migrations_checks = False

    def add_arguments(self, parser: CommandParser) -> None:
        """The file, its columns, and how to judge."""
        parser.formatter_class = RawDescriptionHelpFormatter
        parser.description = DESCRIPTION
        add = parser.add_argument
        add("--csv", required=True, metavar="FILE", help="CSV, gzipped CSV or Parquet")
        add("--unit", default="", metavar="COL", help="the column of the unit (shopper, session, …)")
        add("--variant", default="", metavar="COL", help="the column of the variant")
        add("--control", default="", metavar="VALUE", help="the variant that is the control")
        add("--metric", action="append", default=[], metavar="NAME:KIND", help="a metric; the first decides")
        add("--summary", action="store_true", help="the file holds counts, means and variances, not units")
        add("--expected", metavar="A=0.5,B=0.5", help="expected shares (default: equal)")
        add("--covariate", action="append", default=[], metavar="NAME=COL", help="a column for CUPED")
        add("--segment", action="append", default=[], metavar="COL", help="a column to split the results by")
        add("--date", default="", metavar="COL", help="the column with the day of the row")
        add(
            "--guardrail",
            action="append",
            default=[],
            metavar="NAME=MARGIN",
            help="a metric that may lose that share",
        )
        add(
            "--lower-is-better",
            action="append",
            default=[],
            metavar="NAME",
            help="a metric where less is better",
        )
        add("--experiment", default="", metavar="ID", help="which experiment of a file of summaries")
        add("--alpha", default="0.05", help="default 0.05")
        add("--correction", choices=("none", "holm", "bh"), default="holm", help="for several comparisons")
        add(
            "--view",
            choices=("sequential", "fixed", "bayes"),
            default="sequential",
            help="what the verdict follows",
        )
        add("--winsorise", default="0.99", metavar="SHARE", help="cap revenue at this percentile, or none")
        add("--mde", metavar="SHARE", help="the relative change of the first metric worth having")
        add("--prior-sd", metavar="SD", help="of a normal prior of relative changes (default: flat)")
        add("--min-days", default="7", help="no verdict before (with dates; default 7)")
        add("--min-units", default="150", help="no verdict with fewer units in an arm (default 150)")
        add("--planned-days", metavar="DAYS", help="the planned run, after which no clear effect means no")
        add("--path", action="store_true", help="put the effects through time into the JSON")
        add("--json", action="store_true", help=JSON_HELP)

    def handle(self, *args: Any, **options: Any) -> None:
        """Analyse and print."""
        try:
            done = self.analyse(options)
        except InvalidInput as error:
            if options["json"]:
                told = {"field": error.field, "value": error.value, "remedy": error.remedy}
                self.stdout.write(json.dumps({"error": told}))
            raise CommandError(f"--{error.field.replace('_', '-')}: {error.value}: {error.remedy}") from error
        if options["json"]:
            self.stdout.write(json.dumps(reports_json(done, path=options["path"]), allow_nan=False))
            return
        for name, one in done.items():
            self.stdout.write("\n".join([*report_text(name, one), ""]))

    def analyse(self, options: dict[str, Any]) -> dict[str, FileAnalysis]:
        """The analysis of each experiment of the file. Raises InvalidInput."""
        chosen = _options(options)
        path = Path(options["csv"])
        if options["summary"]:
            return analyse_summary(path, chosen)
        for name in ("unit", "variant", "control"):
            if not options[name]:
                remedy = "Say it, or give --summary for a file of counts, means and variances."
                raise InvalidInput(field=name, value="missing", remedy=remedy)
        return {"": analyse_file(path, chosen)}


def _options(options: dict[str, Any]) -> FileOptions:
    """The command line as options of the analysis. Raises InvalidInput."""
    winsorise = options["winsorise"]
    return FileOptions(
        unit=options["unit"],
        variant=options["variant"],
        control=options["control"],
        metrics=_metrics(options),
        expected=None if options["expected"] is None else shares_parse(options["expected"]),
        segments=tuple(options["segment"]),
        date=options["date"],
        alpha=number_parse(options["alpha"], field="alpha"),
        correction=options["correction"],
        view=options["view"],
        winsorise=None if winsorise == "none" else number_parse(winsorise, field="winsorise"),
        min_days=number_parse(options["min_days"], field="min_days"),
        min_units=int(number_parse(options["min_units"], field="min_units")),
        mde=_number(options, "mde"),
        planned_days=_number(options, "planned_days"),
        prior_sd=_number(options, "prior_sd"),
        experiment=options["experiment"],
    )


def _number(options: dict[str, Any], name: str) -> float | None:
    return None if options[name] is None else number_parse(options[name], field=name)


def _metrics(options: dict[str, Any]) -> tuple[FileMetric, ...]:
    """The metrics with their covariates, margins and senses. Raises InvalidInput for an unknown name."""
    metrics = {metric.name: metric for metric in map(metric_parse, options["metric"])}
    if len(metrics) < len(options["metric"]):
        raise InvalidInput(
            field="metric", value=" ".join(options["metric"]), remedy="Give each metric a name of its own."
        )
    covariates = pairs_parse(options["covariate"], field="covariate", example="spent=spent_before")
    margins = pairs_parse(options["guardrail"], field="guardrail", example="margin=0.02")
    lower = options["lower_is_better"]
    for field, names in (("covariate", covariates), ("guardrail", margins), ("lower_is_better", lower)):
        for name in names:
            if name not in metrics:
                remedy = f"There is no such --metric. There is: {', '.join(metrics) or 'none'}."
                raise InvalidInput(field=field, value=name, remedy=remedy)
    for name, column in covariates.items():
        if metrics[name].kind == "quantile":
            raise InvalidInput(field="covariate", value=name, remedy="CUPED does not work on quantiles.")
        metrics[name] = replace(metrics[name], covariate=column)
    for name, text in margins.items():
        margin = number_parse(text, field="guardrail")
        if not 0 <= margin < 1:
            raise InvalidInput(
                field="guardrail", value=f"{name}={text}", remedy="A margin lies from 0 to below 1."
            )
        metrics[name] = replace(metrics[name], margin=margin)
    for name in lower:
        metrics[name] = replace(metrics[name], higher_is_better=False)
    return tuple(metrics.values())
