"""What variants show: one publication for each placement, checked and kept in the placements' one history."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from apps.accounts.models import User
from apps.core.errors import InvalidInput, NotFound
from apps.experiments.design import code_parse
from apps.experiments.models import Experiment, ExperimentKind, Variant, VariantPublication
from apps.merchandising.blends import weights_parse
from apps.merchandising.models import Draft, Placement, Publication
from apps.merchandising.rules import rules_dump, rules_parse
from apps.merchandising.selectors import publication_get, sources_known
from apps.merchandising.trials import page_size_parse, trial_add, trial_delete, versions_parse

VARIANTS_MAX = 8
SHARES_OFF = 1e-4
LIVE, DRAFT = "live", "draft"
BLEND_FIELDS = ("from", "weights", "rules", "page_size", "versions")


@dataclass(frozen=True, slots=True)
class Blend:
    """What a variant shows on a placement. kept: the publication that is just this, if there is one."""

    weights: Mapping[str, float]
    rules: Sequence[Mapping[str, Any]]
    normalisation: str
    page_size: int | None
    versions: Mapping[str, int]
    kept: Publication | None = None

    @classmethod
    def of(cls, publication: Publication) -> "Blend":
        """A publication's."""
        return cls(
            publication.weights,
            publication.rules,
            publication.normalisation,
            publication.page_size,
            publication.versions,
            publication,
        )

    def content(self, placement: Placement) -> str:
        """Equal for blends that show the same: sources without weight and a page size left open don't
        count.
        """
        weights = {source: round(weight, 4) for source, weight in self.weights.items() if weight}
        size = self.page_size or placement.page_size
        parts = [weights, self.normalisation, list(self.rules), size, dict(self.versions)]
        return json.dumps(parts, sort_keys=True)


@dataclass(frozen=True, slots=True)
class Arm:
    """A variant as it was asked for, parsed."""

    code: str
    name: str
    share: float
    is_control: bool
    blends: Mapping[str, Any]


def arms_parse(variants: Any, *, kind: str) -> list[Arm]:
    """Variants with their codes, names and shares checked; shares sum to exactly 1. InvalidInput."""
    if not isinstance(variants, list | tuple) or not all(isinstance(one, Mapping) for one in variants):
        raise InvalidInput(field="variants", value=variants, remedy="Give a list of objects.")
    arms = [_arm(one) for one in variants]
    most = 2 if kind in (ExperimentKind.INTERLEAVING, ExperimentKind.HOLDOUT) else VARIANTS_MAX
    if not 2 <= len(arms) <= most:
        remedy = "Give control and one variant." if most == 2 else f"Give 2 to {most} variants, with control."
        raise InvalidInput(field="variants", value=len(arms), remedy=remedy)
    codes = [one.code for one in arms]
    for code in codes:
        if codes.count(code) > 1:
            remedy = "Another variant has this code; give each its own."
            raise InvalidInput(field=f"variants.{code}.code", value=code, remedy=remedy)
    if sum(one.is_control for one in arms) != 1:
        found = ", ".join(one.code for one in arms if one.is_control) or "none"
        raise InvalidInput(field="variants", value=found, remedy="Make exactly one variant control.")
    whole = sum(one.share for one in arms)
    if abs(whole - 1) > SHARES_OFF:
        remedy = "The shares must sum to 1 (100 %). Change one of them."
        raise InvalidInput(field="share", value=f"{whole:.4g}", remedy=remedy)
    return [Arm(one.code, one.name, one.share / whole, one.is_control, one.blends) for one in arms]


def _arm(row: Mapping[str, Any]) -> Arm:
    code = code_parse("variants.code", row.get("code"))
    name, share = row.get("name"), row.get("share")
    if not isinstance(name, str) or not 1 <= len(name.strip()) <= 80:
        raise InvalidInput(
            field=f"variants.{code}.name", value=name, remedy="Give a name of 1 to 80 characters."
        )
    if isinstance(share, bool) or not isinstance(share, int | float) or not 0 < share <= 1:
        remedy = "Give a share above 0, up to 1 (100 %)."
        raise InvalidInput(field=f"variants.{code}.share", value=share, remedy=remedy)
    blends = row.get("blends") or {}
    if not isinstance(blends, Mapping):
        raise InvalidInput(field=f"variants.{code}.blends", value=blends, remedy="Give an object.")
    return Arm(code, name.strip(), float(share), bool(row.get("is_control")), blends)


def blends_of(arm: Arm, placements: Sequence[Placement]) -> dict[int, Blend]:
    """By placement id what the arm shows, each part checked like a publication. InvalidInput names the place
    as variants.<variant>.<placement>.<field>.
    """
    known = {one.code for one in placements}
    for code in arm.blends:
        if code not in known:
            remedy = "Choose this placement for the experiment first."
            raise InvalidInput(field=f"variants.{arm.code}.{code}", value=code, remedy=remedy)
    found = {}
    for placement in placements:
        asked = {} if arm.is_control else arm.blends.get(placement.code) or {}
        try:
            found[placement.pk] = _blend(placement, asked)
        except InvalidInput as error:
            field = f"variants.{arm.code}.{placement.code}.{error.field}"
            raise InvalidInput(field=field, value=error.value, remedy=error.remedy) from error
    return found


def _blend(placement: Placement, asked: Any) -> Blend:
    if not isinstance(asked, Mapping):
        raise InvalidInput(field="from", value=asked, remedy="Give an object.")
    for name in asked:
        if name not in BLEND_FIELDS:
            raise InvalidInput(field=name, value=asked[name], remedy=f"Use {', '.join(BLEND_FIELDS)}.")
    base = _base(placement, asked.get("from", LIVE))
    weights = weights_parse(asked.get("weights", base.weights), sources=sources_known(), kind=placement.kind)
    versions = asked.get("versions", base.versions)
    blend = Blend(
        weights,
        rules_dump(rules_parse(asked.get("rules", base.rules))),
        base.normalisation,
        page_size_parse(asked.get("page_size", base.page_size)),
        versions_parse(versions or {}, weights=weights),
    )
    if base.kept is not None and blend.content(placement) == base.content(placement):
        return base
    return blend


def _base(placement: Placement, start: Any) -> Blend:
    """What `start` names: live, draft or a publication's number."""
    live = placement.live_publication
    if live is None:
        remedy = "Nothing is published on this placement. Publish something first."
        raise InvalidInput(field="from", value=placement.code, remedy=remedy)
    if start == LIVE:
        return Blend.of(live)
    if start == DRAFT:
        draft = Draft.objects.filter(placement=placement).first()
        weights, rules = (draft.weights, draft.rules) if draft else (live.weights, live.rules)
        return Blend(weights, rules, live.normalisation, None, {})
    if isinstance(start, bool) or not isinstance(start, int):
        raise InvalidInput(
            field="from", value=start, remedy="Start from live, draft or a publication's number."
        )
    try:
        return Blend.of(publication_get(placement=placement, number=start))
    except NotFound as error:
        raise InvalidInput(field="from", value=start, remedy=error.message) from error


def arms_differ(shown: Mapping[str, Mapping[int, str]], names: Mapping[str, str], control: str) -> None:
    """InvalidInput for a variant that shows just what control or an earlier variant does. shown: by variant
    and
    placement id the content.
    """
    before = {control: shown[control]}
    for code in shown:
        if code == control:
            continue
        same = next((other for other, content in before.items() if content == shown[code]), None)
        if same is not None:
            remedy = f"It shows the same as {names[same]}. Change its weights, rules, page size or versions."
            raise InvalidInput(field=f"variants.{code}.blends", value=names[code], remedy=remedy)
        before[code] = shown[code]


def arms_store(experiment: Experiment, arms: Sequence[Arm], actor: User | None) -> None:
    """Make the draft's variants just these. Publications that exist already are used as they are."""
    placements = list(experiment.placements.select_related("live_publication").order_by("id"))
    blends = {} if experiment.kind == ExperimentKind.HOLDOUT else {
        one.code: blends_of(one, placements) for one in arms
    }  # fmt: skip
    if experiment.kind == ExperimentKind.HOLDOUT:
        for arm in arms:
            if arm.blends:
                remedy = "A holdout keeps what is live at its launch; leave the blends out."
                raise InvalidInput(field=f"variants.{arm.code}.blends", value=arm.code, remedy=remedy)
    elif placements:
        by_id = {one.pk: one for one in placements}
        shown = {
            code: {pk: blend.content(by_id[pk]) for pk, blend in found.items()}
            for code, found in blends.items()
        }
        control = next(one.code for one in arms if one.is_control)
        arms_differ(shown, {one.code: one.name for one in arms}, control)
    experiment.variants.exclude(code__in=[one.code for one in arms]).delete()
    experiment.variants.update(is_control=False)  # one at most, whichever is written first
    for position, arm in enumerate(arms):
        variant, _made = Variant.objects.update_or_create(
            experiment=experiment,
            code=arm.code,
            defaults={
                "name": arm.name,
                "share": arm.share,
                "is_control": arm.is_control,
                "position": position,
            },
        )
        _blends_store(experiment, variant, placements, blends.get(arm.code, {}), actor)
    trials_unused_delete(placements)


def _blends_store(
    experiment: Experiment,
    variant: Variant,
    placements: Sequence[Placement],
    blends: Mapping[int, Blend],
    actor: User | None,
) -> None:
    now = {row.placement_id: row.publication for row in variant.publications.select_related("publication")}
    rows = []
    for placement in placements if blends else ():
        blend = blends[placement.pk]
        publication = blend.kept
        stored = now.get(placement.pk)
        if publication is None and stored is not None and stored.trial:
            same = Blend.of(stored).content(placement) == blend.content(placement)
            publication = stored if same else None
        if publication is None:
            publication = trial_add(
                placement=placement,
                weights=blend.weights,
                rules=blend.rules,
                normalisation=blend.normalisation,
                page_size=blend.page_size,
                versions=blend.versions,
                note=f"{experiment.name}: {variant.name}",
                actor=actor,
            )
        rows.append(VariantPublication(variant=variant, placement=placement, publication=publication))
    variant.publications.all().delete()
    VariantPublication.objects.bulk_create(rows)


def trials_unused_delete(placements: Sequence[Placement]) -> None:
    """Delete trials that no variant shows any more: only drafts let go of them, so nobody ever saw one.

    The last number of a placement stays, so that no number is given twice.
    """
    for placement in placements:
        last = placement.publications.order_by("-number").values_list("number", flat=True).first()
        used = VariantPublication.objects.filter(placement=placement).values("publication_id")
        unused = placement.publications.filter(trial=True, number__lt=last or 0).exclude(pk__in=used)
        for publication in unused.select_related("placement"):
            trial_delete(publication=publication)
