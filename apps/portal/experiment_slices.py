"""Layers as a picture, and what an audience can be chosen from."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.translation import gettext as _

from apps.events.models import Shopper
from apps.experiments.layers import HOLDOUT, MAIN, OPEN
from apps.experiments.models import BUCKETS, Experiment, Layer
from apps.portal import formats
from apps.portal.forms.base import language_choices

MOST_VALUES = 40


@dataclass(frozen=True, slots=True)
class SlicePart:
    """A stretch of a layer. tone: own, taken or free; left and width in per cent of the layer."""

    name: str
    code: str
    tone: str
    left: float
    width: float

    @property
    def words(self) -> str:
        """The stretch in words."""
        return _("%(from)s to %(to)s") % {
            "from": _short(self.left),
            "to": _short(self.left + self.width),
        }


@dataclass(frozen=True, slots=True)
class LayerPicture:
    """A layer: what running and paused experiments hold of it, and what is free."""

    code: str
    name: str
    taken: tuple[SlicePart, ...]
    free: tuple[SlicePart, ...]
    own: SlicePart | None
    clash: tuple[str, ...]


def _short(percent: float) -> str:
    return formats.percent(percent / 100, 0 if percent == round(percent) else 2)


def layer_choices() -> list[tuple[str, str]]:
    """The layers to choose from, and a new one."""
    rows = Layer.objects.exclude(code=HOLDOUT).order_by("id")
    return [*((one.code, layer_named(one)) for one in rows), ("", _("A new layer of its own"))]


def layer_named(layer: Layer) -> str:
    """What a layer is called; those we made ourselves in the reader's language."""
    return {MAIN: _("Main layer"), HOLDOUT: _("Layer of the holdout")}.get(layer.code, layer.name)


def layers_pictured(experiment: Experiment) -> list[LayerPicture]:
    """Every layer, with this experiment's slice where it stands."""
    rows = Experiment.objects.filter(status__in=OPEN).exclude(pk=experiment.pk).order_by("layer_from")
    held: dict[int, list[Experiment]] = {}
    for one in rows:
        held.setdefault(one.layer_id, []).append(one)
    layers = Layer.objects.order_by("id")
    layers = layers.filter(code=HOLDOUT) if experiment.kind == "holdout" else layers.exclude(code=HOLDOUT)
    return [_pictured(layer, held.get(layer.pk, []), experiment) for layer in layers]


def _pictured(layer: Layer, held: Sequence[Experiment], experiment: Experiment) -> LayerPicture:
    taken = tuple(_part(one.name, one.code, "taken", one.layer_from, one.layer_to) for one in held)
    free, at = [], 0
    for one in held:
        if one.layer_from > at:
            free.append(_part(_("free"), "", "free", at, one.layer_from))
        at = max(at, one.layer_to)
    if at < BUCKETS:
        free.append(_part(_("free"), "", "free", at, BUCKETS))
    own: SlicePart | None = None
    clash: tuple[str, ...] = ()
    if experiment.layer_id == layer.pk:
        own = _part(experiment.name, experiment.code, "own", experiment.layer_from, experiment.layer_to)
        clash = tuple(
            one.name
            for one in held
            if one.layer_from < experiment.layer_to and experiment.layer_from < one.layer_to
        )
    return LayerPicture(layer.code, layer_named(layer), taken, tuple(free), own, clash)


def _part(name: str, code: str, tone: str, start: int, end: int) -> SlicePart:
    return SlicePart(name, code, tone, 100 * start / BUCKETS, 100 * (end - start) / BUCKETS)


def audience_found() -> dict[str, Sequence[tuple[str, str]]]:
    """The regions and languages the shop's shoppers have, and the kinds of device, each with its words."""
    languages = dict(language_choices())
    return {
        "regions": [(one, one) for one in _values("region")],
        "languages": [(one, languages.get(one, one)) for one in _values("language")],
        "devices": [
            ("desktop", _("Computer")),
            ("mobile", _("Phone")),
            ("tablet", _("Tablet")),
            ("app", _("App")),
        ],
    }


def _values(field: str) -> list[str]:
    rows = Shopper.objects.exclude(**{field: ""}).values_list(field, flat=True).distinct()
    return sorted(rows[:MOST_VALUES])
