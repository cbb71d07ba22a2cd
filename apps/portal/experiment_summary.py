"""What launching an experiment will do, in sentences."""

from django.utils.translation import gettext as _

from apps.experiments.models import BUCKETS, Experiment, ExperimentKind
from apps.metrics.units import unit_metrics
from apps.portal import formats
from apps.portal.experiment_slices import layer_named
from apps.portal.templatetags.spoken import spoken
from apps.portal.words.experiments import percent_short, view_words


def summary_of(experiment: Experiment) -> list[str]:
    """The design in sentences, in the order of its steps."""
    return [
        one for one in (_shown(experiment), _who(experiment), _pace(experiment), *_judged(experiment)) if one
    ]


def _listed(parts: list[str]) -> str:
    return _(", ").join(parts)


def _shown(one: Experiment) -> str:
    variants = list(one.variants.all())
    places = _listed([spoken(place.name) for place in one.placements.all()])
    split = _listed(
        [_("%(share)s “%(name)s”") % {"share": percent_short(v.share), "name": v.name} for v in variants]
    )
    if one.kind == ExperimentKind.HOLDOUT:
        return _("On every placement: %(split)s.") % {"split": split}
    if not places:
        return _("The storefront shows: %(split)s.") % {"split": split}
    said = {
        "interleaving": _("On %(places)s the two rankings are dealt into one slate: %(split)s."),
        "switchback": _("On %(places)s the whole shop switches by the clock: %(split)s of the time."),
        "bandit": _("On %(places)s, to begin with: %(split)s of the shoppers; then more to what works."),
    }.get(one.kind, _("On %(places)s: %(split)s of the shoppers."))
    return said % {"places": places, "split": split}


def audience_words(one: Experiment) -> str:
    """Who takes part."""
    found = one.audience or {}
    parts = []
    if found.get("known") is not None:
        parts.append(_("known shoppers") if found["known"] else _("anonymous visitors"))
    if found.get("history"):
        parts.append(_("new shoppers") if found["history"] == "new" else _("returning shoppers"))
    parts += [_listed(found[name]) for name in ("regions", "languages", "devices") if found.get(name)]
    return _("; ").join(parts) if parts else _("everybody")


def _who(one: Experiment) -> str:
    who = _("Takes part: %(who)s.") % {"who": audience_words(one)}
    width = (one.layer_to - one.layer_from) / BUCKETS
    if width < 1:
        who += " " + _("Of them the slice of %(width)s that it holds in “%(layer)s”.") % {
            "width": percent_short(width),
            "layer": layer_named(one.layer),
        }
    return who


def _pace(one: Experiment) -> str:
    if one.kind == ExperimentKind.SWITCHBACK:
        return _("It may switch every %(minutes)s minutes.") % {"minutes": formats.number(one.slot_minutes)}
    if one.ramp:
        steps = " → ".join(percent_short(step) for step in one.ramp)
        return _("It starts with care: %(steps)s of the traffic, %(hours)s hours on each step.") % {
            "steps": steps,
            "hours": formats.number(one.ramp_hours),
        }
    if one.traffic < 1:
        return _("%(share)s of the traffic takes part.") % {"share": percent_short(one.traffic)}
    return ""


def _judged(one: Experiment) -> list[str]:
    known = unit_metrics(archived=True)

    def called(code: str) -> str:
        return str(known[code].label) if code in known else code

    said = [
        _(
            "“%(metric)s” decides; a change of %(mde)s is worth having. Planned: %(days)s, judged "
            "as “%(view)s”."
        )
        % {
            "metric": called(one.primary),
            "mde": percent_short(one.mde),
            "days": formats.days(one.planned_days),
            "view": view_words(one.view),
        }
    ]
    if one.guardrails:
        guards = [
            _("%(metric)s (at most %(margin)s worse)")
            % {"metric": called(row["metric"]), "margin": percent_short(row["margin"])}
            for row in one.guardrails
        ]
        end = (
            _("A failure rolls it back by itself.") if one.auto_rollback else _("A failure is only reported.")
        )
        said.append(_("Guarded: %(guards)s. %(end)s") % {"guards": _listed(guards), "end": end})
    if one.auto_ship:
        said.append(_("The winner is published by itself."))
    return said
