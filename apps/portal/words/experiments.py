"""Experiments in words: verdicts, states, remarks of the analysis. What the log says: `experiment_log`."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from babel import Locale, UnknownLocaleError
from django.utils.translation import gettext as _

from apps.experiments.notes import CHANGE_NAMES, NOTE_TEXTS, P_NAMES, PERCENT_NAMES, Note
from apps.portal import formats

SMALLEST_P = 0.0001


@dataclass(frozen=True)
class Names:
    """What metrics and variants are called; codes that are not there stand for themselves."""

    metrics: Mapping[str, str] = field(default_factory=dict)
    variants: Mapping[str, str] = field(default_factory=dict)

    def metric(self, code: str) -> str:
        """A metric in words."""
        return self.metrics.get(code, code)

    def variant(self, code: str) -> str:
        """A variant by its name."""
        return self.variants.get(code, code)


@dataclass(frozen=True, slots=True)
class Told:
    """A state in words with the badge it wears."""

    code: str
    words: str
    tone: str = ""
    icon: str = ""


def note_words(note: Note, names: Names) -> str:
    """A remark of the analysis in the reader's language."""
    values = {name: _value(name, value, names) for name, value in note.params.items()}
    return _(NOTE_TEXTS[note.code]) % values


def _value(name: str, value: Any, names: Names) -> str:
    if value is None:
        return "?"
    if isinstance(value, Mapping):
        return _(", ").join(f"{names.variant(key)} {_value('', one, names)}" for key, one in value.items())
    if isinstance(value, str):
        return _text(name, value, names)
    if name in P_NAMES:
        return p_value(value)
    if name in CHANGE_NAMES:
        return formats.change(value)
    if name in PERCENT_NAMES:
        return percent_short(value)
    return number_short(value)


def _text(name: str, value: str, names: Names) -> str:
    match name:
        case "metric":
            return names.metric(value)
        case "variant":
            return names.variant(value)
        case "segment":
            return segment_words(value)
        case "dimension":
            return dimension_words(value)
        case "pooled" | "within_segments":
            return _("better") if value == "better" else _("worse") if value == "worse" else value
        case "reason":
            return excluded_words(value)
    return value


def p_value(value: float | None) -> str:
    """A p-value: "< 0.0001", "0.012", "0.42"."""
    if value is None:
        return formats.NO_DATA
    if value < SMALLEST_P:
        return f"< {formats.number(SMALLEST_P, 4)}"
    digits = 2 if value >= 0.1 else 3 if value >= 0.01 else 4
    return formats.number(value, digits)


def percent_short(value: float) -> str:
    """A share without needless zeros: 2%, 99.9%, 0.25%."""
    short = round(100 * value, 2)
    digits = 0 if short == round(short) else 1 if short == round(short, 1) else 2
    return formats.percent(value, digits)


def number_short(value: float) -> str:
    """A count, or a figure with as many decimals as it needs."""
    whole = value == round(value) or abs(value) >= 1000
    return formats.number(value, 0 if whole else 2)


def state_words(state: str) -> Told:
    """How a comparison stands, in the sense of its metric."""
    return {
        "better": Told(state, _("Better"), "good", "arrow_upward"),
        "worse": Told(state, _("Worse"), "bad", "arrow_downward"),
        "flat": Told(state, _("No change that matters"), "", "drag_handle"),
        "unclear": Told(state, _("Not clear yet"), "", "question_mark"),
        "no_data": Told(state, _("No data"), "", "remove"),
    }.get(state, Told(state, state))


def guardrail_words(state: str) -> Told:
    """How a guardrail stands."""
    return {
        "passed": Told(state, _("Holds"), "good", "verified_user"),
        "failed": Told(state, _("Fails"), "bad", "gpp_bad"),
        "open": Told(state, _("Not ruled out yet"), "warn", "gpp_maybe"),
    }.get(state, Told(state, state))


def verdict_words(action: str, variant: str) -> Told:
    """The verdict as one sentence; `variant` by its name."""
    named = {"variant": variant}
    return {
        "ship": Told(action, _("Ship %(variant)s") % named, "good", "rocket_launch"),
        "roll_back": Told(action, _("Roll back %(variant)s") % named, "bad", "undo"),
        "keep_running": Told(action, _("Keep it running"), "accent", "hourglass_top"),
        "keep_control": Told(action, _("Keep what is live"), "", "shield"),
        "blocked": Told(action, _("No verdict: the numbers can't be trusted"), "bad", "block"),
        "too_early": Told(action, _("Too early to tell"), "", "schedule"),
    }.get(action, Told(action, action))


def verdict_meaning(action: str) -> str:
    """What the verdict means, in a sentence under it."""
    return {
        "ship": _("The primary metric is clearly better, and no guardrail speaks against it."),
        "roll_back": _("Shoppers who see it are worse off. Stop showing it."),
        "keep_running": _("It may still turn out either way. Nothing is wrong; it needs more shoppers."),
        "keep_control": _("The variants bring nothing that is worth a change."),
        "blocked": _(
            "Something is wrong with who got which variant. Find the cause before you look at effects."
        ),
        "too_early": _("The minimum run or sample is not reached; a verdict now would be a guess."),
    }.get(action, "")


def alarm_words(alarm: str) -> Told:
    """What the check of the shares says."""
    return {
        "none": Told(alarm, _("As planned"), "good", "check_circle"),
        "warning": Told(alarm, _("Look into it"), "warn", "warning"),
        "blocked": Told(alarm, _("Broken"), "bad", "block"),
    }.get(alarm, Told(alarm, alarm))


def status_words(status: str) -> Told:
    """An experiment's status."""
    return {
        "draft": Told(status, _("Draft"), "", "edit_note"),
        "running": Told(status, _("Running"), "good", "play_circle"),
        "paused": Told(status, _("Paused"), "warn", "pause_circle"),
        "ended": Told(status, _("Over"), "", "stop_circle"),
    }.get(status, Told(status, status))


def kind_words(kind: str) -> str:
    """A kind of experiment."""
    return {
        "ab": _("A/B test"),
        "bandit": _("Bandit"),
        "interleaving": _("Interleaving"),
        "switchback": _("Switchback"),
        "holdout": _("Holdout"),
    }.get(kind, kind)


def role_words(role: str) -> str:
    """What a metric is there for."""
    return {
        "primary": _("Primary metric"),
        "secondary": _("Secondary metrics"),
        "guardrail": _("Guardrails"),
    }.get(role, role)


def decision_words(decision: str, variant: str) -> str:
    """What was decided; `variant` by its name."""
    return {
        "ship": _("%(variant)s was shipped: it is what every shopper sees now.") % {"variant": variant},
        "roll_back": _("Rolled back: every shopper sees what was live before."),
        "keep_control": _("What was live stays."),
    }.get(decision, _("Nothing has been decided yet."))


def view_words(view: str) -> str:
    """A way to look at the intervals."""
    return {
        "sequential": _("Always valid"),
        "fixed": _("Fixed horizon"),
        "bayes": _("Bayesian"),
    }.get(view, view)


def view_meaning(view: str) -> str:
    """What the intervals of a view promise."""
    return {
        "sequential": _(
            "These intervals hold however often you look: look every day, and stop when you are sure."
        ),
        "fixed": _(
            "These intervals hold for one look at the planned end. Deciding at the first good day makes more "
            "false finds than they promise."
        ),
        "bayes": _(
            "These intervals say where the change is likely to be, given the data alone. They do not limit "
            "false finds over many looks."
        ),
    }.get(view, "")


def correction_words(correction: str) -> str:
    """A correction for several comparisons by its name."""
    return {"holm": "Holm", "bh": "Benjamini–Hochberg"}.get(correction, _("no correction"))


def dimension_words(dimension: str) -> str:
    """What shoppers are split by."""
    return {
        "region": _("Region"),
        "language": _("Language"),
        "device": _("Device"),
        "history": _("New or returning"),
        "known": _("Known or anonymous"),
        "age_band": _("Age"),
        "gender": _("Gender"),
        "income_band": _("Income"),
        "placement": _("Placement"),
    }.get(dimension, dimension)


def segment_words(segment: str) -> str:
    """A segment, "region:North", in words."""
    dimension, colon, value = segment.partition(":")
    if not colon:
        return segment
    known = {
        "new": _("new"),
        "returning": _("returning"),
        "unknown": _("unknown"),
        "other": _("other"),
        "known": _("known"),
        "anonymous": _("anonymous"),
        "": _("unknown"),
    }
    return _("%(dimension)s: %(value)s") % {
        "dimension": dimension_words(dimension),
        "value": known.get(value) or _segment_value(dimension, value),
    }


def _segment_value(dimension: str, value: str) -> str:
    """A language by its name; anything else as the shop calls it."""
    if dimension != "language":
        return value
    with suppress(UnknownLocaleError, ValueError):
        return str(Locale.parse(value, sep="-").get_display_name(formats.locale()) or value)
    return value


def excluded_words(reason: str) -> str:
    """Why units were left out."""
    return {
        "bot": _("Bots"),
        "bots": _("Bots"),
        "outlier": _("Outliers"),
        "outliers": _("Outliers"),
        "multiple_exposure": _("Saw more than one variant"),
        "multiple_exposed": _("Saw more than one variant"),
    }.get(reason, reason)
