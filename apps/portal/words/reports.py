"""What reports on models and data found, in sentences."""

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _

from apps.portal.charts.reports import DAMAGES, SIGNALS, WAYS, in_order, way_title
from apps.portal.formats import number, percent
from apps.training.reports import ROBUSTNESS, SHILLING, UPDATES

TOLD_SHARE = 0.2
"""The share of bad interactions at which a sentence is said."""
CLEAR = 1.0
"""Powers of ten from which on a signal is worth a reason."""


def report_title(kind: str) -> str:
    """A kind of report in words."""
    return {
        ROBUSTNESS: _("How it stands bad data"),
        UPDATES: _("Updates instead of retraining"),
        SHILLING: _("Shoppers who push products"),
    }.get(kind, kind)


def robustness_words(facts: Mapping[str, Any]) -> list[str]:
    """What is kept at TOLD_SHARE of each damage, and how far bots get."""
    lines = []
    said = {
        "noise": _("With %(share)s of the interactions wrong, %(kept)s of its NDCG@10 is left."),
        "missing": _("With %(share)s of the interactions missing, %(kept)s of its NDCG@10 is left."),
        "fake": _("With %(share)s fake interactions added, %(kept)s of its NDCG@10 is left."),
    }
    for damage, points in in_order(facts["curves"], DAMAGES).items():
        point = next((one for one in points if one["share"] == TOLD_SHARE), None)
        if point is None or point["kept"] is None:
            continue
        share = percent(TOLD_SHARE, 0)
        lines.append(said[damage] % {"share": share, "kept": percent(point["kept"], 0)})
        if point["exposure"] is not None:
            lines.append(
                _("Bots that add %(share)s get the product they push before %(shoppers)s of the shoppers.")
                % {"share": share, "shoppers": percent(point["exposure"], 1)}
            )
    return lines


def updates_words(facts: Mapping[str, Any]) -> list[str]:
    """Each way against a full retrain, and what it forgets."""
    ways = in_order(facts["ways"], WAYS)
    full = ways.get("full")
    lines = []
    for way, found in ways.items():
        if way == "full" or not full or not full["ndcg10"]:
            continue
        kept = percent(found["ndcg10"] / full["ndcg10"], 0)
        if found["cpu_seconds"] and full["cpu_seconds"]:
            lines.append(
                _("%(way)s: %(kept)s of the quality of a full retrain, in %(cost)s of its core-seconds.")
                % {
                    "way": way_title(way),
                    "kept": kept,
                    "cost": percent(found["cpu_seconds"] / full["cpu_seconds"], 0),
                }
            )
        else:
            lines.append(
                _("%(way)s: %(kept)s of the quality of a full retrain, for nothing.")
                % {"way": way_title(way), "kept": kept}
            )
    for way, found in ways.items():
        lost = found["forgetting"]
        if not lost or way == "frozen":
            continue
        mean, low, high = lost["lost"]
        if low <= 0 <= high:
            lines.append(_("%(way)s: no old purchase is clearly forgotten.") % {"way": way_title(way)})
        else:
            words = (
                _("%(way)s: old purchases lose %(lost)s of NDCG@10 (%(low)s to %(high)s).")
                if mean > 0
                else _("%(way)s: old purchases gain %(lost)s of NDCG@10 (%(low)s to %(high)s).")
            )
            ends = sorted((abs(low), abs(high)))
            told = {"lost": number(abs(mean), 4), "low": number(ends[0], 4), "high": number(ends[1], 4)}
            lines.append(words % {"way": way_title(way), **told})
    return lines


def crowd_words(evidence: Mapping[str, float]) -> list[str]:
    """Why a crowd is suspected, the strongest reason first."""
    said = {
        "burst": _("Far more newcomers bought it at once than newcomers usually do."),
        "agreement": _("What else they bought goes together less, or more, than what shoppers choose."),
        "similarity": _("Their histories are more alike than those of other shoppers."),
        "length": _("Their histories are nearly equally long."),
    }
    ordered = sorted(SIGNALS, key=lambda signal: -evidence.get(signal, 0.0))
    return [said[signal] for signal in ordered if evidence.get(signal, 0.0) >= CLEAR]
