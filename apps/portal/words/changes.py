"""The difference between two publications, or between draft and live, in words."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from apps.merchandising.rules import Rule, rule_parse
from apps.merchandising.selectors import BlendDiff, RuleChange, WeightChange
from apps.portal import formats
from apps.portal.words.rules import Titles, rule_words, schedule_words
from apps.portal.words.sources import SourceName, source_name


@dataclass(frozen=True, slots=True)
class Change:
    """One difference: its kind (added, removed, changed, raised, lowered) and its sentence."""

    kind: str
    words: str


@dataclass(frozen=True)
class Speaker:
    """What the sentences need: names of sources, titles of products, the shop's time zone."""

    names: dict[str, SourceName]
    titles: Titles
    zone: str

    def changes(self, diff: BlendDiff) -> list[Change]:
        """Everything that differs, weights first; empty for no difference."""
        said = [self._weight(change) for change in diff.weights if _is_seen(change)]
        said += [
            Change("added", _("New rule: %(rule)s") % {"rule": self.rule(one)}) for one in diff.rules_added
        ]
        said += [self._rule(change) for change in diff.rules_changed]
        said += [
            Change("removed", _("Rule removed: %(rule)s") % {"rule": self.rule(one)})
            for one in diff.rules_removed
        ]
        if diff.rules_reordered:
            said.append(Change("changed", _("The order of the rules")))
        return said

    def rule(self, data: Mapping[str, Any] | Rule) -> str:
        """A rule (parsed or in its JSON shape) with its schedule."""
        rule = data if isinstance(data, Rule) else rule_parse(data)
        schedule = schedule_words(rule, self.zone)
        return rule_words(rule, self.titles) + (f" ({schedule})" if schedule else "")

    def _weight(self, change: WeightChange) -> Change:
        old, new = change.before or 0.0, change.after or 0.0
        words = _("%(source)s: weight from %(old)s to %(new)s") % {
            "source": source_name(change.source, self.names),
            "old": formats.number(old, 2),
            "new": formats.number(new, 2),
        }
        return Change("raised" if new > old else "lowered", words)

    def _rule(self, change: RuleChange) -> Change:
        words, was = self.rule(change.after), self.rule(change.before)
        if change.fields == ("enabled",):
            said = (
                _("Rule switched on: %(rule)s")
                if change.after["enabled"]
                else _("Rule switched off: %(rule)s")
            )
            return Change("changed", said % {"rule": words})
        if words == was:
            return Change("changed", _("Rule noted anew: %(rule)s") % {"rule": words})
        return Change("changed", _("Rule changed: %(rule)s (before: %(was)s)") % {"rule": words, "was": was})


def _is_seen(change: WeightChange) -> bool:
    """A source named with weight 0 on one side and not at all on the other is no change to a reader."""
    return abs((change.before or 0.0) - (change.after or 0.0)) >= 0.0005
