"""Variants as the design's form holds them: what each shows on each placement, and its share.

The form's fields: `rows` (one value for each variant), `v.<row>.code`, `.name`, `.share` (per cent); for a
placement `v.<row>.b.<placement>.from` (live, draft or a publication's number), `.w.<source>`, `.rule` (ids of
the rules kept), `.page_size`, `.v.<source>` (a model version's id). What can't be read stays in the field as
it was typed, with its error beside it.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.http import QueryDict
from django.utils.text import slugify
from django.utils.translation import gettext as _

from apps.core.errors import InvalidInput, RecoPortalError
from apps.experiments.models import Experiment
from apps.merchandising.models import Placement, Publication
from apps.merchandising.selectors import publication_get
from apps.merchandising.services import PAGE_SIZE_MAX
from apps.portal.drafts import draft_of
from apps.portal.forms.base import remedy_told
from apps.portal.forms.experiment import percent_of

LIVE, DRAFT = "live", "draft"
CONTROL = "control"
MOST = 8
SAME = 0.0005
NUMBER = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True, slots=True)
class Base:
    """What a variant's blend starts from."""

    weights: Mapping[str, float]
    rules: Sequence[Mapping[str, Any]]
    page_size: int | None = None
    versions: Mapping[str, int] = field(default_factory=dict)


def base_of(placement: Placement, start: str) -> Base:
    """The blend that `start` names; live for what is not there (a link may be old)."""
    live = placement.live_publication
    if start == DRAFT:
        draft = draft_of(placement)
        return Base(draft.weights, draft.rules)
    if NUMBER.fullmatch(start):
        try:
            return _base(publication_get(placement=placement, number=int(start)))
        except RecoPortalError:
            pass
    return _base(live) if live else Base({}, ())


def _base(publication: Publication) -> Base:
    return Base(publication.weights, publication.rules, publication.page_size, publication.versions)


@dataclass
class BlendFields:
    """One variant's fields on one placement. Texts are as typed; `kept` holds the ids of the rules in use."""

    placement: Placement
    start: str = LIVE
    weights: dict[str, float] = field(default_factory=dict)
    kept: set[str] = field(default_factory=set)
    page_size: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)

    @classmethod
    def at(cls, placement: Placement, start: str) -> "BlendFields":
        """Just what `start` names, nothing changed."""
        base = base_of(placement, start)
        return cls(
            placement,
            start,
            {code: float(weight) for code, weight in base.weights.items()},
            {str(rule["id"]) for rule in base.rules},
            str(base.page_size or ""),
            {code: str(version) for code, version in base.versions.items()},
        )

    @property
    def base(self) -> Base:
        """What it starts from."""
        return base_of(self.placement, self.start)

    @property
    def rules(self) -> list[Mapping[str, Any]]:
        """The rules in use, in their JSON shape."""
        return [rule for rule in self.base.rules if str(rule["id"]) in self.kept]

    def value(self) -> dict[str, Any]:
        """What `variants_set` takes: the start, and only what differs from it."""
        base = self.base
        found: dict[str, Any] = {"from": int(self.start) if NUMBER.fullmatch(self.start) else self.start}
        codes = {*base.weights, *self.weights}
        if any(abs(base.weights.get(one, 0.0) - self.weights.get(one, 0.0)) >= SAME for one in codes):
            found["weights"] = self.weights
        if len(self.rules) != len(base.rules):
            found["rules"] = [dict(rule) for rule in self.rules]
        size = int(self.page_size) if self.page_size else None
        if size != base.page_size:
            found["page_size"] = size
        versions = {code: int(version) for code, version in self.versions.items() if version}
        if versions != dict(base.versions):
            found["versions"] = versions
        return found


@dataclass
class VariantFields:
    """One variant as the form holds it; `share` is in per cent, as typed."""

    code: str
    name: str
    share: str
    is_control: bool = False
    blends: dict[str, BlendFields] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)

    @property
    def fraction(self) -> float:
        """The share as a fraction, 0.0 while it is no number."""
        try:
            return float(self.share.replace(",", ".")) / 100
        except ValueError:
            return 0.0

    @property
    def all_errors(self) -> list[str]:
        """Every error of it, its blends' too."""
        return [
            *self.errors.values(),
            *(text for one in self.blends.values() for text in one.errors.values()),
        ]


@dataclass
class VariantsForm:
    """All variants with the placements they stand on. The first one is control."""

    placements: list[Placement]
    variants: list[VariantFields]
    errors: list[str] = field(default_factory=list)
    where: str = ""  # what is wrong with the placements

    @property
    def valid(self) -> bool:
        """Whether everything could be read."""
        return not self.errors and not self.where and not any(one.all_errors for one in self.variants)

    @property
    def sum(self) -> float:
        """The shares together, in per cent."""
        return round(sum(one.fraction for one in self.variants) * 100, 4)

    def values(self) -> list[dict[str, Any]]:
        """What `variants_set` takes."""
        return [
            {
                "code": one.code,
                "name": one.name,
                "share": round(one.fraction, 6),
                "is_control": one.is_control,
                "blends": {}
                if one.is_control
                else {code: blend.value() for code, blend in one.blends.items()},
            }
            for one in self.variants
        ]

    def take(self, error: RecoPortalError) -> None:
        """Show a service's refusal at the variant and field it names, else above the form."""
        name = error.field if isinstance(error, InvalidInput) else ""
        text = remedy_told(error) if isinstance(error, InvalidInput) else error.message
        parts = name.split(".")
        found = next((one for one in self.variants if len(parts) > 1 and one.code == parts[1]), None)
        if found is not None:
            blend = found.blends.get(parts[2]) if len(parts) > 3 else None
            if blend is not None:
                blend.errors[parts[3]] = text
            else:
                found.errors[parts[2] if len(parts) > 2 and parts[2] in ("name", "share") else "blends"] = (
                    text
                )
        elif name == "placements":
            self.where = text
        elif name == "share":
            self.variants[-1].errors["share"] = text
        else:
            self.errors.append(text)

    # --- what the form's own buttons do ---

    def add(self) -> None:
        """One more variant; the shares are even again."""
        if len(self.variants) >= MOST:
            self.errors.append(
                _("%(most)s variants are enough: each one more needs more shoppers.") % {"most": MOST}
            )
            return
        code = self._code_free()
        blends = {one.code: BlendFields.at(one, LIVE) for one in self.placements}
        self.variants.append(
            VariantFields(code, _("Variant %(letter)s") % {"letter": code.upper()}, "0", blends=blends)
        )
        self.even()

    def drop(self, row: int) -> None:
        """Take a variant away; control stays."""
        if 0 < row < len(self.variants):
            del self.variants[row]
            self.even()

    def even(self) -> None:
        """The same share for each; what rounding leaves over is control's."""
        count = len(self.variants)
        each = int(10_000 / count) / 100
        for one in self.variants:
            one.share = f"{each:g}"
        self.variants[0].share = f"{round(100 - each * (count - 1), 2):g}"

    def start_again(self, row: int, placement: str) -> None:
        """Make a blend just what its start names."""
        blend = self.variants[row].blends.get(placement)
        if blend is not None:
            self.variants[row].blends[placement] = BlendFields.at(blend.placement, blend.start)

    def _code_free(self) -> str:
        taken = {one.code for one in self.variants}
        return next(letter for letter in "bcdefghijklmnop" if letter not in taken)


def variants_first(placements: Sequence[Placement]) -> VariantsForm:
    """Control and one variant that starts from the Studio's draft where there is one that differs."""
    form = VariantsForm(list(placements), [VariantFields(CONTROL, _("As it is now"), "100", is_control=True)])
    form.add()
    for one in placements:
        live, draft = base_of(one, LIVE), base_of(one, DRAFT)
        if (dict(live.weights), list(live.rules)) != (dict(draft.weights), list(draft.rules)):
            form.variants[1].blends[one.code] = BlendFields.at(one, DRAFT)
    return form


def variants_stored(experiment: Experiment) -> VariantsForm:
    """The form as the draft was kept; a new one where nothing was."""
    placements = list(experiment.placements.select_related("live_publication"))
    rows = list(experiment.variants.prefetch_related("publications__publication", "publications__placement"))
    if not rows:
        return variants_first(placements)
    variants = []
    for row in rows:
        own = {one.placement.code: one.publication for one in row.publications.all()}
        blends = {}
        if not row.is_control:
            for one in placements:
                shown = own.get(one.code)
                start = LIVE if shown is None or shown.pk == one.live_publication_id else str(shown.number)
                blends[one.code] = BlendFields.at(one, start)
        variants.append(
            VariantFields(row.code, row.name, f"{percent_of(row.share):g}", row.is_control, blends)
        )
    return VariantsForm(placements, variants)


def variants_posted(data: QueryDict, placements: Sequence[Placement]) -> VariantsForm:
    """The form as it was sent."""
    form = VariantsForm(list(placements), [])
    for row in data.getlist("rows")[:MOST]:
        if NUMBER.fullmatch(row):
            form.variants.append(_variant(data, f"v.{row}.", form))
    if not form.variants:
        return variants_first(placements)
    if abs(form.sum - 100) > 0.01 and not any("share" in one.errors for one in form.variants):
        form.variants[-1].errors["share"] = _(
            "The shares add up to %(sum)s %%, not to 100. Change one, or press “Split evenly”."
        ) % {"sum": f"{form.sum:g}"}
    return form


def _variant(data: QueryDict, prefix: str, form: VariantsForm) -> VariantFields:
    is_control = not form.variants
    name = data.get(f"{prefix}name", "").strip()[:80]
    code = slugify(data.get(f"{prefix}code", ""))[:40]
    one = VariantFields(
        CONTROL if is_control and not code else code or slugify(name)[:40] or form._code_free(),
        name,
        data.get(f"{prefix}share", "").strip()[:12],
        is_control,
    )
    if not name:
        one.errors["name"] = _("Give it a name that says what is different.")
    try:
        if not 0 < float(one.share.replace(",", ".")) <= 100:
            one.errors["share"] = _("Give a share above 0, up to 100 %.")
    except ValueError:
        one.errors["share"] = _("Give a number, such as 50.")
    if any(other.code == one.code for other in form.variants):
        one.errors["name"] = _("Another variant has this code (%(code)s).") % {"code": one.code}
    if not is_control:
        one.blends = {
            placement.code: _blend(data, f"{prefix}b.{placement.code}.", placement)
            for placement in form.placements
        }
    return one


def _blend(data: QueryDict, prefix: str, placement: Placement) -> BlendFields:
    start = data.get(f"{prefix}from", "")
    if not start:  # a placement that was only now ticked
        return BlendFields.at(placement, LIVE)
    blend = BlendFields(placement, start, kept=set(data.getlist(f"{prefix}rule")))
    for key in data:
        if key.startswith(f"{prefix}w."):
            _weight(blend, key.removeprefix(f"{prefix}w."), data.get(key, ""))
        elif key.startswith(f"{prefix}v."):
            chosen = data.get(key, "")
            blend.versions[key.removeprefix(f"{prefix}v.")] = chosen if NUMBER.fullmatch(chosen) else ""
    blend.versions = {code: version for code, version in blend.versions.items() if version}
    blend.page_size = data.get(f"{prefix}page_size", "").strip()[:4]
    if blend.page_size and not (
        NUMBER.fullmatch(blend.page_size) and 1 <= int(blend.page_size) <= PAGE_SIZE_MAX
    ):
        blend.errors["page_size"] = _("Give a whole number from 1 to %(most)s.") % {"most": PAGE_SIZE_MAX}
    return blend


def _weight(blend: BlendFields, source: str, text: str) -> None:
    try:
        value = float(text.replace(",", "."))
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        blend.errors[f"w.{source}"] = _("Give a number from 0 to 1.")
        value = min(1.0, max(0.0, value))
    blend.weights[source] = round(value, 4)
