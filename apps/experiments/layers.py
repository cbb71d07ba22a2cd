"""Layers and their slices: who may be in which experiment at once.

Experiments of one layer hold disjoint slices of its 10,000 buckets, so that nobody is in two of them. Layers
are independent of each other, which is right for experiments that can't meet; two on one placement could, so
they have to share a layer. A switchback has its placements alone. The holdout has a layer of its own, is
asked
first, and keeps its units out of all others.
"""

import secrets
from collections.abc import Collection

from django.db import transaction

from apps.accounts.models import User
from apps.accounts.services import audit_record
from apps.core.errors import Conflict, InvalidInput
from apps.core.models import row_check
from apps.experiments.models import BUCKETS, Experiment, ExperimentKind, ExperimentStatus, Layer

MAIN, HOLDOUT = "main", "holdout"
OPEN = (ExperimentStatus.RUNNING, ExperimentStatus.PAUSED)
Slice = tuple[int, int]


def salt_make() -> str:
    """A new random salt, 32 characters."""
    return secrets.token_hex(16)


def layer_main() -> Layer:
    """The layer of experiments that name none; made on first use."""
    return Layer.objects.get_or_create(code=MAIN, defaults={"name": "Main", "salt": salt_make()})[0]


def layer_holdout() -> Layer:
    """The holdout's layer; made on first use."""
    return Layer.objects.get_or_create(code=HOLDOUT, defaults={"name": "Holdout", "salt": salt_make()})[0]


@transaction.atomic
def layer_create(*, code: str, name: str, actor: User | None = None) -> Layer:
    """A new layer, all of it free. Conflict when there is one of this code."""
    if Layer.objects.filter(code=code).exists():
        raise Conflict(f"There is a layer {code!r} already. Choose another code, or use that layer.")
    layer = Layer(code=code, name=name.strip(), salt=salt_make())
    row_check(layer)
    layer.save()
    audit_record(
        actor=actor,
        verb="layer.create",
        object_type="layer",
        object_id=layer.pk,
        object_label=layer.code,
        after={"code": layer.code, "name": layer.name},
    )
    return layer


def layers_lock() -> None:
    """Hold all layers until the transaction ends, so that two people can't launch at once."""
    list(Layer.objects.select_for_update().order_by("id"))


def open_others(experiment: Experiment) -> list[Experiment]:
    """Experiments that hold a slice now (running or paused), but for this one."""
    return list(Experiment.objects.filter(status__in=OPEN).exclude(pk=experiment.pk).order_by("layer_from"))


def slices_free(layer: Layer, *, besides: Experiment | None = None) -> list[Slice]:
    """The stretches [from, to) of a layer that no open experiment holds, in order."""
    held = Experiment.objects.filter(layer=layer, status__in=OPEN).order_by("layer_from")
    if besides is not None:
        held = held.exclude(pk=besides.pk)
    free, at = [], 0
    for start, end in held.values_list("layer_from", "layer_to"):
        if start > at:
            free.append((at, start))
        at = max(at, end)
    return [*free, (at, BUCKETS)] if at < BUCKETS else free


def slice_find(layer: Layer, width: int = BUCKETS, *, besides: Experiment | None = None) -> Slice | None:
    """A free slice of this width, from the smallest stretch that has room; else the widest; None: all
    held.
    """
    free = slices_free(layer, besides=besides)
    roomy = sorted((one for one in free if one[1] - one[0] >= width), key=lambda one: one[1] - one[0])
    if roomy:
        return roomy[0][0], roomy[0][0] + width
    return max(free, key=lambda one: one[1] - one[0], default=None)


def _slice_words(start: int, end: int) -> str:
    """A slice in per cent, as the design asks for it: 0% to 50%."""
    return f"{100 * start / BUCKETS:g}% to {100 * end / BUCKETS:g}%"


def free_words(layer: Layer, *, besides: Experiment | None = None) -> str:
    """What is free of a layer, for a remedy."""
    free = [_slice_words(start, end) for start, end in slices_free(layer, besides=besides)]
    return f"Free in {layer.name}: {', '.join(free)}." if free else f"Nothing is free in {layer.name}."


def slice_clash(experiment: Experiment) -> Experiment | None:
    """An open experiment of the same layer whose slice overlaps this one's."""
    start, end = experiment.layer_from, experiment.layer_to
    return next(
        (
            one
            for one in open_others(experiment)
            if one.layer_id == experiment.layer_id and one.layer_from < end and start < one.layer_to
        ),
        None,
    )


def placement_clash(experiment: Experiment, placement_ids: Collection[int]) -> Experiment | None:
    """An open experiment on one of these placements that could give the same unit another slate there."""
    if experiment.kind == ExperimentKind.HOLDOUT:
        return None
    rows = Experiment.objects.filter(status__in=OPEN, placements__in=list(placement_ids))
    rows = rows.exclude(pk=experiment.pk).exclude(kind=ExperimentKind.HOLDOUT)
    if experiment.kind != ExperimentKind.SWITCHBACK:
        rows = rows.exclude(layer_id=experiment.layer_id, kind__in=_BY_UNIT)
    return rows.order_by("id").first()


_BY_UNIT = (ExperimentKind.AB, ExperimentKind.BANDIT, ExperimentKind.INTERLEAVING)


def slice_check(experiment: Experiment, placement_ids: Collection[int]) -> None:
    """InvalidInput when the experiment would meet an open one in its layer or on a placement."""
    clash = slice_clash(experiment)
    if clash is not None:
        free = free_words(experiment.layer, besides=experiment)
        held = _slice_words(clash.layer_from, clash.layer_to)
        raise InvalidInput(
            field="layer_from",
            value=f"{experiment.layer_from} to {experiment.layer_to}",
            remedy=f"{clash.name} holds {held} of this layer. {free} "
            "Take a free slice or another layer, or end that experiment.",
        )
    met = placement_clash(experiment, placement_ids)
    if met is None:
        return
    if ExperimentKind.SWITCHBACK in (experiment.kind, met.kind):
        remedy = f"{met.name} runs on the same placement, and a switchback needs it alone. End one first."
        raise InvalidInput(field="placements", value=experiment.name, remedy=remedy)
    raise InvalidInput(
        field="layer",
        value=experiment.layer.code,
        remedy=f"{met.name} runs on the same placement in the layer {met.layer.code}. Take a free "
        f"slice of that "
        "layer, so that nobody is in both.",
    )
