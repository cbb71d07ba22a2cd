"""Why a product stands where it stands: words first, figures second, from the slate's trace."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from apps.portal.drafts import speaker
from apps.portal.words.reasons import effect_words, rule_state_words
from apps.portal.words.sources import SourceName, source_name, sources_named
from apps.serving.slate import Slate, SlateItem

RULE_TONES = {"fired": "good", "idle": "", "disabled": "", "not_started": "accent", "ended": "warn"}


@dataclass(frozen=True, slots=True)
class Step:
    """One source's row. `left` and `width` place its bar on a common scale, in percent."""

    name: str
    paint: str
    rank: int | None
    score: float
    weight: float
    value: float
    left: float
    width: float


@dataclass(frozen=True, slots=True)
class RuleState:
    """What one rule did on this slate."""

    words: str
    state: str
    tone: str


@dataclass(frozen=True, slots=True)
class Waterfall:
    """Everything the panel shows of one product."""

    item: SlateItem
    sentences: list[str]
    steps: list[Step]
    blended: float
    adjusted: float | None
    normalisation: str
    rules: list[RuleState]


def waterfall(slate: Slate, sku: str) -> Waterfall | None:
    """The waterfall of `sku`, None when the slate does not show it (any more)."""
    trace = slate.trace or {}
    item = next((one for one in slate.items if one.sku == sku), None)
    entry = next((one for one in trace.get("items", []) if one["sku"] == sku), None)
    if item is None or entry is None:
        return None
    names = sources_named()
    say = speaker([state["definition"] for state in trace["rules"]])
    words = {state["rule"]: say.rule(state["definition"]) for state in trace["rules"]}
    return Waterfall(
        item=item,
        sentences=_sentences(entry, words, names, len(slate.items)),
        steps=_steps(entry["parts"], names),
        blended=sum(part["contribution"] for part in entry["parts"]),
        adjusted=entry["adjusted"],
        normalisation=_normalisation_words(trace["normalisation"]),
        rules=[
            RuleState(
                words[state["rule"]],
                rule_state_words(state["state"], state["count"]),
                RULE_TONES.get(state["state"], "warn"),
            )
            for state in trace["rules"]
        ],
    )


def _sentences(
    entry: Mapping[str, Any], words: Mapping[str, str], names: dict[str, SourceName], places: int
) -> list[str]:
    said = [
        effect_words(effect, lambda rule: words.get(rule, rule), places=places) for effect in entry["effects"]
    ]
    if entry["fill"]:
        fill = source_name(entry["fill"], names)
        said.append(
            _("The blend had too few products, so this place was filled from: %(fill)s.") % {"fill": fill}
        )
    if entry["base_rank"] is None and not entry["fill"]:
        said.append(_("None of the sources names it here; a rule brings it in."))
    elif entry["parts"]:
        said.append(_rank_words(entry, names))
    return said


def _rank_words(entry: Mapping[str, Any], names: dict[str, SourceName]) -> str:
    """Which sources speak for it most, and its place before any rule."""
    listed = sorted(
        (part for part in entry["parts"] if part["listed"]), key=lambda part: -part["contribution"]
    )
    best = [
        _("%(source)s (place %(rank)s)")
        % {"source": source_name(part["source"], names), "rank": part["rank"]}
        for part in listed[:3]
        if part["contribution"] > 0
    ]
    if not best:
        return _("No source speaks strongly for it; place %(rank)s before any rule.") % {
            "rank": entry["base_rank"]
        }
    return _("It is strongest in %(sources)s; place %(rank)s before any rule.") % {
        "sources": _(", ").join(best),
        "rank": entry["base_rank"],
    }


def _steps(parts: list[Mapping[str, Any]], names: dict[str, SourceName]) -> list[Step]:
    """Bars that run on: each begins where the one before it ended."""
    ordered = sorted(parts, key=lambda part: -part["contribution"])
    edges = [0.0]
    for part in ordered:
        edges.append(edges[-1] + part["contribution"])
    low, high = min(edges), max(edges)
    scale = 100.0 / ((high - low) or 1.0)
    steps = []
    for part, start, end in zip(ordered, edges, edges[1:], strict=False):
        source = names.get(part["source"])
        steps.append(
            Step(
                name=source_name(part["source"], names),
                paint=source.paint if source else "var(--rp-muted)",
                rank=part["rank"],
                score=part["normalised"],
                weight=part["weight"],
                value=part["contribution"],
                left=(min(start, end) - low) * scale,
                width=abs(end - start) * scale,
            )
        )
    return steps


def _normalisation_words(code: str) -> str:
    if code == "minmax":
        return _("A score of 0 is the lowest and 1 the highest of the source's own list.")
    return _(
        "A score says how many standard deviations the product stands above or below the average of the "
        "source's own list (z-score); a product a source does not list gets that list's lowest score."
    )
