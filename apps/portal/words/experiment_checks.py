"""What is checked before a launch, in the reader's words, each with the step of the design that mends it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _

from apps.accounts.selectors import shop_settings_get
from apps.experiments.checks import CHECK_TEXTS, LaunchCheck
from apps.experiments.layers import slices_free
from apps.experiments.models import Experiment
from apps.metrics.units import unit_metrics
from apps.portal import formats
from apps.portal.experiment_slices import layer_named
from apps.portal.templatetags.spoken import spoken
from apps.portal.words.experiments import percent_short
from apps.portal.words.sources import sources_named

ICONS = {"ok": ("check_circle", "good"), "warn": ("warning", "warn"), "stop": ("block", "bad")}
PERCENTS = frozenset({"mde", "seen", "share", "high"})
SLICES = frozenset({"from", "to"})
# The part of the design that a field is on.
STEP_OF: Mapping[str, str] = {
    "hypothesis": "idea",
    "kind": "idea",
    "name": "idea",
    "placements": "variants",
    "variants": "variants",
    "share": "variants",
    "layer": "audience",
    "layer_from": "audience",
    "layer_to": "audience",
    "traffic": "audience",
    "ramp": "audience",
    "triggered": "audience",
}


@dataclass(frozen=True, slots=True)
class CheckLine:
    """A check in words. step: where it is mended, "" where nothing is to be done."""

    code: str
    level: str
    words: str
    icon: str
    tone: str
    step: str


def check_lines(experiment: Experiment, checks: Sequence[LaunchCheck]) -> list[CheckLine]:
    """The checks in words, what stops a launch first."""
    order = ("stop", "warn", "ok")
    metrics = unit_metrics(archived=True)
    places = {one.code: spoken(one.name) for one in experiment.placements.all()}
    sources = sources_named()

    def value(name: str, one: Any) -> str:
        if name == "metric" and one in metrics:
            return str(metrics[one].label)
        if name == "placement":
            return places.get(one, str(one))
        if name == "source" and one in sources:
            return sources[one].name
        if name == "layer" and one == experiment.layer.name:
            return layer_named(experiment.layer)
        if name == "free":
            return free_told(experiment)
        return figure(name, one)

    lines = [
        CheckLine(
            one.code,
            one.level,
            _(CHECK_TEXTS[one.code]) % {name: value(name, part) for name, part in one.params.items()},
            *ICONS[one.level],
            step=step_of(one.field) if one.level != "ok" else "",
        )
        for one in checks
    ]
    return sorted(lines, key=lambda line: order.index(line.level))


def step_of(field: str) -> str:
    """The step that a field of the design is on; "" for no field."""
    if not field:
        return ""
    return STEP_OF.get(field.partition(".")[0], "metrics")


def figure(name: str, value: Any) -> str:
    """A figure as its name asks."""
    if value is None:
        return formats.NO_DATA
    if name in SLICES:
        return formats.percent(value / 10_000, 0 if value % 100 == 0 else 2)
    if name in PERCENTS:
        return percent_short(round(value, 3))
    if name == "ends_at":
        return formats.moment(parse_datetime(value), shop_settings_get().time_zone)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    return formats.number(value, 0 if value == round(value) else 1)


def free_told(experiment: Experiment) -> str:
    """What is free of the experiment's layer."""
    free = slices_free(experiment.layer, besides=experiment)
    if not free:
        return _("Nothing is free in it.")
    told = [
        _("%(from)s to %(to)s") % {"from": figure("from", start), "to": figure("to", end)}
        for start, end in free
    ]
    return _("Free: %(slices)s.") % {"slices": _(", ").join(told)}
