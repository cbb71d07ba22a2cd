"""Rules: the draft's rules in words, one form per kind, the slate beside it before anything is saved."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _

from apps.accounts.models import User
from apps.catalog.selectors import categories_all
from apps.core.clock import now
from apps.core.errors import InvalidInput, NotFound
from apps.merchandising.models import Draft, Placement
from apps.merchandising.rules import Rule, rules_check, rules_parse
from apps.merchandising.services import draft_save
from apps.portal.access import can_change, locked_reason
from apps.portal.context_bar import PageContext
from apps.portal.drafts import (
    changes_of,
    draft_of,
    placement_of,
    revision_posted,
    rule_posted,
    rules_with,
    speaker,
    unpublished,
)
from apps.portal.forms.rule import KINDS, choices, rule_data, rule_fields, rule_start
from apps.portal.lookups import brands
from apps.portal.pages.shell import action, page, show, toast
from apps.portal.samples import with_sample
from apps.portal.slates import slate_preview
from apps.portal.words.rules import hint_words, kind_words, rule_words, schedule_words, state_words
from apps.serving.memory import memory_current

TONES = {"active": "good", "not_started": "accent", "ended": "warn", "disabled": ""}
KIND_ICONS = {
    "pin": "keep", "boost": "trending_up", "bury": "trending_down",
    "hide": "visibility_off", "filter": "filter_alt", "limit": "production_quantity_limits",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class RuleLine:
    """A rule of the draft as the list shows it."""

    rule: Rule
    words: str
    schedule: str
    state: str
    tone: str
    icon: str
    hints: list[str]


def lines(rules: Sequence[Mapping[str, Any]]) -> list[RuleLine]:
    """The rules in words, each with what is odd about it."""
    parsed, say = rules_parse(list(rules)), speaker(rules)
    words = {rule.id: say.rule(rule) for rule in parsed}
    at = now()
    hints: dict[str, list[str]] = {}
    for hint in rules_check(parsed, memory_current().catalogue.table, at):
        said = hint_words(hint, lambda rule_id: words.get(rule_id, rule_id), say.titles)
        hints.setdefault(hint.rule_ids[0], []).append(said)
    return [
        RuleLine(
            rule, rule_words(rule, say.titles), schedule_words(rule, say.zone), state_words(rule, at),
            TONES[rule.state(at)], KIND_ICONS[rule.kind], hints.get(rule.id, []),
        )
        for rule in parsed
    ]  # fmt: skip


def _shared(request: HttpRequest, bar: PageContext, placement: Placement, draft: Draft) -> dict[str, Any]:
    return {
        "bar": bar, "placement": placement, "draft": draft, "lines": lines(draft.rules),
        "changes": changes_of(placement, draft), "may_change": can_change(request.user, "merchandising"),
        "locked": locked_reason("merchandising"),
        "kinds": [(kind, kind_words(kind), KIND_ICONS[kind]) for kind in KINDS],
    }  # fmt: skip


@page
def rules(request: HttpRequest) -> HttpResponse:
    """The page; where nobody is looked at yet, a sample is taken."""
    bar = PageContext.of(request)
    fresh = with_sample(bar)
    if fresh:
        return redirect(reverse("portal:rules") + fresh)
    placement = placement_of(bar)
    shared = _shared(request, bar, placement, draft_of(placement))
    view = slate_preview(bar, unpublished(placement))
    query = bar.query(placement=placement.code).removeprefix("?") + "&view=draft"
    return show(request, "portal/rules/page.html", title=_("Rules"), view=view, query=query, **shared)


@page
def form(request: HttpRequest) -> HttpResponse:
    """The form of a new rule (`kind`) or of one of the draft's (`rule`)."""
    bar = PageContext.of(request)
    placement = placement_of(bar)
    wanted = request.GET.get("rule", "")
    known = {str(rule["id"]): rule for rule in draft_of(placement).rules}
    if wanted and wanted not in known:
        raise NotFound(_("This rule is no longer in the draft."))
    rule = known[wanted] if wanted else rule_start(request.GET.get("kind", ""))
    return show(
        request, "portal/rules/form.html", choices=choices(), bar=bar, placement=placement, rule=rule,
        fields=rule_fields(rule),
        kind=kind_words(rule["kind"]), is_new=not wanted, brands=brands(),
        categories=[category.path for category in categories_all()],
    )  # fmt: skip


@page
def slate(request: HttpRequest) -> HttpResponse:
    """The slate with the form's rule, or with the saved draft while the form is not complete."""
    bar = PageContext.of(request)
    placement = placement_of(bar)
    query, trial, incomplete = request.GET.urlencode(), None, ""
    if "kind" in request.GET:
        try:
            trial = rules_with(draft_of(placement).rules, rule_data(request.GET))
        except InvalidInput as error:
            incomplete = error.remedy
            query = bar.query(placement=placement.code).removeprefix("?") + "&view=draft"
    view = slate_preview(bar, unpublished(placement, rules=trial))
    return show(request, "portal/rules/slate.html", bar=bar, view=view, query=query, incomplete=incomplete)


def _saved(
    request: HttpRequest, rules_now: Sequence[Mapping[str, Any]], text: str, undo: str = ""
) -> HttpResponse:
    """Keep the draft's rules, and answer with the list anew."""
    assert isinstance(request.user, User)
    bar = PageContext.of(request)
    placement = placement_of(bar)
    draft = draft_save(
        placement=placement, revision=revision_posted(request.POST), rules=rules_now, actor=request.user
    )
    answer = show(request, "portal/rules/saved.html", undo=undo, **_shared(request, bar, placement, draft))
    answer["HX-Trigger-After-Swap"] = "rules:saved"  # not sooner: the form it closes is the target
    return toast(answer, text, kind="good")


def _draft_rules(request: HttpRequest) -> list[Mapping[str, Any]]:
    return list(draft_of(placement_of(PageContext.of(request))).rules)


@action("merchandising")
def save(request: HttpRequest) -> HttpResponse:
    """Keep the form's rule in the draft; a field to mend is named beside the form."""
    try:
        rule = rule_data(request.POST)
    except InvalidInput as error:
        return show(request, "portal/rules/field_error.html", error=error, status=400)
    return _saved(request, rules_with(_draft_rules(request), rule), _("Rule kept in the draft."))


@action("merchandising")
def toggle(request: HttpRequest) -> HttpResponse:
    """Switch a rule of the draft on or off."""
    wanted = request.POST.get("rule", "")
    changed = [
        {**rule, "enabled": not rule["enabled"]} if rule["id"] == wanted else rule
        for rule in _draft_rules(request)
    ]
    return _saved(request, changed, _("Rule switched in the draft."))


@action("merchandising")
def remove(request: HttpRequest) -> HttpResponse:
    """Take a rule out of the draft; the answer carries what brings it back."""
    wanted = request.POST.get("rule", "")
    known = _draft_rules(request)
    gone = [rule for rule in known if rule["id"] == wanted]
    left = [rule for rule in known if rule["id"] != wanted]
    return _saved(request, left, _("Rule removed from the draft."), undo=json.dumps(gone[0]) if gone else "")


@action("merchandising")
def restore(request: HttpRequest) -> HttpResponse:
    """Put a rule back that was just removed."""
    rule = rule_posted(request.POST, "undo")
    return _saved(request, rules_with(_draft_rules(request), rule), _("Rule is back in the draft."))
