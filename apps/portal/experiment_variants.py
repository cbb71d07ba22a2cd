"""An experiment's variants side by side: what each changes in words, and its slate for somebody chosen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from django.utils.translation import gettext as _

from apps.experiments.models import Experiment, Variant
from apps.merchandising.models import Placement, Publication
from apps.merchandising.selectors import publication_diff
from apps.portal.context_bar import PageContext
from apps.portal.drafts import speaker
from apps.portal.samples import slates_sampled
from apps.portal.slates import SlateView, slate_request, view_of
from apps.portal.versus import PUBLICATION
from apps.portal.words.changes import Change
from apps.portal.words.sources import sources_named
from apps.serving.pipeline import recommend
from apps.serving.publications import PublicationState, publication_preview
from apps.training.models import ModelVersion

TRIED = 20
"""Slates that the share of differing ones is measured on."""


@dataclass(frozen=True, slots=True)
class BesideView(SlateView):
    """A variant's slate beside control's: what differs is said of control, not of what is live."""

    @property
    def summary(self) -> str:
        """One sentence on the difference."""
        if not self.compared:
            return ""
        fresh = sum(card.moved is None for card in self.cards)
        if not self.changed:
            return _("The same slate as control's.")
        return _("Other products: %(fresh)s; in other places: %(moved)s.") % {
            "fresh": fresh,
            "moved": self.changed - fresh,
        }


@dataclass(frozen=True)
class VariantShown:
    """One variant on the chosen placement. differs: of how many sampled slates; None for control."""

    variant: Variant
    number: int | None
    changes: list[Change]
    view: SlateView | None
    explain: str
    differs: int | None
    tried: int


@dataclass(frozen=True)
class VariantsShown:
    """All variants. placement: the one looked at, None for an experiment without any."""

    bar: PageContext
    placement: Placement | None
    rows: list[VariantShown]


def placement_bar(experiment: Experiment, bar: PageContext) -> PageContext | None:
    """The context at one of the experiment's placements; None when it has none."""
    codes = list(experiment.placements.order_by("id").values_list("code", flat=True))
    if not codes:
        return None
    return bar if bar.placement and bar.placement.code in codes else replace(bar, code=codes[0])


def variants_shown(experiment: Experiment, bar: PageContext | None) -> VariantsShown:
    """Every variant with what it changes; with a `bar` also its slate and how many slates differ."""
    variants = list(experiment.variants.all())
    here = placement_bar(experiment, bar) if bar else None
    placement = here.placement if here else experiment.placements.order_by("id").first()
    empty = PageContext("", "", (), "", "")
    if placement is None:
        rows = [VariantShown(one, None, [], None, "", None, 0) for one in variants]
        return VariantsShown(bar or empty, None, rows)
    publications = _publications(experiment, placement)
    control = next((publications.get(one.pk) for one in variants if one.is_control), None)
    control = control or placement.live_publication
    rows = _rows(variants, publications, control, here, placement)
    return VariantsShown(here or bar or empty, placement, rows)


def _publications(experiment: Experiment, placement: Placement) -> dict[int, Publication]:
    found = experiment.variants.filter(publications__placement=placement)
    pairs = found.values_list("pk", "publications__publication")
    kept = Publication.objects.in_bulk([publication for _variant, publication in pairs])
    return {variant: kept[publication] for variant, publication in pairs}


def state_of(publication: Publication) -> PublicationState:
    """A publication as serving takes it for a preview."""
    return publication_preview(
        weights=publication.weights,
        rules=publication.rules,
        normalisation=publication.normalisation,
        page_size=publication.page_size,
        versions=publication.versions,
    )


def _rows(
    variants: Sequence[Variant],
    publications: Mapping[int, Publication],
    control: Publication | None,
    bar: PageContext | None,
    placement: Placement,
) -> list[VariantShown]:
    say = speaker(*(one.rules for one in publications.values()), control.rules if control else [])
    base = state_of(control) if control else None
    sampled = list(slates_sampled(bar, TRIED)) if bar else []
    usual = [_skus(one, base) for one in sampled]
    shown = recommend(slate_request(bar), publication=base) if bar else None
    rows = []
    for variant in variants:
        own = publications.get(variant.pk) or control
        state = state_of(own) if own else None
        changes, differs = [], None
        if own and control and own.pk != control.pk:
            changes = [
                *say.changes(publication_diff(before=control, after=own)),
                *_further(control, own, placement),
            ]
            pairs = zip(sampled, usual, strict=True)
            differs = sum(_skus(one, state) != before for one, before in pairs) if sampled else None
        slate = recommend(slate_request(bar), publication=state) if bar else None
        view = _beside(view_of(slate, None if variant.is_control else shown)) if slate else None
        explain = bar.query(versus=f"{PUBLICATION}{own.number}") + "&view=versus" if bar and own else ""
        rows.append(
            VariantShown(variant, own.number if own else None, changes, view, explain, differs, len(sampled))
        )
    return rows


def _beside(view: SlateView) -> BesideView:
    return BesideView(view.slate, view.cards, (), view.legend, view.rung, view.compared)


def _skus(bar: PageContext, state: PublicationState | None) -> list[str]:
    return [item.sku for item in recommend(slate_request(bar), publication=state).items]


def _further(control: Publication, own: Publication, placement: Placement) -> list[Change]:
    """Differences that are neither weights nor rules: page size and pinned model versions."""
    said = []
    before, after = control.page_size or placement.page_size, own.page_size or placement.page_size
    if before != after:
        words = _("Products in the slate: %(after)s instead of %(before)s") % {
            "after": after,
            "before": before,
        }
        said.append(Change("raised" if after > before else "lowered", words))
    names = sources_named()
    numbers = dict(ModelVersion.objects.filter(pk__in=own.versions.values()).values_list("pk", "number"))
    for source, version in sorted(own.versions.items()):
        if control.versions.get(source) == version:
            continue
        words = _("%(source)s: version %(number)s") % {
            "source": names[source].name if source in names else source,
            "number": numbers.get(version, version),
        }
        said.append(Change("changed", words))
    return said
