"""Experiments on the tiny shop, made without the wizard."""

from collections.abc import Mapping
from typing import Any

from apps.core import clock
from apps.experiments.models import Experiment, Layer, Variant, VariantPublication
from apps.merchandising.models import Placement
from apps.merchandising.trials import trial_add
from apps.serving.memory import memory_current

Arm = Mapping[str, Any]


def hiding(*skus: str) -> list[dict[str, Any]]:
    """A rule that hides these products: a variant that anybody can tell from control."""
    return [{"id": "h", "kind": "hide", "target": {"type": "product", "skus": list(skus)}}]


def experiment_make(
    code: str,
    arms: Mapping[str, Mapping[str, Arm]],
    *,
    shares: Mapping[str, float] | None = None,
    layer: str = "main",
    **fields: Any,
) -> Experiment:
    """A running experiment. arms: variant to placement's code to what differs from what is live there
    (weights, rules, page_size, versions); {} is live itself. The first is control.
    """
    place = Layer.objects.get_or_create(code=layer, defaults={"name": layer, "salt": f"layer {layer}"})[0]
    given = {"status": "running", "started_at": clock.now(), "salt": f"salt of {code}", **fields}
    experiment = Experiment.objects.create(code=code, name=code, layer=place, **given)
    even = 1 / len(arms)
    for position, (name, shown) in enumerate(arms.items()):
        variant = Variant.objects.create(
            experiment=experiment,
            code=name,
            name=name,
            is_control=position == 0,
            share=even if shares is None else shares[name],
            position=position,
        )
        for placement_code, changes in shown.items():
            placement = Placement.objects.select_related("live_publication").get(code=placement_code)
            live = placement.live_publication
            assert live is not None
            trial = {"weights": live.weights, "rules": live.rules, **changes}
            publication = trial_add(placement=placement, **trial) if changes else live
            VariantPublication.objects.create(variant=variant, placement=placement, publication=publication)
            experiment.placements.add(placement)
    return experiment


def units_of(experiment: Experiment, count: int = 1, start: int = 0) -> dict[str, list[str]]:
    """So many shopper ids of each variant (and under "" of those who take no part)."""
    running = next(one for one in memory_current().live.experiments if one.id == experiment.pk)
    found: dict[str, list[str]] = {}
    for number in range(start, start + 2_000):
        variant = running.variant_of(f"u{number}", 0.0) or ""
        if len(found.setdefault(variant, [])) < count:
            found[variant].append(f"u{number}")
    return found
