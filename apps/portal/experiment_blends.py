"""What a variant shows on a placement, laid out for the design's form: starts, sliders, rules, versions."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from apps.experiments.models import Experiment
from apps.merchandising.models import Placement
from apps.portal import formats
from apps.portal.drafts import speaker
from apps.portal.forms.experiment_variants import (
    DRAFT,
    LIVE,
    SAME,
    BlendFields,
    VariantFields,
    VariantsForm,
    base_of,
)
from apps.portal.sliders import Slider, sliders
from apps.portal.words.experiment_design import Template
from apps.portal.words.sources import SourceName, sources_named
from apps.serving.publications import PublicationState, publication_preview
from apps.training.models import ModelVersion, VersionStatus

OFFERED = 12


@dataclass(frozen=True, slots=True)
class NamedSlider(Slider):
    """A slider with the name and id of its number field."""

    name: str = ""
    id: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True)
class RuleLine:
    """A rule of the start, whether it stays, and whether shoppers do not have it yet."""

    id: str
    words: str
    kept: bool
    fresh: bool


@dataclass(frozen=True, slots=True)
class VersionField:
    """The versions of one model that a variant may use; `live` says what an empty choice means."""

    source: str
    name: str
    live: str
    choices: tuple[tuple[str, str], ...]
    chosen: str


@dataclass(frozen=True)
class BlendPanel:
    """One variant on one placement. `prefix` starts its fields' names, `key` its ids."""

    row: int
    fields: BlendFields
    prefix: str
    key: str
    opens: str
    starts: list[tuple[str, str]]
    sliders: list[NamedSlider]
    rules: list[RuleLine]
    versions: list[VersionField]
    changes: list[str]
    preview_url: str

    @property
    def errors(self) -> list[str]:
        """What is wrong with the blend beside its fields."""
        return [
            text
            for name, text in self.fields.errors.items()
            if name != "page_size" and not name.startswith("w.")
        ]


@dataclass(frozen=True)
class VariantPanels:
    """A variant with its panels; the rest is the form's."""

    fields: VariantFields
    panels: list[BlendPanel]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.fields, name)


def panels_of(experiment: Experiment, form: VariantsForm, template: Template) -> list[VariantPanels]:
    """The variants with a panel for each placement."""
    names = sources_named()
    versions = versions_ready()
    starts = {one.code: starts_of(one) for one in form.placements}
    return [
        VariantPanels(
            one,
            [
                _panel(experiment, row, blend, template, starts[code], names, versions)
                for code, blend in one.blends.items()
            ],
        )
        for row, one in enumerate(form.variants)
    ]


def starts_of(placement: Placement) -> list[tuple[str, str]]:
    """What a variant's blend may start from, with words."""
    live = placement.live_publication
    found = [
        (
            LIVE,
            _("What is live (publication %(number)s)") % {"number": live.number}
            if live
            else _("What is live"),
        ),
        (DRAFT, _("The Studio's draft")),
    ]
    for one in placement.publications.order_by("-number")[: OFFERED + 1]:
        if live is not None and one.pk == live.pk:
            continue
        words = _("Publication %(number)s, made for a test") if one.trial else _("Publication %(number)s")
        found.append((str(one.number), words % {"number": one.number}))
    return found


def versions_ready() -> dict[str, list[ModelVersion]]:
    """Versions a variant may use by source, the newest first; only sources with more than the live one."""
    rows = ModelVersion.objects.select_related("recipe").exclude(status=VersionStatus.REFUSED)
    found: dict[str, list[ModelVersion]] = {}
    for one in rows.order_by("recipe_id", "-number"):
        found.setdefault(one.recipe.code, []).append(one)
    return {code: versions for code, versions in found.items() if len(versions) > 1}


def _panel(
    experiment: Experiment,
    row: int,
    blend: BlendFields,
    template: Template,
    starts: list[tuple[str, str]],
    names: Mapping[str, SourceName],
    versions: Mapping[str, list[ModelVersion]],
) -> BlendPanel:
    code = blend.placement.code
    prefix, key = f"v.{row}.b.{code}.", f"{row}-{code}"
    if blend.start not in dict(starts):
        starts = [*starts, (blend.start, _("Publication %(number)s") % {"number": blend.start})]
    return BlendPanel(
        row=row,
        fields=blend,
        prefix=prefix,
        key=key,
        opens=template.opens,
        starts=starts,
        sliders=[
            NamedSlider(
                one.source,
                one.weight,
                one.live,
                one.ready,
                f"{prefix}w.{one.source.code}",
                f"w-{key}-{one.source.code}",
                blend.errors.get(f"w.{one.source.code}", ""),
            )
            for one in sliders(blend.placement, blend.weights)
        ],
        rules=_rules(blend),
        versions=_versions(blend, names, versions),
        changes=changes_told(blend, names),
        preview_url=reverse("portal:experiment_preview", args=[experiment.code, row, code]),
    )


def _rules(blend: BlendFields) -> list[RuleLine]:
    base = blend.base.rules
    live = {str(rule["id"]): rule for rule in base_of(blend.placement, LIVE).rules}
    say = speaker(list(base))
    return [
        RuleLine(str(one["id"]), say.rule(one), str(one["id"]) in blend.kept, live.get(str(one["id"])) != one)
        for one in base
    ]


def _versions(
    blend: BlendFields, names: Mapping[str, SourceName], versions: Mapping[str, list[ModelVersion]]
) -> list[VersionField]:
    used = {code for code, weight in blend.weights.items() if weight > 0}
    return [
        VersionField(
            code,
            names[code].name if code in names else code,
            _("The live version"),
            tuple((str(one.pk), _version_told(one)) for one in found),
            blend.versions.get(code, ""),
        )
        for code, found in versions.items()
        if code in used or blend.versions.get(code)
    ]


def _version_told(version: ModelVersion) -> str:
    return _("Version %(number)s (%(status)s)") % {
        "number": version.number,
        "status": version.get_status_display(),
    }


def changes_told(blend: BlendFields, names: Mapping[str, SourceName]) -> list[str]:
    """In few words, what differs from live."""
    live = base_of(blend.placement, LIVE)
    told = [
        _("%(source)s %(old)s → %(new)s")
        % {
            "source": names[code].name if code in names else code,
            "old": formats.number(live.weights.get(code, 0.0), 2),
            "new": formats.number(blend.weights.get(code, 0.0), 2),
        }
        for code in dict.fromkeys([*live.weights, *blend.weights])
        if abs(live.weights.get(code, 0.0) - blend.weights.get(code, 0.0)) >= SAME
    ]
    before = {str(rule["id"]): rule for rule in live.rules}
    after = {str(rule["id"]): rule for rule in blend.rules}
    rules = sum(before.get(key) != after.get(key) for key in {*before, *after})
    if rules:
        told.append(ngettext("%(n)s rule differs", "%(n)s rules differ", rules) % {"n": rules})
    if blend.page_size and blend.page_size != str(blend.placement.page_size):
        told.append(_("%(n)s products in the slate") % {"n": blend.page_size})
    if any(blend.versions.values()):
        told.append(_("another model version"))
    return told


def preview_of(blend: BlendFields) -> PublicationState:
    """The blend as serving takes it for a preview."""
    live = blend.placement.live_publication
    return publication_preview(
        weights=blend.weights,
        rules=[dict(rule) for rule in blend.rules],
        normalisation=live.normalisation if live else "z",
        page_size=int(blend.page_size) if blend.page_size and not blend.errors else None,
        versions={code: int(version) for code, version in blend.versions.items() if version},
    )
