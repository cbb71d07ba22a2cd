"""A slider for each source of a blend: Weights and the design of an experiment share it."""

from collections.abc import Mapping
from dataclasses import dataclass

from apps.merchandising.blends import OWN_SOURCES
from apps.merchandising.models import Placement
from apps.portal.words.sources import SourceName, sources_live, sources_named


@dataclass(frozen=True, slots=True)
class Slider:
    """One source's weight here and live. `ready`: whether a model of it is live."""

    source: SourceName
    weight: float
    live: float
    ready: bool


def sliders(placement: Placement, weights: Mapping[str, float]) -> list[Slider]:
    """A slider for each source that the placement may blend: those in use, and any with weight here
    or live, so that it can be taken back.
    """
    live = placement.live_publication.weights if placement.live_publication else {}
    ready = sources_live()
    return [
        Slider(source, float(weights.get(code, 0.0)), float(live.get(code, 0.0)), code in ready)
        for code, source in sources_named().items()
        if (code not in OWN_SOURCES.values() or OWN_SOURCES.get(placement.kind) == code)
        and (source.active or weights.get(code) or live.get(code))
    ]
