"""What would spoil an experiment, found before it starts.

A check says its code, how bad it is and the figures; the portal puts them in words (`checks.CHECK_TEXTS`
are the English ones). `stop` is also what a launch refuses, at the field named. Nothing here writes.
"""

import logging
from collections.abc import Iterator
from datetime import datetime, timedelta

import redis
from django.core.cache import cache

from apps.core import clock
from apps.core.errors import InvalidInput
from apps.experiments.checks import LaunchCheck
from apps.experiments.layers import free_words, placement_clash, slice_clash
from apps.experiments.models import Experiment, ExperimentKind, Variant, View
from apps.experiments.variants import SHARES_OFF, Blend
from apps.merchandising.blends import weights_parse
from apps.merchandising.models import Placement, Publication
from apps.merchandising.rules import rules_parse
from apps.merchandising.selectors import sources_known
from apps.metrics.feeds import metrics_fed
from apps.metrics.units import unit_metrics

logger = logging.getLogger(__name__)
WATCHED_KEY = "experiments:watched"
WATCH_STALE = timedelta(minutes=30)


def checks_design(experiment: Experiment) -> list[LaunchCheck]:
    """The quick checks: everything a launch refuses, and what else can be told without history."""
    variants = list(experiment.variants.prefetch_related("publications__publication"))
    placements = placements_of(experiment)
    return [
        *_shown(experiment, variants, placements),
        *_met(experiment, [one.pk for one in placements]),
        *_measured(experiment),
        *_run(experiment),
        _watched(),
    ]


def placements_of(experiment: Experiment) -> list[Placement]:
    """Where it is shown: a holdout on every placement."""
    if experiment.kind == ExperimentKind.HOLDOUT:
        rows = Placement.objects.filter(archived_at=None, live_publication__isnull=False)
    else:
        rows = experiment.placements.all()
    return list(rows.select_related("live_publication").order_by("id"))


def stop_raise(checks: list[LaunchCheck]) -> None:
    """InvalidInput for the first check that stops a launch."""
    for check in checks:
        if check.level == "stop":
            value = next(iter(check.params.values()), "")
            raise InvalidInput(field=check.field or check.code, value=value, remedy=check.text)


def watched_now(now: datetime) -> None:
    """Remember that experiments were watched; without a cache nobody knows, and nothing else suffers."""
    try:
        cache.set(WATCHED_KEY, now.timestamp(), int(WATCH_STALE.total_seconds()) * 2)
    except (redis.RedisError, OSError):
        logger.warning("the cache is away: experiments are watched, but can't say so")


# --- what is compared ---


def _shown(
    experiment: Experiment, variants: list[Variant], placements: list[Placement]
) -> Iterator[LaunchCheck]:
    yield (
        LaunchCheck("hypothesis", "ok")
        if experiment.hypothesis.strip()
        else LaunchCheck("hypothesis_none", "warn", field="hypothesis")
    )
    for one in placements:
        if one.archived_at is not None:
            yield LaunchCheck("placement_archived", "stop", {"placement": one.code}, "placements")
        elif one.live_publication is None:
            yield LaunchCheck("placement_empty", "stop", {"placement": one.code}, "placements")
    needs = (ExperimentKind.INTERLEAVING, ExperimentKind.SWITCHBACK, ExperimentKind.HOLDOUT)
    if not placements:
        if experiment.kind in needs:
            yield LaunchCheck("placements_none", "stop", field="placements")
        else:
            yield LaunchCheck("feature", "ok")
    control = next((one for one in variants if one.is_control), None)
    if len(variants) < 2:
        yield LaunchCheck("variants_few", "stop", field="variants")
    elif control is None:
        yield LaunchCheck("control_none", "stop", field="variants")
    elif abs(sum(one.share for one in variants) - 1) > SHARES_OFF:
        whole = round(sum(one.share for one in variants), 4)
        yield LaunchCheck("shares_sum", "stop", {"sum": whole}, "share")
    elif placements and experiment.kind != ExperimentKind.HOLDOUT:
        yield from _compared(variants, control, placements)


def _compared(
    variants: list[Variant], control: Variant, placements: list[Placement]
) -> Iterator[LaunchCheck]:
    """Control as it will be: what is live now."""
    rows = {one.pk: {row.placement_id: row.publication for row in one.publications.all()} for one in variants}
    content: dict[str, dict[int, str]] = {}
    broken = count = 0
    for variant in sorted(variants, key=lambda one: not one.is_control):
        for place in placements:
            live, made = place.live_publication, rows[control.pk].get(place.pk)
            shown = shown_at_launch(rows[variant.pk].get(place.pk), made, live, variant.is_control)
            if shown is None:
                broken += 1
                params = {"variant": variant.name, "placement": place.code}
                yield LaunchCheck("variant_incomplete", "stop", params, f"variants.{variant.code}.blends")
                continue
            for problem in _unreadable(variant, place, shown):
                broken += 1
                yield problem
            count += 1
            content.setdefault(variant.code, {})[place.pk] = Blend.of(shown).content(place)
            for source, version in shown.versions.items():
                params = {
                    "variant": variant.name,
                    "placement": place.code,
                    "source": source,
                    "version": version,
                }
                yield LaunchCheck("versions_pinned", "warn", params)
            if variant.is_control and made is not None and live is not None and made.pk != live.pk:
                moved = {"placement": place.code, "number": made.number, "live": live.number}
                yield LaunchCheck("live_moved", "warn", moved, "variants")
    names = {one.code: one.name for one in variants}
    equal = [
        (code, other)
        for at, code in enumerate(content)
        for other in list(content)[:at]
        if content[code] == content[other]
    ]
    for code, other in equal:
        params = {"variant": names[code], "other": names[other]}
        yield LaunchCheck("variant_equal", "stop", params, f"variants.{code}.blends")
    if not equal:
        yield LaunchCheck("variants_differ", "ok", {"count": len(variants)})
    if not broken:
        yield LaunchCheck("publications", "ok", {"count": count})


def shown_at_launch(
    stored: Publication | None, made_from: Publication | None, live: Publication | None, is_control: bool
) -> Publication | None:
    """What a variant shows once launched: control, and whoever showed just its publication, what is live."""
    if is_control or (stored is not None and made_from is not None and stored.pk == made_from.pk):
        return live
    return stored


def _unreadable(variant: Variant, place: Placement, shown: Publication) -> Iterator[LaunchCheck]:
    try:
        weights_parse(shown.weights, sources=sources_known(), kind=place.kind)
        rules_parse(shown.rules)
    except InvalidInput as error:
        params = {
            "variant": variant.name, "placement": place.code, "number": shown.number, "reason": error.remedy,
        }  # fmt: skip
        yield LaunchCheck("publication_unreadable", "stop", params, f"variants.{variant.code}.blends")


# --- who meets whom ---


def _met(experiment: Experiment, placement_ids: list[int]) -> Iterator[LaunchCheck]:
    clash = slice_clash(experiment)
    if clash is not None and experiment.kind == ExperimentKind.HOLDOUT:
        yield LaunchCheck("holdout_there", "stop", {"other": clash.name}, "kind")
    elif clash is not None:
        params = {
            "other": clash.name, "from": clash.layer_from, "to": clash.layer_to,
            "free": free_words(experiment.layer, besides=experiment),
        }  # fmt: skip
        yield LaunchCheck("slice_taken", "stop", params, "layer_from")
    else:
        params = {"from": experiment.layer_from, "to": experiment.layer_to, "layer": experiment.layer.name}
        yield LaunchCheck("slice_free", "ok", params)
    met = placement_clash(experiment, placement_ids)
    if met is not None and ExperimentKind.SWITCHBACK in (met.kind, experiment.kind):
        yield LaunchCheck("switchback_alone", "stop", {"other": met.name}, "placements")
    elif met is not None:
        yield LaunchCheck("placement_shared", "stop", {"other": met.name, "layer": met.layer.name}, "layer")


# --- what is measured ---


def _measured(experiment: Experiment) -> Iterator[LaunchCheck]:
    known = unit_metrics(archived=True)
    guarded = [str(one["metric"]) for one in experiment.guardrails]
    wanted = {"primary": [experiment.primary], "secondary": experiment.secondary, "guardrails": guarded}
    found = [code for codes in wanted.values() for code in codes if code in known]
    feeds = metrics_fed([known[code] for code in found])
    for name, codes in wanted.items():
        for code in codes:
            if code not in known:
                yield LaunchCheck("metric_unknown", "stop", {"metric": code}, name)
            elif not feeds[code].fed and name == "primary":
                params = {"metric": code, "days": feeds[code].days}
                yield LaunchCheck("primary_unfed", "stop", params, name)
            elif not feeds[code].fed:
                yield LaunchCheck("metric_unfed", "warn", {"metric": code, "days": feeds[code].days}, name)
            elif name == "primary":
                params = {"metric": code, "days": feeds[code].days, "events": feeds[code].numerator}
                yield LaunchCheck("primary_fed", "ok", params)
    if not guarded:
        yield LaunchCheck("guardrails_none", "warn", field="guardrails")
    elif not experiment.auto_rollback:
        yield LaunchCheck("guardrails_by_hand", "warn", field="auto_rollback")
    else:
        yield LaunchCheck("guardrails", "ok", {"count": len(guarded)})


# --- how long, and who watches ---


def _run(experiment: Experiment) -> Iterator[LaunchCheck]:
    if experiment.ends_at is not None:
        days = (experiment.ends_at - clock.now()).total_seconds() / 86_400
        if days <= 0:
            ends = experiment.ends_at.isoformat(timespec="minutes")
            yield LaunchCheck("end_past", "stop", {"ends_at": ends}, "ends_at")
        elif days < experiment.min_days:
            params = {"days": round(days, 1), "min_days": experiment.min_days}
            yield LaunchCheck("end_early", "warn", params, "ends_at")
    planned = {"planned_days": experiment.planned_days}
    if experiment.planned_days < experiment.min_days:
        yield LaunchCheck(
            "planned_short", "warn", {**planned, "min_days": experiment.min_days}, "planned_days"
        )
    elif experiment.planned_days % 7:
        yield LaunchCheck("weeks_broken", "warn", planned, "planned_days")
    if experiment.view == View.FIXED:
        yield LaunchCheck("fixed_peeking", "warn", field="view")
    if experiment.auto_ship:
        yield LaunchCheck("auto_ship", "warn", field="auto_ship")


def _watched() -> LaunchCheck:
    try:
        seen = cache.get(WATCHED_KEY)
    except (redis.RedisError, OSError):
        seen = None
    fresh = seen is not None and clock.now().timestamp() - seen < WATCH_STALE.total_seconds()
    return LaunchCheck("watch", "ok") if fresh else LaunchCheck("watch_silent", "warn")
