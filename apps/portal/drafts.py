"""The draft a page works on: what is saved, what a form holds over it, and its difference from live.

Serving takes a draft as a `PublicationState` without a number, made by `unpublished`.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from django.http import QueryDict
from django.utils.translation import gettext as _

from apps.accounts.selectors import shop_settings_get
from apps.core.errors import InvalidInput, NotFound
from apps.merchandising.models import Draft, Placement
from apps.merchandising.rules import rules_parse
from apps.merchandising.selectors import BlendDiff, blend_diff
from apps.portal.context_bar import PageContext
from apps.portal.lookups import titles
from apps.portal.words.changes import Change, Speaker
from apps.portal.words.rules import rules_skus
from apps.portal.words.sources import sources_named
from apps.serving.live import PublicationState, publication_preview

WEIGHT_PREFIX = "w."
REVISION = re.compile(r"[0-9]{1,9}")


def placement_of(bar: PageContext) -> Placement:
    """The bar's placement; NotFound in a shop that has none."""
    if bar.placement is None:
        raise NotFound("This shop has no placement yet. Create one in Settings.")
    return bar.placement


def draft_of(placement: Placement) -> Draft:
    """The placement's draft; one equal to live where nothing was ever saved."""
    draft = Draft.objects.select_related("updated_by").filter(placement=placement).first()
    live = placement.live_publication
    if draft is None:
        return Draft(
            placement=placement, weights=live.weights if live else {}, rules=live.rules if live else []
        )
    return draft


def weights_in(data: QueryDict) -> dict[str, float]:
    """The weights a form sent as `w.<source>`; InvalidInput names the one that is no number from 0 to 1."""
    found = {}
    for key in data:
        if not key.startswith(WEIGHT_PREFIX):
            continue
        try:
            value = float(data.get(key, ""))
        except ValueError:
            value = -1.0
        if not 0 <= value <= 1:
            raise InvalidInput(field=key, value=data.get(key), remedy="Give a number from 0 to 1.")
        found[key.removeprefix(WEIGHT_PREFIX)] = round(value, 4)
    return found


def revision_posted(data: QueryDict) -> int:
    """The draft's revision that the sender saw; InvalidInput where it is no number."""
    text = data.get("revision", "")
    if not REVISION.fullmatch(text):
        raise InvalidInput(
            field="revision", value=text, remedy=_("Load the page again to see the draft as it is now.")
        )
    return int(text)


def rule_posted(data: QueryDict, name: str) -> Mapping[str, Any]:
    """A rule that a form carries as JSON; InvalidInput where it is none."""
    text = data.get(name, "")
    try:
        rule = json.loads(text)
    except (json.JSONDecodeError, RecursionError):
        rule = None
    if not isinstance(rule, dict) or not isinstance(rule.get("id"), str):
        raise InvalidInput(field=name, value=text, remedy=_("Add the rule again with its form."))
    return rule


def rules_with(rules: Sequence[Mapping[str, Any]], rule: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """`rules` with `rule` in the place of the one of its id, or at the end."""
    if any(one["id"] == rule["id"] for one in rules):
        return [rule if one["id"] == rule["id"] else one for one in rules]
    return [*rules, rule]


def unpublished(
    placement: Placement,
    *,
    weights: Mapping[str, float] | None = None,
    rules: Sequence[Mapping[str, Any]] | None = None,
) -> PublicationState:
    """The saved draft with `weights` and `rules` laid over it, as serving takes it for a preview."""
    draft = draft_of(placement)
    live = placement.live_publication
    return publication_preview(
        weights=draft.weights if weights is None else weights,
        rules=list(draft.rules if rules is None else rules),
        normalisation=live.normalisation if live else "z",
    )


def speaker(*rule_lists: Sequence[Mapping[str, Any]]) -> Speaker:
    """Somebody to put these rules (and all weights) into words."""
    skus: set[str] = set()
    for rules in rule_lists:
        skus |= rules_skus(rules_parse(list(rules)))
    return Speaker(sources_named(), titles(skus), shop_settings_get().time_zone)


def changes_of(placement: Placement, draft: Draft) -> list[Change]:
    """What publishing the draft would change, in words."""
    live = placement.live_publication
    before: tuple[dict[str, float], list[Any]] = (live.weights, live.rules) if live else ({}, [])
    diff: BlendDiff = blend_diff(*before, draft.weights, draft.rules)
    return speaker(before[1], draft.rules).changes(diff)
