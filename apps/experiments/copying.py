"""What a copy of an experiment takes over: its variants, as they were planned."""

from django.utils.text import slugify

from apps.experiments.design import CODES_TAKEN
from apps.experiments.models import Experiment, Variant, VariantPublication


def variants_copy(source: Experiment, made: Experiment) -> None:
    """Give the draft the variants of another experiment, on the placements both have.

    Control, and what showed just control's publication, is what is live now.
    """
    made.variants.all().delete()
    kept = set(made.placements.values_list("pk", flat=True))
    variants = list(source.variants.prefetch_related("publications__placement"))
    frozen = {
        row.placement_id: row.publication_id
        for one in variants
        if one.is_control
        for row in one.publications.all()
    }
    for variant in variants:
        twin = Variant.objects.create(
            experiment=made,
            code=variant.code,
            name=variant.name,
            is_control=variant.is_control,
            share=share_planned(source, variant),
            position=variant.position,
        )
        for row in variant.publications.all():
            live = row.placement.live_publication_id
            as_control = row.publication_id == frozen.get(row.placement_id)
            if row.placement_id in kept:
                VariantPublication.objects.create(
                    variant=twin,
                    placement_id=row.placement_id,
                    publication_id=live if as_control and live else row.publication_id,
                )


def share_planned(experiment: Experiment, variant: Variant) -> float:
    """The share at the launch: a bandit has moved it since."""
    launched = experiment.log.filter(kind="launched").order_by("id").first()
    shares = launched.details.get("shares", {}) if launched else {}
    return float(shares.get(variant.code, variant.share))


def code_free(name: str) -> str:
    """A code for this name that no experiment has."""
    stem = slugify(name)[:34].strip("-") or "experiment"
    taken = set(Experiment.objects.filter(code__startswith=stem).values_list("code", flat=True))
    taken |= CODES_TAKEN
    tries = (stem if n == 1 else f"{stem}-{n}" for n in range(1, len(taken) + 2))
    return next(one for one in tries if one not in taken)
