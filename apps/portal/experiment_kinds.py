"""What bandits, interleavings and switchbacks show besides the figures of every experiment."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

from django.utils.translation import gettext as _

from apps.accounts.selectors import shop_settings_get
from apps.experiments.models import Experiment, ExperimentKind
from apps.experiments.results import Analysis
from apps.experiments.selectors import shares_by_time as shares_read
from apps.experiments.stats import sequential
from apps.portal import formats
from apps.portal.charts.chart import Chart
from apps.portal.charts.experiment_days import shares_by_time
from apps.portal.experiment_page import readout_of
from apps.portal.experiment_results import Faces, VerdictShown
from apps.portal.words.experiments import p_value, verdict_meaning, verdict_words

ALPHA = 0.05
EVEN = 0.5
"""The share of preferences at which neither ranking is preferred."""


@dataclass(frozen=True, slots=True)
class Fact:
    """One figure with its name."""

    title: str
    value: str
    fine: str = ""


@dataclass(frozen=True)
class KindPanel:
    """A panel above the figures."""

    title: str
    text: str
    facts: list[Fact] = field(default_factory=list)
    sentences: list[str] = field(default_factory=list)
    charts: list[Chart] = field(default_factory=list)
    verdict: VerdictShown | None = None


def kind_panel(experiment: Experiment, analysis: Analysis, faces: Faces) -> KindPanel | None:
    """The panel of the experiment's kind; None for a plain A/B test, and before there is anything to show."""
    readout = readout_of(experiment)
    stored: Mapping[str, Any] = readout.analysis if readout else {}
    match experiment.kind:
        case ExperimentKind.BANDIT:
            return _bandit(experiment, faces)
        case ExperimentKind.INTERLEAVING if stored.get("interleaving"):
            return _interleaving(experiment, stored["interleaving"], faces, analysis)
        case ExperimentKind.SWITCHBACK if stored.get("switchback"):
            return _switchback(experiment, stored["switchback"], faces, analysis)
    return None


def _bandit(experiment: Experiment, faces: Faces) -> KindPanel:
    zone = ZoneInfo(shop_settings_get().time_zone)
    shares = []
    for event, found in shares_read(experiment=experiment):
        at = event.at.astimezone(zone).strftime("%Y-%m-%dT%H:%M:%S")
        # In the variants' own order, control first, however the log keeps them.
        known = [code for code in faces.names.variants if code in found]
        shares.append((at, {faces.names.variant(code): found[code] for code in known}))
    return KindPanel(
        title=_("Where the traffic went"),
        text=_(
            "A bandit gives more shoppers to what earns more while it runs. Its figures are put together "
            "from the periods between moves, so that moving traffic does not bend them; its intervals are "
            "wider than those of an even split."
        ),
        charts=[shares_by_time(key="shares", shares=shares)],
    )


def _interleaving(
    experiment: Experiment, stored: Mapping[str, Any], faces: Faces, analysis: Analysis
) -> KindPanel:
    found, sensitivity = stored["preference"], stored.get("sensitivity")
    new = next((code for code in analysis.srm.expected if code != analysis.control), "")
    name = {"variant": faces.names.variant(new), "control": faces.names.variant(analysis.control)}
    share, (low, high, p) = found.get("share"), _always_valid(found, analysis.alpha)
    range_words = ""
    if low is not None and high is not None:
        ends = {"low": formats.percent(low), "high": formats.percent(high)}
        range_words = _("%(low)s to %(high)s") % ends
    facts = [
        Fact(_("Preferences for %(variant)s") % name, formats.percent(share), range_words),
        Fact(_("Shoppers who clicked"), formats.number(found.get("clicking"))),
        Fact(_("p-value"), p_value(p), _("at every look")),
    ]
    sentences = []
    if sensitivity and sensitivity.get("times"):
        sentences.append(
            _(
                "An A/B test of clicks would need at least %(times)s times as many shoppers to see as much "
                "(%(low)s to %(high)s times)."
            )
            % {one: _times(sensitivity.get(one)) for one in ("times", "low", "high")}
        )
    early = (analysis.elapsed_days or 0) < experiment.min_days
    reason = _preference_words(share, low, high, name)
    if range_words:
        reason = f"{reason} {formats.percent(share)} ({range_words})."
    action = "too_early" if early or low is None or high is None else _action(low - EVEN, high - EVEN)
    return KindPanel(
        title=_("Which ranking shoppers prefer"),
        text=_(
            "Both rankings take turns in one slate, like two captains choosing teams; a click counts for the "
            "one that put the product there. Half of the preferences means that neither is better."
        ),
        facts=facts,
        sentences=sentences,
        verdict=_verdict(
            action, name["variant"], reason, _("The interval coming to lie on one side of half.")
        ),
    )


def _always_valid(found: Mapping[str, Any], alpha: float) -> tuple[float | None, float | None, float | None]:
    """Low, high and p of the share of preferences, good at every look; None where there are too few."""
    preference, se, clicking = found.get("preference"), found.get("se"), found.get("clicking")
    if preference is None or se is None or not clicking:
        return None, None, None
    ends = sequential.interval(preference, se, clicking, alpha)
    if ends is None:
        return None, None, None
    # A share of preferences p is (1 + preference) / 2, and lies within 0 and 1.
    return max(0.0, (1 + ends.low) / 2), min(1.0, (1 + ends.high) / 2), ends.p


def _action(low: float, high: float) -> str:
    return "ship" if low > 0 else "keep_control" if high < 0 else "keep_running"


def _verdict(action: str, variant: str, reason: str, change: str) -> VerdictShown:
    """The verdict of a kind whose shoppers see every variant: its figure's, not that of shoppers apart."""
    undecided = action in ("keep_running", "too_early")
    meaning = "" if action == "ship" else verdict_meaning(action)
    return VerdictShown(verdict_words(action, variant), meaning, [reason], [change] if undecided else [])


def _times(value: float | None) -> str:
    return formats.number(value, 0 if value is None or value >= 10 else 1)


def _preference_words(
    share: float | None, low: float | None, high: float | None, name: Mapping[str, str]
) -> str:
    if share is None or low is None or high is None:
        return _("Too few shoppers clicked to say anything yet.")
    if low > EVEN:
        return _("Shoppers prefer %(variant)s.") % name
    if high < EVEN:
        return _("Shoppers prefer %(control)s.") % name
    return _("No ranking is clearly preferred yet.")


def _switchback(
    experiment: Experiment, stored: Mapping[str, Any], faces: Faces, analysis: Analysis
) -> KindPanel:
    found, metric = stored["effect"], str(stored.get("metric", ""))
    effect, low, high = found.get("effect"), found.get("low"), found.get("high")
    range_words = ""
    if low is not None and high is not None:
        ends = {"low": faces.difference(metric, low), "high": faces.difference(metric, high)}
        range_words = _("%(low)s to %(high)s") % ends
    label, told = faces.names.metric(metric), faces.difference(metric, effect)
    facts = [
        Fact(_("Slots"), formats.number(found.get("slots")), _minutes(stored)),
        Fact(_("Slots with the variant"), formats.number(found.get("treated_slots"))),
        Fact(_("Effect on %(metric)s") % {"metric": label}, told, range_words),
        Fact(_("p-value"), p_value(found.get("p")), _by_redrawing(found.get("p_randomised"))),
    ]
    new = next((code for code in analysis.srm.expected if code != analysis.control), "")
    primary = analysis.primary
    sign = -1 if primary is not None and not primary.higher_is_better else 1
    over = (analysis.elapsed_days or 0) >= experiment.planned_days
    if not over or low is None or high is None:
        action = "too_early"
    else:
        action = _action(*sorted((sign * low, sign * high)))
    reason = f"{label}: {told}" + (f" ({range_words})" if range_words else "")
    change = _("The planned end: slots are few, so they are read once, at the end of the planned run.")
    return KindPanel(
        title=_("Slot against slot"),
        text=_(
            "The whole shop switches by the clock, so slots are compared, not shoppers: there are fewer of "
            "them, and neighbours are alike. The intervals allow for both."
        ),
        facts=facts,
        sentences=_carry_over_words(found),
        verdict=_verdict(action, faces.names.variant(new), reason, change),
    )


def _minutes(stored: Mapping[str, Any]) -> str:
    minutes = stored.get("slot_minutes")
    return _("of %(n)s minutes") % {"n": formats.number(minutes)} if minutes else ""


def _by_redrawing(p: float | None) -> str:
    return _("%(p)s by redrawing the slots") % {"p": p_value(p)} if p is not None else ""


def _carry_over_words(found: Mapping[str, Any]) -> list[str]:
    p = found.get("p_carry_over")
    if p is None:
        return []
    said = {"p": p_value(p)}
    if p < ALPHA:
        return [_("What one slot shows still acts in the next (p = %(p)s): make the slots longer.") % said]
    return [_("No sign that a slot still acts in the next one (p = %(p)s).") % said]
