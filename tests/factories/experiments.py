"""Experiments made through the real services, on placements, with events that feed metrics."""

from itertools import count
from typing import Any

from apps.accounts.models import User
from apps.experiments.models import Experiment
from apps.experiments.services import experiment_create, experiment_launch, variants_set
from apps.merchandising.models import Placement
from apps.merchandising.services import placement_create
from tests.factories.shop import event, events_record, products_make, shoppers_make

_numbers = count(1)


def placement_make(code: str = "home", **weights: float) -> Placement:
    """A placement for shoppers, with one publication."""
    return placement_create(code=code, name=code.title(), kind="shopper", weights=weights or {"als": 1.0})


def purchases_make() -> None:
    """A purchase and a click, so that the built-in metrics are fed."""
    products_make("p1")
    shoppers_make("s1")
    events_record(event("view"), event("purchase", price=10.0, quantity=1), historic=False)


def blend(weights: dict[str, float] | None = None, **more: Any) -> dict[str, Any]:
    """What a variant shows, from live with these weights."""
    return {"from": "live", "weights": weights or {"ease": 1.0}, **more}


def arms(placement: str = "home", *, share: float = 0.5, **shown: Any) -> list[dict[str, Any]]:
    """Control and one variant "b" with other weights."""
    return [
        {"code": "control", "name": "As it is", "share": 1 - share, "is_control": True, "blends": {}},
        {
            "code": "b",
            "name": "Other weights",
            "share": share,
            "is_control": False,
            "blends": {placement: blend(**shown)},
        },
    ]


def experiment_make(*placements: str, actor: User | None = None, **fields: Any) -> Experiment:
    """A draft with control and one variant on these placements (home unless given), ready to launch."""
    number = next(_numbers)
    kind = fields.pop("kind", "ab")
    base = {
        "code": f"x{number}",
        "name": f"Experiment {number}",
        "hypothesis": "It sells more.",
        "kind": kind,
    }
    codes = list(placements or ("home",))
    made = experiment_create(actor=actor, fields={**base, "placements": codes, **fields})
    variants = arms(codes[0])
    variants[1]["blends"] = {code: blend() for code in codes}
    variants_set(actor=actor, experiment_id=made.pk, variants=variants)
    return made


def experiment_run(*placements: str, actor: User | None = None, **fields: Any) -> Experiment:
    """The same, launched. `purchases_make` and the placements come first."""
    made = experiment_make(*placements, actor=actor, **fields)
    return experiment_launch(actor=actor, experiment_id=made.pk)
