"""What a look before the launch finds: codes with figures, and their English texts. Imports no Django."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Level = Literal["ok", "warn", "stop"]
CHECK_TEXTS: Mapping[str, str] = {
    # -- what is compared --
    "hypothesis_none": "Nobody wrote down what is expected. Write the hypothesis before you see a number.",
    "hypothesis": "The hypothesis is written down.",
    "placements_none": "This kind of experiment needs a placement. Choose one.",
    "placement_archived": "The placement %(placement)s is archived. Restore it, or leave it out.",
    "placement_empty": "Nothing is published on %(placement)s. Publish something there first.",
    "variants_few": "There is nothing to compare. Add a variant beside control.",
    "control_none": "No variant is control. Choose one.",
    "shares_sum": "The variants' shares sum to %(sum)s, not to 1. Change one.",
    "variant_equal": "%(variant)s shows the same as %(other)s. Change its weights, rules, page "
    "size or versions.",
    "variants_differ": "No two variants show the same.",
    "feature": "No placement of ours: the storefront asks who has which variant and shows its own.",
    "variant_incomplete": "%(variant)s shows nothing on %(placement)s. Save the variants again.",
    "publication_unreadable": "%(variant)s: publication %(number)s of %(placement)s can't be used "
    "(%(reason)s)."
    " Make the variant again.",
    "publications": "What each variant shows can be read.",
    "live_moved": "%(placement)s: publication %(live)s went live after the variants were made from "
    "%(number)s."
    " Control will be what is live; look at the variants again.",
    "versions_pinned": "%(variant)s uses version %(version)s of %(source)s. Until its lists are built, the"
    " experiment decides nothing on %(placement)s.",
    # -- who meets whom --
    "slice_taken": "%(other)s holds %(from)s to %(to)s of this layer. %(free)s",
    "slice_free": "The slice %(from)s to %(to)s of %(layer)s is free.",
    "placement_shared": "%(other)s runs on the same placement in the layer %(layer)s. Take a free "
    "slice there, so"
    " that nobody is in both.",
    "switchback_alone": "%(other)s runs on the same placement, and a switchback needs it alone. "
    "End one first.",
    "holdout_there": "A holdout is open already: %(other)s. End it first.",
    # -- what is measured --
    "metric_unknown": "There is no metric %(metric)s any more. Choose another one.",
    "primary_unfed": "No event of the last %(days)s days feeds %(metric)s. Send its events, or "
    "choose another.",
    "metric_unfed": "No event of the last %(days)s days feeds %(metric)s: it will stay empty.",
    "primary_fed": "%(events)s events of the last %(days)s days feed %(metric)s.",
    "guardrails_none": "Nothing is guarded: a harmful variant would go on until somebody looks.",
    "guardrails_by_hand": "A failed guardrail only warns: rolling back by itself is off.",
    "guardrails": "Guardrails that roll it back by themselves: %(count)s.",
    # -- how long --
    "end_past": "It would end before it starts (%(ends_at)s). Choose a later end, or none.",
    "end_early": "It ends after %(days)s days, before the least run of %(min_days)s: there would "
    "be no verdict.",
    "planned_short": "%(planned_days)s days are planned, less than the least run of %(min_days)s.",
    "weeks_broken": "%(planned_days)s days are no whole weeks: some weekdays count twice.",
    "fixed_peeking": "The fixed view holds for one look, at the end. Choose the sequential one to "
    "look earlier.",
    "power_low": "A change of %(mde)s takes %(days)s days to see; %(planned_days)s are planned. "
    "Those show %(seen)s.",
    "power_low_blind": "A change of %(mde)s takes %(days)s days to see; %(planned_days)s are planned, "
    "too few to show any change.",
    "power_never": "The shop's traffic never shows a change of %(mde)s. In %(planned_days)s days "
    "it shows %(seen)s.",
    "power": "A change of %(mde)s is seen after %(days)s of the %(planned_days)s days, with %(units)s units.",
    "history_none": "Too little history to say how long it takes.",
    "aa_failed": "Split at random, the shop's own history shows false differences in %(share)s of %(splits)s"
    " tries (at most %(high)s would be chance). Look at the metric before you trust it.",
    "aa": "Split at random %(splits)s times, the shop's history shows %(share)s false differences, "
    "as it should.",
    "aa_none": "Too little history to test the metric on itself.",
    # -- who watches --
    "watch_silent": "Nobody has watched experiments for a while: guardrails and ramps need the "
    "workers and beat.",
    "watch": "Experiments are watched every few minutes.",
    "auto_ship": "The winner will be published without anybody pressing a button.",
}


@dataclass(frozen=True, slots=True)
class LaunchCheck:
    """One thing looked at. field: what of the design to change."""

    code: str
    level: Level
    params: Mapping[str, Any] = field(default_factory=dict)
    field: str = ""

    @property
    def text(self) -> str:
        """In English; bounds of a slice, in buckets of 10,000, in per cent."""
        slices = {name: f"{self.params[name] / 100:g}%" for name in ("from", "to") if name in self.params}
        return CHECK_TEXTS[self.code] % (dict(self.params) | slices)
