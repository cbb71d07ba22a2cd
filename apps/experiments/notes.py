"""Remarks on an experiment as codes with values, and their English text. Imports no Django.

A text names its values as %(name)s; how many there are of a thing stands behind a colon, so that one needs no
singular. The portal translates the same texts; how a value is written follows from its name alone
(`note_values`), so that a translation needs nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["NOTE_TEXTS", "PERCENT_NAMES", "Note", "note_text", "note_values"]


@dataclass(frozen=True, slots=True)
class Note:
    """One remark. `params` hold text, whole numbers, floats or None; shares and changes are fractions."""

    code: str
    params: Mapping[str, Any] = field(default_factory=dict)


# Values written as per cent, with a sign where they are a change.
PERCENT_NAMES = frozenset({"share", "percentile", "level", "margin", "mde"})
CHANGE_NAMES = frozenset({"value", "low", "high", "first", "last", "within"})
P_NAMES = frozenset({"p"})

NOTE_TEXTS: dict[str, str] = {
    # -- whether the numbers can be trusted --
    "srm_blocked": "The variants did not get the shares of units they should have (p = %(p)s; %(observed)s"
    " instead of %(expected)s). The results can't be trusted.",
    "srm_warning": "The variants' shares of units look unlikely (p = %(p)s; %(observed)s instead of"
    " %(expected)s). Find out why before you decide.",
    "srm_stray": "Units counted in %(variant)s, which should have none: %(count)s.",
    "srm_segment": "In %(segment)s the variants' shares of units look wrong (p = %(p)s after correction).",
    "srm_sequential": "Watched from the start, the variants' shares of units have drifted (p = %(p)s).",
    "pre_exposure_bias": "%(variant)s already differed from control in %(metric)s before the experiment"
    " (%(value)s, p = %(p)s). Part of the effect may be older than the experiment.",
    "multiple_exposure": "Units that saw more than one variant: %(count)s (%(share)s). They are left out.",
    "multiple_exposure_high": "Units that saw more than one variant: %(count)s (%(share)s), more than chance"
    " or shared devices explain. They are left out, which may bias what is left.",
    "outliers_excluded": "Units left out as outliers: %(count)s.",
    "bots_excluded": "Units left out as bots: %(count)s.",
    "units_excluded": "Units left out (%(reason)s): %(count)s.",
    "winsorised": "%(metric)s: values above %(at)s (the %(percentile)s point of the positive values) count"
    " as that value; units cut: %(count)s.",
    # -- one metric --
    "no_data": "%(metric)s has no data for %(variant)s.",
    "no_variance": "%(metric)s has the same value for every unit: there is nothing to compare.",
    "all_zero": "%(metric)s is 0 for every unit. Check that it is recorded.",
    "control_zero": "%(metric)s is 0 in control, so that no relative change can be given.",
    "small_sample": "%(metric)s: units of %(variant)s so far: %(units)s; judge from %(needed)s.",
    "few_conversions": "%(metric)s: conversions or misses of %(variant)s: only %(count)s; the intervals are"
    " rough below %(needed)s.",
    "sequential_waits": "%(metric)s: too few events with %(variant)s or control for an interval that holds"
    " at every look.",
    "suspicious_large": "%(metric)s changed by %(value)s with %(variant)s. Changes beyond %(level)s are more"
    " often a fault in the data than an effect: check before you believe it.",
    "suspicious_small": "%(metric)s changed by %(value)s with %(variant)s: statistically clear, but below"
    " %(level)s.",
    "not_after_correction": "%(metric)s: the interval for %(variant)s leaves out 0, but not after the"
    " correction for several comparisons (p = %(p)s).",
    "novelty_fading": "%(metric)s: the daily effect of %(variant)s is fading (%(first)s at first, %(last)s"
    " lately; p = %(p)s). Run longer before you decide: it may be novelty.",
    "novelty_growing": "%(metric)s: the daily effect of %(variant)s is growing (%(first)s at first, %(last)s"
    " lately; p = %(p)s). Shoppers may still be learning.",
    "interaction": "%(metric)s: the effect of %(variant)s differs between the segments of %(dimension)s"
    " (p = %(p)s after correction).",
    "simpson": "%(metric)s: %(variant)s looks %(pooled)s overall, but %(within_segments)s within the segments"
    " of %(dimension)s. The mix of segments differs between the variants: trust the segments.",
    # -- verdict: reasons --
    "reason_srm": "The split is broken (p = %(p)s): no verdict until the cause is found.",
    "reason_srm_segment": "In %(segment)s the split is broken (p = %(p)s after correction): no verdict until"
    " the cause is found.",
    "reason_stray": "Units counted in %(variant)s, which should have none: %(count)s. No verdict until the"
    " cause is found.",
    "reason_days": "It has run for %(days)s of at least %(needed)s days.",
    "reason_units": "%(variant)s has %(units)s of at least %(needed)s units.",
    "reason_no_primary": "The primary metric has no usable data yet.",
    "reason_primary_better": "%(metric)s is better with %(variant)s: %(value)s (%(low)s to %(high)s).",
    "reason_primary_worse": "%(metric)s is worse with %(variant)s: %(value)s (%(low)s to %(high)s).",
    "reason_primary_flat": "%(metric)s: whatever %(variant)s changes is smaller than the %(mde)s worth having"
    " (%(low)s to %(high)s).",
    "reason_primary_unclear": "%(metric)s with %(variant)s can't be told from no change yet: %(value)s"
    " (%(low)s to %(high)s).",
    "reason_chance": "The chance that %(variant)s is better in %(metric)s is %(share)s.",
    "reason_guardrail_failed": "Guardrail %(metric)s: %(variant)s loses more than the accepted %(margin)s"
    " (%(low)s to %(high)s).",
    "reason_guardrail_open": "Guardrail %(metric)s: with %(variant)s a loss of more than %(margin)s is not"
    " yet ruled out (%(low)s to %(high)s).",
    "reason_guardrails_hold": "All guardrails hold for %(variant)s.",
    "reason_secondary_worse": "%(metric)s is worse with %(variant)s: %(value)s (%(low)s to %(high)s).",
    "reason_secondary_better": "%(metric)s is better with %(variant)s: %(value)s (%(low)s to %(high)s).",
    "reason_planned_over": "The planned %(days)s days are over without a clear effect.",
    "reason_before_end": "It has run for %(days)s of the planned %(needed)s days. The figures of this view"
    " are for one look at the end: until then nothing is decided by them.",
    "reason_best": "%(variant)s is the best of %(count)s variants that beat control.",
    # -- verdict: what would change it --
    "change_srm": "A split in the expected shares, once the cause is mended and the experiment restarted.",
    "change_days": "More days of running: %(days)s.",
    "change_units": "More units for %(variant)s: %(units)s.",
    "change_more": "More units, if the effect of %(variant)s on %(metric)s stays at %(value)s: about"
    " %(units)s (at the present rate, in days: %(days)s).",
    "change_more_units": "More units, if the effect of %(variant)s on %(metric)s stays at %(value)s: about"
    " %(units)s.",
    "change_too_far": "At the present effect of %(value)s on %(metric)s it would take more than"
    " %(units)s further units for %(variant)s: not worth the wait.",
    "change_guardrail": "Guardrail %(metric)s clearing its margin of %(margin)s with %(variant)s.",
    "change_interval_back": "The interval of %(metric)s for %(variant)s coming to include 0.",
    "change_guardrail_fails": "A guardrail failing for %(variant)s.",
    "change_effect_beyond": "An effect on %(metric)s of %(mde)s or more, which the interval now rules out.",
    "change_larger": "A new experiment with a bolder change: one of this size needs far more units.",
    "change_redesign": "A changed variant that no longer costs %(metric)s.",
    # -- reading files --
    "file_rows_joined": "Rows of the same unit were added up; rows: %(rows)s, units: %(units)s.",
    "file_blank_units": "Rows that name no unit (column %(column)s is empty): %(rows)s. They are left out.",
    "file_blank_variants": "Rows that name no variant (column %(column)s is empty): %(rows)s. They are left"
    " out.",
    "file_blank_values": "Rows without a value for %(metric)s (column %(column)s): %(rows)s. They count as"
    " 0.",
    "file_blank_quantile": "Units without a value for %(metric)s (column %(column)s): %(units)s. They are"
    " left out of this metric.",
    "file_blank_covariate": "Units without a value in the covariate %(column)s: %(units)s. They count as"
    " average.",
    "file_blank_segments": "Units without a value for the segment %(column)s: %(units)s. They are in segment"
    " “unknown”.",
    "file_negative": "Negative rows of %(metric)s: %(rows)s. They are kept as returns.",
    "file_zero_denominator": "%(metric)s: units with a denominator of 0: %(units)s. They count in the"
    " numerator only.",
    "file_segments_folded": "%(column)s has %(count)s values: all but the %(kept)s commonest are in"
    " segment “other”.",
    "file_dates_bad": "Rows without a readable date (column %(column)s): %(rows)s. They are in the totals,"
    " not in the daily view.",
    "file_no_days": "Without dates the minimum run and the daily effects are not checked. Name the date"
    " column.",
    "file_earlier_times": "Earlier times, which show how the result came about: %(count)s; the last one is"
    " the result.",
    "file_blank_summaries": "Rows that lack a count, mean or variance: %(rows)s. They are left out.",
    "file_not_winsorised": "%(metric)s: a summary can't be winsorised; a few huge orders may decide it.",
    "file_shares_equal": "No expected shares were given: equal shares were assumed.",
    "file_srm_counts": "The summary's counts differ between metrics: the shares were checked on %(metric)s.",
}


def note_values(note: Note) -> dict[str, str]:
    """The note's values as English text, each written as its name asks; what is missing is "?"."""
    return {name: _written(name, value) for name, value in note.params.items()}


def note_text(note: Note) -> str:
    """The note in plain English. Raises KeyError for a code without a text, or a text without its value."""
    return NOTE_TEXTS[note.code] % note_values(note)


def _written(name: str, value: Any) -> str:
    if value is None:
        return "?"
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_written('', one)}" for key, one in value.items())
    if name in P_NAMES:
        return f"{value:.2g}"
    if name in CHANGE_NAMES:
        return f"{100 * value:+.2f} %"
    if name in PERCENT_NAMES:
        return f"{value:.4g}" if value == 0 else f"{round(100 * value, 2):g} %"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
